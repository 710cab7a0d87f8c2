"""The relaxed canonical forms of DKIM (RFC 6376 §3.4): a header field on one line, and a body's hash in constant memory.

`BodyHash` takes the body in any pieces; the digest is the same however it is cut. White space at a line's end and empty lines at
the body's end are left out, runs of it become one blank. Only CRLF ends a line, as on the wire. Pure; nothing fails.
"""

import re
from hashlib import sha256

_RUN = re.compile(rb"[ \t]{2,}|\t")
HOLD_OCTETS = 64 * 2**10
"""Of a line without end, so much is kept before its beginning is hashed."""


def header_field(name: bytes, value: bytes) -> bytes:
    """A field in relaxed form, with its CRLF (§3.4.2). `value` as it stands behind the colon, folds and all."""
    text = b" ".join(value.replace(b"\r", b"").replace(b"\n", b"").replace(b"\t", b" ").split(b" "))
    return name.strip(b" \t").lower() + b":" + _RUN.sub(b" ", text).strip(b" ") + b"\r\n"


class BodyHash:
    """SHA-256 of a body in relaxed form (§3.4.4): `feed` pieces, then `digest` once."""

    def __init__(self) -> None:
        self._hash = sha256()
        self._rest = b""
        self._lines = 0
        """Line ends held back: they count only when something follows."""
        self._begun = False

    def feed(self, chunk: bytes) -> None:
        octets = self._rest + chunk
        cut = octets.rfind(b"\r\n") + 2
        if cut > 1:
            self._whole(octets[:cut])
            self._rest = octets[cut:]
            return
        self._rest = octets
        if len(octets) > HOLD_OCTETS:
            half = len(octets.rstrip(b" \t\r"))  # linear; a regular expression tries every run of blanks from each of its octets
            self._text(_relaxed(octets[:half]))
            # a run of blanks without end becomes one, a CR may still begin a line end
            self._rest = _RUN.sub(b" ", octets[half:])

    def _whole(self, octets: bytes) -> None:
        """Lines, each with its end."""
        text = _relaxed(octets).replace(b" \r\n", b"\r\n")
        end = len(text)
        while text.endswith(b"\r\n", 0, end):
            end -= 2
        self._text(text[:end])
        self._lines += (len(text) - end) // 2

    def _text(self, text: bytes) -> None:
        if text:
            self._hash.update(b"\r\n" * self._lines + text)
            self._lines, self._begun = 0, True

    def digest(self) -> bytes:
        self._text(_relaxed(self._rest).rstrip(b" "))
        if self._begun:
            self._hash.update(b"\r\n")
        return self._hash.digest()


def _relaxed(text: bytes) -> bytes:
    return _RUN.sub(b" ", text) if b"  " in text or b"\t" in text else text
