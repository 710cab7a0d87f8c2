"""Release times of FUTURERELEASE: HOLDFOR and HOLDUNTIL as UTC seconds, and dates of RFC 3339 (RFC 4865 §4).

A release time is at most MOST_S ahead; one that has just passed means now. Fails with MisuseError; its sentence may be shown to the client.
"""

import re

from appliance.mail.date import civil, days_of
from appliance.mail.errors import MisuseError

MOST_S = 366 * 86400
"""A birthday message a year ahead."""
LATE_S = 120
"""A release time that has just passed means now; mail programs' clocks are not ours."""
NOT_SECONDS = "HOLDFOR is a number of seconds from 1 to 999999999."
NOT_A_DATE = "HOLDUNTIL is a date and time like 2027-01-31T08:00:00Z."
PASSED = "The time of HOLDUNTIL has passed already."
TOO_FAR = f"A message is held for at most {MOST_S // 86400} days."

_SECONDS = re.compile(rb"[0-9]{1,9}")
_DATE = re.compile(
    rb"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]{1,9})?(?:Z|([+-])([0-9]{2}):([0-9]{2}))", re.IGNORECASE
)


def parse_date_time(value: bytes) -> int | None:
    """The UTC second of an RFC 3339 §5.6 date-time; None when there is no such time. Years 1970 to 9999."""
    found = _DATE.fullmatch(value)
    if not found:
        return None
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    if not (year >= 1970 and 1 <= month <= 12 and 1 <= day <= 31 and hour <= 23 and minute <= 59 and second <= 60):
        return None
    days = days_of(year, month - 1, day)
    if civil(days) != (year, month - 1, day):
        return None
    east_s = 0
    if found[7]:
        hours, minutes = int(found[8]), int(found[9])
        if hours > 23 or minutes > 59:
            return None
        east_s = (hours * 3600 + minutes * 60) * (-1 if found[7] == b"-" else 1)
    return days * 86400 + hour * 3600 + minute * 60 + second - east_s


def encode_date_time(at: int) -> str:
    """A UTC second as an RFC 3339 date-time."""
    days, second = divmod(at, 86400)
    year, month, day = civil(days)
    return f"{year:04d}-{month + 1:02d}-{day:02d}T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}Z"


def parse_hold_for(value: bytes | None, now: int) -> int:
    """The release time of HOLDFOR, `now` in UTC seconds."""
    if not _SECONDS.fullmatch(value or b"") or not int(value or b"0"):
        raise MisuseError(NOT_SECONDS)
    return _within(now + int(value or b"0"), now)


def parse_hold_until(value: bytes | None, now: int) -> int:
    """The release time of HOLDUNTIL."""
    at = parse_date_time(value or b"")
    if at is None:
        raise MisuseError(NOT_A_DATE)
    if at < now - LATE_S:
        raise MisuseError(PASSED)
    return _within(max(at, 1), now)


def _within(at: int, now: int) -> int:
    if at > now + MOST_S:
        raise MisuseError(TOO_FAR)
    return at
