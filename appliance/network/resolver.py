"""Questions to the name service, behind one door: a small cache, several servers, the word "nobody answered" apart from "no".

Promise: an answer is what a name server said, kept no longer than its TTL; silence, SERVFAIL and the like are LookupTrouble, never
a "no" (RFC 5321 §5.1: a temporary error of the DNS is a wait). `secure` is the AD bit of a resolver that the settings or its
place on this machine's loopback make trustworthy (RFC 6840 §5.8), and only while the clock is right: signatures have dates.
A CNAME is followed as far as the answer holds it (RFC 1034 §3.6.2). Truncated answers are asked for again over TCP.
Names are asked for in A-labels of IDNA 2008 (RFC 5891 §5). dnspython is loaded with the first question.
Bounded: CACHED answers, the one used longest ago goes first.
"""

import ipaddress
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import trio

from appliance.mail.address import ascii_domain
from appliance.mail.clock import Clock
from appliance.mail.errors import LookupTrouble

if TYPE_CHECKING:
    import dns.message

T = TypeVar("T")
CACHED = 2000
LONGEST_S = 86_400.0
"""An answer is believed so long at most, whatever its TTL."""
LONGEST_NO_S = 900.0
"""RFC 2308 §5: a "no" is kept shorter; somebody may just be setting the name up."""
PATIENCE_S = (2.0, 5.0)
"""For one server, in the first round and in the second."""
AT_ONCE = 50
"""Questions under way."""
SERVERS = 8


class Found(Enum):
    YES = "there"
    NO_DATA = "the name exists, but has nothing of this kind"
    NO_NAME = "no such name"


@dataclass(frozen=True, slots=True)
class DnsAnswer(Generic[T]):
    """`values` in the order they came, () unless `found` is YES. `canonical`: the name they stand at, where CNAMEs led there from
    another one, else ""."""

    values: tuple[T, ...]
    found: Found
    secure: bool
    canonical: str = ""


@dataclass(frozen=True, slots=True)
class Mx:
    preference: int
    name: str
    """Lower case, without the last dot; "" for the root, which says that no mail is taken (RFC 7505)."""


@dataclass(frozen=True, slots=True)
class Srv:
    """RFC 2782; weights are for those who have several."""

    priority: int
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class Tlsa:
    """RFC 6698 §2.1."""

    usage: int
    selector: int
    matching: int
    data: bytes


def servers_of(resolv_conf: Path) -> tuple[tuple[str, int], ...]:
    """The name servers this machine uses, resolv.conf(5); this machine itself when it names none."""
    try:
        lines = resolv_conf.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    found = [words[1] for line in lines if (words := line.split())[:1] == ["nameserver"] and len(words) > 1]
    return tuple((address, 53) for address in found[:SERVERS]) or (("127.0.0.1", 53),)


