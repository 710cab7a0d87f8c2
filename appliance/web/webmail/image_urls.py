"""URLs of images that a message's document shows: signed, so nobody makes one up, and good for an hour.

A token is the base64url of a kind, an expiry, the number of who reads, and what it names, then 16 octets of HMAC-SHA256. It needs no cookie
and no memory. The key lives as long as the process: after a restart a message is opened again.
"""

import base64
import binascii
import hmac
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass

from appliance.mail.ids import AccountId

VALID_S = 3600
SIGNATURE_OCTETS = 16
ADDRESS_CHARACTERS = 1500
"""Longer addresses of remote images are left out: a URL of ours must fit into a request's head."""
INLINE, REMOTE = b"i", b"r"
_HEAD = struct.Struct(">cIQ")


@dataclass(frozen=True, slots=True)
class SignedImage:
    """`inline`: `name` is "ACCOUNT BLOB", JMAP's ids of where it is; otherwise the address of a remote image."""

    inline: bool
    reader: AccountId
    name: str


class ImageUrls:
    """`now` is the monotonic clock in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._key = os.urandom(32)

    def inline(self, reader: AccountId, account: str, blob: str) -> str:
        return self._url(INLINE, reader, f"{account} {blob}")

    def remote(self, reader: AccountId, address: str) -> str | None:
        return self._url(REMOTE, reader, address) if len(address) <= ADDRESS_CHARACTERS else None

    def _url(self, kind: bytes, reader: AccountId, name: str) -> str:
        octets = _HEAD.pack(kind, int(self._now()) + VALID_S, reader) + name.encode()
        return "/mail/image/" + base64.urlsafe_b64encode(octets + self._signature(octets)).decode().rstrip("=")

    def read(self, token: str) -> SignedImage | None:
        """None for a token that was not made here or is too old."""
        try:
            octets = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error):
            return None
        signed, signature = octets[:-SIGNATURE_OCTETS], octets[-SIGNATURE_OCTETS:]
        if len(signed) < _HEAD.size or not hmac.compare_digest(signature, self._signature(signed)):
            return None
        kind, expiry, reader = _HEAD.unpack_from(signed)
        if self._now() > expiry:
            return None
        return SignedImage(kind == INLINE, AccountId(reader), signed[_HEAD.size :].decode())

    def _signature(self, octets: bytes) -> bytes:
        return hmac.digest(self._key, octets, "sha256")[:SIGNATURE_OCTETS]
