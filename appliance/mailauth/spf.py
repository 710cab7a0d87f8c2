"""SPF evaluation: check_host of RFC 7208 §4, for the records of the server's own domains; DNS behind a port.

| the record                                                        | result                                   |
|-------------------------------------------------------------------|------------------------------------------|
| the first matching mechanism has the qualifier + or none          | PASS                                     |
| it has -, ~ or ?; or none matches, and there is no redirect       | NO                                       |
| there is none                                                     | NONE                                     |
| a mechanism is not evaluated here (macros, ptr), none matched     | UNSURE                                   |
| two records, an unknown mechanism, an include without a record    | MisuseError (permerror, §4.6, §5.2)      |
| more than LOOKUPS terms that query the DNS, an mx with more names | MisuseError (§4.6.4)                     |
| the DNS does not answer                                           | LookupTrouble (temperror)                |

Bounded: LOOKUPS terms, each at most LOOKUPS + 1 queries. Known gaps: macros are not expanded, and void lookups (§4.6.4) not counted.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Protocol, TypeVar

from appliance.mail.errors import MisuseError

LOOKUPS = 10
"""RFC 7208 §4.6.4: terms that query the DNS, and names of one mx."""
_HOSTS = re.compile(r"(a|mx)(?::([^/]+))?(?:/(\d{1,3}))?(?://(\d{1,3}))?", re.IGNORECASE)
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9._-]*)=(.*)")


class SpfResult(Enum):
    PASS = "may send"  # noqa: S105 - no password
    NO = "may not send"
    NONE = "no record"
    UNSURE = "not evaluated here"


T_co = TypeVar("T_co", covariant=True)


class Records(Protocol[T_co]):
    """The answer to one query; empty for NXDOMAIN and no data alike."""

    @property
    def values(self) -> tuple[T_co, ...]: ...


class MailExchange(Protocol):
    """One MX record; "" as the name is the null MX (RFC 7505)."""

    @property
    def name(self) -> str: ...


class SpfDns(Protocol):
    """The DNS as SPF queries it; each method raises LookupTrouble where no usable answer came. `network.resolver` has it."""

    async def txt(self, name: str) -> Records[bytes]: ...
    async def a(self, name: str) -> Records[str]: ...
    async def aaaa(self, name: str) -> Records[str]: ...
    async def mx(self, name: str) -> Records[MailExchange]: ...


@dataclass(frozen=True, slots=True)
class SpfTerm:
    """One mechanism and its qualifier. `name` "" for the domain itself; `bits`: prefix lengths of IPv4 and IPv6, None for one address."""

    qualifier: str
    mechanism: str
    name: str = ""
    bits: tuple[int | None, int | None] = (None, None)
    network: IPv4Network | IPv6Network | None = None


def spf_texts(values: Iterable[bytes]) -> list[str]:
    """The SPF records among TXT records (RFC 7208 §4.5)."""
    texts = (value.decode("ascii", "replace") for value in values)
    return [text for text in texts if text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")]


def parse_spf(text: str) -> tuple[tuple[SpfTerm, ...], str]:
    """The mechanisms, and the domain of `redirect`, "" without one. Raises MisuseError (RFC 7208 §4.6.1, §12)."""
    terms: list[SpfTerm] = []
    modifiers: dict[str, str] = {}
    for word in text.split()[1:]:
        if found := _MODIFIER.fullmatch(word):
            name = found[1].lower()
            if name in ("redirect", "exp") and (name in modifiers or not found[2]):
                raise MisuseError(f"{name}= is empty or appears twice")
            modifiers[name] = found[2]
            continue
        terms.append(_term(word))
    return tuple(terms), modifiers.get("redirect", "")


def _term(written: str) -> SpfTerm:
    qualifier, rest = (written[0], written[1:]) if written[0] in "+-~?" else ("+", written)
    mechanism, colon, value = rest.partition(":")
    mechanism = mechanism.lower()
    if rest.lower() in ("all", "ptr") or (mechanism in ("include", "exists", "ptr") and value):
        return SpfTerm(qualifier, mechanism, value.lower().rstrip("."))
    if mechanism in ("ip4", "ip6") and colon:
        try:
            network = ip_network(value, strict=False)
        except ValueError:
            raise MisuseError(f"{rest} is not an address") from None
        if network.version == int(mechanism[2]):
            return SpfTerm(qualifier, mechanism, network=network)
    elif found := _HOSTS.fullmatch(rest):
        four, six = (int(bits) if bits else None for bits in found.groups()[2:])
        if (four or 0) <= 32 and (six or 0) <= 128:
            return SpfTerm(qualifier, found[1].lower(), (found[2] or "").lower().rstrip("."), (four, six))
    raise MisuseError(f"{written} is not an SPF mechanism")


class Spf:
    """One evaluation, with its limit of DNS queries. `seen`: the domains whose records were evaluated."""

    def __init__(self, dns: SpfDns) -> None:
        self._dns = dns
        self._left = LOOKUPS
        self._unsure = False
        self.seen: set[str] = set()

    async def check_host(self, domain: str, address: str) -> SpfResult:
        """May the address send for the domain (RFC 7208 §4)? Raises MisuseError, LookupTrouble."""
        result = await self._evaluate(domain, address)
        return SpfResult.UNSURE if self._unsure and result is SpfResult.NO else result

    async def _evaluate(self, domain: str, address: str) -> SpfResult:
        texts = spf_texts((await self._dns.txt(domain)).values)
        if not texts:
            return SpfResult.NONE
        self.seen.add(domain)
        if len(texts) > 1:
            raise MisuseError(f"{domain} has several SPF records")
        terms, redirect = parse_spf(texts[0])
        for term in terms:
            if await self._matches(term, domain, address):
                return SpfResult.PASS if term.qualifier == "+" else SpfResult.NO
        if not redirect or any(term.mechanism == "all" for term in terms):
            return SpfResult.NO
        return await self._evaluate_other(redirect.lower().rstrip("."), address)

    async def _evaluate_other(self, domain: str, address: str) -> SpfResult:
        """The record of an include or redirect, which must exist (RFC 7208 §5.2, §6.1)."""
        self._count_lookup()
        if "%" in domain:
            self._unsure = True
            return SpfResult.NO
        result = await self._evaluate(domain, address)
        if result is SpfResult.NONE:
            raise MisuseError(f"{domain}, which it names, has no SPF record")
        return result

    def _count_lookup(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise MisuseError(f"it needs more than {LOOKUPS} DNS lookups")

    async def _matches(self, term: SpfTerm, domain: str, address: str) -> bool:
        if term.mechanism == "all":
            return True
        if term.network is not None:
            return ip_address(address) in term.network
        if term.mechanism == "include":
            return await self._evaluate_other(term.name, address) is SpfResult.PASS
        self._count_lookup()
        if "%" in term.name or term.mechanism == "ptr":
            self._unsure = True
            return False
        name = term.name or domain
        if term.mechanism == "exists":
            return bool((await self._dns.a(name)).values)
        if term.mechanism == "a":
            return await self._has_address(name, term, address)
        hosts = [one.name for one in (await self._dns.mx(name)).values if one.name]
        if len(hosts) > LOOKUPS:
            raise MisuseError(f"{name} has more than {LOOKUPS} MX records")
        for host in hosts:
            if await self._has_address(host, term, address):
                return True
        return False

    async def _has_address(self, host: str, term: SpfTerm, address: str) -> bool:
        six = ":" in address
        bits = term.bits[six]
        for there in (await (self._dns.aaaa if six else self._dns.a)(host)).values:
            if ip_address(address) in ip_network(there if bits is None else f"{there}/{bits}", strict=False):
                return True
        return False
