"""CAPABILITY, NOOP, LOGOUT, STARTTLS, LOGIN, AUTHENTICATE (RFC 9051 §6.1, §6.2).

Octets received in plain text after STARTTLS are never read as commands: the session ends instead (RFC 9051 §6.2.1).
"""

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from functools import partial
from typing import TYPE_CHECKING

from appliance.auth.identity import Identity
from appliance.mail.limits import LOGIN_NAME_OCTETS, PASSWORD_OCTETS

from ..completion import Completion, bad, no, ok
from ..contract import Command, State
from ..errors import SessionOver

if TYPE_CHECKING:
    from appliance.protocol.imap.tokens import Tokens

    from ..contract import Session

WRONG = no(b"The name or the password is wrong.", b"AUTHENTICATIONFAILED")
"""The same text for every reason (RFC 5530 §3)."""


def nothing(tokens: "Tokens") -> None:
    """The command has no arguments."""


async def capability(session: "Session", arguments: None, uid: bool) -> Completion:
    session.queue(b"* CAPABILITY ", session.registry.capability(session), b"\r\n")
    return ok(b"CAPABILITY completed.")


async def noop(session: "Session", arguments: None, uid: bool) -> Completion:
    return ok(b"NOOP completed.")


async def logout(session: "Session", arguments: None, uid: bool) -> Completion:
    session.deselect()
    session.queue(b"* BYE Goodbye.\r\n")
    session.log_out()
    return ok(b"LOGOUT completed.")


# --- STARTTLS --------------------------------------------------------------------------------


async def starttls(session: "Session", arguments: None, uid: bool) -> Completion:
    """The tagged OK is sent in plain text and TLS starts; what the client said before is forgotten (RFC 9051 §6.2.1)."""
    stream = session.stream
    if stream.secure:
        return bad(b"TLS is already on.")
    if not stream.can_start_tls:
        return no(b"This server has no certificate.", b"UNAVAILABLE")
    if session.connection.reader.pending():
        raise SessionOver(b"CLIENTBUG", b"Nothing may be sent after STARTTLS before TLS is on.")
    session.forget()
    session.after_completion = stream.start_tls
    return ok(b"Begin TLS now.")


# --- LOGIN -----------------------------------------------------------------------------------


def read_login(tokens: "Tokens") -> tuple[bytes, bytes]:
    tokens.space()
    name = tokens.astring()
    tokens.space()
    return name, tokens.astring()


async def login(session: "Session", arguments: tuple[bytes, bytes], uid: bool) -> Completion:
    if not session.mechanisms.plaintext_allowed(session.stream.secure):
        return no(b"Turn TLS on first: a password is not taken in plain text.", b"PRIVACYREQUIRED")
    name, password = arguments
    if len(name) > LOGIN_NAME_OCTETS or len(password) > PASSWORD_OCTETS:
        return failed(session)
    try:
        words = name.decode(), password.decode()
    except UnicodeDecodeError:
        return failed(session)
    await session.flush()
    stream = session.stream
    check = partial(session.login.check, *words, peer=stream.peer_host, protocol=stream.protocol, mechanism="LOGIN")
    identity = await stream.attend(check)
    return failed(session) if identity is None else succeeded(session, identity)


def succeeded(session: "Session", identity: Identity) -> Completion:
    """The completion carries the capabilities after sign-in (RFC 9051 §6.2.3)."""
    if not session.login.is_current(identity):  # the account or password was changed or removed meanwhile
        return failed(session)
    session.signed_in(identity)
    return ok(b"Signed in.", b"CAPABILITY " + session.registry.capability(session))


def failed(session: "Session") -> Completion:
    session.login_failures += 1
    if session.login_failures >= session.options.login_failures:
        raise SessionOver(b"AUTHENTICATIONFAILED", b"Too many attempts.")
    return WRONG


# --- AUTHENTICATE ----------------------------------------------------------------------------


def read_authenticate(tokens: "Tokens") -> tuple[str, bytes | None]:
    """Mechanism and initial response (RFC 4959 §3), `=` for an empty one."""
    tokens.space()
    mechanism = tokens.keyword().decode("ascii")
    if not tokens.accept(b" "):
        return mechanism, None
    return mechanism, tokens.rest()


async def authenticate(session: "Session", arguments: tuple[str, bytes | None], uid: bool) -> Completion:
    """RFC 9051 §6.2.2; each server challenge is `+` and base64, `*` from the client cancels."""
    mechanism, initial = arguments
    stream = session.stream
    exchange = session.mechanisms.start(
        mechanism, peer=stream.peer_host, protocol=stream.protocol, secure=stream.secure, channel_binding=stream.channel_binding()
    )
    if exchange is None:
        if session.mechanisms.plaintext_allowed(stream.secure):
            return no(b"No such mechanism.", b"CANNOT")
        return no(b"Turn TLS on first.", b"PRIVACYREQUIRED")
    response: bytes | None = None
    if initial is not None:
        response = b"" if initial == b"=" else decoded(initial)
        if response is None:
            return bad(b"The initial response is not base64.")
    reader = session.connection.reader
    reader.begin_exchange()
    try:
        if response is None and exchange.client_first:
            response = await _challenge(session, b"")
            if response is None:
                return bad(b"AUTHENTICATE was cancelled.")
        while True:
            outcome = await stream.attend(partial(exchange.step, response))
            if isinstance(outcome, Identity):
                return succeeded(session, outcome)
            if outcome is None:
                return failed(session)
            response = await _challenge(session, outcome)
            if response is None:
                return bad(b"AUTHENTICATE was cancelled.")
    finally:
        reader.end_exchange()


async def _challenge(session: "Session", challenge: bytes) -> bytes | None:
    """The client's response to a challenge; None when it cancels or does not send base64."""
    session.queue(b"+ ", b2a_base64(challenge, newline=False), b"\r\n")
    line = await session.connection.line(session.options.before_login_s)
    return None if line == b"*" else decoded(line)


def decoded(octets: bytes) -> bytes | None:
    try:
        return a2b_base64(octets, strict_mode=True) if octets else b""
    except Base64Error:
        return None


COMMANDS = (
    Command(b"CAPABILITY", State.ANY, nothing, capability, rfc="RFC 9051 §6.1.1"),
    Command(b"NOOP", State.ANY, nothing, noop, rfc="RFC 9051 §6.1.2"),
    Command(b"LOGOUT", State.ANY, nothing, logout, rfc="RFC 9051 §6.1.3"),
    Command(b"STARTTLS", State.NOT_AUTHENTICATED, nothing, starttls, rfc="RFC 9051 §6.2.1"),
    Command(b"AUTHENTICATE", State.NOT_AUTHENTICATED, read_authenticate, authenticate, rfc="RFC 9051 §6.2.2"),
    Command(b"LOGIN", State.NOT_AUTHENTICATED, read_login, login, rfc="RFC 9051 §6.2.3"),
)
