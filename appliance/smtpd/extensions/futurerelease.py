"""FUTURERELEASE: a message submitted now and sent later (RFC 4865).

Rules: on submission ports, for authenticated users (§2); at most MOST_S ahead; HOLDFOR or HOLDUNTIL, never both (§4);
HOLDUNTIL is a date and time of RFC 3339. While the clock is not trusted neither is taken, with a temporary refusal: a release
time counted from a wrong clock would be missed as soon as the clock is set.
"""

import re
from dataclasses import replace

from appliance.mail.date import civil, days_of
from appliance.mail.envelope import Envelope
from appliance.mail.reply import Reply

from ..extension import Parameter, SmtpExtension, SmtpSession

MOST_S = 366 * 86400
"""A birthday message a year ahead."""
LATE_S = 120
"""A release time that has just passed means now; mail programs' clocks are not ours."""

SIGN_IN = Reply(530, "5.7.0", ("Messages are held for users of this server only; please sign in first.",))
NOT_HERE = Reply(555, "5.5.4", ("This server does not hold messages.",))
NO_TIME = Reply(451, "4.3.0", (
    "This server is not sure of the time yet, so it cannot hold a message; send it without a release time, or try again in a few minutes.",
))  # fmt: skip
BOTH = Reply(501, "5.5.4", ("Give HOLDFOR or HOLDUNTIL, not both.",))
NOT_SECONDS = Reply(501, "5.5.4", ("HOLDFOR is a number of seconds from 1 to 999999999.",))
NOT_A_DATE = Reply(501, "5.5.4", ("HOLDUNTIL is a date and time like 2027-01-31T08:00:00Z.",))
PASSED = Reply(501, "5.5.4", ("The time of HOLDUNTIL has passed already.",))
TOO_FAR = Reply(501, "5.5.4", (f"A message is held for at most {MOST_S // 86400} days.",))

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


def refusal(session: SmtpSession, envelope: Envelope) -> Reply | None:
    if not session.submission or session.identity is None:
        return SIGN_IN
    if not session.relay_check.holds:
        return NOT_HERE
    if not session.clock.trusted():
        return NO_TIME
    return BOTH if envelope.options.release_at else None


def hold_for(session: SmtpSession, envelope: Envelope, value: bytes | None) -> Reply | None:
    refused = refusal(session, envelope)
    if refused is not None:
        return refused
    if not _SECONDS.fullmatch(value or b"") or not int(value or b"0"):
        return NOT_SECONDS
    seconds = int(value or b"0")
    if seconds > MOST_S:
        return TOO_FAR
    envelope.options = replace(envelope.options, release_at=int(session.clock.wall_s()) + seconds)
    return None


def hold_until(session: SmtpSession, envelope: Envelope, value: bytes | None) -> Reply | None:
    refused = refusal(session, envelope)
    if refused is not None:
        return refused
    at = parse_date_time(value or b"")
    if at is None:
        return NOT_A_DATE
    now = int(session.clock.wall_s())
    if at < now - LATE_S:
        return PASSED
    if at > now + MOST_S:
        return TOO_FAR
    envelope.options = replace(envelope.options, release_at=max(at, 1))
    return None


def keyword(session: SmtpSession) -> str:
    """The longest interval and the latest date-time (RFC 4865 §3); nothing while the clock is not trusted.

    Listed before authentication as well: a mail program sends EHLO once, before it signs in.
    """
    if not session.submission or not session.relay_check.holds or not session.clock.trusted():
        return ""
    return f"FUTURERELEASE {MOST_S} {encode_date_time(int(session.clock.wall_s()) + MOST_S)}"


EXTENSION = SmtpExtension(
    "FUTURERELEASE",
    "RFC 4865",
    keyword=keyword,
    mail_parameters=(Parameter(b"HOLDFOR", hold_for), Parameter(b"HOLDUNTIL", hold_until)),
)
