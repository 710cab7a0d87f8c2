"""Headers that were handed in raw: in ASCII by a foreign library's reading, or with SMTPUTF8 (RFC 2047, RFC 2231, RFC 6531, RFC 6532)."""

import email
import email.policy
import time
from dataclasses import replace
from email.header import decode_header

import pytest

from appliance.mail.options import EnvelopeOptions
from appliance.mail.outcome import DsnAction, Outcome
from appliance.mail.outgoing import OutgoingMessage
from appliance.outbound.conversion import convert
from appliance.protocol.smtp.client import Offer
from tests.support.peer import Peer

from .test_attempt import apart, deliver_all
from .test_conversion import message_to
from .test_smtp_client import message_to as message_of_7_octet_chunks

EIGHT, BOTH = Offer(eightbitmime=True), Offer(eightbitmime=True, smtputf8=True)
BODY = "\r\nGrüße im Text\r\n".encode()
RAW = "From: Jürgen <ada@home.example>\r\nSubject: Grüße\r\n".encode() + BODY


async def sent(message: bytes, offer: Offer = EIGHT, **words: object) -> tuple[bytes, OutgoingMessage]:
    outgoing = await convert(message_to(message, **words), offer)
    assert isinstance(outgoing, OutgoingMessage), outgoing
    async with outgoing.chunks() as octets:
        out = b"".join([chunk async for chunk in octets])
    assert outgoing.octets == len(out) and outgoing.options.body == ("7BIT" if out.isascii() else "8BITMIME")
    return out, outgoing


def header(out: bytes) -> bytes:
    return out.partition(b"\r\n\r\n")[0]


def shown(out: bytes, name: str) -> str:
    return str(email.message_from_bytes(out, policy=email.policy.default)[name])


@pytest.mark.parametrize("offer", [EIGHT, BOTH])
async def test_a_local_message_without_smtputf8_gets_encoded_words(offer: Offer) -> None:
    out, outgoing = await sent(RAW, offer)
    assert header(out).isascii() and out.endswith(BODY) and not outgoing.options.smtputf8, "the body stays in 8 bits"
    assert shown(out, "subject") == "Grüße" and shown(out, "from") == "Jürgen <ada@home.example>"


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("Subject: Re: Grüße und mehr: 100 % Käse, über die ganze Länge einer Zeile hinaus und weiter bis zum Schluss äöü", None),
        ("Subject: naïve café plain words then ümlaut", None),
        ("From: Jürgen Müller <j@x.example>", None), ('From: "Müller, Jürgen" <j@x.example>', None),
        ("From: Ü<u@x.example>", "Ü <u@x.example>"),
        ("To: Änne <a@x.example>, Bob <b@x.example>, Ömer Ö. Öz <o@x.example>", None),
        ("To: Größe Gruppe: a@x.example, b@x.example;", None),
        ("Reply-To: =?utf-8?q?B=C3=B6b?= Ü <b@x.example>", "BöbÜ <b@x.example>"),
        ("Cc: a@bücher.example", "a@xn--bcher-kva.example"),
        ("Resent-To: Ü <u@x.example>", None), ("Disposition-Notification-To: Ü <u@x.example>", None),
        ("Content-Description: äußerst lange Beschreibung", None), ("Keywords: Käse, Brot", None), ("X-Ü: nichts", None),
        ("Comments: 日本語のとても長い件名がここにありますので折り返しが必要になりますよね本当に長いです", None),
    ],
)  # fmt: skip
async def test_fields_read_the_same(field: str, text: str | None) -> None:
    name, _, value = field.partition(": ")
    out, _ = await sent((field + "\r\nFrom: x@y.example\r\n").encode() + BODY)
    assert header(out).isascii() and all(len(line) <= 76 for line in header(out).split(b"\r\n") if b"=?" in line)
    if not name.isascii():
        return
    message = email.message_from_bytes(out)
    words = decode_header(message[name].replace("\r\n", ""))
    plain = "".join(part.decode(charset or "ascii") if isinstance(part, bytes) else part for part, charset in words)
    strip = str.maketrans("", "", ' "')
    assert plain.translate(strip) == (text or value).translate(strip)


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ('Content-Disposition: attachment; filename="Prüfung 1.pdf"; size=3', "Prüfung 1.pdf"),
        ("Content-Disposition: attachment; filename=Prüfung.pdf", "Prüfung.pdf"),
        ('Content-Disposition: attachment;\r\n filename="sehr ' + "lange Größe " * 20 + '.pdf"', "sehr " + "lange Größe " * 20 + ".pdf"),
        ("Content-Disposition: attachment; filename*=utf-8''Prüfung.pdf", "Prüfung.pdf"),
        ('Content-Type: application/pdf; name="Übersicht \\"neu\\".pdf"', 'Übersicht "neu".pdf'),
    ],
)
async def test_file_names_in_the_header_of_a_part(field: str, name: str) -> None:
    message = (
        "From: ada@home.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\n"
        f"{field}\r\n\r\ny\r\n--b--\r\n"
    ).encode()
    out, outgoing = await sent(message)
    assert out.isascii() and outgoing.options.body == "7BIT"
    part = list(email.message_from_bytes(out).walk())[2]
    assert part.get_filename() == name and all(len(line) < 100 for line in out.split(b"\r\n"))


