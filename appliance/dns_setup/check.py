"""Is what a domain should publish there, and right? Asked of the name service, judged by what it means.

| record      | wrong                                                                                                  |
|-------------|--------------------------------------------------------------------------------------------------------|
| MX          | none leads to the box; one says "no mail" (RFC 7505); it names an alias (RFC 2181 §10.3)               |
| A, AAAA     | the box's address is not among them; without one known, none that the world can reach                  |
| TXT, SPF    | two; not to be evaluated (`spf`); lets everybody send; does not let the box or one of its relays       |
| DKIM        | several; another key; none, which withdraws it (RFC 6376 §3.6.1, §3.6.2.2)                             |
| DMARC       | several; no policy; a version nobody reads (RFC 7489 §6.3); a parent domain's counts, §6.6.3           |
| TLS-RPT     | several; no place to report to (RFC 8460 §3)                                                           |
| SRV         | another host or port; "." (RFC 2782)                                                                   |
| PTR         | another name, or one that does not lead back                                                           |

All records are looked up at the same time, each within PATIENCE_S; silence is "unknown". What strangers publish is shown without
control characters. Known gap: a parent's DMARC policy is taken from the nearest record above, without the list of public suffixes.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network

import trio

from appliance.mail.errors import LookupTrouble, MisuseError
from appliance.mailauth.spf import Spf, SpfResult, spf_texts
from appliance.network.resolver import DnsAnswer, Resolver, addresses_of

from .records import DomainFacts, Record, records, relay_term

PATIENCE_S = 30.0
"""For one record with all that hangs on it."""
SHOWN = 1000
"""Characters of a published text that are kept."""
STRANGERS = ("198.18.0.1", "2001:2::1")
"""Addresses kept for measuring networks: no mail server is there, so no record should let them send."""
PARENTS = 4


@dataclass(frozen=True, slots=True)
class DnsFinding:
    """`state` is "right", "wrong", "missing" or "unknown"; `found` what is there; `advice` what to do, "" when right."""

    record: Record
    state: str
    found: str
    advice: str


async def check(facts: DomainFacts, names: Resolver) -> list[DnsFinding]:
    """A finding for every record of `records`, in their order."""
    asked = records(facts)
    findings: dict[int, DnsFinding] = {}

    async def one(number: int, record: Record) -> None:
        judge = _judge_of(record)
        try:
            with trio.fail_after(PATIENCE_S):
                findings[number] = await judge(_Question(facts, record, names))
        except (LookupTrouble, trio.TooSlowError) as trouble:
            said = shown(str(trouble)) or "the answers of the name service took too long"
            findings[number] = DnsFinding(record, "unknown", "", f"{said[:1].upper()}{said[1:]}; try again later.")

    async with trio.open_nursery() as nursery:
        for number, record in enumerate(asked):
            nursery.start_soon(one, number, record)
    return [findings[number] for number in range(len(asked))]


def findings_text(findings: Sequence[DnsFinding]) -> str:
    """For people: what is right in a line each, the rest with what to do; the last line sums up."""
    lines = []
    for one in findings:
        lines.append(f"{one.state:<8} {one.record.kind:<5} {one.record.name}" + (f"   {one.found[:80]}" if one.found else ""))
        if one.advice:
            lines.append(f"         {one.advice}")
    could = sum(one.state == "missing" and not one.record.needed for one in findings)
    must = sum(one.state in ("wrong", "missing") for one in findings) - could
    unknown = sum(one.state == "unknown" for one in findings)
    counts = ((must, "to do"), (could, "good to have"), (unknown, "unknown"))
    last = ", ".join(f"{count} {what}" for count, what in counts if count)
    return "\n".join((*lines, f"{last}." if last else "All is published, and right."))


def shown(text: str) -> str:
    """A stranger's text as a terminal may have it."""
    return "".join(c if c.isprintable() else "?" for c in text[:SHOWN])


@dataclass(slots=True)
class _Question:
    facts: DomainFacts
    record: Record
    names: Resolver
    found: str = ""

    def right(self, note: str = "") -> DnsFinding:
        return DnsFinding(self.record, "right", f"{self.found}{note}", "")

    def wrong(self, advice: str) -> DnsFinding:
        return DnsFinding(self.record, "wrong", self.found, advice)

    def unknown(self, advice: str) -> DnsFinding:
        return DnsFinding(self.record, "unknown", self.found, advice)

    def missing(self) -> DnsFinding:
        one = self.record
        return DnsFinding(one, "missing", "", f"Publish: {one.name}. {one.kind} {one.zone_value}")

    async def addresses(self, name: str) -> tuple[str, ...]:
        """Those the DNS has for a name."""
        return (await addresses_of(self.names, name)).values

    async def own_addresses(self) -> tuple[str, ...]:
        """The box's; where they (or only the IPv4 one, behind a router) are not known, those its name leads to."""
        known = self.facts.addresses
        if known and not all(":" in address for address in known):
            return known
        there = await self.addresses(self.facts.host_name) if not known else (await self.names.a(self.facts.host_name)).values
        return known + tuple(address for address in there if ip_address(address).is_global)

    async def texts(self, begins: str) -> list[str]:
        """The TXT records that begin so, however it is written; white space before and within the start does not count."""
        answer = await self.names.txt(self.record.name)
        texts = [shown(value.decode("ascii", "replace")) for value in answer.values]
        texts = [text for text in texts if text.replace(" ", "").lower().startswith(begins.lower())]
        self.found = "; ".join(texts)
        return texts


