"""Calendar parts and authentication results, read for a sentence."""

from datetime import datetime
from typing import Any

import pytest

from appliance.delivery import trace
from appliance.web.webmail.authentication import WARNING, is_warned, read_authentication
from appliance.web.webmail.calendar_zone import to_utc
from appliance.web.webmail.icalendar import read_calendar
from appliance.web.webmail.invitation import read_invitation
from tests.web.webmail.calendars import (
    APPLE_REPLY,
    GOOGLE_REQUEST,
    NEXTCLOUD_CANCEL,
    OUTLOOK_COUNTER,
    OUTLOOK_REQUEST,
    TASK,
    THUNDERBIRD_REPLY,
)  # fmt: skip

EVENT = "\r\n".join((
    "BEGIN:VCALENDAR", "METHOD:REQUEST", "BEGIN:VTIMEZONE", "DTSTART:19700101T000000", "END:VTIMEZONE", "BEGIN:VEVENT",
    'ORGANIZER;CN="Mary: Smith":mailto:mary@example.org', "SUMMARY:Dinner\\, at ho", " me", "LOCATION:Kitchen\\nleft",
    "DTSTART;TZID=Europe/Berlin:20261205T180000", "DTEND;TZID=Europe/Berlin:20261205T200000", "RRULE:FREQ=WEEKLY", "END:VEVENT", "",
))  # fmt: skip
MARY = {"name": "Mary Smith", "email": "mary.smith@friends.example"}


def test_an_invitation() -> None:
    found = read_invitation(EVENT)
    assert found == {
        "task": False, "method": "REQUEST", "summary": "Dinner, at home", "location": "Kitchen left",
        "organizer": {"name": "Mary: Smith", "email": "mary@example.org"}, "attendee": None, "start": "2026-12-05T18:00",
        "end": "2026-12-05T20:00", "zone": "Europe/Berlin", "repeats": True, "dates": [], "ofSeries": False, "following": False, "more": 0,
        "changed": False, "cancelled": False,
    }  # fmt: skip
    whole_day = read_invitation("BEGIN:VEVENT\nDTSTART;VALUE=DATE:20261224\nSTATUS:CANCELLED\nEND:VEVENT")
    assert whole_day is not None and whole_day["cancelled"] and whole_day["start"] == "2026-12-24"
    for broken in ("", "BEGIN:VEVENT", "BEGIN:VEVENT\nDTSTART:soon\nEND:VEVENT", "DTSTART:20261224", "BEGIN:VEVENT\n" * 1000):
        assert read_invitation(broken) is None


@pytest.mark.parametrize(
    ("calendar", "told"),
    [
        (GOOGLE_REQUEST, {
            "method": "REQUEST", "summary": "Book club", "location": "Reading room, 2nd floor", "organizer": MARY, "zone": "",
            "start": "2026-07-03T14:00Z", "end": "2026-07-03T15:00Z", "repeats": False, "changed": False, "dates": [],
        }),
        (OUTLOOK_REQUEST, {
            "summary": "Hausaufgabenhilfe", "organizer": {**MARY, "name": "Smith, Mary"}, "start": "2026-10-07T16:00Z", "zone": "",
            "end": "2026-10-07T17:00Z", "repeats": True, "changed": True, "dates": ["2026-10-21T16:00Z"], "ofSeries": False, "more": 0,
        }),
        (OUTLOOK_COUNTER, {
            "method": "COUNTER", "start": "2026-12-05T18:00Z", "end": "2026-12-05T20:00Z",
            "attendee": {**MARY, "answer": "TENTATIVE", "delegate": None},
        }),
        (APPLE_REPLY, {
            "summary": "Concert", "start": "2026-08-01T18:00Z", "end": "2026-08-01T20:30Z",
            "organizer": {"name": "Ada", "email": "ada@home.example"}, "attendee": {**MARY, "answer": "DECLINED", "delegate": None},
        }),
        (THUNDERBIRD_REPLY, {
            "start": "2026-12-26", "end": "2026-12-27", "dates": ["2026-12-26"], "ofSeries": True,
            "attendee": {**MARY, "name": "", "answer": "DELEGATED", "delegate": {"name": "", "email": "bob@friends.example"}},
        }),
        (NEXTCLOUD_CANCEL, {
            "cancelled": True, "start": "2026-12-03T01:30Z", "dates": ["2026-12-03T01:30Z", "2026-12-10T01:30Z"], "ofSeries": True,
            "more": 0,
        }),
        (TASK, {"task": True, "summary": "Water the plants", "start": "2026-12-05", "end": ""}),
    ],
)  # fmt: skip
def test_what_programs_send(calendar: str, told: dict[str, Any]) -> None:
    found = read_invitation(calendar)
    assert found is not None and {name: found[name] for name in told} == told


