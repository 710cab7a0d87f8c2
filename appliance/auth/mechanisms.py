"""The table of SASL mechanisms: which are announced and accepted on which connection.

Rules: without TLS nothing that sends a password is offered unless a setting allows it, and SCRAM is not offered
either, for it would authenticate a session in that anybody may read and change. A new mechanism is a pure step object in
`protocol/sasl` and one row in MECHANISMS: SMTP, IMAP and POP3 then all offer it.
-PLUS is announced where the connection has tls-exporter, and accepted wherever it has some binding of ours. A client that sees
-PLUS uses the default type of its TLS version (tls-exporter in TLS 1.3, RFC 9266 §3; tls-unique before, RFC 5802 §6.1),
and several give up instead of trying another type or mechanism. Python's ssl has no tls-exporter so far, tls-unique is not
safe (RFC 9266 §1), and tls-server-end-point alone (RFC 5929 §4) would announce what those clients cannot use.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from appliance.protocol.sasl.login import LoginMechanism
from appliance.protocol.sasl.mechanism import Mechanism
from appliance.protocol.sasl.plain import Plain
from appliance.protocol.sasl.scram import Scram

from .connection_info import ConnectionInfo
from .exchange import Exchange, SaslChannel, SaslFailure, Verifiers
from .identity import Identity
from .login import Login


def always(connection: ConnectionInfo) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class MechanismOffer:
    """One row: the mechanism's name, how an exchange is made, and on which connections it is announced and accepted."""

    name: str
    make: Callable[[ConnectionInfo], Mechanism]
    announced: Callable[[ConnectionInfo], bool] = always
    accepted: Callable[[ConnectionInfo], bool] = always


def _scram_plus(connection: ConnectionInfo) -> Mechanism:
    return Scram(plus=True, plus_offered=True, channel_binding=connection.channel_binding)


def _scram(connection: ConnectionInfo) -> Mechanism:
    return Scram(plus=False, plus_offered=connection.announces_plus, channel_binding={})


MECHANISMS: tuple[MechanismOffer, ...] = (
    MechanismOffer("SCRAM-SHA-256-PLUS", _scram_plus, announced=lambda c: c.announces_plus, accepted=lambda c: c.can_bind),
    MechanismOffer("SCRAM-SHA-256", _scram),
    MechanismOffer("PLAIN", lambda connection: Plain()),
    MechanismOffer("LOGIN", lambda connection: LoginMechanism()),
)
"""In the order they are announced, the best first."""


class Mechanisms:
    """Which mechanisms a connection is offered, and exchanges by them. `verifiers` check credentials that are no passwords."""

    def __init__(
        self,
        login: Login,
        *,
        plaintext_login: bool = False,
        offers: Sequence[MechanismOffer] = MECHANISMS,
        verifiers: Verifiers | None = None,
    ) -> None:
        self._login = login
        self._plaintext_login = plaintext_login
        self._offers = tuple(offers)
        self._verifiers = verifiers or {}

    def is_current(self, identity: Identity) -> bool:
        """Is the password of this login still one of the account's?"""
        return self._login.is_current(identity)

    def plaintext_allowed(self, secure: bool) -> bool:
        """May a client authenticate on this connection at all (LOGIN, USER, AUTH)?"""
        return secure or self._plaintext_login

    def offered(self, connection: ConnectionInfo) -> tuple[str, ...]:
        """Names in the order to announce them; () where authentication is not possible yet."""
        if not self.plaintext_allowed(connection.secure):
            return ()
        return tuple(offer.name for offer in self._offers if offer.announced(connection))

    def start(self, name: str, connection: ConnectionInfo) -> Exchange | SaslFailure:
        """An exchange by the mechanism of that name (any case), or NO_MECHANISM or NEEDS_TLS."""
        if not self.plaintext_allowed(connection.secure):
            return SaslFailure.NEEDS_TLS
        name = name.upper()
        offer = next((offer for offer in self._offers if offer.name == name and offer.accepted(connection)), None)
        if offer is None:
            return SaslFailure.NO_MECHANISM
        return Exchange(offer.make(connection), name, self._login, connection, self._verifiers)

    async def authenticate(
        self, name: str, initial: bytes | None, connection: ConnectionInfo, channel: SaslChannel
    ) -> Identity | SaslFailure:
        """A whole exchange. `initial`: the initial response as it was sent, in base64 or "="; None for none. Raises PeerError."""
        exchange = self.start(name, connection)
        return exchange if isinstance(exchange, SaslFailure) else await exchange.run(initial, channel)
