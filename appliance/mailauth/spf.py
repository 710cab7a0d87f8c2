"""What an SPF record lets an address do: check_host of RFC 7208 §4, for the records of our own domains.

| the record                                                        | answer                                   |
|-------------------------------------------------------------------|------------------------------------------|
| the first term that matches has no sign, or +                     | PASS                                     |
| it has -, ~ or ?; or none matches, and there is no redirect       | NO                                       |
| there is none                                                     | NONE                                     |
| one of its terms cannot be told here (macros, ptr), none matched  | UNSURE                                   |
| two of them, a term nobody knows, an include without a record     | MisuseError (permerror, §4.6, §5.2)      |
| more than LOOKUPS terms that ask, an mx with more names           | MisuseError (§4.6.4)                     |
| the name service is silent                                        | LookupTrouble                            |

Bounded: LOOKUPS terms, each at most LOOKUPS + 1 questions. Known gaps: macros are not written out, and empty answers not counted.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from appliance.mail.errors import MisuseError
from appliance.network.resolver import Resolver

LOOKUPS = 10
"""RFC 7208 §4.6.4: terms that ask, and names of one mx."""
_HOSTS = re.compile(r"(a|mx)(?::([^/]+))?(?:/(\d{1,3}))?(?://(\d{1,3}))?", re.IGNORECASE)
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9._-]*)=(.*)")


class SpfResult(Enum):
    PASS = "may send"  # noqa: S105 - no password
    NO = "may not send"
    NONE = "no record"
    UNSURE = "cannot be told here"


@dataclass(frozen=True, slots=True)
class SpfTerm:
    """One mechanism. `name` "" for the domain itself; `bits` of IPv4 and of IPv6, None for a single address."""

    sign: str
    word: str
    name: str = ""
    bits: tuple[int | None, int | None] = (None, None)
    network: IPv4Network | IPv6Network | None = None


def spf_texts(values: Iterable[bytes]) -> list[str]:
    """The SPF records among TXT records (RFC 7208 §4.5)."""
    texts = (value.decode("ascii", "replace") for value in values)
    return [text for text in texts if text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")]


def parse_spf(text: str) -> tuple[tuple[SpfTerm, ...], str]:
    """The terms and where `redirect` leads, "" without one. Raises MisuseError (RFC 7208 §4.6.1, §12)."""
    terms: list[SpfTerm] = []
    modifiers: dict[str, str] = {}
    for word in text.split()[1:]:
        if found := _MODIFIER.fullmatch(word):
            name = found[1].lower()
            if name in ("redirect", "exp") and (name in modifiers or not found[2]):
                raise MisuseError(f"{name}= is empty or stands twice")
            modifiers[name] = found[2]
            continue
        terms.append(_term(word))
    return tuple(terms), modifiers.get("redirect", "")


def _term(written: str) -> SpfTerm:
    sign, rest = (written[0], written[1:]) if written[0] in "+-~?" else ("+", written)
    word, colon, value = rest.partition(":")
    word = word.lower()
    if rest.lower() in ("all", "ptr") or (word in ("include", "exists", "ptr") and value):
        return SpfTerm(sign, word, value.lower().rstrip("."))
    if word in ("ip4", "ip6") and colon:
        try:
            network = ip_network(value, strict=False)
        except ValueError:
            raise MisuseError(f"{rest} is no address") from None
        if network.version == int(word[2]):
            return SpfTerm(sign, word, network=network)
    elif found := _HOSTS.fullmatch(rest):
        four, six = (int(bits) if bits else None for bits in found.groups()[2:])
        if (four or 0) <= 32 and (six or 0) <= 128:
            return SpfTerm(sign, found[1].lower(), (found[2] or "").lower().rstrip("."), (four, six))
    raise MisuseError(f"nobody understands {written}")


class Spf:
    """One evaluation, with its budget of questions. `seen`: the domains whose records were read on the way."""

    def __init__(self, names: Resolver) -> None:
        self._names = names
        self._left = LOOKUPS
        self._unsure = False
        self.seen: set[str] = set()

    async def ask(self, domain: str, address: str) -> SpfResult:
        """May the address send for the domain? Raises MisuseError, LookupTrouble."""
        says = await self._record(domain, address)
        return SpfResult.UNSURE if self._unsure and says is SpfResult.NO else says

    async def _record(self, domain: str, address: str) -> SpfResult:
        texts = spf_texts((await self._names.txt(domain)).values)
        if not texts:
            return SpfResult.NONE
        self.seen.add(domain)
        if len(texts) > 1:
            raise MisuseError(f"{domain} has several SPF records")
        terms, redirect = parse_spf(texts[0])
        for term in terms:
            if await self._fits(term, domain, address):
                return SpfResult.PASS if term.sign == "+" else SpfResult.NO
        if not redirect or any(term.word == "all" for term in terms):
            return SpfResult.NO
        return await self._other(redirect.lower().rstrip("."), address)

    async def _other(self, domain: str, address: str) -> SpfResult:
        """The record of include or redirect, which must be there (RFC 7208 §5.2, §6.1)."""
        self._spend()
        if "%" in domain:
            self._unsure = True
            return SpfResult.NO
        says = await self._record(domain, address)
        if says is SpfResult.NONE:
            raise MisuseError(f"{domain}, which it names, has no SPF record")
        return says

    def _spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise MisuseError(f"it takes more than {LOOKUPS} questions to the name service")

    async def _fits(self, term: SpfTerm, domain: str, address: str) -> bool:
        if term.word == "all":
            return True
        if term.network is not None:
            return ip_address(address) in term.network
        if term.word == "include":
            return await self._other(term.name, address) is SpfResult.PASS
        self._spend()
        if "%" in term.name or term.word == "ptr":
            self._unsure = True
            return False
        name = term.name or domain
        if term.word == "exists":
            return bool((await self._names.a(name)).values)
        if term.word == "a":
            return await self._is_at(name, term, address)
        hosts = [one.name for one in (await self._names.mx(name)).values if one.name]
        if len(hosts) > LOOKUPS:
            raise MisuseError(f"{name} has more than {LOOKUPS} MX records")
        for host in hosts:
            if await self._is_at(host, term, address):
                return True
        return False

    async def _is_at(self, host: str, term: SpfTerm, address: str) -> bool:
        six = ":" in address
        bits = term.bits[six]
        for there in (await (self._names.aaaa if six else self._names.a)(host)).values:
            if ip_address(address) in ip_network(there if bits is None else f"{there}/{bits}", strict=False):
                return True
        return False
