"""Addresses at the server itself rather than at one of its domains: `user@[its IP address]` and `postmaster@its.host.name`.

RFC 1123 §5.2.17 and RFC 5321 §2.3.5, §4.1.3: a server recognises a domain literal for any of its own IP addresses. Every
local user can be reached so, never a catch-all. RFC 5321 §4.5.1: postmaster is reached at every name the server has; at the
host name no other local part is, since the host name is not a mail domain unless it is set up as one.
Own addresses are those of the network interfaces and the one this connection came in on; a public address in front of NAT is
unknown here.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from appliance.accounts.directory import Directory, Resolution
from appliance.mail.address import Address, parse_domain
from appliance.mail.errors import MisuseError
from appliance.network.addresses import dialled

IPV6_TAG = "ipv6:"


def no_addresses() -> Iterable[str]:
    return ()


@dataclass(frozen=True, slots=True)
class OwnNames:
    """`host_name` as in the greeting; `addresses` gives those of the interfaces as of now."""

    host_name: str
    addresses: Callable[[], Iterable[str]] = no_addresses

    def resolve(self, directory: Directory, address: Address, local_host: str) -> Resolution | None:
        """Where an address at the server itself leads; None when it is elsewhere. `local_host`: the connection's local address."""
        if address.domain.startswith("["):
            literal = _plain(address.domain[1:-1].removeprefix(IPV6_TAG))
            if not literal or (literal != _plain(local_host) and literal not in map(_plain, self.addresses())):
                return None
            return directory.resolve_here(address.local)
        try:
            own = parse_domain(self.host_name)
        except MisuseError:
            return None
        return directory.resolve_server_name(address.local) if address.domain == own else None


def _plain(text: str) -> str:
    """An address in the one form it is compared in; "" for what is none."""
    try:
        return dialled(text.partition("%")[0])
    except ValueError:
        return ""
