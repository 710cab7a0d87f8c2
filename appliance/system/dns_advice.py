"""What to publish in the DNS for a domain of the house, and whether it is there and right.

| record                    | for                                        | right when                                                  |
|---------------------------|--------------------------------------------|-------------------------------------------------------------|
| MX                        | letters from the world find the house      | one of them names it (RFC 5321 §5.1), and none is a CNAME   |
| A, AAAA                   | the name leads to the box                  | an address of the box is among them, where these are known  |
| TXT, SPF                  | others believe letters from here           | one record, that lets the box or its relays send (RFC 7208) |
| TXT SELECTOR._domainkey   | signatures can be checked                  | the same key (RFC 6376 §3.6.2)                              |
| TXT _dmarc                | others know what forged letters deserve    | a policy (RFC 7489 §6.3)                                    |
| TXT _smtp._tls            | others tell of broken TLS                  | a place to report to (RFC 8460 §3)                          |
| SRV _imaps._tcp and such  | mail programs find everything themselves   | the host and port (RFC 6186, RFC 8314 §5.1)                 |

Only what serves something that runs is asked for. Values are compared by what they mean, not letter by letter. Advice is pure;
`check` asks the name service, and takes silence for "unknown".
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from appliance.mail.errors import LookupTrouble
from appliance.network.resolver import Answer, Found, Resolver, Srv

TXT_OCTETS = 255
"""RFC 1035 §3.3: one string of a TXT record; longer values are several."""
LOOKUPS = 10
"""RFC 7208 §4.6.4: an SPF record may ask for so many."""
SERVICES: tuple[tuple[str, str], ...] = (
    ("submissions", "_submissions"), ("submission", "_submission"), ("imaps", "_imaps"), ("imap", "_imap"), ("pop3s", "_pop3s"),
    ("pop3", "_pop3"),
)  # fmt: skip
"""Protocol and the SRV label that finds it."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the house is. `addresses` are those the world sees, () when unknown; `services` (protocol, port) that answer;
    `dkim` (selector, value); `relays` SPF terms of relays such as "include:_spf.provider.example"."""

    domain: str
    host_name: str
    addresses: tuple[str, ...] = ()
    services: tuple[tuple[str, int], ...] = ()
    dkim: tuple[tuple[str, str], ...] = ()
    relays: tuple[str, ...] = ()
    postmaster: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """`name` without a last dot; `value` as a zone file has it, TXT without its quotes."""

    name: str
    kind: str
    value: str
    why: str


@dataclass(frozen=True, slots=True)
class Finding:
    """`state` is "right", "wrong", "missing" or "unknown"; `found` what is there; `advice` what to do, "" when right."""

    record: Record
    state: str
    found: str
    advice: str


def records(facts: Facts) -> list[Record]:
    """What to publish, in the order to do it."""
    running, host, domain = dict(facts.services), facts.host_name, facts.domain
    out: list[Record] = []
    if "smtp" in running:
        out.append(Record(domain, "MX", f"10 {host}.", "letters from the world find this house"))
    for address in facts.addresses:
        out.append(Record(host, "AAAA" if ":" in address else "A", address, "the name of the box leads to it"))
    terms = ["mx"] if "smtp" in running else []
    terms += [f"ip{6 if ':' in address else 4}:{address}" for address in facts.addresses] or ([f"a:{host}"] if not terms else [])
    out.append(Record(domain, "TXT", " ".join(("v=spf1", *terms, *facts.relays, "~all")), "others believe letters that come from here"))
    for selector, value in facts.dkim:
        out.append(Record(f"{selector}._domainkey.{domain}", "TXT", value, "the signature of your letters can be checked"))
    reports = f"; rua=mailto:{facts.postmaster}" if facts.postmaster else ""
    out.append(Record(f"_dmarc.{domain}", "TXT", f"v=DMARC1; p=quarantine{reports}", "others know what to do with forged letters"))
    if facts.postmaster and "smtp" in running:
        value = f"v=TLSRPTv1; rua=mailto:{facts.postmaster}"
        out.append(Record(f"_smtp._tls.{domain}", "TXT", value, "others tell when safe connections to you fail"))
    for protocol, label in SERVICES:
        if protocol in running:
            plain = "" if protocol.endswith("s") else " (with STARTTLS)"
            value = f"{0 if protocol.endswith('s') else 10} 1 {running[protocol]} {host}."
            out.append(Record(f"{label}._tcp.{domain}", "SRV", value, f"mail programs set themselves up{plain}"))
    return out


def zone_text(found: Sequence[Record]) -> str:
    """Lines to copy, each with its reason above."""
    width = max((len(one.name) for one in found), default=0) + 1
    lines = []
    for one in found:
        lines.append(f"; {one.why}")
        lines.append(f"{one.name + '.':<{width}}  {one.kind:<5} {quoted(one.value) if one.kind == 'TXT' else one.value}")
    return "\n".join(lines)


def quoted(value: str) -> str:
    """A TXT value in strings of at most TXT_OCTETS."""
    return " ".join(f'"{value[start : start + TXT_OCTETS]}"' for start in range(0, len(value), TXT_OCTETS))


# --- checking ---------------------------------------------------------------------------------------


async def check(facts: Facts, names: Resolver) -> list[Finding]:
    """Every record of `records`, and whether the box's address leads back to its name."""
    findings = []
    for record in records(facts):
        try:
            state, found, advice = await _judge(facts, record, names)
        except LookupTrouble as trouble:
            state, found, advice = "unknown", "", f"The name service gave no answer ({trouble}); try again later."
        findings.append(Finding(record, state, found, advice))
    for address in facts.addresses:
        findings.append(await _reverse(facts, address, names))
    return findings


