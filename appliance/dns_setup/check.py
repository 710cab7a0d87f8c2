"""Checks a domain's published DNS records against those advised by `records`: by meaning, not by text.

| record      | wrong                                                                                                  |
|-------------|--------------------------------------------------------------------------------------------------------|
| MX          | none names this server; one says "no mail" (RFC 7505); it names an alias (RFC 2181 §10.3)               |
| A, AAAA     | this server's address is not among them; without a known one, none that is public                    |
| TXT, SPF    | two; not to be evaluated (`spf`); allows everybody; does not allow this server or one of its relays    |
| DKIM        | several; another key; none, which withdraws it (RFC 6376 §3.6.1, §3.6.2.2)                             |
| DMARC       | several; no policy; an unknown version (RFC 7489 §6.3); a parent domain's counts, §6.6.3           |
| TLS-RPT     | several; no address for reports (RFC 8460 §3)                                                           |
| SRV         | another host or port; "." (RFC 2782)                                                                   |
| PTR         | another name, or one that does not resolve back                                                           |

All records are looked up at the same time, each within PATIENCE_S; no answer is "unknown". Published texts are shown without
control characters. Known gap: a parent's DMARC policy is taken from the nearest record above, without the list of public suffixes.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network

import trio

from appliance.mail.errors import LookupTrouble, MisuseError
from appliance.mail.sentence import Sentence, joined, keyed
from appliance.mailauth.spf import Spf, SpfResult, spf_texts
from appliance.network.resolver import DnsAnswer, Resolver, addresses_of

from .records import DomainFacts, Record, records, relay_term

PATIENCE_S = 30.0
SHOWN = 1000
"""Characters of a published text that are kept."""
UNRELATED = ("198.18.0.1", "2001:2::1")
"""Addresses reserved for benchmarks of networks: no mail server has them, so no record should allow them."""
PARENTS = 4


@dataclass(frozen=True, slots=True)
class DnsFinding:
    """`state` is "right", "wrong", "missing" or "unknown"; `found` what is there; `advice` what to do, "" when right."""

    record: Record
    state: str
    found: str
    advice: str


async def check(facts: DomainFacts, names: Resolver, *, patience_s: float = PATIENCE_S) -> list[DnsFinding]:
    """A finding for every record of `records`, in their order; `patience_s` is for one record with all lookups it needs."""
    asked = records(facts)
    findings: dict[int, DnsFinding] = {}

    async def one(number: int, record: Record) -> None:
        judge = _judge_of(record)
        try:
            with trio.fail_after(patience_s):
                findings[number] = await judge(_Check(facts, record, names))
        except (LookupTrouble, trio.TooSlowError) as trouble:
            fault = shown(str(trouble)) or Sentence("The DNS server took too long to answer")
            advice = Sentence(
                "%(fault)s; try again later.", fault=fault if isinstance(fault, Sentence) else f"{fault[:1].upper()}{fault[1:]}"
            )
            findings[number] = DnsFinding(record, "unknown", "", advice)

    async with trio.open_nursery() as nursery:
        for number, record in enumerate(asked):
            nursery.start_soon(one, number, record)
    return [findings[number] for number in range(len(asked))]


STATES = {
    "right": Sentence("right   "), "wrong": Sentence("wrong   "), "missing": Sentence("missing "), "unknown": Sentence("unknown "),
}  # fmt: skip
"""The column of states, with the spaces behind."""


def findings_text(findings: Sequence[DnsFinding]) -> str:
    """A line for each finding, with what to do where it is not right; the last line sums up."""
    lines: list[str] = []
    for one in findings:
        about = f"{one.record.kind:<5} {one.record.name}" + (f"   {one.found[:80]}" if one.found else "")
        lines.append(joined(STATES[one.state], about))
        if one.advice:
            lines.append(joined("        ", keyed(one.advice)))
    could = sum(one.state == "missing" and not one.record.needed for one in findings)
    must = sum(one.state in ("wrong", "missing") for one in findings) - could
    unknown = sum(one.state == "unknown" for one in findings)
    left = (
        Sentence("%(number)s to do", number=must) if must else "",
        Sentence("%(number)s good to have", number=could) if could else "",
        Sentence("%(number)s unknown", number=unknown) if unknown else "",
    )
    last = joined(*left, by=", ")
    done = Sentence("%(left)s.", left=last) if last else Sentence("All records are published and right.")
    return joined(*lines, done, by="\n")


def shown(text: str) -> str:
    """A published text without control characters, SHOWN characters at most."""
    return "".join(c if c.isprintable() else "?" for c in text[:SHOWN])


@dataclass(slots=True)
class _Check:
    facts: DomainFacts
    record: Record
    names: Resolver
    found: str = ""

    def right(self, note: str = "") -> DnsFinding:
        return DnsFinding(self.record, "right", joined(self.found, note), "")

    def wrong(self, advice: str) -> DnsFinding:
        return DnsFinding(self.record, "wrong", self.found, advice)

    def unknown(self, advice: str) -> DnsFinding:
        return DnsFinding(self.record, "unknown", self.found, advice)

    def missing(self) -> DnsFinding:
        one = self.record
        return DnsFinding(one, "missing", "", Sentence("Publish: %(record)s", record=f"{one.name}. {one.kind} {one.zone_value}"))

    async def addresses(self, name: str) -> tuple[str, ...]:
        """Those the DNS has for a name."""
        return (await addresses_of(self.names, name)).values

    async def own_addresses(self) -> tuple[str, ...]:
        """This server's addresses; where they (or only the IPv4 one, behind a router) are not known, those of its host name."""
        known = self.facts.addresses
        if known and not all(":" in address for address in known):
            return known
        published = await self.addresses(self.facts.host_name) if not known else (await self.names.a(self.facts.host_name)).values
        return known + tuple(address for address in published if ip_address(address).is_global)

    async def texts(self, begins: str) -> list[str]:
        """The TXT records that begin so, however it is written; white space before and within the start does not count."""
        answer = await self.names.txt(self.record.name)
        texts = [shown(value.decode("ascii", "replace")) for value in answer.values]
        texts = [text for text in texts if text.replace(" ", "").lower().startswith(begins.lower())]
        self.found = "; ".join(texts)
        return texts


