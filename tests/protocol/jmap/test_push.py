"""The variables of the event source's URL (RFC 8620 §7.3)."""

import pytest

from appliance.mail.errors import MisuseError
from appliance.protocol.jmap.push import EventRequest, parse_event_request


def test_variables_and_their_defaults() -> None:
    assert parse_event_request("", "", "") == parse_event_request("*", "no", "0") == EventRequest()
    assert parse_event_request("Email,Mailbox", "state", "300", "x") == EventRequest(frozenset({"Email", "Mailbox"}), True, 300, "x")
    many = ",".join(map(str, range(60)))
    for wrong in (("*", "never", "0"), ("*", "no", "-1"), ("*", "no", "x"), ("*", "no", "1" * 10), (many, "no", "0")):
        with pytest.raises(MisuseError):
            parse_event_request(*wrong)
