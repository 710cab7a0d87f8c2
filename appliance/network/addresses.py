"""IP addresses as text: which family they are dialled in, and where they lead in the end.

An IPv6 address may hold an IPv4 one and lead to it: mapped (RFC 4291 §2.5.5.2), compatible (§2.5.5.1), translated (RFC 6052,
RFC 8215) and 6to4 (RFC 3056) addresses are judged as the IPv4 address inside. The unspecified addresses lead to this machine. Pure.
"""

import ipaddress

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
_HOLDING = tuple(
    (ipaddress.IPv6Network(network), shift)
    for network, shift in (("::ffff:0:0/96", 0), ("::ffff:0:0:0/96", 0), ("64:ff9b::/96", 0), ("64:ff9b:1::/48", 0), ("2002::/16", 80))
)
"""Networks of IPv6 whose addresses hold an IPv4 one, and how many bits stand behind it."""
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
    """The address that counts when it is asked where this one leads. Raises ValueError."""
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv4Address):
        return parsed
    for network, shift in _HOLDING:
        if parsed in network:
            return ipaddress.IPv4Address(int(parsed) >> shift & 0xFFFFFFFF)
    if 1 < int(parsed) < 1 << 32:  # compatible; :: and ::1 are not
        return ipaddress.IPv4Address(int(parsed))
    return parsed


def is_unspecified(address: str) -> bool:
    """Does it name no host, so that the kernel goes to this machine?"""
    parsed = judged(address)
    return parsed.is_unspecified or parsed in _THIS_NETWORK


def is_public(address: str) -> bool:
    """Could somebody else's server be there?"""
    parsed = judged(address)
    return parsed.is_global and not parsed.is_multicast


def answers(host: str, address: str) -> bool:
    """Does a listener bound to `host` (an address, or an unspecified one for all of its family) answer at this loopback address, or is
    it bound to exactly this one?"""
    bound, asked = ipaddress.ip_address(host), judged(address)
    if bound.is_unspecified:  # a socket at :: may take IPv4 as well
        return asked.is_loopback and (bound.version == 6 or asked.version == 4)
    return judged(host) == asked
