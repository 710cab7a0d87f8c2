"""DANE's table: usage x selector x matching, chains that lead to an authority and chains that do not (RFC 6698, RFC 7672)."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from appliance.network.resolver import Tlsa
from appliance.outbound.dane import record_matches, usable, verify

NOW = datetime(2026, 11, 1, tzinfo=UTC)
NAMES = ("mx.far.example", "far.example")


def name_of(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Certificate:
    """Signed by `issuer`, or by itself."""

    def __init__(self, name: str, issuer: "Certificate | None" = None, *, names: tuple[str, ...] = (), days: int = 100) -> None:
        self.name, self.key = name_of(name), ec.generate_private_key(ec.SECP256R1())
        signer = issuer or self
        builder = x509.CertificateBuilder(
            signer.name, self.name, self.key.public_key(), x509.random_serial_number(), NOW - timedelta(days=1), NOW + timedelta(days=days)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
        else:
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.der = builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER)
        self.spki = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


ROOT = Certificate("root")
MIDDLE = Certificate("middle", ROOT)
LEAF = Certificate("leaf", MIDDLE, names=("mx.far.example",))
OTHER = Certificate("other", Certificate("other root"), names=("mx.far.example",))
OLD = Certificate("old", ROOT, names=("mx.far.example",), days=0)
STAR = Certificate("star", ROOT, names=("*.far.example",))
STRANGE = Certificate("strange", ROOT, names=("mx.strange.example",))
CHAIN = (LEAF.der, MIDDLE.der, ROOT.der)


def tlsa(usage: int, selector: int, matching: int, one: Certificate) -> Tlsa:
    octets = one.spki if selector else one.der
    return Tlsa(usage, selector, matching, hashlib.new({1: "sha256", 2: "sha512"}[matching], octets).digest() if matching else octets)


def held(records: list[Tlsa], *chain: bytes, names: tuple[str, ...] = NAMES, days: float = 0) -> bool:
    return verify(usable(records), chain, names, (NOW + timedelta(days=days)).timestamp())


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
def test_every_usable_record_matches_its_own_certificate_only(selector: int, matching: int) -> None:
    end, authority = tlsa(3, selector, matching, LEAF), tlsa(2, selector, matching, ROOT)
    assert record_matches(end, LEAF.der) and not record_matches(end, OTHER.der)
    assert held([end], *CHAIN) and not held([end], OTHER.der)
    assert held([authority], *CHAIN) and not held([authority], OTHER.der, ROOT.der)
    assert not held([tlsa(3, selector, matching, MIDDLE)], *CHAIN), "usage 3 is about the server's own"
    assert held([tlsa(2, selector, matching, MIDDLE)], *CHAIN[:2]), "an authority between counts"


@pytest.mark.parametrize(
    ("record", "so"),
    [
        (tlsa(0, 1, 1, LEAF), False), (tlsa(1, 1, 1, LEAF), False), (tlsa(3, 1, 1, LEAF), True), (tlsa(2, 0, 2, ROOT), True),
        (Tlsa(4, 1, 1, b"x" * 32), False), (Tlsa(3, 2, 1, b"x" * 32), False), (Tlsa(3, 1, 3, b"x" * 32), False),
        (Tlsa(3, 1, 1, b"x" * 31), False), (Tlsa(3, 1, 2, b"x" * 32), False),
    ],
)  # fmt: skip
def test_which_records_are_usable(record: Tlsa, so: bool) -> None:
    assert bool(usable([record])) is so


def test_names_and_dates_count_for_authorities_only() -> None:
    own = tlsa(3, 1, 1, LEAF)
    assert held([own], LEAF.der, names=("elsewhere.example",)) and held([own], LEAF.der, days=1000)
    root = tlsa(2, 0, 1, ROOT)
    assert not held([root], *CHAIN, days=1000)
    assert not held([root], STRANGE.der, ROOT.der) and held([root], STAR.der, ROOT.der)
    assert held([root], STRANGE.der, ROOT.der, names=("mx.far.example", "mx.strange.example"))
    assert not held([root], OLD.der, ROOT.der, days=1)


def test_one_of_several_records_is_enough() -> None:
    assert held([tlsa(3, 1, 1, OTHER), tlsa(3, 1, 1, LEAF)], *CHAIN)
    assert held([tlsa(2, 0, 0, ROOT)], LEAF.der, MIDDLE.der), "the record itself brings the authority"
    assert not held([tlsa(2, 0, 1, ROOT)], LEAF.der, MIDDLE.der), "a hash alone does not"
    assert not held([tlsa(3, 1, 1, LEAF)]) and not held([], *CHAIN)
    assert not held([tlsa(2, 0, 1, ROOT)], b"junk", ROOT.der) and not held([tlsa(3, 1, 1, LEAF)], b"junk")
