"""Who may ask what: names this server answers to, clients that are near, accounts that administrate. Asked here and nowhere else.

DNS rebinding: a page elsewhere gives its own name the address of this server, and a browser then lets its scripts read what they
find. The Host field gives it away, so only names that nobody else can point here are answered (RFC 9110 §7.2).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING

from appliance.mail.ids import AccountId

from .message import HttpRequest

if TYPE_CHECKING:
    from appliance.accounts.web_sessions import WebSession

DOMAIN_NAMES = ("autoconfig", "autodiscover", "mta-sts")
"""Names below each domain of the server that programs look for."""
FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""Fields of a proxy: whoever asks through one is not near, however near the proxy is."""
HOME_PREFIX = 64
"""A home's IPv6 network: its devices have public addresses, with these bits in common."""


@dataclass(frozen=True, slots=True)
class Names:
    """What the server is called, looked up at each request: it changes with domains, network and DHCP."""

    host_name: Callable[[], str]
    """The server's mail host name."""
    machine: Callable[[], str]
    """The machine's own name, with or without a domain."""
    search_domains: Callable[[], Sequence[str]]
    """Domains that DHCP said, which devices of this network add to a short name."""
    domains: Callable[[], Sequence[str]]


def answers_to(names: Names, request: HttpRequest) -> bool:
    """Is the request for this server?"""
    name = request.host.name
    if request.host.is_address:
        return _same_address(name, request.local) or _is_loopback(name)
    if name == "localhost":
        return True
    machine = names.machine().lower()
    short = machine.partition(".")[0]
    if re.fullmatch(re.escape(short) + r"(?:-[0-9]{1,3})?(?:\.local)?", name):  # mDNS adds a number to a name in use (RFC 6762 §9)
        return True
    known = {machine, names.host_name().lower(), *(f"{short}.{domain.lower()}" for domain in names.search_domains())}
    for domain in names.domains():
        known |= {domain, *(f"{one}.{domain}" for one in DOMAIN_NAMES)}
    return name in known


def is_nearby(request: HttpRequest) -> bool:
    """Does the client have a private address, or one of the network this server is in, and come directly?"""
    if any(field in request.fields for field in FORWARDED):
        return False
    peer, local = _address(request.peer), _address(request.local)
    if peer is None:
        return False
    if not peer.is_global:
        return peer.is_private or peer.is_link_local or peer.is_loopback
    if isinstance(peer, IPv6Address) and isinstance(local, IPv6Address):
        return peer in IPv6Network((int(local) >> (128 - HOME_PREFIX) << (128 - HOME_PREFIX), HOME_PREFIX))
    return False


def may_administrate(session: "WebSession | None", is_admin: Callable[[AccountId], bool]) -> bool:
    """May this session administrate? The one place that decides it; pages show what it allows, the site enforces it."""
    return session is not None and is_admin(session.account)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _same_address(one: str, other: str) -> bool:
    first = _address(one)
    return first is not None and first == _address(other)


def _is_loopback(text: str) -> bool:
    found = _address(text)
    return found is not None and found.is_loopback
