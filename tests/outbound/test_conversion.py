"""Messages made fit for lesser servers: every part still says what it said, octet for octet, to a foreign library."""

import email
import random
import time
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.header import decode_header
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.address import Address
from appliance.mail.body_encoders import quoted_line
from appliance.mail.envelope import Recipient
from appliance.mail.options import EnvelopeOptions
from appliance.mail.outcome import Outcome
from appliance.mail.outgoing import Chunks, OutgoingMessage
from appliance.outbound.conversion import convert
from appliance.outbound.header_words import encoded_words
from appliance.outbound.octet_facts import OctetFacts, scan_octets
from appliance.protocol.smtp.client import Offer
from tests.support.corpus import messages

PLAIN, EIGHT = Offer(), Offer(eightbitmime=True)


def chunks_of(message: bytes, size: int = 50) -> Chunks:
    @asynccontextmanager
    async def chunks() -> AsyncIterator[AsyncIterator[bytes]]:
        async def each() -> AsyncIterator[bytes]:
            for start in range(0, len(message), size):
                yield message[start : start + size]

        yield each()

    return chunks


def message_to(message: bytes, size: int = 50, to: str = "bob", **words: Any) -> OutgoingMessage:
    author = words.pop("author", "home.example")
    recipients = (Recipient(Address(to, "far.example")),)
    return OutgoingMessage(
        "abc",
        Address("ada", "home.example"),
        recipients,
        len(message),
        chunks_of(message, size),
        options=EnvelopeOptions(**words),
        author=author,
    )


async def made(message: bytes, offer: Offer = PLAIN, size: int = 50, **words: Any) -> bytes:
    outgoing = await convert(message_to(message, size, **words), offer)
    assert isinstance(outgoing, OutgoingMessage), outgoing
    async with outgoing.chunks() as octets:
        out = b"".join([chunk async for chunk in octets])
    assert len(out) == outgoing.octets, "SIZE is what is sent"
    assert outgoing.options.body == ("7BIT" if out.isascii() else "8BITMIME") and not outgoing.options.smtputf8
    return out


async def refused(message: bytes, offer: Offer = PLAIN, **words: Any) -> str:
    found = await convert(message_to(message, **words), offer)
    assert isinstance(found, Outcome)
    return found.status


def said(message: bytes) -> list[bytes]:
    """Every leaf, decoded by a foreign library; line ends at the end of text do not count."""
    return [part.get_payload(decode=True) or b"" for part in email.message_from_bytes(message).walk() if not part.is_multipart()]


def is_sendable(message: bytes, *, eight: bool = False) -> bool:
    bare = message.replace(b"\r\n", b"")
    long = max(map(len, message.split(b"\r\n")))
    return (eight or message.isascii()) and b"\r" not in bare and b"\n" not in bare and b"\0" not in message and long <= 998


HEAD = b"From: ada@home.example\r\nSubject: x\r\n"
TEXT = HEAD + b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
WORDS = "Grüße = 3 €\r\n.dot  \r\nlast\r\n".encode()
MIXED = (
    HEAD + b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    b"pre\xe4mble\r\n--b\r\n"
    b"Content-Type: text/html; charset=latin1\r\nContent-Transfer-Encoding: 8BIT\r\n\r\n<p>\xfc</p>\r\n--b\r\n"
    b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n\x00\x01\r\x02\n\xff\r\n--b\r\n"
    b"Content-Type: text/plain\r\n\r\nplain stays\r\n--b\r\n"
    b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\n\xe4\r\n--b--\r\nafter\r\n"
)


async def test_a_message_that_needs_no_conversion_is_unchanged() -> None:
    message = HEAD + b"\r\nplain words\r\n"
    assert await made(message) == message and await made(TEXT + WORDS, EIGHT) == TEXT + WORDS


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
async def test_eight_bit_text_becomes_quoted_printable(size: int) -> None:
    out = await made(TEXT + WORDS, size=size)
    assert is_sendable(out) and said(out) == [WORDS] and b"quoted-printable" in out and b"8bit" not in out


