"""Makes authority and server certificate with `cryptography` (X.509, RFC 5280); runs as a child process of `certificates`.

Every device must trust a new authority again: one is made when there is none, when it is requested, and when neither it nor the
server certificate can be used any more. See the table in `certificates`.
"""

import ipaddress
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from appliance.runtime.atomic_file import sync_directory, write_whole
from appliance.runtime.clock import BUILT_AT

from .contents import (
    AUTHORITY,
    AUTHORITY_DAYS,
    FORMER,
    PRIVATE,
    SERVER,
    SERVER_DAYS,
    UNTRUSTED,
    WantedCertificate,
    certified,
    not_before_at,
    read_authority,
)

Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]
P_256 = ec.SECP256R1
COMMON_NAME_CHARS = 64
"""RFC 5280 appendix A.1, ub-common-name."""


def make(directory: Path, want: WantedCertificate, not_before_at: int, *, trusted: bool, new_authority: bool = False) -> str:
    """Write server.pem, and authority.pem where the table in `certificates` says so; a sentence about what was made.

    Raises ValueError when the authority cannot sign and is to stay.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    not_before = datetime.fromtimestamp(not_before_at, UTC)
    authority = _read(directory / AUTHORITY)
    made = "signed by the same authority"
    if authority is None and _read(directory / SERVER) is not None and not new_authority:
        raise ValueError("the authority cannot be read")
    if authority is None or new_authority:
        made = "the authority is new: devices must trust it once (pillarbox certificate export)"
        authority = make_authority(want, not_before)
        _keep_former(directory)
        write_whole(directory / AUTHORITY, _pem(authority))
    elif trusted and authority[0].not_valid_after_utc <= not_before:
        raise ValueError("the authority has expired")
    want, _left_out = certified(want, read_authority((directory / AUTHORITY).read_text()))
    not_before = max(not_before, authority[0].not_valid_before_utc)  # the clock may have been set back a little
    write_whole(directory / SERVER, _pem(make_server(want, not_before, authority)))
    return made


def _keep_former(directory: Path) -> None:
    """An authority that is replaced stays aside, and UNTRUSTED says that devices do not know the new one."""
    former = directory / AUTHORITY
    if not former.exists() and not (directory / SERVER).exists():
        return
    (directory / UNTRUSTED).touch(mode=0o600)
    if former.exists():
        write_whole(directory / FORMER, former.read_bytes())
    sync_directory(directory)


def make_authority(want: WantedCertificate, not_before: datetime) -> Pair:
    """Self-signed, ten years, for `want.permitted` and private addresses only (RFC 5280 §4.2.1.10).

    It begins when this program was built, so that a clock that runs ahead today makes none that begins in the future.
    """
    until = not_before + timedelta(days=AUTHORITY_DAYS)
    not_before = min(not_before, datetime.fromtimestamp(BUILT_AT, UTC))
    key = ec.generate_private_key(P_256())
    serial = x509.random_serial_number()
    name = _name(f"Pillarbox at {want.names[0]} ({serial % 0x10000:04x})")
    subtrees: list[x509.GeneralName] = [x509.DNSName(permitted) for permitted in want.permitted]
    subtrees += [x509.IPAddress(ipaddress.ip_network(network)) for network in PRIVATE]
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), serial, not_before, until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted_subtrees=subtrees, excluded_subtrees=None), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def make_server(want: WantedCertificate, not_before: datetime, authority: Pair) -> Pair:
    """For `want.names` and `want.addresses`, SERVER_DAYS long."""
    issuer, issuer_key = authority
    key = ec.generate_private_key(P_256())
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in want.names]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in want.addresses]
    issuer_id = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    until = not_before + timedelta(days=SERVER_DAYS, seconds=-1)  # both ends count (RFC 5280 §4.1.2.5)
    until = min(until, issuer.not_valid_after_utc)
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


def main(arguments: Sequence[str]) -> int:
    """The child: DIRECTORY NOW TRUSTED NEW-AUTHORITY NAMES ADDRESSES PERMITTED, lists joined by commas; 0, or a sentence on stderr."""
    directory, now_at, trusted, anew, *lists = arguments
    names, addresses, permitted = (tuple(filter(None, part.split(","))) for part in lists)
    want, sure = WantedCertificate(names, addresses, permitted), trusted == "1"
    try:
        print(make(Path(directory), want, not_before_at(int(now_at), sure), trusted=sure, new_authority=anew == "1"))
    except (OSError, ValueError) as e:
        print(e, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
