"""ESMTP options reach every value that has them whole: a made-up parameter, declared by one field, goes through queue row, DSN and SMTP
client."""

from dataclasses import dataclass, fields

import pytest

from appliance.dsn.policy import Kind, returns_message
from appliance.dsn.report import Subject
from appliance.mail.address import Address
from appliance.mail.envelope import Envelope, Recipient
from appliance.mail.options import (
    EnvelopeOptions,
    Form,
    Option,
    RecipientOptions,
    dsn_options,
    encode_options,
    option,
    parse_options,
)
from appliance.mail.outgoing import OutgoingMessage
from appliance.mail.reply import Reply
from appliance.protocol.smtp.client import Offer, encode_mail, encode_rcpt, parse_offer
from appliance.queue.entry import NewEntry, QueueEntry
from appliance.queue.rows import encode_new_options, parse_row
from tests.dsn.test_compose import about


@dataclass(frozen=True, slots=True)
class MoreOptions(EnvelopeOptions):
    """With a parameter nobody has heard of."""

    colour: str = option("", Option("colour", "COLOUR", "X-COLOUR", Form.XTEXT, on_dsn=True))


ALL = EnvelopeOptions("8BITMIME", smtputf8=True, require_tls=True, ret="FULL", envid="mine", release_at=1_900_000_000)


def row_of(options: EnvelopeOptions, author: str = "") -> "tuple[object, ...]":
    """The queue row of a message with these options, in the order of `rows.COLUMNS`."""
    stored = encode_new_options(NewEntry("abc", None, None, (), b"", 5, 5, options=options, author=author))
    sent_at = options.release_at
    return (1, "abc", "x.example", 0, 0, 0, 0, 0, 0, 0, 0, sent_at, None, None, None, 1, b"", 5, 5, stored, None, None, "[]")


def message_with(options: EnvelopeOptions) -> OutgoingMessage:
    return OutgoingMessage("abc", Address("ada", "home.example"), (), 100, about().chunks, options=options)


def test_a_made_up_parameter_goes_everywhere() -> None:
    options = MoreOptions(colour="dark blue")
    entry = parse_row(row_of(options), MoreOptions)
    assert entry.options == options, "the queue row"
    assert dsn_options(entry.options) == options, "the DSN about the message"
    offer = parse_offer(Reply.of(250, "", "mx", "X-COLOUR"))
    assert encode_mail(message_with(entry.options), offer, 5) == b"MAIL FROM:<ada@home.example> COLOUR=dark+20blue\r\n"
    assert encode_mail(message_with(entry.options), Offer(), 5) == b"MAIL FROM:<ada@home.example>\r\n"


def test_the_options_are_one_value_everywhere() -> None:
    for kind in (Envelope, OutgoingMessage, Subject, QueueEntry, NewEntry, Recipient):
        names = {one.name for one in fields(kind)}
        assert "options" in names and not names & {one.name for one in fields(EnvelopeOptions)} - {"body"}


@pytest.mark.parametrize("options", [EnvelopeOptions(), ALL, EnvelopeOptions(ret="HDRS"), EnvelopeOptions(envid="é")])
def test_options_survive_the_queue_row(options: EnvelopeOptions) -> None:
    entry = parse_row(row_of(options, "home.example"))
    assert entry.options == options and entry.author == "home.example"


@pytest.mark.parametrize("notify", [None, frozenset({"NEVER"}), frozenset({"SUCCESS", "DELAY"})])
@pytest.mark.parametrize("orcpt", ["", "rfc822;a@b.example"])
def test_recipient_options_survive_storage(notify: "frozenset[str] | None", orcpt: str) -> None:
    options = RecipientOptions(notify, orcpt)
    assert parse_options(encode_options(options), RecipientOptions) == options


def test_names_of_a_later_version_are_ignored() -> None:
    assert parse_options({"body": "8BITMIME", "colour": "blue"}, EnvelopeOptions) == EnvelopeOptions("8BITMIME")


def test_a_dsn_inherits_smtputf8_and_requiretls_only() -> None:
    """RFC 6533 §4, RFC 8689 §5."""
    assert dsn_options(ALL) == EnvelopeOptions(smtputf8=True, require_tls=True)


def test_a_release_time_is_never_relayed() -> None:
    everything = parse_offer(Reply.of(250, "", "mx", "FUTURERELEASE 1 2", "8BITMIME", "SMTPUTF8", "REQUIRETLS", "DSN"))
    assert b"HOLD" not in encode_mail(message_with(ALL), everything, 5)


def test_recipient_parameters_are_sent_where_offered() -> None:
    recipient = Recipient(Address("bob", "x.example"), options=RecipientOptions(frozenset({"FAILURE", "DELAY"}), "rfc822;b+c@x.example"))
    assert encode_rcpt(recipient, Offer(dsn=True)) == b"RCPT TO:<bob@x.example> NOTIFY=DELAY,FAILURE ORCPT=rfc822;b+2Bc@x.example\r\n"
    assert encode_rcpt(recipient, Offer()) == b"RCPT TO:<bob@x.example>\r\n"


@pytest.mark.parametrize("ret", ["", "FULL", "HDRS"])
def test_a_message_with_requiretls_is_returned_as_its_header(ret: str) -> None:
    """RFC 8689 §5: as with RET=HDRS, whatever RET says."""
    assert not returns_message(about(ret=ret, require_tls=True), Kind.FAILURE, 10**6)
    assert returns_message(about(ret=ret), Kind.FAILURE, 10**6) == (ret != "HDRS")
