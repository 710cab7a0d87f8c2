"""Sign a message for a domain of the server (RFC 6376 §5, RFC 8463): one DKIM-Signature for each key, all in one reading.

Rules: relaxed/relaxed, since relays fold and trim; no l=, which would let others add to the message; t= only while the clock is
right. The fields that make a message what it is are signed once more than they are there, so that nobody adds a second From or
Subject (§8.15). The header is kept up to HEADER_OCTETS, the body is only hashed. A message without a From is not signed (§5.4).
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

ALWAYS = (b"From", b"Reply-To", b"Subject", b"Date", b"To", b"Cc")
"""Signed once more than they occur."""
WHERE_THERE = (
    b"Sender", b"Message-ID", b"In-Reply-To", b"References", b"MIME-Version", b"Content-Type", b"Content-Transfer-Encoding",
    b"List-Id", b"List-Post", b"List-Help", b"List-Subscribe", b"List-Unsubscribe", b"List-Unsubscribe-Post", b"List-Archive",
)  # fmt: skip
LINE_CHARACTERS = 76
NAME = b"DKIM-Signature:"


class Signer:
    """`keys()` gives the keys of the moment; the same serve every domain of the server."""

    def __init__(self, keys: Callable[[], Sequence[SigningKey]], clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._signings: dict[str, Signing] = {}

    async def sign(self, domain: str, chunks: Chunks) -> bytes:
        """The fields to stand in front of the message, each with CRLF; b"" when there is no key or no From. `domain` in A-labels."""
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
        if not any(one.name.lower() == b"from" for one in found):
            return b""
        digest = body.digest()
        return b"".join(self._field(key, domain, head, found, digest, at) for key in keys)

    def _field(self, key: SigningKey, domain: str, head: bytes, found: Sequence[Field], digest: bytes, at: int | None) -> bytes:
        chosen = _chosen(found)
        names = ":".join(name.decode() for name, _ in chosen)
        stamp = f" t={at};" if at is not None else ""
        tags = (
            f"v=1; a={key.algorithm}; c=relaxed/relaxed; d={domain}; s={key.selector};{stamp}"
            f" h={names}; bh={b64encode(digest).decode()}; b="
        )
        value = _folded(tags).encode()
        said = b"".join(header_field(one.name, head[one.value_start : one.end]) for _, one in chosen if one is not None)
        said += header_field(b"DKIM-Signature", value).removesuffix(b"\r\n")
        if key.selector not in self._signings:
            self._signings[key.selector] = Signing(key.pem, rsa=key.algorithm.startswith("rsa"))
        signing = self._signings[key.selector]
        signature = b64encode(signing.sign(said if key.algorithm.startswith("rsa") else sha256(said).digest())).decode()
        lines = [signature[start : start + 72] for start in range(0, len(signature), 72)]
        return NAME + value + b"\r\n " + "\r\n ".join(lines).encode() + b"\r\n"


def _chosen(found: Iterable[Field]) -> list[tuple[bytes, Field | None]]:
    """The fields signed, each name's last one first (§5.4.2), and None for each that must not be added."""
    there: dict[bytes, list[Field]] = {}
    for one in found:
        there.setdefault(one.name.lower(), []).append(one)
    chosen: list[tuple[bytes, Field | None]] = []
    for name in (*ALWAYS, *WHERE_THERE):
        chosen += [(name, one) for one in reversed(there.get(name.lower(), ()))]
        if name in ALWAYS:
            chosen.append((name, None))
    return chosen


def _folded(tags: str) -> str:
    """On lines of LINE_CHARACTERS, broken where blanks or colons allow it (§3.2: white space is ignored there)."""
    lines: list[str] = []
    line = ""
    for word in re.findall(r"[^ :]+[ :]*|[ :]+", tags):
        if line and len(line) + len(word.rstrip()) > LINE_CHARACTERS - (0 if lines else len(NAME)):
            lines.append(line.rstrip(" "))
            line = ""
        line += word
    lines.append(line.rstrip(" "))
    return " " + "\r\n ".join(lines)
