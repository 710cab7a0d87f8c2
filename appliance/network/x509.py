"""The few facts of an X.509 certificate that the server needs, parsed from its DER with nothing but slices.

Our own certificate files are parsed, and of other servers' certificates the key (`public_key_of`). How it fails: MisuseError for
anything that is
not a certificate. Known gap: names other than DNS names and IP addresses are not listed.
"""

import hashlib
import socket
from binascii import Error as BadBase64
from binascii import a2b_base64
from collections.abc import Iterator
from dataclasses import dataclass

from appliance.mail.errors import MisuseError

BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"

SEQUENCE = 0x30
UTC_TIME = 0x17
DAYS_TO_1970 = 719_468
"""From 1 March of the year 0."""

HASHES: tuple[tuple[str, str], ...] = (
    # RFC 5929 §4.1: MD5 and SHA-1 count as SHA-256
    ("2a864886f70d010104", "sha256"),  # md5WithRSAEncryption
    ("2a864886f70d010105", "sha256"),  # sha1WithRSAEncryption
    ("2a864886f70d01010e", "sha224"),
    ("2a864886f70d01010b", "sha256"),
    ("2a864886f70d01010c", "sha384"),
    ("2a864886f70d01010d", "sha512"),
    ("2a8648ce3d0401", "sha256"),  # ecdsa-with-SHA1
    ("2a8648ce3d040301", "sha224"),
    ("2a8648ce3d040302", "sha256"),
    ("2a8648ce3d040303", "sha384"),
    ("2a8648ce3d040304", "sha512"),
    ("608648016503040204", "sha224"),  # the hashes themselves, in RSASSA-PSS parameters
    ("608648016503040201", "sha256"),
    ("608648016503040202", "sha384"),
    ("608648016503040203", "sha512"),
)
RSASSA_PSS = "2a864886f70d01010a"
SUBJECT_ALT_NAME = "551d11"
NAME_CONSTRAINTS = "551d1e"
COMMON_NAME, ORGANISATION = "550403", "55040a"
BMP_STRING = 0x1E


@dataclass(frozen=True, slots=True)
class CertificateDetails:
    """`names`: DNS names and IP addresses as text. `end_point` is b"" where RFC 5929 defines none (Ed25519). `subject` and `issuer`:
    the common name, or else the organisation, of the subject and of the issuer; "" where there is neither."""

    der: bytes
    names: tuple[str, ...]
    not_before_at: int
    not_after_at: int
    end_point: bytes
    subject: str = ""
    issuer: str = ""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate as it is displayed: pairs of hex digits and colons."""
        return hashlib.sha256(self.der).digest().hex(":").upper()


def parse_certificate(pem: str) -> CertificateDetails:
    """The first certificate of a PEM file: the one a server sends first. Raises MisuseError."""
    start, end = pem.find(BEGIN), pem.find(END)
    if start < 0 or end < start:
        raise MisuseError("no certificate in the file")
    try:
        der = a2b_base64(pem[start + len(BEGIN) : end])
    except BadBase64 as e:
        raise MisuseError("not a certificate") from e
    return parse_der(der)


def parse_der(der: bytes) -> CertificateDetails:
    """A certificate in DER. Raises MisuseError."""
    try:
        certificate = _one(der, SEQUENCE)
        to_be_signed, algorithm = [value for _tag, value in _each(certificate)][:2]
        fields = list(_each(to_be_signed))
        if fields[0][0] == 0xA0:  # version
            del fields[0]
        not_before, not_after = (_time(tag, value) for tag, value in _each(fields[3][1]))
        names = tuple(_names(fields[6:]))
        issuer, subject = _named(fields[2][1]), _named(fields[4][1])
        end_point = _end_point(der, algorithm)
    except (IndexError, ValueError, StopIteration) as e:
        raise MisuseError("not a certificate") from e
    return CertificateDetails(der, names, not_before, not_after, end_point, subject, issuer)


def _named(name: bytes) -> str:
    """The common name of a distinguished name, or else its organisation."""
    found: dict[str, str] = {}
    for _set, relative in _each(name):
        for _sequence, attribute in _each(relative):
            (_oid, kind), (tag, value) = list(_each(attribute))[:2]
            found.setdefault(kind.hex(), value.decode("utf-16-be" if tag == BMP_STRING else "utf-8", "replace"))
    return found.get(COMMON_NAME) or found.get(ORGANISATION) or ""


def permitted_names(der: bytes) -> tuple[str, ...] | None:
    """The DNS names a certificate authority may sign for, with all below them (RFC 5280 §4.2.1.10); None without such a limit.

    Raises MisuseError.
    """
    try:
        fields = list(_each(_one(_one(der, SEQUENCE), SEQUENCE)))
        for value in _extensions(fields, NAME_CONSTRAINTS):
            trees = [tree for tag, part in _each(_one(value, SEQUENCE)) if tag == 0xA0 for _tag, tree in _each(part)]
            found = [next(_each(tree)) for tree in trees]
            return tuple(name.decode("ascii", "replace") for kind, name in found if kind == 0x82)
    except (IndexError, ValueError, StopIteration) as e:
        raise MisuseError("not a certificate") from e
    return None


def public_key_of(der: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a certificate in DER, whole, as TLSA records hash it (RFC 6698 §2.1.2). Raises MisuseError."""
    try:
        fields = list(_each(_one(_one(der, SEQUENCE), SEQUENCE)))
        if fields[0][0] == 0xA0:
            del fields[0]
        tag, value = fields[5]
    except (IndexError, ValueError, StopIteration) as e:
        raise MisuseError("not a certificate") from e
    size = len(value)
    octets = (size.bit_length() + 7) // 8
    length = bytes([size]) if size < 0x80 else bytes([0x80 | octets]) + size.to_bytes(octets, "big")
    return bytes([tag]) + length + value


