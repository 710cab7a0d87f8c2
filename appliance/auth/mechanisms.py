"""The table of SASL mechanisms: what is offered on which kind of line, and the exchange every server runs.

Rules: without TLS nothing that shows a password is offered unless a setting allows it, and SCRAM is not offered
either, for it would sign a session in that anybody may read and change. A new mechanism is a pure step object in
`protocol/sasl` and one row in MECHANISMS: SMTP, IMAP and POP3 then all offer it.
-PLUS is announced where the connection has tls-exporter, and taken wherever it has some binding of ours. A client that sees
-PLUS uses the default type of its TLS version (tls-exporter in TLS 1.3, RFC 9266 §3; tls-unique before, RFC 5802 §6.1),
and several give up instead of trying another type or mechanism. Python's ssl has no tls-exporter so far, tls-unique is not
safe (RFC 9266 §1), and tls-server-end-point alone (RFC 5929 §4) would announce what those clients cannot use.
An exchange fails by returning None; it raises AuthError when passwords cannot be checked at all just now.
"""

from collections.abc import Callable
from dataclasses import dataclass

from appliance.protocol.sasl.login import LoginMechanism as LoginMechanism
from appliance.protocol.sasl.mechanism import Challenge, CheckPassword, CheckProof, Mechanism, Proved, WantSecret
from appliance.protocol.sasl.plain import Plain
from appliance.protocol.sasl.scram import BINDINGS, Scram

from .identity import Identity
from .login import Candidate, Login, LoginAttempt

MAX_STEPS = 16
"""Steps of one exchange; the longest real one has four."""


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """What a mechanism may know of the connection."""

    channel_binding: dict[str, bytes]
    plus_offered: bool


@dataclass(frozen=True, slots=True)
class MechanismOffer:
    """One row: the mechanism's name, whether it needs a channel binding, how an exchange is made."""

    name: str
    needs_binding: bool
    make: Callable[[ConnectionInfo], Mechanism]


MECHANISMS: tuple[MechanismOffer, ...] = (
    MechanismOffer("SCRAM-SHA-256-PLUS", True, lambda line: Scram(plus=True, plus_offered=True, channel_binding=line.channel_binding)),
    MechanismOffer("SCRAM-SHA-256", False, lambda line: Scram(plus=False, plus_offered=line.plus_offered, channel_binding={})),
    MechanismOffer("PLAIN", False, lambda line: Plain()),
    MechanismOffer("LOGIN", False, lambda line: LoginMechanism()),
)
"""In the order they are announced, the best first."""
ANNOUNCED_BINDING = "tls-exporter"


def can_bind(channel_binding: dict[str, bytes]) -> bool:
    return any(kind in channel_binding for kind in BINDINGS)


def announces_plus(channel_binding: dict[str, bytes]) -> bool:
    return ANNOUNCED_BINDING in channel_binding


class Mechanisms:
    """Which mechanisms a line is offered, and the start of an exchange."""

    def __init__(self, login: Login, *, plaintext_login: bool = False) -> None:
        self._login = login
        self._plaintext_login = plaintext_login

    def is_current(self, identity: Identity) -> bool:
        """Has nobody changed or removed the password while the sign-in was under way?"""
        return self._login.is_current(identity)

    def plaintext_allowed(self, secure: bool) -> bool:
        """May a password be typed on this line at all (LOGIN, USER, AUTH)?"""
        return secure or self._plaintext_login

    def offered(self, secure: bool, channel_binding: dict[str, bytes]) -> tuple[str, ...]:
        """Names in the order to announce them; () on a line where nobody may sign in yet."""
        if not self.plaintext_allowed(secure):
            return ()
        plus = announces_plus(channel_binding)
        return tuple(offer.name for offer in MECHANISMS if plus or not offer.needs_binding)

    def start(self, name: str, *, peer: str, protocol: str, secure: bool, channel_binding: dict[str, bytes]) -> "Exchange | None":
        """An exchange by a mechanism of that name (any case), or None when it is not taken here."""
        name = name.upper()
        if not self.plaintext_allowed(secure):
            return None
        offer = next((offer for offer in MECHANISMS if offer.name == name), None)
        if offer is None or (offer.needs_binding and not can_bind(channel_binding)):
            return None
        line = ConnectionInfo(channel_binding, announces_plus(channel_binding))
        return Exchange(offer.make(line), self._login, LoginAttempt(peer, protocol, name))


class Exchange:
    """One sign-in under way: the server sends what `step` returns and hands back what the client answers."""

    def __init__(self, mechanism: Mechanism, login: Login, attempt: LoginAttempt) -> None:
        self._mechanism = mechanism
        self._login = login
        self._attempt = attempt
        self._candidate: Candidate | None = None
        self._identity: Identity | None = None
        self._steps = 0

    @property
    def client_first(self) -> bool:
        """An initial response makes sense."""
        return self._mechanism.client_first

    async def step(self, response: bytes | None) -> bytes | Identity | None:
        """None given: no initial response. Octets returned: a challenge to send. Identity: signed in. None: refused."""
        self._steps += 1
        if self._steps > MAX_STEPS:
            return None
        step = self._mechanism.step(response)
        if isinstance(step, WantSecret):
            self._candidate = self._login.candidate(step.name)
            step = self._mechanism.secret(self._candidate.secret)
        elif isinstance(step, CheckProof) and self._candidate is not None:
            self._identity = await self._login.check_proof(self._candidate, self._mechanism.verify, self._attempt)
            step = self._mechanism.verdict()
        if isinstance(step, Challenge):
            return step.octets
        if isinstance(step, CheckPassword):
            return await self._login.check_password(step.name, step.password, self._attempt)
        if isinstance(step, Proved) and self._identity is not None:
            self._login.welcome(self._identity, self._attempt)
            return self._identity
        return None
