"""LOGIN and AUTHENTICATE (RFC 9051 §6.2.2, §6.2.3); the SASL exchange is that of `auth.exchange`."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from appliance.auth.connection_info import ConnectionInfo
from appliance.auth.exchange import SaslFailure
from appliance.auth.identity import APP_PASSWORD_NEEDED, AppPasswordNeeded, Identity
from appliance.mail.limits import LOGIN_NAME_OCTETS, PASSWORD_OCTETS

from ..completion import Completion, bad, no, ok
from ..contract import ImapCommand, ImapState
from ..errors import NOT_NOW, SessionOver

if TYPE_CHECKING:
    from appliance.protocol.imap.tokens import Tokens

    from ..contract import CommandSession

T = TypeVar("T")

WRONG = no(b"The name or the password is wrong.", b"AUTHENTICATIONFAILED")
"""The same text for every reason (RFC 5530 §3)."""


# --- LOGIN -----------------------------------------------------------------------------------


def read_login(tokens: "Tokens") -> tuple[bytes, bytes]:
    tokens.space()
    name = tokens.astring()
    tokens.space()
    return name, tokens.astring()


async def login(session: "CommandSession", arguments: tuple[bytes, bytes], uid: bool) -> Completion:
    if not session.mechanisms.plaintext_allowed(session.stream.secure):
        return no(b"Turn TLS on first: a password is not taken in plain text.", b"PRIVACYREQUIRED")
    name, password = arguments
    if len(name) > LOGIN_NAME_OCTETS or len(password) > PASSWORD_OCTETS:
        return failed(session)
    try:
        credentials = name.decode(), password.decode()
    except UnicodeDecodeError:
        return failed(session)
    await session.flush()
    stream = session.stream
    check = partial(session.login.check, *credentials, peer=stream.peer_host, protocol=stream.protocol, mechanism="LOGIN")
    try:
        identity = await stream.attend(check)
    except AppPasswordNeeded:
        return failed(session, FAILURES[SaslFailure.NEEDS_APP_PASSWORD])
    return failed(session) if identity is None else succeeded(session, identity)


def succeeded(session: "CommandSession", identity: Identity) -> Completion:
    """The completion carries the capabilities after sign-in (RFC 9051 §6.2.3)."""
    if not session.login.is_current(identity):  # the account or password was changed or removed meanwhile
        return failed(session)
    session.signed_in(identity)
    return ok(b"Signed in.", b"CAPABILITY " + session.registry.capability(session))


def failed(session: "CommandSession", completion: Completion = WRONG) -> Completion:
    session.login_failures += 1
    if session.login_failures >= session.options.login_failures:
        raise SessionOver(b"AUTHENTICATIONFAILED", b"Too many attempts.")
    return completion


# --- AUTHENTICATE ----------------------------------------------------------------------------


def read_authenticate(tokens: "Tokens") -> tuple[str, bytes | None]:
    """Mechanism and initial response (RFC 4959 §3), `=` for an empty one."""
    tokens.space()
    mechanism = tokens.keyword().decode("ascii")
    if not tokens.accept(b" "):
        return mechanism, None
    return mechanism, tokens.rest()


FAILURES: dict[SaslFailure, Completion] = {
    SaslFailure.NO_MECHANISM: no(b"No such mechanism.", b"CANNOT"),
    SaslFailure.NEEDS_TLS: no(b"Turn TLS on first.", b"PRIVACYREQUIRED"),
    SaslFailure.NEEDS_APP_PASSWORD: no(APP_PASSWORD_NEEDED.encode(), b"AUTHENTICATIONFAILED"),
    SaslFailure.CANCELLED: bad(b"AUTHENTICATE was cancelled."),
    SaslFailure.NOT_BASE64: bad(b"The response is not base64."),
    SaslFailure.TOO_LONG: bad(b"The response is too long."),
    SaslFailure.UNAVAILABLE: NOT_NOW,
}
"""REFUSED and NEEDS_APP_PASSWORD count as failed logins."""


class ImapChannel:
    """Each challenge is `+` and base64, each response a line (RFC 9051 §6.2.2)."""

    def __init__(self, session: "CommandSession") -> None:
        self._session = session

    async def ask(self, challenge: bytes) -> bytes:
        self._session.queue(b"+ ", challenge, b"\r\n")
        return await self._session.connection.line(self._session.options.before_login_s)

    async def attend(self, work: Callable[[], Awaitable[T]]) -> T:
        return await self._session.stream.attend(work)


async def authenticate(session: "CommandSession", arguments: tuple[str, bytes | None], uid: bool) -> Completion:
    """RFC 9051 §6.2.2, with the initial response of RFC 4959; the exchange is that of `auth.exchange`."""
    mechanism, initial = arguments
    reader = session.connection.reader
    reader.begin_exchange()
    try:
        outcome = await session.mechanisms.authenticate(mechanism, initial, ConnectionInfo.of(session.stream), ImapChannel(session))
    finally:
        reader.end_exchange()
    if isinstance(outcome, SaslFailure):
        if outcome in (SaslFailure.REFUSED, SaslFailure.NEEDS_APP_PASSWORD):
            return failed(session, FAILURES.get(outcome, WRONG))
        return FAILURES[outcome]
    return succeeded(session, outcome)


COMMANDS = (
    ImapCommand(b"AUTHENTICATE", ImapState.NOT_AUTHENTICATED, read_authenticate, authenticate, rfc="RFC 9051 §6.2.2"),
    ImapCommand(b"LOGIN", ImapState.NOT_AUTHENTICATED, read_login, login, rfc="RFC 9051 §6.2.3"),
)