def _end_point(der: bytes, algorithm: bytes) -> bytes:
    """The certificate hashed as its signature hashes (RFC 5929 §4.1)."""
    parts = list(_each(algorithm))
    oid = parts[0][1].hex()
    table = dict(HASHES)
    name = table.get(oid, "")
    if oid == RSASSA_PSS:
        name = "sha256"  # the default is SHA-1
        for tag, value in _each(parts[1][1]):
            if tag == 0xA0:
                name = table.get(next(_each(_one(value, SEQUENCE)))[1].hex(), "")
    return hashlib.new(name, der).digest() if name else b""


def _names(fields: list[tuple[int, bytes]]) -> Iterator[str]:
    for value in _extensions(fields, SUBJECT_ALT_NAME):
        for kind, name in _each(_one(value, SEQUENCE)):
            if kind == 0x82:
                yield name.decode("ascii", "replace")
            elif kind == 0x87:
                yield _address(name)


def _extensions(fields: list[tuple[int, bytes]], oid: str) -> Iterator[bytes]:
    """The values of the extensions `oid` (RFC 5280 §4.1.2.9)."""
    for tag, value in fields:
        if tag != 0xA3:
            continue
        for _sequence, extension in _each(_one(value, SEQUENCE)):
            parts = list(_each(extension))
            if parts[0][1].hex() == oid:
                yield parts[-1][1]


def _address(packed: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def _time(tag: int, value: bytes) -> int:
    """UTC seconds (RFC 5280 §4.1.2.5). By hand: `strptime` and `calendar` cost the idle server 0.2 MB."""
    text = value.decode("ascii")
    if tag == UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    if len(text) != 15 or text[14] != "Z":
        raise ValueError("not a time")
    year, month, day = int(text[:4]), int(text[4:6]), int(text[6:8])
    year -= month <= 2  # years begin in March, so that the leap day comes last
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * ((month + 9) % 12) + 2) // 5 + day - 1 - DAYS_TO_1970
    return 86400 * days + 3600 * int(text[8:10]) + 60 * int(text[10:12]) + int(text[12:14])


def _each(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, value) of every element in turn; raises ValueError when one runs over the end."""
    at = 0
    while at < len(octets):
        tag, length = octets[at], octets[at + 1]
        at += 2
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(octets[at : at + count], "big")
            at += count
        if at + length > len(octets):
            raise ValueError("runs over the end")
        yield tag, octets[at : at + length]
        at += length


def _one(octets: bytes, tag: int) -> bytes:
    found = next(_each(octets))
    if found[0] != tag:
        raise ValueError("another kind of element")
    return found[1]
