"""Which hosts take a domain's mail, in the order to try them (RFC 5321 §5.1).

| the domain                                   | answer                                                                        |
|----------------------------------------------|-------------------------------------------------------------------------------|
| an address literal                           | that address                                                                  |
| has MX records                               | their hosts by preference, equals in random order, addresses of each          |
| has one MX record of preference 0 and "."    | 5.1.10: it takes no mail (RFC 7505 §3)                                        |
| has no MX but an address                     | itself (implicit MX)                                                          |
| does not exist                               | 5.1.2                                                                         |
| names this server                             | the hosts before it; 5.4.6 when there are none: the message would go round     |
| names an address and port of ours, or :: or 0.0.0.0 | the other hosts; 5.4.6 when there are none                             |
| names only addresses no stranger can reach   | 5.4.4, unless the settings allow private addresses (a poisoned MX; a LAN)     |
| name service silent or failing               | 4.4.3: a wait, never a bounce                                                 |
| one of AAAA and A has no answer              | the addresses of the other; none there: 4.4.3                                 |
| (a relay) names a listener of ours           | 4.4.4: a wait, the settings have to change                                    |

IPv6 addresses come first and are left out for V6_REST_S after one could not be reached while an IPv4 address could. An address family
that a host refused, while it took the other one, is left out for that host for REFUSED_REST_S (`refused`).
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
from appliance.mail.outcome import DeliveryStatus, Outcome, Reason
from appliance.network.addresses import answers, dialled, family_of, is_public, is_unspecified, judged
from appliance.network.resolver import Addresses, DnsAnswer, Found, Mx, addresses_of

HOSTS = 10
"""Hosts of one domain that are looked up (RFC 5321 §5.1 asks for at least two)."""
ADDRESSES = 8
"""Addresses of one host that are tried."""
V6_REST_S = 1800.0
REFUSED_REST_S = 6 * 3600.0
"""Long enough that a queue's retries do not meet the refusal each time; a corrected reverse name is noticed the same day."""
REMEMBERED = 1000
"""Hosts whose refusals are remembered."""


class Names(Protocol):
    """`network.resolver.Resolver`."""

    async def mx(self, name: str) -> DnsAnswer[Mx]: ...
    async def a(self, name: str) -> DnsAnswer[str]: ...
    async def aaaa(self, name: str) -> DnsAnswer[str]: ...
    async def cname(self, name: str) -> DnsAnswer[str]: ...


@dataclass(frozen=True, slots=True)
class MailHost:
    """`secure`: the MX answer and those of this host's addresses that came were all validated (RFC 7672 §2.2.1). `expanded`: the name
    at the end of its CNAMEs, when it has some and all are secure. `alias`: it is not secure, but its first CNAME is (§2.2.2)."""

    name: str
    preference: int
    addresses: tuple[str, ...]
    secure: bool = False
    expanded: str = ""
    alias: bool = False


class HostPlace(Enum):
    """Whose an address is."""

    THERE = "another server's, as far as can be seen"
    OURS = "an address of this machine"
    HERE = "no address of a host, or one that leads back to this machine"
    CLOSED = "one that nobody outside reaches"


def _no(status: str, reason: Reason, text: str) -> Outcome:
    return Outcome(DeliveryStatus.DEFERRED if status[0] == "4" else DeliveryStatus.FAILED, status, reason, text)