Verdict = tuple[str, str, str]


async def _judge(facts: Facts, record: Record, names: Resolver) -> Verdict:
    judge = next((one for ending, one in _TXT if record.kind == "TXT" and record.name.startswith(ending)), None)
    if judge is None:
        judge = _KINDS[record.kind]
    return await judge(facts, record, names)


def _missing(record: Record) -> Verdict:
    return "missing", "", f"Publish: {record.name}. {record.kind} {quoted(record.value) if record.kind == 'TXT' else record.value}"


def _wrong(found: str, advice: str) -> Verdict:
    return "wrong", found, advice


async def _mx(facts: Facts, record: Record, names: Resolver) -> Verdict:
    answer = await names.mx(record.name)
    if not answer.values:
        return _missing(record)
    found = ", ".join(f"{one.preference} {one.name or '.'}" for one in answer.values)
    if any(not one.name for one in answer.values):
        return _wrong(found, "This says that the domain takes no mail (RFC 7505); publish the record of this house in its place.")
    if facts.host_name not in {one.name for one in answer.values}:
        return _wrong(found, f"Letters go elsewhere: let one of them name {facts.host_name}.")
    if (await names.cname(facts.host_name)).values:
        return _wrong(found, f"{facts.host_name} is an alias (CNAME), which an MX may not name (RFC 2181 §10.3); give it an address.")
    return "right", found, ""


async def _address(facts: Facts, record: Record, names: Resolver) -> Verdict:
    answer = await (names.aaaa if record.kind == "AAAA" else names.a)(record.name)
    if not answer.values:
        return _missing(record)
    found = ", ".join(answer.values)
    if record.value not in answer.values:
        return _wrong(found, f"The name leads elsewhere; the box is seen as {record.value}.")
    return "right", found, ""


async def _spf(facts: Facts, record: Record, names: Resolver) -> Verdict:
    answer = await names.txt(record.name)
    ours = [text for value in answer.values if (text := value.decode("ascii", "replace")).lower().split(" ")[0] == "v=spf1"]
    if not ours:
        return _missing(record)
    if len(ours) > 1:
        return _wrong("; ".join(ours), "There are several SPF records, so none counts (RFC 7208 §4.5); keep one.")
    if any(term.lower() in ("+all", "all") for term in ours[0].split()):
        return _wrong(ours[0], "It lets everybody send in your name; end it with ~all.")
    spf = Spf(names)
    for address in facts.addresses:
        if not await spf.permits(facts.domain, address):
            return _wrong(ours[0], f"It does not let {address} send, which is this box: add ip{6 if ':' in address else 4}:{address}.")
    for term in facts.relays:
        if term.lower() not in ours[0].lower().split():
            return _wrong(ours[0], f"It does not let your relay send: add {term}.")
    return "right", ours[0], ""


class Spf:
    """Does a record let an address send? (RFC 7208 §4.6: all, include, a, mx, ip4, ip6, redirect). At most LOOKUPS questions."""

    def __init__(self, names: Resolver) -> None:
        self._names = names
        self._left = LOOKUPS

    async def permits(self, domain: str, address: str) -> bool:
        self._left = LOOKUPS
        return await self._passes(domain, address)

    async def _passes(self, domain: str, address: str) -> bool:
        texts = [value.decode("ascii", "replace") for value in (await self._names.txt(domain)).values]
        terms = next((text.split()[1:] for text in texts if text.lower().split(" ")[0] == "v=spf1"), [])
        for term in terms:
            sign, rest = (term[0], term[1:]) if term[0] in "+-~?" else ("+", term)
            if rest.lower().startswith("redirect="):
                self._left -= 1
                return self._left >= 0 and await self._passes(rest[9:], address)
            if await self._fits(rest, domain, address):
                return sign == "+"
        return False

    async def _fits(self, term: str, domain: str, address: str) -> bool:
        word, _, value = term.partition(":")
        word, _, bits = word.lower().partition("/")
        value, _, more = value.partition("/") if word in ("a", "mx") else (value, "", "")
        name, bits = value or domain, bits or more
        if word == "all":
            return True
        if word in ("ip4", "ip6"):
            try:
                return ip_address(address) in ip_network(value, strict=False)
            except ValueError:
                return False
        if word not in ("a", "mx", "include"):
            return False
        self._left -= 1
        if self._left < 0:
            return False
        if word == "include":
            return await self._passes(value, address)
        hosts = [one.name for one in (await self._names.mx(name)).values if one.name][:LOOKUPS] if word == "mx" else [name]
        for host in hosts:
            for there in (await (self._names.aaaa if ":" in address else self._names.a)(host)).values:
                if ip_address(address) in ip_network(f"{there}/{bits}" if bits.isdecimal() else there, strict=False):
                    return True
        return False


