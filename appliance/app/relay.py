"""A [[relay]] of the settings as the rule that routing uses; its secret is read from its file at each sign-in."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.delivery.route import Relay, Secret
from appliance.mail.address import ascii_domain, parse_address
from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence
from appliance.outbound.routing import RelayRule

if TYPE_CHECKING:
    from appliance.config.settings import RelaySettings

RELAY_PORTS = {"tls": 465, "starttls": 587, "none": 25}
"""The standard port of each `security`."""
LONGEST_SECRET = 8192
"""Octets of a password or access token that are read."""


def relay_rule(one: "RelaySettings") -> RelayRule:
    """A relay of the settings; its secret is read each time, so that a new token needs no restart."""
    file = one.password_file or one.token_file

    def from_file() -> str:
        try:
            with Path(file).open("rb") as given:
                return given.readline(LONGEST_SECRET).rstrip(b"\r\n").decode()
        except (OSError, UnicodeDecodeError) as error:
            raise SetupError(
                Sentence("The password file %(file)s of the relay %(name)s cannot be read.", file=file, name=one.name),
                "Check its name and permissions.",
            ) from error

    read: Callable[[], str] = from_file if file else lambda: one.password
    secret = Secret(read, token=bool(one.token_file)) if one.user else None
    port = one.port or RELAY_PORTS[one.security]
    relay = Relay(one.name, one.host, port, one.security, one.user, secret, one.any_certificate)
    domains = tuple(f".{ascii_domain(name[1:])}" if name[0] == "." else ascii_domain(name) for name in map(str.lower, one.domains))
    return RelayRule(relay, domains, one.account, parse_address(one.address) if one.address else None)
