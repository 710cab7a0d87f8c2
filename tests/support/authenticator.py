"""An authenticator in software: makes passkeys and uses them, as a browser passes them on, right or wrong in any part."""

import json
from dataclasses import dataclass, field
from hashlib import sha256
from os import urandom
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from appliance.accounts.passkeys import Assertion, Ceremony, NewCredential
from appliance.protocol.webauthn import ATTESTED, CREATE, EDDSA, ES256, GET, RS256, USER_PRESENT, USER_VERIFIED, encode_base64url

HOST = "mail.home.example"
ORIGIN = f"https://{HOST}"
VERIFIED = USER_PRESENT | USER_VERIFIED


def ceremony(host: str = HOST) -> Ceremony:
    """With a challenge of its own."""
    return Ceremony(urandom(32), f"https://{host}", host)


def client_data(kind: str, asked: Ceremony, **changed: Any) -> bytes:
    found = {"type": kind, "challenge": encode_base64url(asked.challenge), "origin": asked.origin, "crossOrigin": False, **changed}
    return json.dumps(found).encode()


@dataclass
class Authenticator:
    """One passkey. `sign_count` is that of the next signature; None for one that does not count."""

    algorithm: int = ES256
    sign_count: int | None = None
    credential: bytes = field(default_factory=lambda: urandom(16))
    handle: bytes = b""
    flags: int = VERIFIED

    def __post_init__(self) -> None:
        self.key: Any = {
            ES256: lambda: ec.generate_private_key(ec.SECP256R1()),
            EDDSA: ed25519.Ed25519PrivateKey.generate,
            RS256: lambda: rsa.generate_private_key(65537, 2048),
        }[self.algorithm]()

    @property
    def public_key(self) -> bytes:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        octets: bytes = self.key.public_key().public_bytes(serialization.Encoding.DER, form)
        return octets

    def data(self, host: str, flags: int, after: bytes = b"") -> bytes:
        return sha256(host.encode()).digest() + bytes([flags]) + (self.sign_count or 0).to_bytes(4, "big") + after

    def make(self, asked: Ceremony) -> NewCredential:
        """What the browser says after `navigator.credentials.create`. In place of the key in CBOR: noise, which nobody reads."""
        after = bytes(16) + len(self.credential).to_bytes(2, "big") + self.credential + b"\xbf" * 80
        return NewCredential(
            client_data(CREATE, asked), self.data(asked.host, self.flags | ATTESTED, after), self.public_key, self.algorithm
        )

    def sign(self, asked: Ceremony, **changed: Any) -> Assertion:
        """What the browser says after `navigator.credentials.get`; `changed` in the client data, before it is signed."""
        said, data = client_data(GET, asked, **changed), self.data(asked.host, self.flags)
        octets = data + sha256(said).digest()
        if self.algorithm == ES256:
            signature = self.key.sign(octets, ec.ECDSA(hashes.SHA256()))
        elif self.algorithm == EDDSA:
            signature = self.key.sign(octets)
        else:
            signature = self.key.sign(octets, padding.PKCS1v15(), hashes.SHA256())
        if self.sign_count is not None:
            self.sign_count += 1
        return Assertion(self.credential, said, data, signature, self.handle)
