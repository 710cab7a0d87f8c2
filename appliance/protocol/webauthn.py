"""What browsers send of passkeys: client data, authenticator data and public keys, read and checked (Web Authentication Level 2). Pure.

| from a browser      | what it is                                                                            | section  |
|---------------------|---------------------------------------------------------------------------------------|----------|
| client data         | JSON of the browser: what it was asked for, by which page, with which challenge       | §5.8.1   |
| authenticator data  | fixed octets: for which name, whether the user was verified, how many signatures yet  | §6.1     |
| public key          | SubjectPublicKeyInfo in DER                                                           | §5.2.1.1 |
| signature           | of the authenticator data and the SHA-256 of the client data                          | §6.3.3   |

No CBOR is read: servers that ask for no attestation take authenticator data and public key as the browser has unpacked them, which
§5.2.1.1 provides for. Under the attestation "none" nothing signs either form, so no trust is lost; and the parser that hostile input
would aim at does not exist. What follows the credential's identifier (the key in CBOR, extensions) is ignored.

How it fails: MisuseError, which says what is wrong to whoever reads the log; users are told less.
"""

import hmac
import json
from base64 import b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256

from appliance.mail.errors import MisuseError

CREATE, GET = "webauthn.create", "webauthn.get"
ES256, EDDSA, RS256 = ALGORITHMS = (-7, -8, -257)
"""Algorithms by their numbers in COSE (RFC 9053 §2.1, §2.2; RFC 8812 §2), the most wanted first."""
CLIENT_DATA_OCTETS = 4096
CREDENTIAL_OCTETS = 1023
"""§4 "Credential ID": longer ones are none."""
SIGNATURE_OCTETS = 512
"""Of RSA with 4096 bits."""
HEAD_OCTETS, AAGUID_OCTETS = 37, 16
USER_PRESENT, USER_VERIFIED, ATTESTED = 0x01, 0x04, 0x40

KEY_FORMS: tuple[tuple[int, int, bytes, range], ...] = (
    (ES256, 0, bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004"), range(91, 92)),
    (EDDSA, 0, bytes.fromhex("302a300506032b6570032100"), range(44, 45)),
    (RS256, 4, bytes.fromhex("300d06092a864886f70d010101050003"), range(290, 551)),
)
"""Algorithm, offset, octets there, lengths: uncompressed points of P-256 (RFC 5480 §2), Ed25519 (RFC 8410 §4), RSA of 2048 to 4096 bits."""


@dataclass(frozen=True, slots=True)
class AuthenticatorData:
    """`credential`: the identifier of a new credential; b"" in an assertion. `sign_count` 0: the authenticator does not count."""

    name_digest: bytes
    flags: int
    sign_count: int
    credential: bytes = b""


def check_client_data(octets: bytes, kind: str, challenge: bytes, origin: str) -> None:
    """Was this said by a browser that a page of ours asked, with this challenge? (§7.1 steps 5 to 10, §7.2 steps 9 to 14.)"""
    if len(octets) > CLIENT_DATA_OCTETS:
        raise MisuseError("the client data is too long")
    try:
        found = json.loads(octets.decode())
    except (ValueError, RecursionError):
        raise MisuseError("the client data is not JSON") from None
    if not isinstance(found, dict) or found.get("type") != kind:
        raise MisuseError("the client data is of another kind")
    if not hmac.compare_digest(str(found.get("challenge")).encode("utf-8", "replace"), encode_base64url(challenge).encode()):
        raise MisuseError("the client data has another challenge")
    if found.get("origin") != origin or found.get("crossOrigin") not in (None, False) or "topOrigin" in found:
        raise MisuseError("the client data is of a page elsewhere")


def parse_authenticator_data(octets: bytes) -> AuthenticatorData:
    """§6.1."""
    if len(octets) < HEAD_OCTETS:
        raise MisuseError("the authenticator data is too short")
    flags, sign_count = octets[32], int.from_bytes(octets[33:37], "big")
    if not flags & ATTESTED:
        return AuthenticatorData(octets[:32], flags, sign_count)
    at = HEAD_OCTETS + AAGUID_OCTETS + 2
    length = int.from_bytes(octets[at - 2 : at], "big")
    if not 0 < length <= CREDENTIAL_OCTETS or at + length > len(octets):
        raise MisuseError("the authenticator data has no credential")
    return AuthenticatorData(octets[:32], flags, sign_count, octets[at : at + length])


def check_authenticator_data(found: AuthenticatorData, host: str) -> None:
    """Is it for this name, and was the user verified, by PIN, finger or face? (§7.1 steps 13 to 15, §7.2 steps 15 to 17.)"""
    if not hmac.compare_digest(found.name_digest, sha256(host.encode()).digest()):
        raise MisuseError("the authenticator data is for another name")
    if found.flags & (USER_PRESENT | USER_VERIFIED) != USER_PRESENT | USER_VERIFIED:
        raise MisuseError("the user was not verified")


def check_public_key(algorithm: int, octets: bytes) -> None:
    """Is it a key of that algorithm, in the one form browsers write?"""
    for known, at, mark, lengths in KEY_FORMS:
        if algorithm == known and len(octets) in lengths and octets.startswith(mark, at):
            return
    raise MisuseError("the public key is of another kind")


def encode_base64url(octets: bytes) -> str:
    """Without padding (RFC 4648 §5)."""
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


def decode_base64url(text: str, most_octets: int) -> bytes:
    """Raises MisuseError."""
    if len(text) > (most_octets * 4 + 2) // 3:
        raise MisuseError("a value is too long")
    try:
        return b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)
    except ValueError:
        raise MisuseError("a value is not base64url") from None