async def _mx(q: _Check) -> DnsFinding:
    answer = await q.names.mx(q.record.name)
    host = q.facts.host_name
    if not answer.values:
        return q.missing()
    q.found = ", ".join(f"{one.preference} {one.name or '.'}" for one in answer.values)
    if any(not one.name for one in answer.values):
        return q.wrong("This says that the domain takes no mail (RFC 7505); publish the record of this server in its place.")
    named = [one.name for one in answer.values]
    others = Sentence("(other servers take your messages too)") if len(named) > 1 else ""
    if host in named:
        if (await q.names.cname(host)).values:
            return q.wrong(
                Sentence("%(host)s is an alias (CNAME), which an MX may not name (RFC 2181 §10.3); give it an address.", host=host)
            )
        return q.right(others)
    own = await q.own_addresses()
    for name in named[:PARENTS]:
        if not (await q.names.cname(name)).values and set(await q.addresses(name)) & set(own):
            return q.right(joined(others, Sentence("(it is this server)")))
    return q.wrong(Sentence("Mail goes to other servers: one MX must name %(host)s.", host=host))


async def _address(q: _Check) -> DnsFinding:
    answer = await (q.names.aaaa if q.record.kind == "AAAA" else q.names.a)(q.record.name)
    if not answer.values:
        missing = q.missing()
        if q.record.value:
            return missing
        return replace(
            missing,
            advice=Sentence("Publish an A record for %(name)s with your public IPv4 address; your router shows it.", name=q.record.name),
        )
    q.found = ", ".join(answer.values)
    if q.record.value:
        there = q.record.value in answer.values
        return q.right() if there else q.wrong(Sentence("The name has another address; this server's is %(own)s.", own=q.record.value))
    if not any(ip_address(address).is_global for address in answer.values):
        return q.wrong("The internet cannot reach this address; publish the one your router shows.")
    return q.right()


async def _spf(q: _Check) -> DnsFinding:
    answer = await q.names.txt(q.record.name)
    ours = spf_texts(answer.values)
    q.found = "; ".join(map(shown, ours))
    if not ours:
        return q.missing()
    if len(ours) > 1:
        return q.wrong("There are several SPF records, so none counts (RFC 7208 §4.5); keep one.")
    seen: set[str] = set()
    try:
        for stranger in UNRELATED:
            spf = Spf(q.names)
            if await spf.check_host(q.facts.domain, stranger) is SpfResult.PASS:
                return q.wrong("It allows everybody to send for your domain; end it with ~all.")
            seen |= spf.seen
        unsure = False
        for address in await q.own_addresses():
            result = await Spf(q.names).check_host(q.facts.domain, address)
            if result is SpfResult.NO:
                known = address in q.facts.addresses
                term = f"ip{6 if ':' in address else 4}:{address}" if known else f"a:{q.facts.host_name}"
                return q.wrong(Sentence("It does not allow %(address)s, which is this server: add %(term)s.", address=address, term=term))
            unsure = unsure or result is SpfResult.UNSURE
        for term in map(relay_term, q.facts.relays):
            if not await _lets(q, term, seen):
                return q.wrong(Sentence("It does not allow your relay: add %(term)s.", term=term))
    except MisuseError as fault:
        return q.wrong(
            Sentence(
                "It cannot be evaluated: %(fault)s (RFC 7208 §4.6); take that out, or publish: %(value)s",
                fault=shown(str(fault)),
                value=q.record.zone_value,
            )
        )
    if unsure:
        return q.unknown("It uses macros or ptr, which are not evaluated here: whether it allows this server is unknown.")
    return q.right()