async def _mx(q: _Question) -> DnsFinding:
    answer = await q.names.mx(q.record.name)
    host = q.facts.host_name
    if not answer.values:
        return q.missing()
    q.found = ", ".join(f"{one.preference} {one.name or '.'}" for one in answer.values)
    if any(not one.name for one in answer.values):
        return q.wrong("This says that the domain takes no mail (RFC 7505); publish the record of this server in its place.")
    named = [one.name for one in answer.values]
    others = " (others take your messages too)" if len(named) > 1 else ""
    if host in named:
        if (await q.names.cname(host)).values:
            return q.wrong(f"{host} is an alias (CNAME), which an MX may not name (RFC 2181 §10.3); give it an address.")
        return q.right(others)
    own = await q.own_addresses()
    for name in named[:PARENTS]:
        if not (await q.names.cname(name)).values and set(await q.addresses(name)) & set(own):
            return q.right(others + " (leads to this box)")
    return q.wrong(f"Messages go elsewhere: let one of them name {host}.")


async def _address(q: _Question) -> DnsFinding:
    answer = await (q.names.aaaa if q.record.kind == "AAAA" else q.names.a)(q.record.name)
    if not answer.values:
        missing = q.missing()
        if q.record.value:
            return missing
        return replace(missing, advice=f"Publish an A record for {q.record.name} with the line's IPv4 address; your router shows it.")
    q.found = ", ".join(answer.values)
    if q.record.value:
        there = q.record.value in answer.values
        return q.right() if there else q.wrong(f"The name leads elsewhere; the box is seen as {q.record.value}.")
    if not any(ip_address(address).is_global for address in answer.values):
        return q.wrong("The world cannot reach this address; publish the one your router shows.")
    return q.right()


async def _spf(q: _Question) -> DnsFinding:
    answer = await q.names.txt(q.record.name)
    ours = spf_texts(answer.values)
    q.found = "; ".join(map(shown, ours))
    if not ours:
        return q.missing()
    if len(ours) > 1:
        return q.wrong("There are several SPF records, so none counts (RFC 7208 §4.5); keep one.")
    seen: set[str] = set()
    try:
        for stranger in STRANGERS:
            spf = Spf(q.names)
            if await spf.check_host(q.facts.domain, stranger) is SpfResult.PASS:
                return q.wrong("It lets everybody send in your name; end it with ~all.")
            seen |= spf.seen
        unsure = False
        for address in await q.own_addresses():
            says = await Spf(q.names).check_host(q.facts.domain, address)
            if says is SpfResult.NO:
                known = address in q.facts.addresses
                term = f"ip{6 if ':' in address else 4}:{address}" if known else f"a:{q.facts.host_name}"
                return q.wrong(f"It does not let {address} send, which is this box: add {term}.")
            unsure = unsure or says is SpfResult.UNSURE
        for term in map(relay_term, q.facts.relays):
            if not await _lets(q, term, seen):
                return q.wrong(f"It does not let your relay send: add {term}.")
    except MisuseError as fault:
        return q.wrong(f"Nobody can follow it: {shown(str(fault))} (RFC 7208 §4.6); take that out, or publish: {q.record.zone_value}")
    if unsure:
        return q.unknown("It uses macros or ptr, which are not followed here: whether it lets this box send cannot be told.")
    return q.right()


async def _lets(q: _Question, term: str, seen: set[str]) -> bool:
    """Does the record let the relay send that a term stands for? `seen` are the domains it draws on."""
    word, _, value = term.lower().partition(":")
    if word == "include":
        return value.rstrip(".") in seen
    if word in ("ip4", "ip6"):
        try:
            network = ip_network(value, strict=False)
        except ValueError:
            return False
        addresses = [str(network[0]), str(network[-1])]
    elif word == "a" and value and "/" not in value:
        addresses = list(await q.addresses(value))
        if not addresses:
            return True
    else:
        return term.lower() in q.found.lower().split()
    return all([await Spf(q.names).check_host(q.facts.domain, address) is not SpfResult.NO for address in addresses])


