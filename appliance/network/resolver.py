"""The DNS resolver: a small cache, several servers, and temporary failures kept apart from negative answers.

Invariant: an answer is what a name server sent, kept no longer than its TTL; silence, SERVFAIL and the like are LookupTrouble, never
a negative answer (RFC 5321 §5.1: a temporary DNS error means retry). `secure` is the AD bit of a resolver that the settings or its
place on the loopback interface make trustworthy (RFC 6840 §5.8), and only while the clock is right: signatures have dates.
A server that knows no EDNS says FORMERR and is queried again without it (RFC 6891 §6.2.2, §7); such an answer is never `secure`:
signatures are asked for in EDNS. Nothing is remembered of that: whoever forges one FORMERR changes one answer.
A CNAME is followed as far as the answer holds it (RFC 1034 §3.6.2). Truncated answers are queried again over TCP.
Names are queried in A-labels of IDNA 2008 (RFC 5891 §5). dnspython is loaded with the first query.
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
"""The longest an answer is cached, whatever its TTL."""
LONGEST_NEGATIVE_S = 900.0
"""RFC 2308 §5: a negative answer is cached shorter; the name may just be being set up."""
PATIENCE_S = (2.0, 5.0)
"""For one server, in the first round and in the second."""
AT_ONCE = 50
"""Queries in flight."""
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
    """Lower case, without the last dot; "" for the root, a null MX: no mail is accepted (RFC 7505)."""


@dataclass(frozen=True, slots=True)
class Srv:
    """RFC 2782; weights are not used."""

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
    """The name servers this host uses, resolv.conf(5); the host itself when it names none."""
    try:
        lines = resolv_conf.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    found = [words[1] for line in lines if (words := line.split())[:1] == ["nameserver"] and len(words) > 1]
    return tuple((address, 53) for address in found[:SERVERS]) or (("127.0.0.1", 53),)


class Resolver:
    """`servers`: addresses and ports, queried in order. `trusted`: their AD bit counts although they are not on the loopback.
    `patience_s`: seconds for one server in each round. `cached`: answers kept at most."""

    def __init__(
        self,
        servers: Sequence[tuple[str, int]],
        clock: Clock,
        *,
        trusted: bool = False,
        patience_s: Sequence[float] = PATIENCE_S,
        cached: int = CACHED,
    ) -> None:
        self._servers = tuple(servers)[:SERVERS]
        self._clock = clock
        self._patience_s = patience_s
        self._cached = cached
        self._trusted = trusted or all(ipaddress.ip_address(host.partition("%")[0]).is_loopback for host, _ in self._servers)
        self._cache: OrderedDict[tuple[str, str], tuple[float, DnsAnswer[Any]]] = OrderedDict()
        self._limit = trio.CapacityLimiter(AT_ONCE)

    async def mx(self, name: str) -> DnsAnswer[Mx]:
        """Raises LookupTrouble, like all of them."""
        return await self._look_up(name, "MX", lambda one: Mx(one.preference, _plain(one.exchange)))

    async def a(self, name: str) -> DnsAnswer[str]:
        return await self._look_up(name, "A", lambda one: str(one.address))

    async def aaaa(self, name: str) -> DnsAnswer[str]:
        return await self._look_up(name, "AAAA", lambda one: str(one.address))

    async def txt(self, name: str) -> DnsAnswer[bytes]:
        """Each record's strings joined (RFC 7208 §3.3)."""
        return await self._look_up(name, "TXT", lambda one: b"".join(one.strings))

    async def tlsa(self, name: str) -> DnsAnswer[Tlsa]:
        return await self._look_up(name, "TLSA", lambda one: Tlsa(one.usage, one.selector, one.mtype, bytes(one.cert)))

    async def cname(self, name: str) -> DnsAnswer[str]:
        return await self._look_up(name, "CNAME", lambda one: _plain(one.target))

    async def srv(self, name: str) -> DnsAnswer[Srv]:
        return await self._look_up(name, "SRV", lambda one: Srv(one.priority, one.port, _plain(one.target)))

    async def ptr(self, address: str) -> DnsAnswer[str]:
        """The names of an address."""
        return await self._look_up(ipaddress.ip_address(address).reverse_pointer, "PTR", lambda one: _plain(one.target))

    async def _look_up(self, name: str, kind: str, read: Callable[[Any], T]) -> DnsAnswer[T]:
        try:
            key = (ascii_domain(name.lower().rstrip(".")), kind)
        except UnicodeError:
            raise LookupTrouble(f"{name!a} is not a name that can be looked up") from None
        kept = self._cache.get(key)
        if kept is not None and kept[0] > self._clock.mono_s():
            self._cache.move_to_end(key)
            return kept[1]
        async with self._limit:
            response = await self._query(*key)
        answer, ttl_s = self._read(response, read)
        self._cache[key] = (self._clock.mono_s() + ttl_s, answer)
        self._cache.move_to_end(key)
        while len(self._cache) > self._cached:
            self._cache.popitem(last=False)
        return answer

    async def _query(self, name: str, kind: str) -> "dns.message.Message":
        """The first usable response of any server."""
        import dns.exception
        import dns.flags
        import dns.message
        import dns.name
        import dns.rcode

        try:
            query = dns.message.make_query(dns.name.from_text(name), kind, use_edns=0, want_dnssec=True, payload=1232)
        except (dns.exception.DNSException, UnicodeError):
            raise LookupTrouble(f"{name!a} is not a name that can be looked up") from None
        query.flags |= dns.flags.AD
        failure = "no server answered"
        for patience_s in self._patience_s:
            for host, port in self._servers:
                response = await _response(query, host, port, patience_s)
                if response is not None and response.rcode() == dns.rcode.FORMERR:
                    plain = dns.message.make_query(query.question[0].name, kind, use_edns=False)
                    response = await _response(plain, host, port, patience_s)
                    if response is not None:
                        response.flags &= ~dns.flags.AD
                if response is None:
                    continue
                if response.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                    return response
                failure = f"{host} answered {dns.rcode.to_text(response.rcode())}"
        raise LookupTrouble(f"no DNS answer for {name}: {failure}")

    def _read(self, response: "dns.message.Message", read: Callable[[Any], T]) -> tuple[DnsAnswer[T], float]:
        """The answer and how long it may be cached."""
        import dns.exception
        import dns.flags
        import dns.message
        import dns.rcode

        secure = bool(response.flags & dns.flags.AD) and self._trusted and self._clock.trusted()
        if not isinstance(response, dns.message.QueryMessage):
            raise LookupTrouble("the DNS answer is to another query")
        try:
            chain = response.resolve_chaining()
        except dns.exception.DNSException as trouble:
            raise LookupTrouble(f"the DNS answer is malformed: {trouble}") from None
        if chain.answer is not None:
            canonical = _plain(chain.canonical_name) if chain.cnames else ""
            values = tuple(read(one) for one in chain.answer)
            return DnsAnswer(values, Found.YES, secure, canonical), min(float(chain.minimum_ttl), LONGEST_S)
        found = Found.NO_NAME if response.rcode() == dns.rcode.NXDOMAIN else Found.NO_DATA
        soa = any(rrset.rdtype == 6 for rrset in response.authority)
        return DnsAnswer((), found, secure), min(float(chain.minimum_ttl), LONGEST_NEGATIVE_S) if soa else 0.0