@pytest.mark.parametrize("size", [1, 13, 100_000])
async def test_every_part_by_its_type_and_inside_message_rfc822(size: int) -> None:
    out = await made(MIXED, size=size)
    assert is_sendable(out)
    html, binary, plain, inner = said(out)
    assert html.rstrip() == b"<p>\xfc</p>" and binary == b"\x00\x01\r\x02\n\xff" and plain == b"plain stays" and inner.strip() == b"\xe4"
    assert out.count(b"base64") == 1 and out.count(b"quoted-printable") == 2 and b"Content-Transfer-Encoding: 7bit" in out
    eight = await made(MIXED, EIGHT, size)
    assert is_sendable(eight, eight=True) and said(eight)[1] == b"\x00\x01\r\x02\n\xff" and b"<p>\xfc</p>" in eight


async def test_a_message_without_mime_gets_its_header_fields() -> None:
    out = await made(HEAD + b"\r\n\xe4\xf6\r\n")
    assert is_sendable(out) and said(out) == [b"\xe4\xf6\r\n"]
    assert b"MIME-Version: 1.0" in out and b"charset=unknown-8bit" in out


async def test_long_lines_in_local_messages_only() -> None:
    message = TEXT.replace(b"8bit", b"7bit") + b"word " * 500 + b"\r\n"
    out = await made(message)
    assert is_sendable(out) and said(out) == [b"word " * 500 + b"\r\n"]
    assert await made(message, author="") == message
    header = b"Subject: " + b"word " * 500 + b"\r\n\r\nx\r\n"
    assert is_sendable(await made(header)) and email.message_from_bytes(await made(header))["Subject"].split() == [b"word".decode()] * 500


SIGNED = MIXED.replace(b"multipart/mixed", b"multipart/signed")


async def test_signed_parts_are_not_changed() -> None:
    assert await refused(SIGNED.replace(b"\xfc", b"x")) == "5.6.1"
    assert await refused(SIGNED.replace(b"\x00\x01\r\x02\n\xff", b"x")) == "5.6.3"
    long = SIGNED.replace(b"\x00\x01\r\x02\n\xff", b"x").replace(b"\xfc", b"x" * 2000)
    assert (await made(long, EIGHT)) == long


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("Subject: schöne Grüße an dich und ein langer langer Rest mit mehr Wörtern, die überlaufen", "schöne Grüße"),
        ('From: "Jürgen Müller" <j@home.example>', "Jürgen Müller"), ("To: Jürgen Müller <j@bücher.example>, x@y.example", "Jürgen Müller"),
        ("Cc: (für uns) a@b.example", "für"), ('To: "a \\"ü\\" b" <a@b.example>', 'a "ü" b'),
    ],
)  # fmt: skip
async def test_header_words(field: str, text: str) -> None:
    out = await made((field + "\r\n").encode() + b"\r\nx\r\n", smtputf8=True)
    assert is_sendable(out)
    shown = "".join(
        part.decode(charset or "ascii") if isinstance(part, bytes) else part
        for part, charset in decode_header(email.message_from_bytes(out).items()[0][1].replace("\r\n", ""))
    )
    assert text in shown
    if "bücher" in field:
        assert b"j@xn--bcher-kva.example" in out


async def test_file_names() -> None:
    out = await made(HEAD + 'Content-Disposition: attachment; filename="Prüfung 1.pdf"\r\n\r\nx\r\n'.encode())
    assert is_sendable(out) and email.message_from_bytes(out).get_filename() == "Prüfung 1.pdf"


async def test_addresses_without_another_form() -> None:
    message = "From: jürgen@home.example\r\n\r\nx\r\n".encode()
    assert await refused(message, EIGHT, smtputf8=True) == "5.6.7"
    assert await refused(b"From: x@y.example\r\n\r\nx\r\n", EIGHT, to="bøb", smtputf8=True) == "5.6.7"
    kept = await convert(message_to(message, smtputf8=True), Offer(eightbitmime=True, smtputf8=True))
    assert isinstance(kept, OutgoingMessage) and kept.options.smtputf8
    assert await made("Subject: grün\r\nFrom: a@b.example\r\n\r\nx\r\n".encode(), EIGHT), "broken headers pass where they can"


