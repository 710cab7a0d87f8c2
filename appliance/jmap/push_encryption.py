"""Web Push: the encrypted body of a push message, and the token that says who sends it (RFC 8291, RFC 8188, RFC 8292).

What is encrypted is padded to one size, so a push service learns nothing from lengths. `cryptography` (12 MB) is loaded here only, with
the first push.
"""

import hmac
import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from appliance.mail.errors import MisuseError
from appliance.protocol.jmap.push import PUSH_OCTETS

RECORD_OCTETS = 4096
"""`rs` of the one record: what every push service takes (RFC 8291 §4)."""
TOKEN_S = 12 * 3600
"""How long a token is good: at most 24 hours (RFC 8292 §2)."""


def read_point(octets: bytes) -> ec.EllipticCurvePublicKey:
    """A client's public key. Raises MisuseError for one that is no point of P-256."""
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), octets)
    except (ValueError, UnsupportedAlgorithm):
        raise MisuseError("this is not a point of P-256") from None


def encrypt(
    message: bytes,
    point: bytes,
    secret: bytes,
    *,
    pad_to: int = PUSH_OCTETS,
    key: ec.EllipticCurvePrivateKey | None = None,
    salt: bytes = b"",
) -> bytes:
    """The body, of content coding aes128gcm. `point` and `secret` are the client's `p256dh` and `auth`; `key` and `salt` are made anew
    for each message. Raises MisuseError."""
    key, salt = key or ec.generate_private_key(ec.SECP256R1()), salt or os.urandom(16)
    own = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    shared = key.exchange(ec.ECDH(), read_point(point))
    ikm = _expand(_hmac(secret, shared), b"WebPush: info\0" + point + own, 32)
    prk = _hmac(salt, ikm)
    content_key, nonce = _expand(prk, b"Content-Encoding: aes128gcm\0", 16), _expand(prk, b"Content-Encoding: nonce\0", 12)
    padded = message + b"\2" + bytes(max(0, pad_to - len(message)))
    header = salt + RECORD_OCTETS.to_bytes(4, "big") + bytes([len(own)]) + own
    return header + AESGCM(content_key).encrypt(nonce, padded, None)


class VapidSigner:
    """Signs with the server's key. `contact`: a mailto: address of whoever runs it."""

    def __init__(self, public: str, pem: bytes, contact: str) -> None:
        """Raises MisuseError for a PEM text that is no private key."""
        try:
            self._key: Any = load_pem_private_key(pem, None)
        except (ValueError, TypeError):
            raise MisuseError("this is not a private key") from None
        self._public = public
        self._contact = contact

    def authorization(self, origin: str, now_s: float) -> str:
        """The Authorization field for the push service of this origin (RFC 8292 §3)."""
        claims = {"aud": origin, "exp": int(now_s) + TOKEN_S, "sub": self._contact}
        text = ".".join(_encoded(json.dumps(part, separators=(",", ":")).encode()) for part in ({"typ": "JWT", "alg": "ES256"}, claims))
        numbers = decode_dss_signature(self._key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        signature = b"".join(number.to_bytes(32, "big") for number in numbers)  # RFC 7518 §3.4
        return f"vapid t={text}.{_encoded(signature)}, k={self._public}"


def decoded(text: str) -> bytes:
    """base64url, with its padding or without. Raises ValueError."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _encoded(octets: bytes) -> str:
    return urlsafe_b64encode(octets).decode().rstrip("=")


def _hmac(key: bytes, octets: bytes) -> bytes:
    return hmac.digest(key, octets, "sha256")


def _expand(key: bytes, info: bytes, octets: int) -> bytes:
    """HKDF-Expand of one block (RFC 5869 §2.3)."""
    return _hmac(key, info + b"\1")[:octets]
