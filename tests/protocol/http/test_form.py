"""protocol/http/form, cookie, problem, date and event streams."""

import json

import pytest

from appliance.mail.errors import MisuseError
from appliance.protocol.http.cookie import encode_cookie, parse_cookies
from appliance.protocol.http.date import encode_date
from appliance.protocol.http.event_stream import encode_event
from appliance.protocol.http.form import FIELD_OCTETS, FIELDS, parse_form
from appliance.protocol.http.problem import encode_problem


def test_forms() -> None:
    form = parse_form(b"name=+a%C3%A4+&secret=+x+&both=1&both=2&line=a%0D%0Ab&empty=")
    assert form.get("name") == "aä" and form.secret("secret") == " x " and form.all("both") == ("1", "2")
    assert form.get("line") == "a\nb" and "empty" in form and form.get("none", "-") == "-" and len(list(form)) == 6
    assert not list(parse_form(b""))


@pytest.mark.parametrize("octets", [b"a=%FF", b"a=%00", b"&".join([b"a=1"] * (FIELDS + 1)), b"a=" + b"x" * FIELD_OCTETS])
def test_forms_that_are_refused(octets: bytes) -> None:
    with pytest.raises(MisuseError):
        parse_form(octets)


def test_cookies() -> None:
    assert parse_cookies('a=1; __Host-session=x_y-z; b; c="q"') == {"a": "1", "__Host-session": "x_y-z"}
    assert parse_cookies("a=1; a=2; b=3") == {"b": "3"}, "one of two may have been injected"
    made = encode_cookie("session", "x", 0)
    assert made == "__Host-session=x; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0"


def test_problems_and_dates() -> None:
    assert json.loads(encode_problem(404, "No.", remedy="Look.")) == {
        "type": "about:blank", "title": "Not Found", "status": 404, "detail": "No.", "remedy": "Look.",
    }  # fmt: skip
    assert encode_date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT"


def test_events() -> None:
    assert encode_event("a\nb", event="status", id="7") == b"event: status\nid: 7\ndata: a\ndata: b\n\n"
    assert encode_event("") == b"data: \n\n"