def test_what_a_method_needs_no_time_for_and_several_events() -> None:
    refresh = read_invitation("BEGIN:VCALENDAR\nMETHOD:REFRESH\nBEGIN:VEVENT\nUID:1\nATTENDEE:mailto:mary@x.example\nEND:VEVENT")
    assert refresh is not None and refresh["start"] == "" and refresh["attendee"]["email"] == "mary@x.example"
    event = "BEGIN:VEVENT\nUID:{}\nDTSTART:20261205T170000Z\nEND:VEVENT\n"
    many = read_invitation("BEGIN:VCALENDAR\n" + "".join(event.format(number) for number in range(5)) + "END:VCALENDAR")
    assert many is not None and many["more"] == 4 and not many["dates"]
    following = read_invitation("BEGIN:VEVENT\nRECURRENCE-ID;RANGE=THISANDFUTURE:20261205T170000Z\nDTSTART:20261205T180000Z\nEND:VEVENT")
    assert following is not None and following["following"] and following["dates"] == ["2026-12-05T17:00Z"]
    assert read_invitation("BEGIN:VCALENDAR\nBEGIN:VJOURNAL\nDTSTART:20261205T170000Z\nSUMMARY:x\nEND:VJOURNAL\nEND:VCALENDAR") is None


@pytest.mark.parametrize(
    ("calendar", "wall", "utc"),
    [
        (OUTLOOK_REQUEST, "2026-03-29T01:59", "2026-03-29T00:59"),
        (OUTLOOK_REQUEST, "2026-03-29T03:00", "2026-03-29T01:00"),
        (OUTLOOK_REQUEST, "2026-10-24T12:00", "2026-10-24T10:00"),
        (OUTLOOK_REQUEST, "2026-10-25T12:00", "2026-10-25T11:00"),
        (OUTLOOK_REQUEST, "2027-01-01T00:30", "2026-12-31T23:30"),
        (APPLE_REPLY, "1990-10-27T12:00", "1990-10-27T11:00"),
        (APPLE_REPLY, "1990-10-28T12:00", "1990-10-28T12:00"),
        (APPLE_REPLY, "1970-01-01T12:00", None),
        (GOOGLE_REQUEST, "2026-11-01T12:00", "2026-11-01T17:00"),
        (GOOGLE_REQUEST.replace("2SU", "SU;BYSETPOS=2"), "2026-11-01T12:00", None),
        (GOOGLE_REQUEST.replace("BYMONTH=3", "BYMONTH=0"), "2026-11-01T12:00", None),
        (GOOGLE_REQUEST.replace("-0400", "soon"), "2026-11-01T12:00", None),
        (OUTLOOK_REQUEST, "0001-01-01T00:00", None),
        (OUTLOOK_REQUEST, "9999-12-31T23:59", "9999-12-31T22:59"),
        (NEXTCLOUD_CANCEL.replace("19700101T000000", "00010101T000000"), "0001-01-01T00:00", None),
    ],
)
def test_the_clock_of_a_zone_that_came_with_the_calendar(calendar: str, wall: str, utc: str | None) -> None:
    zone = next(one for one in read_calendar(calendar).walk() if one.name == "VTIMEZONE")
    assert to_utc(datetime.fromisoformat(wall), zone) == (utc and datetime.fromisoformat(utc))


@pytest.mark.parametrize(
    ("duration", "end"),
    [("PT1H30M", "2026-12-05T18:30Z"), ("P1D", "2026-12-06T17:00Z"), ("P2W", "2026-12-19T17:00Z"), ("P1DT0H5M0S", "2026-12-06T17:05Z"),
     ("-PT1H", ""), ("P", ""), ("soon", ""), ("P99999D", "2300-09-19T17:00Z"), ("PT999999M", "2028-10-30T03:39Z")],
)  # fmt: skip
def test_how_long_it_lasts(duration: str, end: str) -> None:
    found = read_invitation(f"BEGIN:VEVENT\nDTSTART:20261205T170000Z\nDURATION:{duration}\nEND:VEVENT")
    assert found is not None and found["end"] == end
    days = read_invitation("BEGIN:VEVENT\nDTSTART;VALUE=DATE:20261205\nDURATION:P2D\nEND:VEVENT")
    assert days is not None and days["end"] == "2026-12-06"


