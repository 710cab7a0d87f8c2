"""Offsets of a VTIMEZONE (RFC 5545 §3.6.5).

A calendar has to bring a definition for each TZID, so no table of names is needed: "W. Europe Standard Time" of Outlook, names of IANA
and names somebody made up are all the same. Read are the rules that programs write: a date, or one weekday of a month each year. Where a
zone has anything else it is not known, rather than an hour wrong.
"""

import re
from datetime import datetime, timedelta

from .icalendar import Component, Property, read_instant

_OFFSET = re.compile(r"([+-])(\d\d)(\d\d)(?:\d\d)?")
_WEEKDAY = re.compile(r"([+-]?[1-5])(MO|TU|WE|TH|FR|SA|SU)")
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_RULE_WORDS = {"FREQ", "INTERVAL", "BYMONTH", "BYDAY", "UNTIL", "WKST"}


def to_utc(wall: datetime, zone: Component) -> datetime | None:
    """The instant of a wall clock in the zone; None where that cannot be told."""
    latest = None
    for observance in zone.parts:
        offset = _OFFSET.fullmatch(observance.first("TZOFFSETTO").value.strip())
        onsets = _onsets(observance, wall)
        if offset is None or onsets is None:
            return None
        before = [onset for onset in onsets if onset <= wall]
        if before and (latest is None or max(before) > latest[0]):
            latest = max(before), offset
    if latest is None:
        return None
    sign, hours, minutes = latest[1].groups()
    offset_from_utc = timedelta(hours=int(hours), minutes=int(minutes))
    try:
        return wall - offset_from_utc if sign == "+" else wall + offset_from_utc
    except OverflowError:
        return None


def _onsets(observance: Component, wall: datetime) -> list[datetime] | None:
    """When the observance began, as far as that may be the last time before `wall`; None for a rule that is not read here."""
    given = [observance.first("DTSTART")]
    given += [Property(one, "") for dates in observance.properties.get("RDATE", []) for one in dates.value.split(",")]
    found = [instant.wall for one in given if (instant := read_instant(one)) is not None]
    rules = observance.properties.get("RRULE", [])
    if not found or len(rules) > 1:
        return None
    if not rules:
        return found
    words = dict(re.findall(r"(\w+)=([^;]*)", rules[0].value.upper()))
    weekday = _WEEKDAY.fullmatch(words.get("BYDAY", ""))
    month = words.get("BYMONTH", "")
    if words.keys() - _RULE_WORDS or words.get("FREQ") != "YEARLY" or words.get("INTERVAL", "1") != "1" or weekday is None:
        return None
    if not re.fullmatch(r"0?[1-9]|1[0-2]", month):
        return None
    start, until = found[0], read_instant(Property(words.get("UNTIL", ""), ""))
    end = until.wall + timedelta(days=1) if until is not None and until.wall.year < 9999 else None  # UNTIL is in UTC
    last = min(wall.year, end.year) if end is not None else wall.year
    for year in (last - 1, last):
        onset = _nth_weekday(start.replace(day=1), year, int(month), int(weekday[1]), _WEEKDAYS.index(weekday[2]))
        if onset is not None and onset >= start and (end is None or onset <= end):
            found.append(onset)
    return found


def _nth_weekday(clock: datetime, year: int, month: int, nth: int, weekday: int) -> datetime | None:
    """That weekday of a month, counted from its end where `nth` is below 0; None in a month or year that has none."""
    try:
        first = clock.replace(year=year, month=month)
        if nth < 0:
            last = clock.replace(year=year + month // 12, month=month % 12 + 1) - timedelta(days=1)
            found = last - timedelta(days=(last.weekday() - weekday) % 7 - 7 * (nth + 1))
        else:
            found = first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))
    except (ValueError, OverflowError):
        return None
    return found if found.month == month else None