class Resolver:
    """`servers`: addresses and ports, asked in order. `trusted`: their AD bit counts although they are not on the loopback."""

    def __init__(self, servers: Sequence[tuple[str, int]], clock: Clock, *, trusted: bool = False) -> None:
        self._servers = tuple(servers)[:SERVERS]
        self._clock = clock
        self._trusted = trusted or all(ipaddress.ip_address(host.partition("%")[0]).is_loopback for host, _ in self._servers)
        self._cache: OrderedDict[tuple[str, str], tuple[float, DnsAnswer[Any]]] = OrderedDict()
        self._room = trio.CapacityLimiter(AT_ONCE)

    async def mx(self, name: str) -> DnsAnswer[Mx]:
        """Raises LookupTrouble, like all of them."""
        return await self._ask(name, "MX", lambda one: Mx(one.preference, _plain(one.exchange)))

    async def a(self, name: str) -> DnsAnswer[str]:
        return await self._ask(name, "A", lambda one: str(one.address))

    async def aaaa(self, name: str) -> DnsAnswer[str]:
        return await self._ask(name, "AAAA", lambda one: str(one.address))

    async def txt(self, name: str) -> DnsAnswer[bytes]:
        """Each record's strings joined (RFC 7208 §3.3)."""
        return await self._ask(name, "TXT", lambda one: b"".join(one.strings))

    async def tlsa(self, name: str) -> DnsAnswer[Tlsa]:
        return await self._ask(name, "TLSA", lambda one: Tlsa(one.usage, one.selector, one.mtype, bytes(one.cert)))

    async def cname(self, name: str) -> DnsAnswer[str]:
        return await self._ask(name, "CNAME", lambda one: _plain(one.target))

    async def srv(self, name: str) -> DnsAnswer[Srv]:
        return await self._ask(name, "SRV", lambda one: Srv(one.priority, one.port, _plain(one.target)))

    async def ptr(self, address: str) -> DnsAnswer[str]:
        """The names of an address."""
        return await self._ask(ipaddress.ip_address(address).reverse_pointer, "PTR", lambda one: _plain(one.target))

    async def _ask(self, name: str, kind: str, read: Callable[[Any], T]) -> DnsAnswer[T]:
        try:
            key = (ascii_domain(name.lower().rstrip(".")), kind)
        except UnicodeError:
            raise LookupTrouble(f"{name!a} is no name that can be looked up") from None
        kept = self._cache.get(key)
        if kept is not None and kept[0] > self._clock.mono_s():
            self._cache.move_to_end(key)
            return kept[1]
        async with self._room:
            response = await self._question(*key)
        answer, ttl_s = self._read(response, read)
        self._cache[key] = (self._clock.mono_s() + ttl_s, answer)
        self._cache.move_to_end(key)
        while len(self._cache) > CACHED:
            self._cache.popitem(last=False)
        return answer

    async def _question(self, name: str, kind: str) -> "dns.message.Message":
        """The first answer of any server that is one."""
        import dns.asyncquery
        import dns.exception
        import dns.flags
        import dns.message
        import dns.name
        import dns.rcode

        try:
            query = dns.message.make_query(dns.name.from_text(name), kind, use_edns=0, want_dnssec=True, payload=1232)
        except (dns.exception.DNSException, UnicodeError):
            raise LookupTrouble(f"{name!a} is no name that can be looked up") from None
        query.flags |= dns.flags.AD
        said = "nobody answered"
        for patience_s in PATIENCE_S:
            for host, port in self._servers:
                query.id = random.SystemRandom().randrange(65_536)
                try:
                    response, _ = await dns.asyncquery.udp_with_fallback(query, host, timeout=patience_s, port=port, ignore_unexpected=True)
                except (dns.exception.DNSException, OSError, EOFError, trio.BrokenResourceError):
                    continue
                if response.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                    return response
                said = f"{host} said {dns.rcode.to_text(response.rcode())}"
        raise LookupTrouble(f"the name service gave no answer about {name}: {said}")

    def _read(self, response: "dns.message.Message", read: Callable[[Any], T]) -> tuple[DnsAnswer[T], float]:
        """The answer and how long it may be kept."""
        import dns.exception
        import dns.flags
        import dns.message
        import dns.rcode

        secure = bool(response.flags & dns.flags.AD) and self._trusted and self._clock.trusted()
        if not isinstance(response, dns.message.QueryMessage):
            raise LookupTrouble("the name service answered something else")
        try:
            chain = response.resolve_chaining()
        except dns.exception.DNSException as trouble:
            raise LookupTrouble(f"the answer of the name service makes no sense: {trouble}") from None
        if chain.answer is not None:
            canonical = _plain(chain.canonical_name) if chain.cnames else ""
            values = tuple(read(one) for one in chain.answer)
            return DnsAnswer(values, Found.YES, secure, canonical), min(float(chain.minimum_ttl), LONGEST_S)
        found = Found.NO_NAME if response.rcode() == dns.rcode.NXDOMAIN else Found.NO_DATA
        soa = any(rrset.rdtype == 6 for rrset in response.authority)
        return DnsAnswer((), found, secure), min(float(chain.minimum_ttl), LONGEST_NO_S) if soa else 0.0


@dataclass(frozen=True, slots=True)
class Addresses:
    """Of one name in A-labels, IPv6 first. `secure`: every answer that came was. `canonical` as in Answer."""

    name: str
    values: tuple[str, ...]
    secure: bool
    canonical: str


class AddressNames(Protocol):
    """Who answers about addresses: a Resolver."""

    async def a(self, name: str) -> DnsAnswer[str]: ...
    async def aaaa(self, name: str) -> DnsAnswer[str]: ...


async def addresses_of(names: AddressNames, name: str) -> Addresses:
    """The IPv6 and the IPv4 addresses of a name, asked for at once. One question without an answer takes nothing from what the other
    brought; raises LookupTrouble when neither brought an address and one had no answer: then nobody knows."""
    answers: dict[str, DnsAnswer[str]] = {}
    troubles: list[LookupTrouble] = []

    async def ask(kind: str, question: Callable[[str], Awaitable[DnsAnswer[str]]]) -> None:
        try:
            answers[kind] = await question(name)
        except LookupTrouble as trouble:
            troubles.append(trouble)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, "AAAA", names.aaaa)
        nursery.start_soon(ask, "A", names.a)
    came = [answers[kind] for kind in ("AAAA", "A") if kind in answers]
    values = tuple(value for answer in came for value in answer.values)
    if troubles and not values:
        raise troubles[0]
    canonical = next((answer.canonical for answer in came if answer.canonical), "")
    return Addresses(name, values, all(answer.secure for answer in came), canonical)


def _plain(name: Any) -> str:
    text: str = name.to_text(omit_final_dot=True)
    return "" if text == "." else text.lower()
