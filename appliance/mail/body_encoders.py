"""Encoders of a body part: octets in chunks of any size in, octets that any server accepts out (RFC 2045 §6.7, §6.8)."""

import re
from base64 import b64encode
from collections.abc import Callable
from typing import Protocol

from .partmap import BASE64, IDENTITY, QUOTED_PRINTABLE

HOLD_OCTETS = 16 * 2**10
"""A text line longer than this is encoded before its end is known."""
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_STRAY = re.compile(rb"[^\t\x20-\x7e]")
_EIGHT = bytes([0, *range(0x80, 0x100)])
_UNSAFE = re.compile(rb"[^\t\x20-\x3c\x3e-\x7e]")


def quoted_line(line: bytes) -> bytes:
    """A line without its CRLF in quoted-printable, with soft line breaks (RFC 2045 §6.7)."""
    text = _UNSAFE.sub(lambda found: b"=%02X" % found[0][0], line)
    if text[-1:] in (b" ", b"\t"):
        text = text[:-1] + b"=%02X" % text[-1]
    out = []
    start = 0
    while len(text) - start > 76:
        escape = text.find(b"=", start + 73, start + 75)
        end = start + 75 if escape < 0 else escape
        out.append(text[start:end] + b"=\r\n")
        start = end
    return b"".join(out) + text[start:]


class BodyEncoder(Protocol):
    """Takes a body in chunks; `finish` gives what is left."""

    def feed(self, chunk: bytes) -> bytes: ...
    def finish(self) -> bytes: ...


class QuotedPrintableEncoder:
    """Text to quoted-printable."""

    line: Callable[[bytes], bytes] = staticmethod(quoted_line)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> bytes:
        *fold, self._rest = (self._rest + chunk).split(b"\r\n")
        out = b"".join([self.line(line) + b"\r\n" for line in fold])
        if len(self._rest) > HOLD_OCTETS and not self._rest.endswith(b"\r"):
            out += self.line(self._rest) + b"=\r\n"
            self._rest = b""
        return out

    def finish(self) -> bytes:
        return self.line(self._rest)


class Base64Encoder:
    """Octets to base64 fold of 76."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> bytes:
        octets = self._rest + chunk
        whole = len(octets) - len(octets) % 57
        self._rest = octets[whole:]
        return _base64_lines(octets[:whole])

    def finish(self) -> bytes:
        return _base64_lines(self._rest)


def _base64_lines(octets: bytes) -> bytes:
    text = b64encode(octets)
    return b"".join([text[start : start + 76] + b"\r\n" for start in range(0, len(text), 76)])


class QuotedPrintableRepair(QuotedPrintableEncoder):
    """Invalid quoted-printable: octets that may not stand there are escaped, the rest stays."""

    line = staticmethod(lambda line: _STRAY.sub(lambda found: b"=%02X" % found[0][0], line))


class OctetRemover:
    """For base64 and for what stands outside parts: octets that are meaningless there and must not be sent are removed."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> bytes:
        octets = self._rest + chunk
        self._rest = b"\r" if octets.endswith(b"\r") else b""
        return _BARE.sub(b"", octets[: len(octets) - len(self._rest)].translate(None, _EIGHT))

    def finish(self) -> bytes:
        return b""


ENCODERS: dict[int, type[BodyEncoder]] = {IDENTITY: QuotedPrintableEncoder, QUOTED_PRINTABLE: QuotedPrintableRepair, BASE64: OctetRemover}
"""By the transfer encoding a part declares."""
