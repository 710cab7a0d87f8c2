"""MX lookup: which hosts accept a domain's mail, in the order to try them (RFC 5321 §5.1).

| the domain                                   | answer                                                                        |
|----------------------------------------------|-------------------------------------------------------------------------------|
| an address literal                           | that address                                                                  |
| has MX records                               | their hosts by preference, equals in random order, addresses of each          |
| has one MX record of preference 0 and "."    | 5.1.10: null MX, it accepts no mail (RFC 7505 §3)                             |
| has no MX but an address                     | itself (implicit MX)                                                          |
| does not exist                               | 5.1.2                                                                         |
| names this server                            | the hosts before it; 5.4.6 when there are none: a mail loop                    |
| names an address and port of ours, or :: or 0.0.0.0 | the other hosts; 5.4.6 when there are none                             |
| names only private addresses                 | 5.4.4, unless the settings allow private addresses (a poisoned MX; a LAN)     |
| DNS silent or failing                        | 4.4.3: deferred, never bounced                                                |
| one of AAAA and A has no answer              | the addresses of the other; none there: 4.4.3                                 |
| (a relay) names a listener of ours           | 4.4.4: deferred, the settings have to change                                  |

IPv6 addresses come first and are left out for V6_REST_S after one could not be reached while an IPv4 address could. An address family
a host refused while it accepted the other is left out for that host for REFUSED_REST_S (`refused`).
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Protocol

from appliance.mail.address import ascii_domain
from appliance.mail.clock import Clock
from appliance.mail.errors import LookupTrouble
from appliance.mail.outcome import DsnAction, Outcome, Reason
from appliance.mail.sentence import Sentence
from appliance.network.addresses import answers, dialled, family_of, is_public, is_unspecified, judged
from appliance.network.resolver import Addresses, DnsAnswer, Found, Mx, addresses_of

HOSTS = 10
"""Hosts of one domain whose addresses are looked up (RFC 5321 §5.1 requires at least two)."""
ADDRESSES = 8
"""Addresses of one host that are tried."""
V6_REST_S = 1800.0
REFUSED_REST_S = 6 * 3600.0
"""Long enough that a queue's retries do not meet the refusal each time; a corrected reverse name is noticed the same day."""
REMEMBERED = 1000
"""Hosts whose refusals are remembered."""


class MxResolver(Protocol):
    """`network.resolver.Resolver`."""

    async def mx(self, name: str) -> DnsAnswer[Mx]: ...
    async def a(self, name: str) -> DnsAnswer[str]: ...
    async def aaaa(self, name: str) -> DnsAnswer[str]: ...
    async def cname(self, name: str) -> DnsAnswer[str]: ...


@dataclass(frozen=True, slots=True)
class MailHost:
    """`secure`: the MX answer and the answers with this host's addresses were all DNSSEC-validated (RFC 7672 §2.2.1). `expanded`: the
    name at the end of its CNAMEs, when it has some and all are secure. `alias`: it is not secure, but its first CNAME is (§2.2.2)."""

    name: str
    preference: int
    addresses: tuple[str, ...]
    secure: bool = False
    expanded: str = ""
    alias: bool = False


class AddressKind(Enum):
    """What an address found for a domain is to this server."""

    REMOTE = "another host's, as far as can be seen"
    OWN = "an address of this machine"
    LOOP = "unspecified, loopback, or where a listener of this server answers"
    PRIVATE = "not reachable from the internet"


def _no(status: str, reason: Reason, text: str) -> Outcome:
    return Outcome(DsnAction.DEFERRED if status[0] == "4" else DsnAction.FAILED, status, reason, text)


def _loop(domain: str) -> str:
    return Sentence("The route to %(domain)s leads back to this server.", domain=domain)


@dataclass(frozen=True, slots=True)
class OwnHost:
    """What this server is known by, asked at each lookup: its names, its addresses, and where its listeners answer (address, port)."""

    names: Callable[[], Iterable[str]] = tuple
    addresses: Callable[[], Iterable[str]] = tuple
    listening: Callable[[], Iterable[tuple[str, int]]] = tuple