async def _lets(q: _Check, term: str, seen: set[str]) -> bool:
    """Does the record allow the relay of an SPF term? `seen` are the domains that the record includes."""
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


async def _dkim(q: _Check) -> DnsFinding:
    texts = await q.texts("")
    if not texts:
        return q.missing()
    if len(texts) > 1:
        return q.wrong("There are several records, and it is undefined which counts; keep the one of this server.")
    there, ours = _tags(texts[0]), _tags(q.record.value)
    if "p" not in there or there.get("v", "DKIM1") != "DKIM1":
        return q.wrong("This is no key; publish the key of this server.")
    published, own = ("".join(one["p"].split()) for one in (there, ours))
    if not published:
        return q.wrong("This says that the key was withdrawn; publish the key of this server.")
    if published != own or there.get("k", "rsa") != ours.get("k", "rsa"):
        return q.wrong("Another key is published, so your signatures count as forged; publish the key of this server.")
    return DnsFinding(q.record, "right", Sentence("the key of this server"), "")


async def _dmarc(q: _Check) -> DnsFinding:
    texts = await q.texts("v=DMARC1")
    domain = q.record.name.removeprefix("_dmarc.")
    for _ in range(PARENTS):
        if texts or domain.count(".") < 2:
            break
        domain = domain.partition(".")[2]
        above = _Check(q.facts, replace(q.record, name=f"_dmarc.{domain}"), q.names)
        if len(found := await above.texts("v=DMARC1")) == 1 and _tags(found[0]).get("p"):
            return DnsFinding(q.record, "right", Sentence("that of %(domain)s: %(text)s", domain=domain, text=found[0]), "")
    if not texts:
        return q.missing()
    if len(texts) > 1:
        return q.wrong("There are several, so none counts; keep one.")
    tags = _tags(texts[0])
    if tags.get("v") != "DMARC1" or not texts[0].startswith("v"):
        return q.wrong("It must begin with exactly: v=DMARC1;")
    if tags.get("p", "").lower() not in ("none", "quarantine", "reject"):
        return q.wrong("It names no policy: p=none, p=quarantine or p=reject.")
    return q.right()


async def _tls_reports(q: _Check) -> DnsFinding:
    texts = await q.texts("v=TLSRPTv1")
    if not texts:
        return q.missing()
    if len(texts) > 1:
        return q.wrong("There are several, so none counts; keep one.")
    if not texts[0].startswith("v=TLSRPTv1"):
        return q.wrong("It must begin with exactly: v=TLSRPTv1;")
    if not _tags(texts[0]).get("rua", "").lower().startswith(("mailto:", "https:")):
        return q.wrong("It has no address for reports: rua=mailto:ADDRESS.")
    return q.right()


async def _srv(q: _Check) -> DnsFinding:
    answer = await q.names.srv(q.record.name)
    if not answer.values:
        return q.missing()
    q.found = ", ".join(f"{one.target or '.'}:{one.port}" for one in answer.values)
    host, port = q.facts.host_name, int(q.record.value.split()[2])
    if any(one.target == host and one.port == port for one in answer.values):
        return q.right()
    if all(not one.target for one in answer.values):
        return q.wrong(
            Sentence("This says that there is no such service here; it should name %(host)s and port %(port)s.", host=host, port=port)
        )
    return q.wrong(Sentence("It names another server; it should name %(host)s and port %(port)s.", host=host, port=port))


async def _ptr(q: _Check) -> DnsFinding:
    address = next(one for one in q.facts.addresses if ip_address(one).reverse_pointer == q.record.name)
    host = q.facts.host_name
    answer: DnsAnswer[str] = await q.names.ptr(address)
    advice = Sentence(
        "Ask your provider to set the reverse name of %(address)s to %(host)s; otherwise send through a relay.", address=address, host=host
    )
    q.found = ", ".join(answer.values)
    if not answer.values:
        return replace(q.missing(), advice=advice)
    if host not in answer.values:
        return q.wrong(advice)
    if address not in await q.addresses(host):
        return q.wrong(Sentence("The name does not resolve back: %(host)s needs the address %(address)s.", host=host, address=address))
    return q.right()


_Judge = Callable[[_Check], Awaitable[DnsFinding]]
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