class MailHosts:
    """`own_names` and `own_addresses` say who this server is, `listening` where its listeners answer (address and port), `port` the port
    mail is sent to; `private` allows addresses of private networks."""

    def __init__(
        self,
        names: Names,
        clock: Clock,
        *,
        own_names: Callable[[], Iterable[str]],
        own_addresses: Callable[[], Iterable[str]],
        listening: Callable[[], Iterable[tuple[str, int]]] = tuple,
        port: int = 25,
        private: bool = False,
        random: Random | None = None,
    ) -> None:
        self._names = names
        self._clock = clock
        self._own_names = own_names
        self._own_addresses = own_addresses
        self._listening = listening
        self._port = port
        self._private = private
        self._random = random or Random()  # noqa: S311 - spreads load, hides nothing
        self._v6_again_mono = float("-inf")
        self._refused: OrderedDict[tuple[str, int], float] = OrderedDict()
        """By host and address family: until when it is left out."""

    async def find(self, domain: str) -> tuple[MailHost, ...] | Outcome:
        """The hosts to try, at least one, or why there is none. `domain` in A- or U-labels, or an address literal."""
        if domain.startswith("["):
            return self._literal(domain)
        name = ascii_domain(domain)
        try:
            answer = await self._names.mx(name)
            if answer.found is Found.NO_NAME:
                return _no("5.1.2", Reason.NO_DOMAIN, f"There is no domain {domain}.")
            if len(answer.values) == 1 and not answer.values[0].name:
                return _no("5.1.10", Reason.NO_MAIL, f"The domain {domain} takes no mail.")
            records = [one for one in answer.values if one.name] or [Mx(0, name)]
            return await self._hosts(domain, records, answer.secure)
        except LookupTrouble as trouble:
            return _no("4.4.3", Reason.DNS, f"{str(trouble)[:1].upper()}{str(trouble)[1:]}.")

    async def relay(self, name: str, port: int) -> tuple[MailHost, ...] | Outcome:
        """The relay of that name or address, in the form `find` gives; its addresses may be private ones, and other programs of
        this machine may be meant. Where our own listeners answer, there is no relay: messages wait for better settings."""
        found = None
        try:
            try:
                addresses: tuple[str, ...] = (dialled(name),)
            except ValueError:
                found = await addresses_of(self._names, ascii_domain(name))
                addresses = tuple(map(dialled, found.values))
        except LookupTrouble as trouble:
            return _no("4.4.3", Reason.DNS, f"{str(trouble)[:1].upper()}{str(trouble)[1:]}.")
        if not addresses:
            return _no("4.4.4", Reason.NO_ROUTE, f"The relay {name} of the settings has no address; look at its name.")
        if any(self._listens(address, port) for address in addresses):
            text = f"The relay {name} of the settings is this server itself (port {port}); name your provider's mail server there."
            return _no("4.4.4", Reason.NO_ROUTE, text)
        if found is None:
            return (MailHost(name, 0, addresses),)
        return (MailHost(found.name, 0, self._ordered(found.name, addresses), found.secure),)

    def _listens(self, address: str, port: int) -> bool:
        """Does a listener of ours answer at this address and port?"""
        own = is_unspecified(address) or judged(address) in {judged(one) for one in self._own_addresses()}
        for host, listening in self._listening():
            if listening == port and (answers(host, address) or (own and is_unspecified(host))):
                return True
            if listening == port and is_unspecified(address) and judged(host).is_loopback:
                return True  # the kernel dials the loopback address instead
        return False

    async def _hosts(self, domain: str, records: list[Mx], secure: bool) -> tuple[MailHost, ...] | Outcome:
        self._random.shuffle(records)
        records.sort(key=lambda one: one.preference)
        ours = {ascii_domain(own.lower().rstrip(".")) for own in self._own_names()}
        mine = min((one.preference for one in records if one.name in ours), default=None)
        hosts: list[MailHost] = []
        looped, closed, trouble = mine is not None, False, None
        for record in records[:HOSTS]:
            if mine is not None and record.preference >= mine:
                break
            try:
                found = await addresses_of(self._names, record.name)
                alias = secure and not found.secure and await self._is_secure_alias(found)
            except LookupTrouble as fault:
                trouble = fault
                continue
            if not found.values:
                continue
            places = {address: self._place(address) for address in map(dialled, found.values)}
            if HostPlace.OURS in places.values():
                looped = True
                break  # this server by another name: whatever comes behind it is no better (RFC 5321 §5.1)
            reachable = tuple(address for address, place in places.items() if place is HostPlace.THERE)
            looped = looped or HostPlace.HERE in places.values()
            closed = closed or HostPlace.CLOSED in places.values()
            if reachable:
                ordered, safe = self._ordered(record.name, reachable), secure and found.secure
                hosts.append(MailHost(record.name, record.preference, ordered, safe, found.canonical if safe else "", alias))
        if hosts:
            return tuple(hosts)
        if trouble is not None:
            raise trouble
        if looped:
            return _no("5.4.6", Reason.LOOP, f"The way to {domain} leads back to this server.")
        if closed:
            return _no("5.4.4", Reason.NO_MAIL, f"The domain {domain} names only mail servers that nobody outside can reach.")
        return _no("5.4.4", Reason.NO_MAIL, f"The domain {domain} has no mail server that can be found.")

    async def _is_secure_alias(self, found: Addresses) -> bool:
        """Is a host whose addresses are not secure itself a secure alias of another name? (RFC 7672 §2.2.2) Raises LookupTrouble."""
        if not found.canonical:
            return False
        answer = await self._names.cname(found.name)
        return answer.secure and answer.found is Found.YES

    def _ordered(self, name: str, addresses: tuple[str, ...]) -> tuple[str, ...]:
        """At most ADDRESSES, IPv6 first, both families where there are both and neither is left out."""
        six = [address for address in addresses if family_of(address) == 6]
        four = [address for address in addresses if family_of(address) == 4]
        self._random.shuffle(six)
        self._random.shuffle(four)
        now = self._clock.mono_s()
        out = {family: self._refused.get((name, family), now) > now for family in (4, 6)}
        if six and four and out[4] != out[6]:
            six, four = ([], four) if out[6] else (six, [])
        elif four and now < self._v6_again_mono:
            six = []
        return (*six[: max(ADDRESSES // 2, ADDRESSES - len(four))], *four)[:ADDRESSES]

    def refused(self, name: str, family: int) -> None:
        """The host refuses connections of ours from this address family (4 or 6), and took the other: leave it out for a while."""
        self._refused[name, family] = self._clock.mono_s() + REFUSED_REST_S
        self._refused.move_to_end((name, family))
        if len(self._refused) > REMEMBERED:
            self._refused.popitem(last=False)

    def v6_failed(self) -> None:
        """An IPv6 address could not be reached and an IPv4 address of the same host could: leave IPv6 out for a while."""
        self._v6_again_mono = self._clock.mono_s() + V6_REST_S

    def _literal(self, domain: str) -> tuple[MailHost, ...] | Outcome:
        text = domain[1:-1]
        try:
            address = dialled(text[5:] if text[:5].lower() == "ipv6:" else text)
        except ValueError:
            return _no("5.1.3", Reason.NO_DOMAIN, f"{domain} is no address of a mail server.")
        place = self._place(address)
        if place in (HostPlace.OURS, HostPlace.HERE):
            return _no("5.4.6", Reason.LOOP, f"The route to {domain} leads back to this server.")
        if place is HostPlace.CLOSED:
            return _no("5.4.4", Reason.NO_MAIL, f"Nobody outside can reach {domain}.")
        return (MailHost(domain, 0, (address,)),)

    def _place(self, address: str) -> HostPlace:
        here, own = judged(address), {judged(one) for one in self._own_addresses()}
        if here in own and not here.is_loopback:
            return HostPlace.OURS
        if here in own or is_unspecified(address):
            return HostPlace.HERE
        if any(port == self._port and answers(host, address) for host, port in self._listening()):
            return HostPlace.HERE
        return HostPlace.THERE if self._private or is_public(address) else HostPlace.CLOSED
