"""What the server's certificates hold: names, addresses, name constraints and life (RFC 5280), and what a file of them says.

Values and rules only; `certificates` decides when a certificate is made, `maker` makes it.
"""

import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from appliance.mail.address import ascii_domain, parse_domain
from appliance.mail.errors import MisuseError
from appliance.network.x509 import CertificateDetails, parse_certificate, permitted_names
from appliance.runtime.clock import BUILT_AT

AUTHORITY, SERVER = "authority.pem", "server.pem"
"""Key and certificate in one file each."""
FORMER, UNTRUSTED = "authority.former.pem", "authority.new"
"""The authority before, and an empty file that stays until the authority that replaced it is exported."""
DAY_S = 86_400
SERVER_DAYS = 397
"""Most that strict clients accept; the day taken off before today counts."""
AUTHORITY_DAYS = 3652
ADDRESSES = 16
"""Most addresses in a server certificate."""
LOCAL_NAMES = ("local", "home.arpa", "lan", "localhost")
PRIVATE = (
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8",
    "fc00::/7", "fe80::/10", "::1/128",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class WantedCertificate:
    """What the server certificate is to name, and what else the authority may ever certify."""

    names: tuple[str, ...]
    addresses: tuple[str, ...]
    permitted: tuple[str, ...]


def wanted(host: str, domains: Sequence[str], addresses: Sequence[str]) -> WantedCertificate:
    """Names of the host `host` and of the served `domains`; only private addresses stay (the authority has no others)."""
    host = _ascii(host)
    short = host.partition(".")[0]
    hosts = [name for name in (f"{short}.local", short, host) if _is_name(name)]
    served = [name for name in map(_ascii, domains) if _is_name(name)]
    names = dict.fromkeys([*hosts, "localhost", *(n for domain in served for n in (domain, f"mail.{domain}"))])
    permitted = dict.fromkeys([*LOCAL_NAMES, *(name for name in hosts if not name.endswith(".local")), *served])
    kept = dict.fromkeys(["127.0.0.1", "::1", *filter(is_private, addresses)])
    return WantedCertificate(tuple(names), tuple(kept)[:ADDRESSES], tuple(permitted))


def is_private(address: str) -> bool:
    """In one of PRIVATE's ranges."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        value = int.from_bytes(socket.inet_pton(family, address), "big")
    except OSError:
        return False
    width = 128 if family == socket.AF_INET6 else 32
    for network in PRIVATE:
        base, _slash, bits = network.partition("/")
        if (":" in base) == (":" in address):
            shift = width - int(bits)
            if value >> shift == int.from_bytes(socket.inet_pton(family, base), "big") >> shift:
                return True
    return False


@dataclass(frozen=True, slots=True)
class Authority:
    """What is known of the authority without its key; `permitted` None: it may certify every name."""

    facts: CertificateDetails
    permitted: tuple[str, ...] | None

    def certifies(self, name: str) -> bool:
        """May it sign a certificate with this DNS name? (RFC 5280 §4.2.1.10)"""
        return self.permitted is None or any(name == root or name.endswith(f".{root}") for root in self.permitted)


def read_authority(pem: str) -> Authority | None:
    """None when the file holds no certificate with a key."""
    try:
        facts = parse_certificate(pem)
        return Authority(facts, permitted_names(facts.der)) if "PRIVATE KEY-----" in pem else None
    except MisuseError:
        return None


def certified(want: WantedCertificate, authority: Authority | None) -> tuple[WantedCertificate, tuple[str, ...]]:
    """What the server certificate can name, and the names left out. An authority that is still to be made certifies all."""
    if authority is None:
        return want, ()
    kept = tuple(filter(authority.certifies, want.names))
    return replace(want, names=kept), tuple(name for name in want.names if name not in kept)


def due(
    facts: CertificateDetails | None, want: WantedCertificate, now_at: int, trusted: bool, *, authority_ends_at: int = sys.maxsize
) -> str:
    """Why a server certificate must be made, or "". Its life cannot reach beyond the end of its authority."""
    if facts is None:
        return "there is none"
    if missing := sorted({*want.names, *want.addresses} - set(facts.names)):
        return f"it does not name {', '.join(missing)}"
    if trusted:
        if now_at < facts.not_before_at:
            return "it begins in the future"
        last_third_at = facts.not_after_at - (facts.not_after_at - facts.not_before_at) // 3
        if now_at > last_third_at and facts.not_after_at < authority_ends_at:
            return "a third of its life is left"
    return ""


def not_before_at(now_at: int, trusted: bool) -> int:
    """A day before now, since devices' clocks differ; BUILT_AT, surely past, while our own clock is not to be believed."""
    return now_at - DAY_S if trusted and now_at - DAY_S > BUILT_AT else BUILT_AT


def _ascii(domain: str) -> str:
    """The A-label form that certificates carry (IDNA 2008, RFC 5891 §5); "" when there is none."""
    domain = domain.strip(".")
    if domain.isascii():
        return domain.lower()
    try:
        return ascii_domain(parse_domain(domain))
    except (MisuseError, UnicodeError):
        return ""


def _is_name(name: str) -> bool:
    """A host name that a certificate can carry (RFC 5280 §4.2.1.6): no underscores, no empty labels, no address."""
    labels = name.split(".")
    return name.isascii() and len(name) <= 253 and all(map(_is_label, labels)) and not labels[-1].isdigit()


def _is_label(label: str) -> bool:
    return 0 < len(label) <= 63 and label.replace("-", "").isalnum() and label[0] != "-" != label[-1]


def details_of(path: Path) -> CertificateDetails | None:
    """The certificate in a file; None when there is none."""
    try:
        return parse_certificate(text_of(path))
    except MisuseError:
        return None


def text_of(path: Path) -> str:
    """The file as text; "" when it cannot be read."""
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
