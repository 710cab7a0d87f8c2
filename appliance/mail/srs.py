"""Sender Rewriting Scheme (SRS) for forwarded messages: the next server checks SPF of the sender's domain, so it must be ours.

    SRS0=HASH=DAY=original.example=local@ours      a message we forward
    SRS1=HASH=first.example==HASH=DAY=...@ours     one that was rewritten already by `first.example`: the chain grows no longer

Rules: HASH (30 bits of HMAC-SHA256, base32) covers everything behind it, so nobody can forge an address to which we would forward a
bounce; DAY (two base32 digits, days modulo 1024) makes it expire after DAYS days, while the clock is trusted. Reversing gives the
original sender, or the SRS0 address at the server that rewrote first. Pure; the hash is compared without case, since some servers
change it. The scheme is from the paper "Sender SenderRewriting Scheme" (2003), which is no RFC.
"""

import base64
import hmac
from hashlib import sha256

from .address import Address, ascii_domain, parse_domain
from .errors import MisuseError
from .limits import LOCAL_PART_OCTETS

DAYS = 21
"""How late a bounce may come: five days of retries at the next server, and another queue behind it."""
_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_CYCLE = 1024
_HASH_CHARACTERS = 6


def rewrite(sender: Address, domain: str, *, secret: bytes, day: int) -> Address:
    """`sender` as an address of our `domain`; `day` counts days since 1970. A sender too long for that stays as it is."""
    prefix, rest = sender.local[:5].upper(), sender.local[5:]
    body = rest.partition("=")[2]
    first, _, tail = body.partition("==")
    if prefix in ("SRS1=", "SRS1+", "SRS1-") and first and tail:
        local = f"SRS1={_hash(secret, body)}={body}"
    elif prefix in ("SRS0=", "SRS0+", "SRS0-") and rest:
        body = f"{ascii_domain(sender.domain)}=={rest}"
        local = f"SRS1={_hash(secret, body)}={body}"
    else:
        body = f"{_DIGITS[day % _CYCLE // 32]}{_DIGITS[day % 32]}={ascii_domain(sender.domain)}={sender.local}"
        local = f"SRS0={_hash(secret, body)}={body}"
    return Address(local, domain) if len(local.encode()) <= LOCAL_PART_OCTETS else sender


def reverse(address: Address, *, secret: bytes, day: int | None) -> Address | None:
    """The address a bounce is forwarded to; None when we did not make this one or it has expired. `day` None: the clock is not trusted."""
    prefix, rest = address.local[:5].upper(), address.local[5:]
    given, _, body = rest.partition("=")
    if prefix not in ("SRS0=", "SRS1=") or not hmac.compare_digest(given.upper().encode(), _hash(secret, body).encode()):
        return None
    try:
        if prefix == "SRS1=":
            first, found, tail = body.partition("==")
            return Address(f"SRS0={tail}", parse_domain(first)) if found and tail else None
        stamp, domain, local = body.split("=", 2)
        if not local or not _fresh(stamp.upper(), day):
            return None
        return Address(local, parse_domain(domain))
    except (ValueError, MisuseError):
        return None


def _fresh(stamp: str, day: int | None) -> bool:
    if len(stamp) != 2 or any(digit not in _DIGITS for digit in stamp):
        return False
    made = _DIGITS.index(stamp[0]) * 32 + _DIGITS.index(stamp[1])
    return day is None or (day - made) % _CYCLE <= DAYS


def _hash(secret: bytes, body: str) -> str:
    digest = hmac.new(secret, body.lower().encode(), sha256).digest()
    return base64.b32encode(digest)[:_HASH_CHARACTERS].decode()
