"""mailauth/agreement: ECDH on P-256 and AES-128-GCM, by libcrypto and by the package in its place, each against the other."""

import os

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from appliance.mail.errors import MisuseError
from appliance.mailauth import agreement
from appliance.mailauth.agreement import AgreementKey, check_point, seal


@pytest.fixture(params=["library", "package"])
def _by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "package":
        monkeypatch.setattr(agreement, "libcrypto", lambda: None)


@pytest.mark.usefixtures("_by")
def test_both_ends_find_the_same_secret() -> None:
    one, other = AgreementKey(), AgreementKey()
    assert one.point != other.point and one.point[0] == 4 and len(one.point) == 65
    shared = one.agree(other.point)
    assert shared == other.agree(one.point) and len(shared) == 32
    assert AgreementKey(one.pem).point == one.point and AgreementKey(one.pem).agree(other.point) == shared
    theirs = load_pem_private_key(one.pem, None)
    assert isinstance(theirs, ec.EllipticCurvePrivateKey)
    assert theirs.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), other.point)) == shared


@pytest.mark.usefixtures("_by")
def test_the_example_of_rfc_5903() -> None:
    """Section 8.1: the key pairs and the common value."""
    initiator = ec.derive_private_key(0xC88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433, ec.SECP256R1())
    point = bytes.fromhex(
        "04D12DFB5289C8D4F81208B70270398C342296970A0BCCB74C736FC7554494BF6356FBF3CA366CC23E8157854C13C58D6AAC23F046ADA30F8353E74F33039872AB"
    )
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = AgreementKey(initiator.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert key.point.hex().upper().startswith("04DAD0B65394221CF9B051E1FECA5787D098DFE637FC90B9EF945D0C3772581180")
    assert key.agree(point).hex().upper() == "D6840F6B42F6EDAFD13116E0E12565202FEF8E9ECE7DCE03812464D04B9442DE"


@pytest.mark.usefixtures("_by")
@pytest.mark.parametrize("wrong", [b"", b"\0", b"\4", b"\4" + bytes(64), b"\2" + bytes(32), b"\4" + b"\1" * 64, b"\4" + b"\xff" * 64])
def test_what_is_no_point_is_refused(wrong: bytes) -> None:
    for call in (check_point, AgreementKey().agree):
        with pytest.raises(MisuseError):
            call(wrong)
    good = AgreementKey().point
    check_point(good)
    for point in (good[:-1], good + b"\0", good[:-1] + bytes([good[-1] ^ 1])):
        with pytest.raises(MisuseError):
            check_point(point)


@pytest.mark.usefixtures("_by")
@pytest.mark.parametrize("octets", [0, 1, 16, 4096])
def test_what_is_sealed_opens(octets: int) -> None:
    key, nonce, text = os.urandom(16), os.urandom(12), os.urandom(octets)
    sealed = seal(key, nonce, text)
    assert len(sealed) == octets + 16 and AESGCM(key).decrypt(nonce, sealed, None) == text


@pytest.mark.usefixtures("_by")
def test_what_is_no_private_key_is_refused() -> None:
    with pytest.raises(MisuseError):
        AgreementKey(b"nonsense")


def test_nothing_is_left_in_the_error_queue() -> None:
    """`ssl` would take it for its own."""
    import _ssl
    import ctypes

    queue = ctypes.CDLL(_ssl.__file__).ERR_peek_error
    queue.restype = ctypes.c_ulong
    for call in (lambda: AgreementKey(b"nonsense"), lambda: check_point(b"\4" + bytes(64)), lambda: AgreementKey().agree(b"")):
        with pytest.raises(MisuseError):
            call()
        assert queue() == 0
