"""How a lane is travelled: straight to the houses its domain names, or by way of a relay that takes our letters."""

from dataclasses import dataclass, field

from appliance.mail.address import Address


@dataclass(frozen=True, slots=True)
class Relay:
    """A smarthost of the settings. `security` is "tls" (from the start), "starttls" or "none"; `password` or `token` (XOAUTH2)
    sign `user` in, both "" where the relay knows us by our address."""

    name: str
    host: str
    port: int
    security: str
    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Way:
    """`relay` None: straight, by MX. `author`: the person's own address at the relay's provider; envelope sender and From are
    rewritten to it outside the house."""

    relay: Relay | None = None
    author: Address | None = None
