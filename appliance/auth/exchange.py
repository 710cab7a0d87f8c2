"""The SASL exchange of every server: base64, cancelling, limits, throttle and failures (RFC 4422 §3; RFC 4954, 9051, 5034).

    state      input                          goes on to
    start      initial response or none       challenge, identity, failure
    challenge  a response in base64           challenge, identity, failure
               "*"                            CANCELLED (RFC 4954 §4, RFC 9051 §6.2.2, RFC 5034 §4)
               not base64                     NOT_BASE64
               a line over AUTH_LINE_OCTETS   TOO_LONG
    identity, failure: the exchange is over

A server gives a `SaslChannel`, its framing of challenges and responses, and turns the `SaslFailure` into its own reply.
Invariants: an identity comes only from a check of `Login` in this very exchange, whatever the mechanism says; at most MAX_STEPS
steps; the client does not learn why an exchange was refused, but for a right password that opens browsers only. Every check is
throttled. Failures of the connection (PeerError) pass through.
"""

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum, auto
from functools import partial
from typing import Protocol, TypeVar

from appliance.mail.errors import AuthError
from appliance.mail.limits import AUTH_LINE_OCTETS
from appliance.protocol.framing import Overlong
from appliance.protocol.sasl.mechanism import (
    Accepted,
    Challenge,
    CheckCredential,
    CheckPassword,
    CheckProof,
    Mechanism,
    Proved,
    Step,
    WantSecret,
)

from .connection_info import ConnectionInfo
from .identity import AppPasswordNeeded, Identity
from .login import Candidate, Login, LoginAttempt

MAX_STEPS = 16
"""Steps of one exchange; the longest real one has four."""
CANCEL = b"*"
EMPTY = b"="
"""An initial response of no octets, which cannot be written otherwise (RFC 4954 §4, RFC 4959 §3, RFC 5034 §4)."""

T = TypeVar("T")


class SaslFailure(Enum):
    """How an exchange ended without an identity."""

    NO_MECHANISM = auto()
    """No such mechanism is accepted on this connection."""
    NEEDS_TLS = auto()
    """No mechanism is accepted before TLS."""
    REFUSED = auto()
    """Wrong credentials, a failed mechanism, or a password changed meanwhile."""
    NEEDS_APP_PASSWORD = auto()
    """The account has a second factor: its own password is right, and opens browsers only."""
    CANCELLED = auto()
    NOT_BASE64 = auto()
    TOO_LONG = auto()
    UNAVAILABLE = auto()
    """Credentials cannot be checked just now: a temporary error."""


class SaslChannel(Protocol):
    """A server's side of the exchange on its connection."""

    async def ask(self, challenge: bytes) -> bytes:
        """Send a challenge, already in base64, with the protocol's framing; the client's line without its line end.

        Raises Overlong when the line is over AUTH_LINE_OCTETS and was discarded, PeerError when the client is gone.
        """
        ...

    async def attend(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run throttled work while the client waits: `Stream.attend`."""
        ...


class CredentialVerifier(Protocol):
    """Checks credentials of one kind that are no passwords, such as bearer tokens or client certificates."""

    async def verify(self, name: str, credential: bytes, connection: ConnectionInfo) -> str | None:
        """The login name the credential is for, or None. `name` is what the client claims, "" for nothing. Raises AuthError when it
        cannot be checked just now."""
        ...


Verifiers = Mapping[str, CredentialVerifier]
"""By the `kind` of CheckCredential."""


class Exchange:
    """One exchange under way: steps of a mechanism, checks of `Login`."""

    def __init__(self, mechanism: Mechanism, name: str, login: Login, connection: ConnectionInfo, verifiers: Verifiers) -> None:
        self._mechanism = mechanism
        self._login = login
        self._connection = connection
        self._verifiers = verifiers
        self._attempt = LoginAttempt(connection.peer, connection.protocol, name)
        self._candidate: Candidate | None = None
        self._identity: Identity | None = None
        self._steps = 0

    async def run(self, initial: bytes | None, channel: SaslChannel) -> Identity | SaslFailure:
        """To its end. `initial`: the initial response as the client sent it, None for none."""
        response = None if initial is None else b"" if initial == EMPTY else decode(initial)
        while not isinstance(response, SaslFailure):
            try:
                challenge = await channel.attend(partial(self.step, response))
            except AppPasswordNeeded:
                return SaslFailure.NEEDS_APP_PASSWORD
            except AuthError:
                return SaslFailure.UNAVAILABLE
            if not isinstance(challenge, bytes):
                return challenge if challenge is not None and self._login.is_current(challenge) else SaslFailure.REFUSED
            try:
                line = await channel.ask(b2a_base64(challenge, newline=False))
            except Overlong:
                return SaslFailure.TOO_LONG
            response = SaslFailure.CANCELLED if line == CANCEL else decode(line)
        return response

    async def step(self, response: bytes | None) -> bytes | Identity | None:
        """None given: no initial response. Octets returned: a challenge to send. Identity: authenticated. None: refused."""
        self._steps += 1
        if self._steps > MAX_STEPS:
            return None
        step = await self._check(self._mechanism.step(response))
        if isinstance(step, Challenge):
            return step.octets
        if isinstance(step, CheckPassword):
            return await self._login.check_password(step.name, step.password, self._attempt)
        if isinstance(step, Proved | Accepted) and self._identity is not None:
            self._login.welcome(self._identity, self._attempt)
            return self._identity
        return None

    async def _check(self, step: Step) -> Step:
        """Do what a step asks of the server; the step that follows. A step that asks nothing is returned as it is."""
        if isinstance(step, WantSecret):
            self._candidate = self._login.candidate(step.name)
            return self._mechanism.secret(self._candidate.secret)
        if isinstance(step, CheckProof) and self._candidate is not None:
            self._identity = await self._login.check_proof(self._candidate, self._mechanism.verify, self._attempt)
            return self._mechanism.verdict()
        if isinstance(step, CheckCredential) and (verifier := self._verifiers.get(step.kind)) is not None:
            verify = partial(verifier.verify, step.name, step.credential, self._connection)
            self._identity = await self._login.check_credential(step.name, verify, self._attempt)
            return self._mechanism.checked(self._identity is not None)
        return step


def decode(text: bytes) -> bytes | SaslFailure:
    """A response in base64 as RFC 4648 §4 has it, nothing else between."""
    if len(text) > AUTH_LINE_OCTETS:
        return SaslFailure.TOO_LONG
    try:
        return a2b_base64(text, strict_mode=True) if text else b""
    except Base64Error:
        return SaslFailure.NOT_BASE64
