"""The other side of Web Push: a client that decrypts push messages, and the check of a server's token.

Written from RFC 8188 and RFC 8291 with the library's own HKDF; nothing of `appliance` is used.
"""

import base64
import json
import os
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def octets_of(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "===")


def text_of(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def derived(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)


class Receiver:
    """A browser's push subscription: `keys` are what it registers."""

    def __init__(self, key: ec.EllipticCurvePrivateKey | None = None, secret: bytes = b"") -> None:
        self._key, self._secret = key or ec.generate_private_key(ec.SECP256R1()), secret or os.urandom(16)
        self._point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.keys = {"p256dh": text_of(self._point), "auth": text_of(self._secret)}

    def decrypt(self, body: bytes) -> bytes:
        """Raises InvalidTag."""
        salt, record_octets, key_octets = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        sender, record = body[21 : 21 + key_octets], body[21 + key_octets :]
        assert len(record) <= record_octets, "more than one record (RFC 8291 §4)"
        shared = self._key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender))
        ikm = derived(self._secret, shared, b"WebPush: info\0" + self._point + sender, 32)
        key = derived(salt, ikm, b"Content-Encoding: aes128gcm\0", 16)
        plain = AESGCM(key).decrypt(derived(salt, ikm, b"Content-Encoding: nonce\0", 12), record, None)
        message, delimiter, _ = plain.rstrip(b"\0").rpartition(b"\2")
        assert delimiter, "the last record has the delimiter 2 (RFC 8188 §2)"
        return message


def checked_token(authorization: str, public: str) -> dict[str, Any]:
    """The claims of an Authorization field of the scheme vapid, whose signature is that of the key (RFC 8292 §3)."""
    scheme, _, rest = authorization.partition(" ")
    values = dict(part.strip().split("=", 1) for part in rest.split(","))
    assert scheme == "vapid" and values["k"] == public
    text, _, signature = values["t"].rpartition(".")
    head, claims = (json.loads(octets_of(part)) for part in text.split("."))
    assert head == {"typ": "JWT", "alg": "ES256"}
    numbers = octets_of(signature)
    assert len(numbers) == 64
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), octets_of(public))
    der = encode_dss_signature(int.from_bytes(numbers[:32], "big"), int.from_bytes(numbers[32:], "big"))
    key.verify(der, text.encode(), ec.ECDSA(hashes.SHA256()))
    found: dict[str, Any] = claims
    return found
