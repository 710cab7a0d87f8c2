"""AUTH: authentication (RFC 4954), by the mechanisms `auth.mechanisms` offers on this connection.

Offered on submission ports; on port 25 only when a setting asks for it, since other servers have nothing to sign in with and
password guessers would try there first. The exchange itself is that of `auth.exchange`; here are its framing and its replies.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from appliance.auth.connection_info import ConnectionInfo
from appliance.auth.exchange import SaslFailure
from appliance.auth.identity import APP_PASSWORD_NEEDED
from appliance.mail.envelope import Envelope
from appliance.mail.errors import MisuseError
from appliance.mail.limits import AUTH_LINE_OCTETS
from appliance.mail.reply import Reply
from appliance.protocol.smtp.grammar import decode_xtext
from appliance.protocol.smtp.server import SmtpEvent

from ..commands import misuse
from ..extension import Parameter, SmtpCommand, SmtpExtension, SmtpSession

T = TypeVar("T")

SIGNED_IN = Reply(235, "2.7.0", ("You are signed in.",))
WRONG = Reply(535, "5.7.8", ("Name or password is wrong.",))
NEEDS_APP_PASSWORD = Reply(534, "5.7.9", (APP_PASSWORD_NEEDED,))
ALREADY = Reply(503, "5.5.1", ("You are signed in already.",))
NOT_ON_THIS_PORT = Reply(502, "5.5.1", ("Nobody signs in on this port; use port 587 or 465.",))
NEEDS_TLS = Reply(538, "5.7.11", ("Signing in needs TLS: STARTTLS first, or port 465.",))
UNKNOWN_MECHANISM = Reply(504, "5.5.4", ("This mechanism is not offered here.",))
NO_MECHANISM = Reply(501, "5.5.4", ("Name a mechanism to sign in with.",))
GAVE_UP = Reply(501, "5.7.0", ("Signing in was cancelled.",))
NOT_BASE64 = Reply(501, "5.5.2", ("This is not base64.",))
LINE_TOO_LONG = Reply(500, "5.5.6", (f"A line of the AUTH exchange is longer than {AUTH_LINE_OCTETS} octets.",))
NOT_NOW = Reply(454, "4.7.0", ("Passwords cannot be checked just now; please try again in a moment.",))
FAILURES: dict[SaslFailure, Reply] = {
    SaslFailure.NO_MECHANISM: UNKNOWN_MECHANISM,
    SaslFailure.NEEDS_TLS: NEEDS_TLS,
    SaslFailure.REFUSED: WRONG,
    SaslFailure.NEEDS_APP_PASSWORD: NEEDS_APP_PASSWORD,
    SaslFailure.CANCELLED: GAVE_UP,
    SaslFailure.NOT_BASE64: NOT_BASE64,
    SaslFailure.TOO_LONG: LINE_TOO_LONG,
    SaslFailure.UNAVAILABLE: NOT_NOW,
}


def possible(session: SmtpSession) -> bool:
    """Is AUTH offered on this port?"""
    return session.submission or session.options.sign_in_on_25


def check(session: SmtpSession, argument: bytes) -> tuple[str, bytes | None] | Reply:
    """The mechanism's name and the initial response, if any."""
    if session.identity is not None:
        return ALREADY
    if not possible(session):
        return NOT_ON_THIS_PORT
    parts = argument.split()
    if not parts or len(parts) > 2:
        return NO_MECHANISM
    return parts[0].decode("ascii", "replace"), parts[1] if len(parts) == 2 else None


class SmtpChannel:
    """Challenges as 334 replies, responses as lines (RFC 4954 §4)."""

    def __init__(self, session: SmtpSession) -> None:
        self._session = session

    async def ask(self, challenge: bytes) -> bytes:
        self._session.connection.queue(Reply(334, "", (challenge.decode(),)))
        return await self._session.connection.line(self._session.options.command_s)

    async def attend(self, work: Callable[[], Awaitable[T]]) -> T:
        return await self._session.connection.stream.attend(work)


async def proceed(session: SmtpSession, begun: tuple[str, bytes | None]) -> Reply:
    session.state.proceed(SmtpEvent.AUTH)
    name, initial = begun
    connection = ConnectionInfo.of(session.connection.stream)
    outcome = await session.mechanisms.authenticate(name, initial, connection, SmtpChannel(session))
    session.state.proceed(SmtpEvent.OVER)
    if isinstance(outcome, SaslFailure):
        return FAILURES[outcome]
    return SIGNED_IN if session.sign_in(outcome) else WRONG


def take_author(session: SmtpSession, envelope: Envelope, value: bytes | None) -> Reply | None:
    """AUTH=address on MAIL: parsed and ignored (RFC 4954 §5)."""
    try:
        decode_xtext(value or b"")
    except MisuseError as problem:
        return misuse(problem)
    return None


def keyword(session: SmtpSession) -> str:
    if session.identity is not None or not possible(session):
        return ""
    names = session.mechanisms.offered(ConnectionInfo.of(session.connection.stream))
    return "AUTH " + " ".join(names) if names else ""


EXTENSION = SmtpExtension(
    "AUTH",
    "RFC 4954",
    keyword=keyword,
    commands=(SmtpCommand(b"AUTH", SmtpEvent.AUTH, check, proceed, "AUTH mechanism [initial-response]"),),
    mail_parameters=(Parameter(b"AUTH", take_author),),
)
