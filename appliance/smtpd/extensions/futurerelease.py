"""FUTURERELEASE: a message submitted now and sent later (RFC 4865).

Rules: on submission ports, for authenticated users (§2); HOLDFOR or HOLDUNTIL, never both (§4), as `protocol/smtp/futurerelease` reads
them. While the clock is not trusted neither is taken, with a temporary refusal: a release time counted from a wrong clock would be
missed as soon as the clock is set.
"""

from collections.abc import Callable
from dataclasses import replace

from appliance.mail.envelope import Envelope
from appliance.mail.errors import MisuseError
from appliance.mail.reply import Reply
from appliance.protocol.smtp.futurerelease import MOST_S, encode_date_time, parse_hold_for, parse_hold_until

from ..extension import Parameter, SmtpExtension, SmtpSession

SIGN_IN = Reply(530, "5.7.0", ("Messages are held for users of this server only; please sign in first.",))
NOT_HERE = Reply(555, "5.5.4", ("This server does not hold messages.",))
NO_TIME = Reply(451, "4.3.0", (
    "This server is not sure of the time yet, so it cannot hold a message; send it without a release time, or try again in a few minutes.",
))  # fmt: skip
BOTH = Reply(501, "5.5.4", ("Give HOLDFOR or HOLDUNTIL, not both.",))


def refusal(session: SmtpSession, envelope: Envelope) -> Reply | None:
    if not session.submission or session.identity is None:
        return SIGN_IN
    if not session.relay_check.holds:
        return NOT_HERE
    if not session.clock.trusted():
        return NO_TIME
    return BOTH if envelope.options.release_at else None


def _take(session: SmtpSession, envelope: Envelope, value: bytes | None, parse: Callable[[bytes | None, int], int]) -> Reply | None:
    refused = refusal(session, envelope)
    if refused is not None:
        return refused
    try:
        envelope.options = replace(envelope.options, release_at=parse(value, int(session.clock.wall_s())))
    except MisuseError as problem:
        return Reply(501, "5.5.4", (str(problem),))
    return None


def hold_for(session: SmtpSession, envelope: Envelope, value: bytes | None) -> Reply | None:
    return _take(session, envelope, value, parse_hold_for)


def hold_until(session: SmtpSession, envelope: Envelope, value: bytes | None) -> Reply | None:
    return _take(session, envelope, value, parse_hold_until)


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
