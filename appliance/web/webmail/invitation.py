"""A calendar part (RFC 5545, iTIP: RFC 5546) read as far as a sentence needs it.

| component          | read                                                                                             |
|--------------------|--------------------------------------------------------------------------------------------------|
| VEVENT             | what, when, where, who; of a reply who answers what; of a series which dates                       |
| VTODO              | the same, with DUE in place of an end: programs send tasks to others, if rarely                    |
| VJOURNAL and other | nothing: they ask for nothing, and what they say stands in the message's text                      |

Of several events the first is told that stands for a series or for itself; the others are dates of it that differ, or are counted.
"""

from datetime import datetime, timedelta
from typing import Any

from .calendar_zone import to_utc
from .icalendar import Component, Instant, Property, read_calendar, read_duration, read_instant

CALENDAR_OCTETS = 100_000
MOST_DATES = 5
"""Of a series, listed one by one."""

Zones = dict[str, Component]


def read_invitation(text: str) -> dict[str, Any] | None:
    """Facts about the event or task of a calendar; None when there is none.

    Instants are "2026-12-05T17:00Z", "2026-12-24" for a whole day, or "2026-12-05T18:00" in `zone`, a name whose offset is not known, or
    "" for the reader's own. `end` is the last day of several, or an instant behind `start`; else "".
    """
    components = list(read_calendar(text).walk())
    found = [one for one in components if one.name in ("VEVENT", "VTODO")]
    method = next((one.first("METHOD").value.strip().upper() for one in components if "METHOD" in one.properties), "")
    if not found:
        return None
    told = next((one for one in found if "RECURRENCE-ID" not in one.properties), found[0])
    zones = {one.first("TZID").value: one for one in components if one.name == "VTIMEZONE"}
    task = told.name == "VTODO"
    begin = read_instant(told.first("DUE" if task and "DUE" in told.properties else "DTSTART"))
    if begin is None and not method:
        return None
    same = [one for one in found if one.first("UID") == told.first("UID")]
    dates = [told] if "RECURRENCE-ID" in told.properties else []
    dates += [one for one in same if one is not told and "RECURRENCE-ID" in one.properties]
    differing = [_written(read_instant(one.first("RECURRENCE-ID")), zones)[0] for one in dates[: MOST_DATES + 1]]
    start, zone = _written(begin, zones)
    return {
        "task": task,
        "method": method[:20],
        "summary": told.first("SUMMARY").text,
        "location": told.first("LOCATION").text,
        "organizer": _person(told.first("ORGANIZER")),
        "attendee": _attendee(told),
        "start": start,
        "end": "" if task or begin is None else _end(told, begin, zones),
        "zone": zone,
        "repeats": "RRULE" in told.properties,
        "dates": list(filter(None, differing)),
        "ofSeries": "RECURRENCE-ID" in told.properties,
        "following": told.first("RECURRENCE-ID").parameter("RANGE").upper() == "THISANDFUTURE",
        "more": len(found) - len(same),
        "changed": told.first("SEQUENCE").value.strip().lstrip("0") != "",
        "cancelled": method == "CANCEL" or told.first("STATUS").value.strip().upper() == "CANCELLED",
    }


def _person(given: Property) -> dict[str, str] | None:
    name = Property(given.parameter("CN"), "").text
    return {"name": name, "email": given.address} if name or given.address else None


def _attendee(told: Component) -> dict[str, Any] | None:
    """Who answers, how (PARTSTAT, RFC 5545 §3.2.12), and who comes instead. A reply names one, a counter may propose more."""
    given = told.properties.get("ATTENDEE", [])
    person = _person(given[0]) if len(given) == 1 else None
    if person is None:
        return None
    delegate = _person(Property(given[0].parameter("DELEGATED-TO"), ""))
    return {**person, "answer": given[0].parameter("PARTSTAT").upper()[:20], "delegate": delegate}


def _written(instant: Instant | None, zones: Zones) -> tuple[str, str]:
    """The text of an instant, and its zone where that is not known."""
    if instant is None:
        return "", ""
    if instant.whole:
        return instant.wall.date().isoformat(), ""
    known = instant.wall if instant.zone == "UTC" else to_utc(instant.wall, zones[instant.zone]) if instant.zone in zones else None
    if known is not None:
        return f"{known.isoformat(timespec='minutes')}Z", ""
    return instant.wall.isoformat(timespec="minutes"), instant.zone


def _end(told: Component, begin: Instant, zones: Zones) -> str:
    """DTEND, or DTSTART and DURATION; the day behind the last is meant of whole days (RFC 5545 §3.6.1)."""
    end = read_instant(told.first("DTEND"))
    duration = read_duration(told.first("DURATION").value)
    try:
        if end is None and duration is not None:
            end = begin._replace(wall=begin.wall + duration)
        if end is not None and end.whole and end.wall > datetime.min:  # noqa: DTZ901 - a wall clock
            end = end._replace(wall=end.wall - timedelta(days=1))
    except OverflowError:
        return ""
    start, ended = _written(begin, zones), _written(end, zones)
    return ended[0] if len(ended[0]) == len(start[0]) and ended[1] == start[1] and ended[0] > start[0] else ""
