"""DKIM relaxed canonicalization (RFC 6376 §3.4) of header fields, and of a body as a hash in constant memory.

`BodyHash` takes the body in chunks of any size; the digest does not depend on them. White space at line ends and empty lines at the
body's end are left out, a run of white space becomes one space. Only CRLF ends a line, as on the wire. Pure; never raises.
"""

import re
from hashlib import sha256

_RUN = re.compile(rb"[ \t]{2,}|\t")
HOLD_OCTETS = 64 * 2**10
"""Octets of one line that are buffered before its beginning is hashed."""


def header_field(name: bytes, value: bytes) -> bytes:
    """A field in relaxed form, with its CRLF (§3.4.2). `value`: everything after the colon, with its folding."""
    text = b" ".join(value.replace(b"\r", b"").replace(b"\n", b"").replace(b"\t", b" ").split(b" "))
    return name.strip(b" \t").lower() + b":" + _RUN.sub(b" ", text).strip(b" ") + b"\r\n"


class BodyHash:
    """SHA-256 of a body in relaxed form (§3.4.4): `feed` chunks, then `digest` once."""

    def __init__(self) -> None:
        self._hash = sha256()
        self._rest = b""
        self._lines = 0
        """Line ends not hashed yet: trailing empty lines do not count."""
        self._not_empty = False

    def feed(self, chunk: bytes) -> None:
        octets = self._rest + chunk
        cut = octets.rfind(b"\r\n") + 2
        if cut > 1:
            self._hash_lines(octets[:cut])
            self._rest = octets[cut:]
            return
        self._rest = octets
        if len(octets) > HOLD_OCTETS:
            half = len(octets.rstrip(b" \t\r"))  # linear; a regular expression would retry from each octet of a run of spaces
            self._hash_text(_relaxed(octets[:half]))
            # an endless run of spaces becomes one; a CR may still be the start of a CRLF
            self._rest = _RUN.sub(b" ", octets[half:])

    def _hash_lines(self, octets: bytes) -> None:
        """Complete lines, each with its CRLF."""
        text = _relaxed(octets).replace(b" \r\n", b"\r\n")
        end = len(text)
        while text.endswith(b"\r\n", 0, end):
            end -= 2
        self._hash_text(text[:end])
        self._lines += (len(text) - end) // 2

    def _hash_text(self, text: bytes) -> None:
        if text:
            self._hash.update(b"\r\n" * self._lines + text)
            self._lines, self._not_empty = 0, True

    def digest(self) -> bytes:
        self._hash_text(_relaxed(self._rest).rstrip(b" "))
        if self._not_empty:
            self._hash.update(b"\r\n")
        return self._hash.digest()


def _relaxed(text: bytes) -> bytes:
    return _RUN.sub(b" ", text) if b"  " in text or b"\t" in text else text
