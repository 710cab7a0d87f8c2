"""SMTP as a client: replies in any chunks, offers, commands that our own grammar parses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.address import Address
from appliance.mail.envelope import Recipient
from appliance.mail.errors import MisuseError
from appliance.mail.options import EnvelopeOptions, RecipientOptions
from appliance.mail.outgoing import OutgoingMessage
from appliance.mail.reply import Reply
from appliance.protocol.smtp.client import LINE_OCTETS, Offer, ReplyReader, encode_mail, encode_rcpt, group, parse_offer, tidied
from appliance.protocol.smtp.dsn import parse_envid, parse_notify, parse_orcpt
from appliance.protocol.smtp.grammar import parse_command
from appliance.protocol.smtp.replies import encode_reply

EHLO = Reply.of(
    250, "", "mx.far.example greets you", "PIPELINING", "SIZE 1000", "8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME", "DSN",
    "STARTTLS", "REQUIRETLS", "AUTH PLAIN scram-sha-256", "AUTH=LOGIN", "X-STRANGE with words",
)  # fmt: skip
ALL = parse_offer(EHLO)


def no_chunks() -> object:
    raise AssertionError("nothing is read")


def an_outgoing(**words: object) -> OutgoingMessage:
    return OutgoingMessage("abc", Address("ada", "home.example"), (), 100, no_chunks, options=EnvelopeOptions(**words))  # type: ignore[arg-type]


TEXTS = st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40), min_size=1, max_size=4)


@given(st.lists(st.tuples(st.integers(200, 559), TEXTS), min_size=1, max_size=5), st.lists(st.integers(1, 9), max_size=30))
def test_replies_come_back_however_they_are_cut(sent: list[tuple[int, list[str]]], cuts: list[int]) -> None:
    replies = [Reply(code, "", tuple(lines)) for code, lines in sent]
    octets = b"".join(map(encode_reply, replies))
    reader, found = ReplyReader(), []
    for cut in [*cuts, len(octets)]:
        found += reader.feed(octets[:cut])
        octets = octets[cut:]
    assert [(one.code, [line.strip() for line in one.lines]) for one in found] == [
        (one.code, [line.strip() for line in one.lines]) for one in map(_read, replies)
    ]
    assert not reader.holds_octets


def _read(reply: Reply) -> Reply:
    (found,) = ReplyReader().feed(encode_reply(reply))
    return found


@pytest.mark.parametrize(
    "octets",
    [
        b"hello\r\n", b"99 x\r\n", b"250-a\r\n251 b\r\n", b"250_x\r\n", b"\r\n", b"6xx\r\n", b"\xff\xfe\r\n",
        b"250-x\r\n" * 300, b"2" * (LINE_OCTETS + 1), b"250 " + b"x" * 5000 + b"\r\n", (b"250-" + b"y" * 3000 + b"\r\n") * 40,
    ],
)  # fmt: skip
def test_what_is_no_reply_or_has_no_end_is_refused(octets: bytes) -> None:
    with pytest.raises(MisuseError):
        ReplyReader().feed(octets)


def test_an_offer_is_read() -> None:
    assert Offer(True, True, True, True, True, True, True, True, True, 1000, ("PLAIN", "SCRAM-SHA-256")) == ALL
    assert parse_offer(Reply.of(250, "", "mx")) == Offer()
    assert parse_offer(Reply.of(250, "", "mx", "SIZE", "BINARYMIME", "auth login")) == Offer(size=True, auth=("LOGIN",))
    assert parse_offer(Reply.of(250, "", "mx", "SIZE " + "9" * 50, "", " ")).size_octets == 0


def test_parameters_are_sent_only_where_the_server_offers_them() -> None:
    outgoing = an_outgoing(body="8BITMIME", smtputf8=True, ret="HDRS", envid="a+b=c", require_tls=True)
    assert encode_mail(outgoing, Offer(), 100) == b"MAIL FROM:<ada@home.example>\r\n"
    sent = encode_mail(outgoing, ALL, 123)
    assert sent.startswith(b"MAIL FROM:<ada@home.example> SIZE=123 BODY=8BITMIME SMTPUTF8 REQUIRETLS RET=HDRS ENVID=")
    assert parse_envid(sent.rpartition(b"ENVID=")[2].strip()) == "a+b=c"
    null = OutgoingMessage("abc", None, (), 1, no_chunks)  # type: ignore[arg-type]
    assert encode_mail(null, Offer(), 1) == b"MAIL FROM:<>\r\n"


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30),
    st.none() | st.just(frozenset({"NEVER"})) | st.frozensets(st.sampled_from(["SUCCESS", "FAILURE", "DELAY"]), min_size=1),
)
def test_our_own_grammar_parses_what_is_sent(local: str, notify: frozenset[str] | None) -> None:
    address = Address(local, "far.example")
    recipient = Recipient(address, outside=(address,), options=RecipientOptions(notify=notify, orcpt=f"rfc822;{local}@elsewhere.example"))
    sent = encode_rcpt(recipient, ALL)
    command = parse_command(sent[:-2])
    text = sent.decode()
    assert sent.endswith(b"\r\n") and sent.count(b"\r") == 1 and command is not None
    words = dict(word.partition("=")[::2] for word in text[:-2].rsplit("> ", 1)[1].split(" ")) if "> " in text else {}
    assert parse_orcpt(words["ORCPT"].encode(), utf8=False) == recipient.options.orcpt
    assert (parse_notify(words["NOTIFY"].encode()) if "NOTIFY" in words else None) == notify


def test_a_group_is_in_order() -> None:
    recipients = [Recipient(Address(name, "far.example")) for name in ("bob", "eve")]
    assert [command.split(b" ")[0].strip() for command in group(an_outgoing(), ALL, 5, recipients)] == [b"MAIL", b"RCPT", b"RCPT", b"DATA"]


def test_replies_of_other_servers_are_tidied() -> None:
    shown = tidied(Reply.of(550, "5.1.1", "no\x1b[31m such\x00 user\t", "x" * 5000))
    assert shown.lines[0] == "no [31m such  user" and sum(map(len, shown.lines)) <= 1000 and shown.code == 550