def _tags(text: str) -> dict[str, str]:
    """A list of tag=value (RFC 6376 §3.2); the first of two counts."""
    tags: dict[str, str] = {}
    for part in text.split(";"):
        name, found, value = part.partition("=")
        if found:
            tags.setdefault(name.strip(), value.strip())
    return tags


async def _dkim(q: _Question) -> DnsFinding:
    texts = await q.texts("")
    if not texts:
        return q.missing()
    if len(texts) > 1:
        return q.wrong("There are several records, and nobody knows which counts; keep the one of this server.")
    there, ours = _tags(texts[0]), _tags(q.record.value)
    if "p" not in there or there.get("v", "DKIM1") != "DKIM1":
        return q.wrong("This is no key; publish the key of this server.")
    published, own = ("".join(one["p"].split()) for one in (there, ours))
    if not published:
        return q.wrong("This says that the key was withdrawn; publish the key of this server.")
    if published != own or there.get("k", "rsa") != ours.get("k", "rsa"):
        return q.wrong("Another key is published, so your signatures count as forged; publish the key of this server.")
    return DnsFinding(q.record, "right", "the key of this server", "")


async def _dmarc(q: _Question) -> DnsFinding:
    texts = await q.texts("v=DMARC1")
    domain = q.record.name.removeprefix("_dmarc.")
    for _ in range(PARENTS):
        if texts or domain.count(".") < 2:
            break
        domain = domain.partition(".")[2]
        above = _Question(q.facts, replace(q.record, name=f"_dmarc.{domain}"), q.names)
        if len(found := await above.texts("v=DMARC1")) == 1 and _tags(found[0]).get("p"):
            return DnsFinding(q.record, "right", f"that of {domain}: {found[0]}", "")
    if not texts:
        return q.missing()
    if len(texts) > 1:
        return q.wrong("There are several, so none counts; keep one.")
    tags = _tags(texts[0])
    if tags.get("v") != "DMARC1" or not texts[0].startswith("v"):
        return q.wrong("It must begin with v=DMARC1; in just these messages.")
    if tags.get("p", "").lower() not in ("none", "quarantine", "reject"):
        return q.wrong("It names no policy: p=none, p=quarantine or p=reject.")
    return q.right()


async def _tls_reports(q: _Question) -> DnsFinding:
    texts = await q.texts("v=TLSRPTv1")
    if not texts:
        return q.missing()
    if len(texts) > 1:
        return q.wrong("There are several, so none counts; keep one.")
    if not texts[0].startswith("v=TLSRPTv1"):
        return q.wrong("It must begin with v=TLSRPTv1; in just these messages.")
    if not _tags(texts[0]).get("rua", "").lower().startswith(("mailto:", "https:")):
        return q.wrong("It names no place to report to: rua=mailto:ADDRESS.")
    return q.right()


async def _srv(q: _Question) -> DnsFinding:
    answer = await q.names.srv(q.record.name)
    if not answer.values:
        return q.missing()
    q.found = ", ".join(f"{one.target or '.'}:{one.port}" for one in answer.values)
    host, port = q.facts.host_name, int(q.record.value.split()[2])
    if any(one.target == host and one.port == port for one in answer.values):
        return q.right()
    if all(not one.target for one in answer.values):
        return q.wrong(f"This says that there is no such service here; it should name {host} and port {port}.")
    return q.wrong(f"Mail programs are sent elsewhere; it should name {host} and port {port}.")


async def _ptr(q: _Question) -> DnsFinding:
    address = next(one for one in q.facts.addresses if ip_address(one).reverse_pointer == q.record.name)
    host = q.facts.host_name
    answer: DnsAnswer[str] = await q.names.ptr(address)
    advice = f"Ask your provider to set the reverse name of {address} to {host}; else send by a relay."
    q.found = ", ".join(answer.values)
    if not answer.values:
        return replace(q.missing(), advice=advice)
    if host not in answer.values:
        return q.wrong(advice)
    if address not in await q.addresses(host):
        return q.wrong(f"The name does not lead back: let {host} have the address {address}.")
    return q.right()


_Judge = Callable[[_Question], Awaitable[DnsFinding]]
_KINDS: tuple[tuple[str, _Judge], ...] = (
    ("MX", _mx), ("A", _address), ("AAAA", _address), ("SRV", _srv), ("PTR", _ptr), ("TXT", _spf),
)  # fmt: skip


def _judge_of(record: Record) -> _Judge:
    if record.name.startswith("_dmarc."):
        return _dmarc
    if record.name.startswith("_smtp._tls."):
        return _tls_reports
    if "._domainkey." in record.name:
        return _dkim
    return dict(_KINDS)[record.kind]