def test_a_calendar_made_to_keep_the_server_busy() -> None:
    """Linear in its octets."""
    for text in (
        'A;B="' * 20_000,
        "BEGIN:VTIMEZONE\nTZID:x\nBEGIN:STANDARD\nRDATE:" + "19700101T000000," * 6000,
        "BEGIN:A\nEND:B\n" * 7000,
    ):
        assert read_invitation(text) is None
    parts = "BEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETTO:+0100\nRRULE:FREQ=YEARLY;BYMONTH=1;BYDAY=1SU\nEND:STANDARD\n" * 900
    zone = f"BEGIN:VTIMEZONE\nTZID:x\n{parts}END:VTIMEZONE\n"
    found = read_invitation(f"{zone}BEGIN:VEVENT\nDTSTART;TZID=x:20261205T170000\nEND:VEVENT")
    assert found is not None and found["start"] == "2026-12-05T16:00Z"


@pytest.mark.parametrize(
    ("start", "end", "told"),
    [
        ("DTSTART:20261399T120000Z", "DTEND:20261202T120000Z", None),
        ("DTSTART:20261201T990000Z", "", None),
        ("DTSTART;VALUE=DATE:00000000", "", None),
        ("DTSTART:20261201T120000Z", "DTEND:99999999T999999Z", ("2026-12-01T12:00Z", "")),
        ("DTSTART:20261201T120000Z", "DTEND:20261101T120000Z", ("2026-12-01T12:00Z", "")),
        ("DTSTART:20261201T120000Z", "DTEND;VALUE=DATE:20261202", ("2026-12-01T12:00Z", "")),
        ("DTSTART;VALUE=DATE:20261224", "DTEND;VALUE=DATE:20261225", ("2026-12-24", "")),
        ("DTSTART;VALUE=DATE:20261224", "DTEND;VALUE=DATE:20261227", ("2026-12-24", "2026-12-26")),
        ("DTSTART;VALUE=DATE:20261224", "DTEND;VALUE=DATE:00010101", ("2026-12-24", "")),
    ],
)
def test_only_instants_that_a_calendar_has_are_told(start: str, end: str, told: tuple[str, str] | None) -> None:
    """A page cannot put any other into words."""
    found = read_invitation(f"BEGIN:VEVENT\n{start}\n{end}\nEND:VEVENT")
    assert (found and (found["start"], found["end"])) == told


def test_only_results_of_this_server_count() -> None:
    own = "mail.home.example; dkim=fail (bad) header.d=x.example; dkim=pass header.d=y.example; spf=pass smtp.mailfrom=a@y.example"
    headers = [
        {"name": "Authentication-Results", "value": " " + own},
        {"name": "Authentication-Results", "value": " other.example; dmarc=pass header.from=bank.example"},
        {"name": "Received", "value": "from x"},
        {"name": "Authentication-Results", "value": " mail.home.example; dmarc=pass header.from=bank.example"},
    ]
    found = read_authentication(headers, "Mail.home.example")
    assert found == {"dkim": ["pass", "y.example"], "spf": ["pass", "y.example"]}
    assert read_authentication(headers[2:], "mail.home.example") == {}


@pytest.mark.parametrize(
    ("results", "told"),
    [
        ("dmarc=fail (p=reject dis=none) header.from=x.example", {"dmarc": ["fail", "x.example"]}),
        ("dmarc=fail (p=NONE sp=QUARANTINE dis=NONE) header.from=x.example", {"dmarc": ["fail", "x.example", "none"]}),
        ("dmarc=fail header.from=x.example policy.published-domain-policy=none", {"dmarc": ["fail", "x.example", "none"]}),
        ("dmarc=fail header.from=x.example policy.applied-disposition=none", {"dmarc": ["fail", "x.example"]}),
        ("dkim=pass header.d=list.example; dkim=fail header.d=y.example; dkim=pass header.d=x.example; arc=pass (i=1)",
         {"dkim": ["pass", "list.example", "x.example"]}),
        ("arc=pass (i=2 dmarc=pass); spf=softfail smtp.mailfrom=a@x.example", {"spf": ["softfail", "x.example"]}),
    ],
)  # fmt: skip
def test_policies_several_signatures_and_arc(results: str, told: dict[str, list[str]]) -> None:
    assert read_authentication([{"name": "Authentication-Results", "value": f" mail.home.example; {results}"}], "mail.home.example") == told


def test_the_server_s_own_warning() -> None:
    assert trace.WARNING.lower().startswith(WARNING.encode() + b":")
    assert is_warned([{"name": "Return-Path", "value": "x"}, {"name": "X-Pillarbox-Warning", "value": " x"}])
    assert not is_warned([{"name": "Received", "value": "x"}])
