"""IP addresses as text: family, canonical form, and whether they are public.

An IPv6 address may embed an IPv4 one and lead to it: mapped (RFC 4291 §2.5.5.2), compatible (§2.5.5.1), translated (RFC 6052,
RFC 8215) and 6to4 (RFC 3056) addresses are judged as the IPv4 address inside. The unspecified addresses lead to this host. Pure.
"""

import ipaddress

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
_EMBEDDING = tuple(
    (ipaddress.IPv6Network(network), shift)
    for network, shift in (("::ffff:0:0/96", 0), ("::ffff:0:0:0/96", 0), ("64:ff9b::/96", 0), ("64:ff9b:1::/48", 0), ("2002::/16", 80))
)
"""IPv6 networks whose addresses embed an IPv4 one, and how many bits follow it."""
_THIS_NETWORK = ipaddress.IPv4Network("0.0.0.0/8")


def family_of(address: str) -> int:
    """4 or 6."""
    return 6 if ":" in address else 4


def other_family(family: int) -> int:
    return 4 if family == 6 else 6


def dialled(address: str) -> str:
    """The address in the form it is dialled and compared in: mapped ones as IPv4. Raises ValueError."""
    parsed = ipaddress.ip_address(address)
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def judged(address: str) -> Ip:
    """The address that decides where this one leads: an embedded IPv4 address, or itself. Raises ValueError."""
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv4Address):
        return parsed
    for network, shift in _EMBEDDING:
        if parsed in network:
            return ipaddress.IPv4Address(int(parsed) >> shift & 0xFFFFFFFF)
    if 1 < int(parsed) < 1 << 32:  # compatible; :: and ::1 are not
        return ipaddress.IPv4Address(int(parsed))
    return parsed


def is_unspecified(address: str) -> bool:
    """Is it an unspecified address, so that the kernel connects to this host?"""
    parsed = judged(address)
    return parsed.is_unspecified or parsed in _THIS_NETWORK


def is_public(address: str) -> bool:
    """Could another server on the Internet have it?"""
    parsed = judged(address)
    return parsed.is_global and not parsed.is_multicast and not getattr(parsed, "is_site_local", False)


def answers(host: str, address: str) -> bool:
    """Does a listener bound to `host` (an address, or an unspecified one for all of its family) answer at this loopback address, or is
    it bound to exactly this one?"""
    bound, target = ipaddress.ip_address(host), judged(address)
    if bound.is_unspecified:  # a socket at :: may take IPv4 as well
        return target.is_loopback and (bound.version == 6 or target.version == 4)
    return judged(host) == target
