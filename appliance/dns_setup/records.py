"""The DNS records to publish for a domain of this server: advice, pure.

| record                    | for                                        | needed                                         |
|---------------------------|--------------------------------------------|------------------------------------------------|
| MX                        | mail from the internet reaches the server  | where SMTP listens                             |
| A, AAAA                   | the host name has an address               | yes; ADDRESS stands for one not known here     |
| TXT, SPF                  | this server may send for the domain        | yes (RFC 7208)                                 |
| TXT SELECTOR._domainkey   | signatures can be checked                  | where messages are signed (RFC 6376 §3.6.2)    |
| TXT _dmarc                | what receivers do with forged messages     | yes (RFC 7489 §6.3)                            |
| TXT _smtp._tls            | reports about failed TLS                   | good to have (RFC 8460 §3)                     |
| SRV _imaps._tcp and such  | mail programs configure themselves         | good to have (RFC 6186, RFC 8314 §5.1)         |
| PTR                       | receivers look up the sending address      | for direct sending; set by the provider        |

Only what a running service needs is advised. Left out: MTA-STS, for which no web server shows a policy; CAA.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from appliance.mail.protocols import PROTOCOLS, ProtocolRow
from appliance.mail.sentence import Sentence, joined, keyed

TXT_OCTETS = 255
"""RFC 1035 §3.3: one string of a TXT record; longer values are several."""
STARTTLS = Sentence("mail programs configure themselves (with STARTTLS)")
OPEN_ADDRESS = "ADDRESS"
"""Placeholder for an address that is not known here; such a zone line is a comment."""


@dataclass(frozen=True, slots=True)
class DomainFacts:
    """What the server is. `addresses` are the public ones, () when unknown; `services` (protocol, port) that listen;
    `dkim` (selector, value); `relays` SPF terms of relays such as "include:_spf.provider.example", or their host names."""

    domain: str
    host_name: str
    addresses: tuple[str, ...] = ()
    services: tuple[tuple[str, int], ...] = ()
    dkim: tuple[tuple[str, str], ...] = ()
    relays: tuple[str, ...] = ()
    postmaster: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """`name` without a last dot; `value` as a zone file has it, TXT without its quotes, "" for an address that is not known here.

    `needed` False: good to have.
    """

    name: str
    kind: str
    value: str
    why: str
    needed: bool = True

    @property
    def zone_value(self) -> str:
        """As a zone file has it."""
        return quoted(self.value) if self.kind == "TXT" else self.value or OPEN_ADDRESS


def relay_term(written: str) -> str:
    """The SPF term of a relay; a host name stands for its addresses."""
    return written if ":" in written or "=" in written or "." not in written else f"a:{written}"


def records(facts: DomainFacts, protocols: Sequence[ProtocolRow] = PROTOCOLS) -> list[Record]:
    """What to publish, in the order to do it."""
    running, host, domain = dict(facts.services), facts.host_name, facts.domain
    out: list[Record] = []
    if "smtp" in running:
        out.append(Record(domain, "MX", f"10 {host}.", "mail from the internet reaches this server"))
    if all(":" in address for address in facts.addresses):
        why = Sentence(
            "the host name needs an address; your public IPv4 address is not known here: fill it in, and update it when it changes"
        )
        out.append(Record(host, "A", "", why, needed=not facts.addresses))
    for address in facts.addresses:
        out.append(Record(host, "AAAA" if ":" in address else "A", address, "the host name needs an address"))
    terms = ["mx"] if "smtp" in running else []
    terms += [f"ip{6 if ':' in address else 4}:{address}" for address in facts.addresses] or ([f"a:{host}"] if not terms else [])
    value = " ".join(("v=spf1", *terms, *map(relay_term, facts.relays), "~all"))
    out.append(Record(domain, "TXT", value, "other servers accept mail of this domain from here"))
    for selector, value in facts.dkim:
        out.append(Record(f"{selector}._domainkey.{domain}", "TXT", value, "other servers can verify the signatures of your messages"))
    reports = f"; rua={_mailto(facts.postmaster)}" if facts.postmaster else ""
    out.append(Record(f"_dmarc.{domain}", "TXT", f"v=DMARC1; p=quarantine{reports}", "other servers know what to do with forged messages"))
    if facts.postmaster and "smtp" in running:
        value = f"v=TLSRPTv1; rua={_mailto(facts.postmaster)}"
        out.append(Record(f"_smtp._tls.{domain}", "TXT", value, "other servers report failed TLS connections to you", needed=False))
    services = tuple(dict.fromkeys(row.service for row in protocols))
    for row in sorted(protocols, key=lambda row: (services.index(row.service), not row.implicit_tls)):
        if row.srv and row.name in running:
            how = Sentence("mail programs configure themselves") if row.implicit_tls else STARTTLS
            value = f"{0 if row.implicit_tls else 10} 1 {running[row.name]} {host}."
            out.append(Record(f"{row.srv}._tcp.{domain}", "SRV", value, how, needed=False))
    why = Sentence("other servers check the name of your address; only your provider can set this")
    for address in facts.addresses:
        out.append(Record(ip_address(address).reverse_pointer, "PTR", f"{host}.", why, needed=not facts.relays))
    return out


def _mailto(address: str) -> str:
    """RFC 7489 §6.4, RFC 8460 §3: separators in the address are percent-encoded."""
    for separator in "%,!;":
        address = address.replace(separator, f"%{ord(separator):02X}")
    return f"mailto:{address}"


def zone_text(found: Sequence[Record]) -> str:
    """Lines to copy, each with its reason above; what cannot be copied as it stands is a comment."""
    copied = [one for one in found if one.value and one.kind != "PTR"]
    width = max((len(one.name) for one in copied), default=0) + 1
    lines: list[str] = []
    for one in found:
        lines.append(Sentence("; %(why)s", why=keyed(one.why)))
        if one in copied:
            lines.append(f"{one.name + '.':<{width}}  {one.kind:<4}  {one.zone_value}")
        else:
            lines.append(f"; {one.name}. {one.kind} {one.zone_value}")
    return joined(*lines, by="\n")


def quoted(value: str) -> str:
    """A TXT value in strings of at most TXT_OCTETS."""
    parts = (value[start : start + TXT_OCTETS] for start in range(0, len(value), TXT_OCTETS))
    return " ".join('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts)