class MailHosts:
    """MX lookups that never lead back to this server. `port`: the port mail is sent to; `private` allows private addresses."""

    def __init__(
        self,
        resolver: MxResolver,
        clock: Clock,
        own: OwnHost,
        *,
        port: int = 25,
        private: bool = False,
        random: Random | None = None,
    ) -> None:
        self._resolver = resolver
        self._clock = clock
        self._own = own
        self._port = port
        self._private = private
        self._random = random or Random()  # noqa: S311 - spreads load, hides nothing
        self._v6_again_mono = float("-inf")
        self._refused: OrderedDict[tuple[str, int], float] = OrderedDict()
        """By host and address family: until when it is left out, monotonic seconds."""

    async def find(self, domain: str) -> tuple[MailHost, ...] | Outcome:
        """The hosts to try, at least one, or why there is none. `domain` in A- or U-labels, or an address literal."""
        if domain.startswith("["):
            return self._literal(domain)
        name = ascii_domain(domain)
        try:
            answer = await self._resolver.mx(name)
            if answer.found is Found.NO_NAME:
                return _no("5.1.2", Reason.NO_DOMAIN, Sentence("There is no domain %(domain)s.", domain=domain))
            if len(answer.values) == 1 and not answer.values[0].name:
                return _no("5.1.10", Reason.NO_MAIL, Sentence("The domain %(domain)s accepts no mail.", domain=domain))
            records = [one for one in answer.values if one.name] or [Mx(0, name)]
            return await self._hosts(domain, records, answer.secure)
        except LookupTrouble as trouble:
            return _no("4.4.3", Reason.DNS, f"{str(trouble)[:1].upper()}{str(trouble)[1:]}.")

    async def relay(self, name: str, port: int) -> tuple[MailHost, ...] | Outcome:
        """The relay of that name or address, as `find` returns it; its addresses may be private, and it may be another program on
        this machine. A relay where our own listeners answer is refused: messages are deferred until the settings change."""
        found = None
        try:
            try:
                addresses: tuple[str, ...] = (dialled(name),)
            except ValueError:
                found = await addresses_of(self._resolver, ascii_domain(name))
                addresses = tuple(map(dialled, found.values))
        except LookupTrouble as trouble:
            return _no("4.4.3", Reason.DNS, f"{str(trouble)[:1].upper()}{str(trouble)[1:]}.")
        if not addresses:
            text = Sentence("The relay %(name)s of the settings has no address; check its name.", name=name)
            return _no("4.4.4", Reason.NO_ROUTE, text)
        if any(self._listens(address, port) for address in addresses):
            text = Sentence(
                "The relay %(name)s of the settings is this server itself (port %(port)s); name your provider's mail server there.",
                name=name,
                port=port,
            )
            return _no("4.4.4", Reason.NO_ROUTE, text)
        if found is None:
            return (MailHost(name, 0, addresses),)
        return (MailHost(found.name, 0, self._ordered(found.name, addresses), found.secure),)

    def _listens(self, address: str, port: int) -> bool:
        """Does a listener of ours answer at this address and port?"""
        own = is_unspecified(address) or judged(address) in {judged(one) for one in self._own.addresses()}
        for host, listening in self._own.listening():
            if listening == port and (answers(host, address) or (own and is_unspecified(host))):
                return True
            if listening == port and is_unspecified(address) and judged(host).is_loopback:
                return True  # the kernel connects to the loopback address instead
        return False

    async def _hosts(self, domain: str, records: list[Mx], secure: bool) -> tuple[MailHost, ...] | Outcome:
        self._random.shuffle(records)
        records.sort(key=lambda one: one.preference)
        ours = {ascii_domain(own.lower().rstrip(".")) for own in self._own.names()}
        mine = min((one.preference for one in records if one.name in ours), default=None)
        hosts: list[MailHost] = []
        looped, private, trouble = mine is not None, False, None
        for record in records[:HOSTS]:
            if mine is not None and record.preference >= mine:
                break
            try:
                found = await addresses_of(self._resolver, record.name)
                alias = secure and not found.secure and await self._is_secure_alias(found)
            except LookupTrouble as fault:
                trouble = fault
                continue
            if not found.values:
                continue
            kinds = {address: self._kind(address) for address in map(dialled, found.values)}
            if AddressKind.OWN in kinds.values():
                looped = True
                break  # this server by another name: less preferred hosts must not be tried (RFC 5321 §5.1)
            reachable = tuple(address for address, kind in kinds.items() if kind is AddressKind.REMOTE)
            looped = looped or AddressKind.LOOP in kinds.values()
            private = private or AddressKind.PRIVATE in kinds.values()
            if reachable:
                ordered, safe = self._ordered(record.name, reachable), secure and found.secure
                hosts.append(MailHost(record.name, record.preference, ordered, safe, found.canonical if safe else "", alias))
        if hosts:
            return tuple(hosts)
        if trouble is not None:
            raise trouble
        if looped:
            return _no("5.4.6", Reason.LOOP, _loop(domain))
        if private:
            text = Sentence("The domain %(domain)s names only mail servers that cannot be reached from the internet.", domain=domain)
            return _no("5.4.4", Reason.NO_MAIL, text)
        return _no("5.4.4", Reason.NO_MAIL, Sentence("The domain %(domain)s has no mail server that can be found.", domain=domain))

    async def _is_secure_alias(self, found: Addresses) -> bool:
        """Is a host whose addresses are not secure itself a secure alias of another name? (RFC 7672 §2.2.2) Raises LookupTrouble."""
        if not found.canonical:
            return False
        answer = await self._resolver.cname(found.name)
        return answer.secure and answer.found is Found.YES

    def _ordered(self, name: str, addresses: tuple[str, ...]) -> tuple[str, ...]:
        """At most ADDRESSES of them, IPv6 first, of both families unless one is left out."""
        v6 = [address for address in addresses if family_of(address) == 6]
        v4 = [address for address in addresses if family_of(address) == 4]
        self._random.shuffle(v6)
        self._random.shuffle(v4)
        now = self._clock.mono_s()
        out = {family: self._refused.get((name, family), now) > now for family in (4, 6)}
        if v6 and v4 and out[4] != out[6]:
            v6, v4 = ([], v4) if out[6] else (v6, [])
        elif v4 and now < self._v6_again_mono:
            v6 = []
        return (*v6[: max(ADDRESSES // 2, ADDRESSES - len(v4))], *v4)[:ADDRESSES]

    def refused(self, name: str, family: int) -> None:
        """The host refused us over this address family (4 or 6) and accepted the other: leave it out for REFUSED_REST_S."""
        self._refused[name, family] = self._clock.mono_s() + REFUSED_REST_S
        self._refused.move_to_end((name, family))
        if len(self._refused) > REMEMBERED:
            self._refused.popitem(last=False)

    def v6_failed(self) -> None:
        """An IPv6 address could not be reached and an IPv4 address of the same host could: leave IPv6 out for V6_REST_S."""
        self._v6_again_mono = self._clock.mono_s() + V6_REST_S

    def _literal(self, domain: str) -> tuple[MailHost, ...] | Outcome:
        text = domain[1:-1]
        try:
            address = dialled(text[5:] if text[:5].lower() == "ipv6:" else text)
        except ValueError:
            return _no("5.1.3", Reason.NO_DOMAIN, Sentence("%(domain)s is not a valid address literal.", domain=domain))
        kind = self._kind(address)
        if kind in (AddressKind.OWN, AddressKind.LOOP):
            return _no("5.4.6", Reason.LOOP, _loop(domain))
        if kind is AddressKind.PRIVATE:
            return _no("5.4.4", Reason.NO_MAIL, Sentence("%(domain)s cannot be reached from the internet.", domain=domain))
        return (MailHost(domain, 0, (address,)),)

    def _kind(self, address: str) -> AddressKind:
        here, own = judged(address), {judged(one) for one in self._own.addresses()}
        if here in own and not here.is_loopback:
            return AddressKind.OWN
        if here in own or is_unspecified(address):
            return AddressKind.LOOP
        if any(port == self._port and answers(host, address) for host, port in self._own.listening()):
            return AddressKind.LOOP
        return AddressKind.REMOTE if self._private or is_public(address) else AddressKind.PRIVATE