async def test_invalid_encodings_are_repaired() -> None:
    quoted = HEAD + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=20\xe4 b=\r\nc\r\n"
    assert said(await made(quoted)) == [b"a \xe4 bc\r\n"]
    based = HEAD + b"Content-Type: image/x\r\nContent-Transfer-Encoding: base64\r\n\r\naGVs\xe4bG8=\r\n"
    assert said(await made(based)) == [b"hello"]
    assert await refused(HEAD + b"Content-Transfer-Encoding: x-uu\r\n\r\n\xe4\r\n") == "5.6.3"


async def test_a_multipart_in_which_no_part_begins_is_encoded_whole() -> None:
    """Its text has no header that could say how it is encoded, so the multipart's own says it and nothing lands in the body."""
    message = HEAD + b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\ngr\xc3\xbcn\r\n"
    header, _, body = (await made(message)).partition(b"\r\n\r\n")
    assert b"Content-Transfer-Encoding: base64" in header and b64decode(body) == b"gr\xc3\xbcn\r\n"


@given(st.binary(max_size=300).map(lambda octets: octets.replace(b"\r\n", b"").replace(b"\n", b"").replace(b"\r", b"")))
def test_quoted_lines(octets: bytes) -> None:
    import quopri

    line = quoted_line(octets)
    assert quopri.decodestring(line) == octets and all(len(one) <= 76 for one in line.split(b"\r\n"))


def test_a_long_line_is_quoted_in_linear_time() -> None:
    """A text without line ends, as someone pastes it: by the square of its length this would take minutes."""
    begun = time.monotonic()
    assert quoted_line(b"word \xe4" * 1_000_000).count(b"\r\n") > 100_000
    assert time.monotonic() - begun < 20


@given(st.text(min_size=1, max_size=200).filter(lambda text: "\r" not in text and "\n" not in text))
def test_encoded_words_are_whole_characters(text: str) -> None:
    words = encoded_words(text.encode("utf-8", "surrogatepass")) if text.isprintable() else encoded_words(b"x")
    assert all(len(word.strip()) <= 75 for word in words.split(b"\r\n"))
    if text.isprintable():
        shown = "".join(part.decode(charset) for part, charset in decode_header(words.decode().replace("\r\n", "")))  # type: ignore[union-attr]
        assert shown == text


@given(st.lists(st.sampled_from([b"a", b"\r\n", b"\r", b"\n", b"\xe4", b"\0", b"x" * 998, b"y"]), max_size=12), st.integers(1, 9))
async def test_octet_facts_in_any_chunks(parts: list[bytes], size: int) -> None:
    message = b"".join(parts)
    facts = await scan_octets(chunks_of(message, size))
    bare = message.replace(b"\r\n", b"")
    assert facts.eight is (not message.isascii()) and facts.nul is (b"\0" in message)
    assert facts.bare is (b"\r" in bare or b"\n" in bare)
    if not facts.bare:
        assert facts.long is any(len(line) > 998 for line in message.split(b"\r\n"))
    assert isinstance(facts, OctetFacts)


@pytest.mark.corpus
async def test_real_messages_read_the_same_by_another_library() -> None:
    corpus_messages = [one.octets for one in messages() if len(one.octets) < 200_000]
    eight = [message for message in corpus_messages if not message.isascii()]
    changed = 0
    for message in random.Random(5).sample(eight, min(250, len(eight))):
        found = await convert(message_to(message, 4096), PLAIN)
        if isinstance(found, Outcome):
            assert found.status in ("5.6.1", "5.6.3", "5.6.7")
            continue
        out = await made(message, size=4096)
        assert out.isascii() and b"\0" not in out and max(map(len, out.split(b"\r\n"))) < 100_000
        bare = out.replace(b"\r\n", b"")
        assert b"\r" not in bare and b"\n" not in bare
        before, after = said(message), said(out)
        changed += before != after
    assert changed <= 25, f"{changed} messages read differently"
