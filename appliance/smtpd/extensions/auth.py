"""AUTH: signing in (RFC 4954), by the mechanisms `auth.mechanisms` offers on this connection.

Offered on submission ports; on port 25 only when a setting asks for it, since other servers have nothing to sign in with and
password guessers would try there first. SMTP's part is base64, the line limit, "*" to give up and one reply at the end.
"""

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from functools import partial
from typing import TYPE_CHECKING

from appliance.mail.envelope import Envelope
from appliance.mail.errors import AuthError, MisuseError
from appliance.mail.limits import AUTH_LINE_OCTETS
from appliance.mail.reply import Reply
from appliance.protocol.framing import Overlong
from appliance.protocol.smtp.grammar import decode_xtext
from appliance.protocol.smtp.server import SmtpEvent

from ..commands import misuse
from ..extension import Command, Extension, Parameter, SmtpSession

if TYPE_CHECKING:
    from appliance.auth.identity import Identity
    from appliance.auth.mechanisms import Exchange


SIGNED_IN = Reply(235, "2.7.0", ("You are signed in.",))
WRONG = Reply(535, "5.7.8", ("Name or password is wrong.",))
ALREADY = Reply(503, "5.5.1", ("You are signed in already.",))
NOT_ON_THIS_PORT = Reply(502, "5.5.1", ("Nobody signs in on this port; use port 587 or 465.",))
NEEDS_TLS = Reply(538, "5.7.11", ("Signing in needs TLS: STARTTLS first, or port 465.",))
UNKNOWN_MECHANISM = Reply(504, "5.5.4", ("This mechanism is not offered here.",))
NO_MECHANISM = Reply(501, "5.5.4", ("Name a mechanism to sign in with.",))
GAVE_UP = Reply(501, "5.7.0", ("Signing in was cancelled.",))
NOT_BASE64 = Reply(501, "5.5.2", ("This is not base64.",))
LINE_TOO_LONG = Reply(500, "5.5.6", (f"A line of signing in is longer than {AUTH_LINE_OCTETS} octets.",))
NOT_NOW = Reply(454, "4.7.0", ("Passwords cannot be checked just now; please try again in a moment.",))


def decode(text: bytes) -> bytes:
    """Base64 as RFC 4648 §4 writes it, nothing else between. Raises MisuseError."""
    try:
        return a2b_base64(text, strict_mode=True) if text else b""
    except Base64Error:
        raise MisuseError("this is not base64") from None


def offered(session: SmtpSession) -> tuple[str, ...]:
    if not (session.submission or session.options.sign_in_on_25):
        return ()
    stream = session.connection.stream
    return session.mechanisms.offered(stream.secure, stream.channel_binding())


def check(session: SmtpSession, argument: bytes) -> "tuple[Exchange, bytes | None] | Reply":
    if session.identity is not None:
        return ALREADY
    if not (session.submission or session.options.sign_in_on_25):
        return NOT_ON_THIS_PORT
    words = argument.split()
    if not words or len(words) > 2:
        return NO_MECHANISM
    stream = session.connection.stream
    exchange = session.mechanisms.start(
        words[0].upper().decode("ascii", "replace"),
        peer=session.peer,
        protocol=session.protocol,
        secure=stream.secure,
        channel_binding=stream.channel_binding(),
    )
    if exchange is None:
        return UNKNOWN_MECHANISM if stream.secure or offered(session) else NEEDS_TLS
    if len(words) == 1:
        return exchange, None
    try:
        return exchange, b"" if words[1] == b"=" else decode(words[1])
    except MisuseError:
        return NOT_BASE64


async def proceed(session: SmtpSession, begun: "tuple[Exchange, bytes | None]") -> Reply:
    session.state.proceed(SmtpEvent.AUTH)
    outcome = await _converse(session, *begun)
    session.state.proceed(SmtpEvent.OVER)
    if isinstance(outcome, Reply):
        return outcome
    return SIGNED_IN if session.sign_in(outcome) else WRONG


async def _converse(session: SmtpSession, exchange: "Exchange", response: bytes | None) -> "Identity | Reply":
    """Challenges and responses to the end of the exchange."""
    while True:
        try:
            step = await session.connection.stream.attend(partial(exchange.step, response))
        except AuthError:
            return NOT_NOW
        if step is None:
            return WRONG
        if not isinstance(step, bytes):
            return step
        session.connection.say(Reply(334, "", (b2a_base64(step, newline=False).decode(),)))
        try:
            line = await session.connection.line(session.options.command_s)
        except Overlong:
            return LINE_TOO_LONG
        if line == b"*":
            return GAVE_UP
        try:
            response = decode(line)
        except MisuseError:
            return NOT_BASE64


def take_author(session: SmtpSession, envelope: Envelope, value: bytes | None) -> Reply | None:
    """AUTH=address on MAIL: parsed and ignored (RFC 4954 §5)."""
    try:
        decode_xtext(value or b"")
    except MisuseError as problem:
        return misuse(problem)
    return None


def keyword(session: SmtpSession) -> str:
    names = offered(session) if session.identity is None else ()
    return "AUTH " + " ".join(names) if names else ""


EXTENSION = Extension(
    "AUTH",
    "RFC 4954",
    keyword=keyword,
    commands=(Command(b"AUTH", SmtpEvent.AUTH, check, proceed, "AUTH mechanism [initial-response]"),),
    mail_parameters=(Parameter(b"AUTH", take_author),),
)
