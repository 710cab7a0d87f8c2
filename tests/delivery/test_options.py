"""The sender's options reach every value that carries them, whole: one that is added is missed nowhere."""

from dataclasses import fields
from typing import Any

import pytest

from appliance.dsn.policy import Kind, returns_message
from appliance.dsn.report import Subject
from appliance.mail.envelope import Envelope, Options
from appliance.mail.outgoing import OutgoingMessage
from appliance.queue.entry import Kept, NewEntry, QueueEntry, kept
from appliance.queue.rows import encode_options, parse_row
from tests.dsn.test_compose import about

CHOSEN: dict[str, Any] = {"body": "8BITMIME", "smtputf8": True, "ret": "FULL", "envid": "mine", "require_tls": True}


@pytest.mark.parametrize(
    ("transport", "names"), [(Envelope, Options), (OutgoingMessage, Options), (Subject, Options), (QueueEntry, Kept), (NewEntry, Kept)]
)
def test_every_value_has_every_option(transport: Any, names: Any) -> None:
    assert names.__annotations__.keys() <= {one.name for one in fields(transport)}


def test_every_option_goes_through_a_row_of_the_queue_and_comes_out() -> None:
    assert CHOSEN.keys() == Options.__annotations__.keys()
    envelope = Envelope(None, **CHOSEN)
    assert envelope.options() == CHOSEN
    new_entry = NewEntry("abc", None, None, (), b"", 5, 5, **kept(envelope.options()))
    row = (1, "abc", "x.example", 0, 0, 0, 0, 0, 0, 0, 0, 0, None, None, None, 1, b"", 5, 5, encode_options(new_entry), None, None, "[]")
    assert parse_row(row).options() == CHOSEN


@pytest.mark.parametrize("ret", ["", "FULL", "HDRS"])
def test_a_message_with_requiretls_comes_back_as_its_header(ret: str) -> None:
    """RFC 8689 §5: as if RET=HDRS was said, whatever was."""
    assert not returns_message(about(ret=ret, require_tls=True), Kind.FAILURE, 10**6)
    assert returns_message(about(ret=ret), Kind.FAILURE, 10**6) == (ret != "HDRS")
