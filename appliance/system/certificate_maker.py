"""Makes authority and server certificate with `cryptography`; only the child process of `certificates` imports it.

The authority is made again, and must be trusted again, only when it ends within a server certificate's life or cannot
vouch for a name that is wanted now (a domain added later).
"""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .certificates import AUTHORITY, AUTHORITY_DAYS, PRIVATE, SERVER, SERVER_DAYS, Wanted, write_whole

Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]
P_256 = ec.SECP256R1
COMMON_NAME_CHARS = 64
"""RFC 5280 appendix A.1, ub-common-name."""


def make(directory: Path, want: Wanted, not_before_at: int, *, trusted: bool) -> str:
    """Write server.pem, and authority.pem when it is missing or no longer fits; a sentence about what was made."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    not_before = datetime.fromtimestamp(not_before_at, UTC)
    authority = _read(directory / AUTHORITY)
    said = "signed by the same authority"
    if authority is None or not _fits(authority[0], want, not_before, trusted):
        said = "the authority is new: devices must trust it once (pillarbox certificate export)"
        authority = make_authority(want, not_before)
        write_whole(directory / AUTHORITY, _pem(authority))
    not_before = max(not_before, authority[0].not_valid_before_utc)  # the clock may have been set back a little
    write_whole(directory / SERVER, _pem(make_server(want, not_before, authority)))
    return said


def make_authority(want: Wanted, not_before: datetime) -> Pair:
    """Self-signed, ten years, for `want.permitted` and private addresses only (RFC 5280 §4.2.1.10)."""
    key = ec.generate_private_key(P_256())
    serial = x509.random_serial_number()
    name = _name(f"Pillarbox at {want.names[0]} ({serial % 0x10000:04x})")
    subtrees: list[x509.GeneralName] = [x509.DNSName(permitted) for permitted in want.permitted]
    subtrees += [x509.IPAddress(ipaddress.ip_network(network)) for network in PRIVATE]
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), serial, not_before, not_before + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted_subtrees=subtrees, excluded_subtrees=None), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def make_server(want: Wanted, not_before: datetime, authority: Pair) -> Pair:
    """For `want.names` and `want.addresses`, SERVER_DAYS long."""
    issuer, issuer_key = authority
    key = ec.generate_private_key(P_256())
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in want.names]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in want.addresses]
    issuer_id = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    until = not_before + timedelta(days=SERVER_DAYS, seconds=-1)  # both ends count (RFC 5280 §4.1.2.5)
    certificate = (
        x509.CertificateBuilder(issuer.subject, _name(want.names[0]), key.public_key(), x509.random_serial_number(), not_before, until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_id), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    return certificate, key


def _fits(authority: x509.Certificate, want: Wanted, not_before: datetime, trusted: bool) -> bool:
    """It has begun, outlives the server certificate and may vouch for every name (addresses are always private ones).

    A clock that is not `trusted` is no reason to have devices trust another authority.
    """
    until = not_before + timedelta(days=SERVER_DAYS)
    if authority.not_valid_after_utc < until or (trusted and authority.not_valid_before_utc > not_before + timedelta(days=1)):
        return False
    constraints = authority.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
    roots = [tree.value for tree in constraints if isinstance(tree, x509.DNSName)]
    return all(any(name == root or name.endswith(f".{root}") for root in roots) for name in want.names)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:COMMON_NAME_CHARS])])


def _pem(pair: Pair) -> bytes:
    certificate, key = pair
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def _read(path: Path) -> Pair | None:
    """None when there is none, or nothing usable."""
    try:
        pem = path.read_bytes()
        key = serialization.load_pem_private_key(pem, None)
        certificate = x509.load_pem_x509_certificate(pem)
    except (OSError, ValueError, TypeError):
        return None
    return (certificate, key) if isinstance(key, ec.EllipticCurvePrivateKey) else None
