"""Web Push: the encrypted body of a push message, and the token that says who sends it (RFC 8291, RFC 8188, RFC 8292).

What is encrypted is padded to one size, so a push service learns nothing from lengths. Keys and ciphers are those of `mailauth`, by the
libcrypto that `ssl` has loaded: `cryptography` would cost the server 5.5 MB from the first push on.
"""

import hmac
import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode

from appliance.mailauth.agreement import AgreementKey, seal
from appliance.mailauth.crypto import Signing
from appliance.protocol.jmap.push import PUSH_OCTETS

RECORD_OCTETS = 4096
"""`rs` of the one record: what every push service takes (RFC 8291 §4)."""
TOKEN_S = 12 * 3600
"""How long a token is good: at most 24 hours (RFC 8292 §2)."""


def encrypt(
    message: bytes,
    point: bytes,
    secret: bytes,
    *,
    pad_to: int = PUSH_OCTETS,
    key: AgreementKey | None = None,
    salt: bytes = b"",
) -> bytes:
    """The body, of content coding aes128gcm. `point` and `secret` are the client's `p256dh` and `auth`; `key` and `salt` are made anew
    for each message. Raises MisuseError."""
    key, salt = key or AgreementKey(), salt or os.urandom(16)
    ikm = _expand(_hmac(secret, key.agree(point)), b"WebPush: info\0" + point + key.point, 32)
    prk = _hmac(salt, ikm)
    content_key, nonce = _expand(prk, b"Content-Encoding: aes128gcm\0", 16), _expand(prk, b"Content-Encoding: nonce\0", 12)
    padded = message + b"\2" + bytes(max(0, pad_to - len(message)))
    header = salt + RECORD_OCTETS.to_bytes(4, "big") + bytes([len(key.point)]) + key.point
    return header + seal(content_key, nonce, padded)


class VapidSigner:
    """Signs with the server's key. `contact`: a mailto: address of whoever runs it."""

    def __init__(self, public: str, pem: bytes, contact: str) -> None:
        """Raises MisuseError for a PEM text that is no private key."""
        self._signing = Signing(pem, hashed=True)
        self._public = public
        self._contact = contact

    def authorization(self, origin: str, now_s: float) -> str:
        """The Authorization field for the push service of this origin (RFC 8292 §3)."""
        claims = {"aud": origin, "exp": int(now_s) + TOKEN_S, "sub": self._contact}
        text = ".".join(_encoded(json.dumps(part, separators=(",", ":")).encode()) for part in ({"typ": "JWT", "alg": "ES256"}, claims))
        return f"vapid t={text}.{_encoded(_numbers(self._signing.sign(text.encode())))}, k={self._public}"


def decoded(text: str) -> bytes:
    """base64url, with its padding or without. Raises ValueError."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _numbers(signature: bytes) -> bytes:
    """An ECDSA signature as JWS has it (RFC 7518 §3.4), from DER: a SEQUENCE of two INTEGERs, each of at most 33 octets."""
    first = 4 + signature[3]
    numbers = signature[4:first], signature[first + 2 :]
    return b"".join(int.from_bytes(number, "big").to_bytes(32, "big") for number in numbers)


def _encoded(octets: bytes) -> str:
    return urlsafe_b64encode(octets).decode().rstrip("=")


def _hmac(key: bytes, octets: bytes) -> bytes:
    return hmac.digest(key, octets, "sha256")


def _expand(key: bytes, info: bytes, octets: int) -> bytes:
    """HKDF-Expand of one block (RFC 5869 §2.3)."""
    return _hmac(key, info + b"\1")[:octets]