def _tags(text: str) -> dict[str, str]:
    return {name.strip().lower(): value.strip() for name, found, value in (part.partition("=") for part in text.split(";")) if found}


async def _dkim(facts: Facts, record: Record, names: Resolver) -> Verdict:
    answer = await names.txt(record.name)
    if not answer.values:
        return _missing(record)
    text = answer.values[0].decode("ascii", "replace")
    published, ours = ("".join(_tags(one).get("p", "").split()) for one in (text, record.value))
    if not published:
        return _wrong(text, "This says that the key was withdrawn; publish the key of this house.")
    if published != ours:
        return _wrong(text, "Another key is published, so your signatures count as forged; publish the key of this house.")
    return "right", "the key of this house", ""


async def _dmarc(facts: Facts, record: Record, names: Resolver) -> Verdict:
    answer = await names.txt(record.name)
    ours = [text for value in answer.values if (text := value.decode("ascii", "replace")).replace(" ", "").startswith("v=DMARC1;")]
    if not ours:
        return _missing(record)
    if len(ours) > 1:
        return _wrong("; ".join(ours), "There are several, so none counts; keep one.")
    if _tags(ours[0]).get("p", "").lower() not in ("none", "quarantine", "reject"):
        return _wrong(ours[0], "It names no policy: p=none, p=quarantine or p=reject.")
    return "right", ours[0], ""


async def _tls_reports(facts: Facts, record: Record, names: Resolver) -> Verdict:
    answer = await names.txt(record.name)
    ours = [text for value in answer.values if (text := value.decode("ascii", "replace")).startswith("v=TLSRPTv1")]
    if not ours:
        return _missing(record)
    if not _tags(ours[0]).get("rua", "").startswith(("mailto:", "https:")):
        return _wrong(ours[0], "It names no place to report to: rua=mailto:ADDRESS.")
    return "right", ours[0], ""


async def _srv(facts: Facts, record: Record, names: Resolver) -> Verdict:
    answer: Answer[Srv] = await names.srv(record.name)
    if not answer.values:
        return _missing(record)
    found = ", ".join(f"{one.target or '.'}:{one.port}" for one in answer.values)
    port = int(record.value.split()[2])
    if not any(one.target == facts.host_name and one.port == port for one in answer.values):
        return _wrong(found, f"Mail programs are sent elsewhere; it should name {facts.host_name} and port {port}.")
    return "right", found, ""


async def _reverse(facts: Facts, address: str, names: Resolver) -> Finding:
    record = Record(address, "PTR", f"{facts.host_name}.", "others ask who is behind the address; only your provider can set this")
    try:
        answer = await names.ptr(address)
    except LookupTrouble as trouble:
        return Finding(record, "unknown", "", f"The name service gave no answer ({trouble}); try again later.")
    advice = f"Ask your provider to set the reverse name of {address} to {facts.host_name}; else send by a relay."
    if answer.found is not Found.YES:
        return Finding(record, "missing", "", advice)
    found = ", ".join(answer.values)
    return Finding(record, "right", found, "") if facts.host_name in answer.values else Finding(record, "wrong", found, advice)


async def _text(facts: Facts, record: Record, names: Resolver) -> Verdict:
    return await (_dkim if "._domainkey." in record.name else _spf)(facts, record, names)


_TXT: tuple[tuple[str, Callable[[Facts, Record, Resolver], Awaitable[Verdict]]], ...] = (("_dmarc.", _dmarc), ("_smtp._tls.", _tls_reports))
_KINDS: dict[str, Callable[[Facts, Record, Resolver], Awaitable[Verdict]]] = {
    "MX": _mx, "A": _address, "AAAA": _address, "SRV": _srv, "TXT": _text,
}  # fmt: skip


def findings_text(findings: Sequence[Finding]) -> str:
    """For people: what is right in a line each, the rest with what to do; the last line sums up."""
    lines = []
    for one in findings:
        lines.append(f"{one.state:<8} {one.record.kind:<5} {one.record.name}" + (f"   {one.found[:80]}" if one.found else ""))
        if one.advice:
            lines.append(f"         {one.advice}")
    wrong = sum(one.state in ("wrong", "missing") for one in findings)
    unknown = sum(one.state == "unknown" for one in findings)
    last = "All is published, and right." if not wrong and not unknown else f"{wrong} to do" + (f", {unknown} unknown." if unknown else ".")
    return "\n".join((*lines, last))
