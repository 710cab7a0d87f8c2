"""DANE for SMTP: certificates authenticated by TLSA records under DNSSEC (RFC 7672, RFC 6698, RFC 7671).

| TLSA records of the host (DNSSEC-validated)   | requirement                                                                  |
|-----------------------------------------------|------------------------------------------------------------------------------|
| none                                          | none (RFC 7672 §2.2)                                                         |
| some usable                                   | one must match: usage 3 the server's own key or certificate, 2 its authority  |
| all unusable (usage 0 or 1, unknown values)   | TLS, with any certificate (RFC 7672 §2.2)                                    |

Usage 3 checks nothing but the match: no name, no dates (RFC 7672 §3.1.1). Usage 2 requires signatures from the server's
certificate up to the one that matches, its dates, and the host's or the domain's name in it (§3.1.2, §3.2.2). Pure.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from appliance.mail.errors import MisuseError
from appliance.network.certificate_fault import EXPIRED, NOT_YET, BadCertificate, explain, found_names
from appliance.network.resolver import Tlsa
from appliance.network.x509 import parse_der, public_key_of

HASHES = {0: None, 1: "sha256", 2: "sha512"}
CHAIN = 10
"""Certificates of a chain that are examined."""


def usable(records: Sequence[Tlsa]) -> tuple[Tlsa, ...]:
    """The records an SMTP client can use (RFC 7672 §3.1)."""
    lengths = {0: None, 1: 32, 2: 64}
    return tuple(
        one
        for one in records
        if one.usage in (2, 3) and one.selector in (0, 1) and one.matching in HASHES and lengths[one.matching] in (None, len(one.data))
    )


def record_matches(record: Tlsa, der: bytes) -> bool:
    """Does the record match this certificate or its key? (RFC 6698 §2.1)"""
    try:
        octets = der if record.selector == 0 else public_key_of(der)
    except MisuseError:
        return False
    name = HASHES[record.matching]
    return (octets if name is None else hashlib.new(name, octets).digest()) == record.data


def verify(records: Sequence[Tlsa], chain: Sequence[bytes], names: Sequence[str], now_at: float) -> bool:
    """Does the chain (the server's own first) match one of the usable records? `names`: the host's and the domain's."""
    if not chain:
        return False
    if any(one.usage == 3 and record_matches(one, chain[0]) for one in records):
        return True
    anchors = [one for one in records if one.usage == 2]
    return bool(anchors) and _by_authority(anchors, chain[:CHAIN], names, now_at)


def fault(records: Sequence[Tlsa], chain: Sequence[bytes], names: Sequence[str], now_at: float) -> str:
    """Why the chain matches no record, in a clause for a person to read. Call after `verify` returned False."""
    try:
        own = parse_der(chain[0])
    except (IndexError, MisuseError):
        return "it showed none that can be parsed"
    if not any(one.usage == 2 for one in records):
        key = hashlib.sha256(public_key_of(own.der)).hexdigest()
        return f"none of its {len(records)} TLSA records names the key it showed (SHA-256 {key[:16]}...)"
    if not own.not_before_at <= now_at <= own.not_after_at:
        return explain(BadCertificate(NOT_YET if now_at < own.not_before_at else EXPIRED, "", chain[:1]), names[0], now_at).rstrip(".")
    return f"expected {' or '.join(names)}, found {found_names(own)}, and no authority of its TLSA records signed it"


def _by_authority(anchors: Sequence[Tlsa], chain: Sequence[bytes], names: Sequence[str], now_at: float) -> bool:
    """Verify signatures up to a trust anchor. `cryptography` is loaded here only: few domains publish usage 2."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    whole = [one.data for one in anchors if one.matching == 0 and one.selector == 0]
    try:
        certificates = [x509.load_der_x509_certificate(der) for der in (*chain, *whole)]
        below = certificates[0]
        if not _named(below, names):
            return False
        now = datetime.fromtimestamp(now_at, UTC)
        for _ in range(CHAIN):
            if not below.not_valid_before_utc <= now <= below.not_valid_after_utc:
                return False
            der = below.public_bytes(_der())
            if below is not certificates[0] and any(record_matches(one, der) for one in anchors):
                return True
            above = next((one for one in certificates[1:] if one is not below and _issued(below, one, InvalidSignature)), None)
            if above is None:
                return any(record_matches(one, der) for one in anchors)
            below = above
    except (ValueError, TypeError):
        return False
    return False


def _der() -> Any:
    from cryptography.hazmat.primitives.serialization import Encoding

    return Encoding.DER


def _issued(below: Any, above: Any, invalid: type[Exception]) -> bool:
    try:
        below.verify_directly_issued_by(above)
    except (ValueError, TypeError, invalid):
        return False
    return True


def _named(certificate: Any, names: Sequence[str]) -> bool:
    """Is one of the names in the certificate? "*" stands for one label (RFC 7672 §3.2.3)."""
    from cryptography import x509

    try:
        there = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        return False
    patterns = [name.lower() for name in there]
    return any(
        pattern == name.lower() or (pattern.startswith("*.") and name.lower().partition(".")[2] == pattern[2:])
        for pattern in patterns
        for name in names
    )