@pytest.mark.parametrize(
    ("charset", "offer", "smtputf8", "named"),
    [
        ("iso-8859-1", EIGHT, False, "iso-8859-1"), ("iso-8859-1", BOTH, True, "iso-8859-1"), ("windows-1252", BOTH, False, "windows-1252"),
        ("utf-8", EIGHT, False, "unknown-8bit"), ("", BOTH, True, "unknown-8bit"),
    ],
)  # fmt: skip
async def test_octets_that_are_no_utf_8(charset: str, offer: Offer, smtputf8: bool, named: str) -> None:
    kind = f"Content-Type: text/plain; charset={charset}\r\n".encode() if charset else b""
    message = b"From: ada@home.example\r\nSubject: Gr\xfc\xdfe\r\n" + kind + b"\r\nx\r\n"
    out, outgoing = await sent(message, offer, smtputf8=smtputf8)
    assert out.isascii() and decode_header(email.message_from_bytes(out)["subject"]) == [(b"Gr\xfc\xdfe", named)]
    assert outgoing.options.smtputf8 is smtputf8


@pytest.mark.parametrize("local", ["jürgen", '"jürgen m"'])
async def test_an_address_with_no_other_form_needs_smtputf8(local: str) -> None:
    message = f"From: ada@home.example\r\nTo: {local}@far.example\r\nSubject: Grüße\r\n\r\nx\r\n".encode()
    out, outgoing = await sent(message, BOTH)
    assert out == message and outgoing.options.smtputf8
    for offer in (EIGHT, Offer()):
        found = await convert(message_to(message), offer)
        assert isinstance(found, Outcome) and found.status == "5.6.7"


async def test_a_forwarded_message_is_unchanged_and_announced() -> None:
    out, outgoing = await sent(RAW, BOTH, author="")
    assert out == RAW and outgoing.options.smtputf8
    out, outgoing = await sent(RAW, EIGHT, author="")
    assert out == RAW and not outgoing.options.smtputf8
    latin = b"From: a@b.example\r\nSubject: Gr\xfc\xdfe\r\n\r\nx\r\n"
    out, outgoing = await sent(latin, BOTH, author="")
    assert out == latin and not outgoing.options.smtputf8
    plain = b"From: a@b.example\r\nSubject: x\r\n" + BODY
    out, outgoing = await sent(plain, BOTH, author="")
    assert out == plain and not outgoing.options.smtputf8, "a body in 8 bits needs no SMTPUTF8"


async def test_smtputf8_is_kept_where_offered() -> None:
    out, outgoing = await sent(RAW, BOTH, smtputf8=True)
    assert out == RAW and outgoing.options.smtputf8
    out, outgoing = await sent(RAW, EIGHT, smtputf8=True)
    assert header(out).isascii() and not outgoing.options.smtputf8


@pytest.mark.parametrize("offer", [("8BITMIME",), ("8BITMIME", "SMTPUTF8"), ()])
@pytest.mark.parametrize("author", ["home.example", ""])
async def test_what_is_sent(offer: tuple[str, ...], author: str) -> None:
    with Peer(offer=offer) as peer:
        (delivery,), _ = await deliver_all(
            peer.port, replace(message_of_7_octet_chunks(message=RAW), author=author), hosts=apart("127.0.0.1")
        )
    assert delivery.outcomes[0].action is DsnAction.RELAYED
    (taken,), (mail,) = peer.messages, [line for line in peer.commands if line.startswith("MAIL")]
    assert header(taken.octets).isascii() or "SMTPUTF8" in mail or (not author and "SMTPUTF8" not in offer)
    assert ("SMTPUTF8" in mail) == ("SMTPUTF8" in offer and not author)


async def test_huge_headers_take_little_time() -> None:
    """Promise 4: linear, whatever stands in the header."""
    fields = (
        b'To: "' + b"\xc3\xbc" * 40_000, b"Subject: \xc3\xbc " + b"x" * 80_000, b"Content-Type: a; \xc3\xbc" + b"x" * 80_000,
        b"To: " + b'\xc3\xbc"' * 20_000,
    )  # fmt: skip
    for field in fields:
        message = field + b"\r\nFrom: a@b.example\r\n\r\nx\r\n"
        outgoing = message_to(message, 65_536)
        begun = time.process_time()
        await convert(replace(outgoing, options=EnvelopeOptions(smtputf8=True), author=""), EIGHT)
        assert time.process_time() - begun < 1
