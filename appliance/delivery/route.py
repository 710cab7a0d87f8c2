"""The route to a destination: directly to the MX hosts of its domain, or through a relay (smarthost); and the ports to find it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from appliance.mail.address import Address

LOCAL = "."
"""The destination of local delivery."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A relay's credential: `read` gives the current password or token and may raise SetupError; `token` is for XOAUTH2."""

    read: Callable[[], str]
    token: bool = False


@dataclass(frozen=True, slots=True)
class Relay:
    """A smarthost of the settings. `security` is "tls" (implicit TLS), "starttls" or "none". `user` is "" where the relay needs no
    sign-in. `any_certificate`: its certificate is not verified."""

    name: str
    host: str
    port: int
    security: str
    user: str = ""
    secret: Secret | None = None
    any_certificate: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """`relay` None: directly, by MX. `author`: the account's own address at the relay's provider, to which envelope sender and From are
    rewritten. `gone`: the destination is a relay that is not in the settings any more."""

    relay: Relay | None = None
    author: Address | None = None
    gone: bool = False


class DestinationFinder(Protocol):
    """Finds where a recipient queues: `outbound/routing`."""

    def destination(self, sender: Address | None, domain: str) -> str | None:
        """The destination of messages from `sender` to the A-label domain or address literal; None without a route."""
        ...
