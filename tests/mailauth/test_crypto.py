"""mailauth/crypto: signatures of passkeys, checked by libcrypto and by the package in its place."""

import ssl
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from appliance.mailauth import crypto
from appliance.protocol.webauthn import EDDSA, ES256, RS256
from tests.support.authenticator import Authenticator, ceremony


@pytest.fixture(params=["library", "package"])
def _by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "package":
        monkeypatch.setattr(crypto, "libcrypto", lambda: None)


def test_libcrypto_is_there() -> None:
    assert crypto.libcrypto() is not None, "else every test here is of the package"


@pytest.mark.usefixtures("_by")
@pytest.mark.parametrize("algorithm", [ES256, EDDSA, RS256])
def test_right_and_wrong_signatures(algorithm: int) -> None:
    key, hashed = Authenticator(algorithm), algorithm != EDDSA
    shown = key.sign(ceremony())
    octets, signature = shown.authenticator_data + sha256(shown.client_data).digest(), shown.signature
    assert crypto.is_signed(key.public_key, signature, octets, hashed=hashed)
    for wrong in (b"", signature[:-1], signature + b"\0", bytes(len(signature)), bytes([signature[0] ^ 1]) + signature[1:]):
        assert not crypto.is_signed(key.public_key, wrong, octets, hashed=hashed)
    assert not crypto.is_signed(key.public_key, signature, octets + b"\0", hashed=hashed)
    assert not crypto.is_signed(Authenticator(algorithm).public_key, signature, octets, hashed=hashed)


@pytest.mark.usefixtures("_by")
def test_what_is_no_key_or_one_that_cannot_sign() -> None:
    agreement = x25519.X25519PrivateKey.generate().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    good = Authenticator(ES256).public_key
    off_the_curve = good[:-1] + bytes([good[-1] ^ 1])
    for key in (b"", b"\x30", b"\x30\x84\xff\xff\xff\xff", agreement, off_the_curve, b"\x30" * 5000):
        for hashed in (True, False):
            assert not crypto.is_signed(key, b"x" * 64, b"octets", hashed=hashed)


def test_a_failed_check_leaves_nothing_that_a_connection_would_stumble_over() -> None:
    """OpenSSL's error queue belongs to the thread: `ssl` reads it after its own calls."""
    import _ssl
    import ctypes

    queue = ctypes.CDLL(_ssl.__file__).ERR_peek_error
    queue.restype = ctypes.c_ulong
    assert not crypto.is_signed(b"\x30\x82", b"", b"", hashed=True) and queue() == 0
    with pytest.raises(crypto.MisuseError):
        crypto.Signing(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", hashed=True)
    assert queue() == 0 and ssl.OPENSSL_VERSION_NUMBER