async def _response(query: "dns.message.Message", host: str, port: int, patience_s: float) -> "dns.message.Message | None":
    """One server's response to one query; None for none."""
    import dns.asyncquery
    import dns.exception

    query.id = random.SystemRandom().randrange(65_536)
    try:
        return (await dns.asyncquery.udp_with_fallback(query, host, timeout=patience_s, port=port, ignore_unexpected=True))[0]
    except (dns.exception.DNSException, OSError, EOFError, trio.BrokenResourceError):
        return None


@dataclass(frozen=True, slots=True)
class Addresses:
    """Of one name in A-labels, IPv6 first. `secure`: every answer that came was. `canonical` as in DnsAnswer."""

    name: str
    values: tuple[str, ...]
    secure: bool
    canonical: str


class AddressNames(Protocol):
    """The port for address look-ups: a Resolver."""

    async def a(self, name: str) -> DnsAnswer[str]: ...
    async def aaaa(self, name: str) -> DnsAnswer[str]: ...


async def addresses_of(names: AddressNames, name: str) -> Addresses:
    """The IPv6 and the IPv4 addresses of a name, queried at once. One failed query takes nothing from what the other
    found; raises LookupTrouble when no address was found and a query failed."""
    answers: dict[str, DnsAnswer[str]] = {}
    troubles: list[LookupTrouble] = []

    async def ask(kind: str, query: Callable[[str], Awaitable[DnsAnswer[str]]]) -> None:
        try:
            answers[kind] = await query(name)
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
