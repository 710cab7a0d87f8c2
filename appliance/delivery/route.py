"""How a destination is travelled: straight to the servers its domain names, or by way of a relay that takes our messages."""

from collections.abc import Callable
from dataclasses import dataclass

from appliance.mail.address import Address


@dataclass(frozen=True, slots=True)
class Secret:
    """What signs in: `read` gives the password or token of the moment and may raise SetupError; `token` is for XOAUTH2."""

    read: Callable[[], str]
    token: bool = False


@dataclass(frozen=True, slots=True)
class Relay:
    """A smarthost of the settings. `security` is "tls" (from the start), "starttls" or "none". `user` "" where the relay knows us
    by our address. `any_certificate`: it is not verified."""

    name: str
    host: str
    port: int
    security: str
    user: str = ""
    secret: Secret | None = None
    any_certificate: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """`relay` None: straight, by MX. `author`: the person's own address at the relay's provider; envelope sender and From are
    rewritten to it outside the server. `gone`: the destination was a relay's that is no longer set."""

    relay: Relay | None = None
    author: Address | None = None
    gone: bool = False
