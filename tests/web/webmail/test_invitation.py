"""Calendar parts and authentication results, read for a sentence."""

from appliance.web.webmail.authentication import read_authentication
from appliance.web.webmail.invitation import read_invitation

EVENT = "\r\n".join((
    "BEGIN:VCALENDAR", "METHOD:REQUEST", "BEGIN:VTIMEZONE", "DTSTART:19700101T000000", "END:VTIMEZONE", "BEGIN:VEVENT",
    'ORGANIZER;CN="Mary: Smith":mailto:mary@example.org', "SUMMARY:Dinner\\, at ho", " me", "LOCATION:Kitchen\\nleft",
    "DTSTART;TZID=Europe/Berlin:20261205T180000", "DTEND;TZID=Europe/Berlin:20261205T200000", "RRULE:FREQ=WEEKLY", "END:VEVENT", "",
))  # fmt: skip


def test_an_invitation() -> None:
    found = read_invitation(EVENT)
    assert found == {
        "method": "REQUEST", "summary": "Dinner, at home", "location": "Kitchen left", "organizer": "Mary: Smith",
        "start": "2026-12-05T18:00",
        "end": "2026-12-05T20:00", "zone": "Europe/Berlin", "allDay": False, "repeats": True, "cancelled": False,
    }  # fmt: skip
    whole_day = read_invitation("BEGIN:VEVENT\nDTSTART;VALUE=DATE:20261224\nSTATUS:CANCELLED\nEND:VEVENT")
    assert whole_day is not None and whole_day["allDay"] and whole_day["cancelled"] and whole_day["start"] == "2026-12-24"
    for broken in ("", "BEGIN:VEVENT", "BEGIN:VEVENT\nDTSTART:soon\nEND:VEVENT", "DTSTART:20261224", "BEGIN:VEVENT\n" * 1000):
        assert read_invitation(broken) is None


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
