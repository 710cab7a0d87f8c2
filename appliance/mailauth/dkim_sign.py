"""DKIM signing for the server's own domains (RFC 6376 §5, RFC 8463): one DKIM-Signature for each key, in one pass over the message.

Canonicalization is relaxed/relaxed, since relays fold and trim; no l=, which would let others append to the message; t= only while
the clock is trusted. OVERSIGNED fields are listed once more than they occur, so that nobody can add a second From or Subject (§8.15).
The header is buffered up to 2 * HEADER_OCTETS, the body is only hashed. A message without a From is not signed (§5.4).
"""

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

from appliance.mail.clock import Clock
from appliance.mail.header import Field, fields, header_end
from appliance.mail.limits import HEADER_OCTETS
from appliance.mail.outgoing import Chunks

from .crypto import Signing
from .dkim_canonical import BodyHash, header_field
from .dkim_keys import SigningKey

OVERSIGNED = (b"From", b"Reply-To", b"Subject", b"Date", b"To", b"Cc")
"""Listed in h= once more than they occur."""
SIGNED_WHERE_PRESENT = (
    b"Sender", b"Message-ID", b"In-Reply-To", b"References", b"MIME-Version", b"Content-Type", b"Content-Transfer-Encoding",
    b"List-Id", b"List-Post", b"List-Help", b"List-Subscribe", b"List-Unsubscribe", b"List-Unsubscribe-Post", b"List-Archive",
)  # fmt: skip
LINE_CHARACTERS = 76
FIELD_NAME = b"DKIM-Signature:"


class Signer:
    """`keys()` returns the current keys; every domain of the server uses the same ones."""

    def __init__(self, keys: Callable[[], Sequence[SigningKey]], clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._signings: dict[str, Signing] = {}

    async def sign(self, domain: str, chunks: Chunks) -> bytes:
        """The DKIM-Signature fields to prepend, each with CRLF; b"" without a key or a From. `domain` in A-labels."""
        keys = self._keys()
        if not keys:
            return b""
        head, body, in_body = b"", BodyHash(), False
        async with chunks() as octets:
            async for chunk in octets:
                if in_body:
                    body.feed(chunk)
                    continue
                head += chunk
                end = head.find(b"\r\n\r\n")
                if end >= 0:
                    head, rest, in_body = head[: end + 2], head[end + 4 :], True
                    body.feed(rest)
                elif len(head) > 2 * HEADER_OCTETS:
                    return b""
        at = int(self._clock.wall_s()) if self._clock.trusted() else None
        found = list(fields(head[: header_end(head)]))
        if not any(field.name.lower() == b"from" for field in found):
            return b""
        digest = body.digest()
        return b"".join(self._field(key, domain, head, found, digest, at) for key in keys)

    def _field(self, key: SigningKey, domain: str, head: bytes, found: Sequence[Field], digest: bytes, at: int | None) -> bytes:
        chosen = _signed_fields(found)
        names = ":".join(name.decode() for name, _ in chosen)
        timestamp = f" t={at};" if at is not None else ""
        tags = (
            f"v=1; a={key.algorithm}; c=relaxed/relaxed; d={domain}; s={key.selector};{timestamp}"
            f" h={names}; bh={b64encode(digest).decode()}; b="
        )
        value = _folded(tags).encode()
        signed = b"".join(header_field(one.name, head[one.value_start : one.end]) for _, one in chosen if one is not None)
        signed += header_field(b"DKIM-Signature", value).removesuffix(b"\r\n")
        if key.selector not in self._signings:
            self._signings[key.selector] = Signing(key.pem, hashed=key.algorithm.startswith("rsa"))
        signing = self._signings[key.selector]
        signature = b64encode(signing.sign(signed if key.algorithm.startswith("rsa") else sha256(signed).digest())).decode()
        lines = [signature[start : start + 72] for start in range(0, len(signature), 72)]
        return FIELD_NAME + value + b"\r\n " + "\r\n ".join(lines).encode() + b"\r\n"


def _signed_fields(found: Iterable[Field]) -> list[tuple[bytes, Field | None]]:
    """The fields to sign, of each name the last occurrence first (§5.4.2); None where h= lists one occurrence too many."""
    by_name: dict[bytes, list[Field]] = {}
    for one in found:
        by_name.setdefault(one.name.lower(), []).append(one)
    chosen: list[tuple[bytes, Field | None]] = []
    for name in (*OVERSIGNED, *SIGNED_WHERE_PRESENT):
        chosen += [(name, one) for one in reversed(by_name.get(name.lower(), ()))]
        if name in OVERSIGNED:
            chosen.append((name, None))
    return chosen


def _folded(tags: str) -> str:
    """The tag list folded to lines of LINE_CHARACTERS at spaces and colons (§3.2: white space is ignored there)."""
    lines: list[str] = []
    line = ""
    for word in re.findall(r"[^ :]+[ :]*|[ :]+", tags):
        if line and len(line) + len(word.rstrip()) > LINE_CHARACTERS - (0 if lines else len(FIELD_NAME)):
            lines.append(line.rstrip(" "))
            line = ""
        line += word
    lines.append(line.rstrip(" "))
    return " " + "\r\n ".join(lines)
