"""Decoded text of headers and body parts, and substring search in it, for SEARCH.

Takes chunks of octets, returns text; invalid octets are skipped and nothing raises: one malformed message must not fail a search. Linear
time, memory bounded by a chunk and a line. Text and needles are folded alike (`query.folded`).
"""

import re
from binascii import Error as BinasciiError
from binascii import a2b_base64, a2b_qp
from collections.abc import Iterable, Iterator
from functools import lru_cache

from .content import Content, read_content
from .encoding import decode_parameter, decode_text, decode_words
from .header import fields, unfold
from .partmap import BASE64, QUOTED_PRINTABLE
from .query import folded

HELD_OCTETS = 64 * 2**10
"""A line longer than this is decoded in chunks; a character may be lost between them."""
_FOLD = re.compile(rb"\n[ \t]+")
_COLON = re.compile(rb"[ \t]*:")
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))


def header_text(block: bytes) -> str:
    """A header block as text: one field a line, unfolded, encoded words decoded."""
    return decode_words(_FOLD.sub(b" ", block.replace(b"\r\n", b"\n")))


def field_texts(block: bytes, name: str) -> list[str]:
    """The decoded values of every field of that lower-case name."""
    wanted = name.encode("utf-8", "replace")
    return [header_text(block[start:end]).strip() for start, end in _value_ranges(block, wanted)]


def text_charset(block: bytes) -> str | None:
    """The charset of the part with that header (RFC 2045 §5.2: text by default); None when its body is not text."""
    return _charset_of(_values(block, b"content-type"), _values(block, b"content-disposition"))


def is_html(block: bytes) -> bool:
    """Is the part with that header a text with markup?"""
    if b"html" not in block.lower():
        return False
    content = _content_of(_values(block, b"content-type"), _values(block, b"content-disposition"))
    return content.is_text() and (content.subtype or b"").lower() == b"html"


def file_name(block: bytes) -> str:
    """The name of the file that is the part with that header; "" without one."""
    if b"name" not in block.lower():
        return ""
    content = _content_of(_values(block, b"content-type"), _values(block, b"content-disposition"))
    return decode_parameter(content.disposition_parameters, b"filename") or decode_parameter(content.parameters, b"name") or ""


def _values(block: bytes, name: bytes) -> tuple[bytes, ...]:
    return tuple([unfold(block[start:end]) for start, end in _value_ranges(block, name)])


@lru_cache(maxsize=64)
def _charset_of(types: tuple[bytes, ...], dispositions: tuple[bytes, ...]) -> str | None:
    """Most messages of a mailbox share a few values: parsing them again was a third of a scan."""
    content = _content_of(types, dispositions)
    if content.type is not None and content.type.lower() not in (b"text", b"message"):
        return None
    charset = content.parameter(b"charset")
    return "utf-8" if charset is None else charset.decode("ascii", "replace")


def _content_of(types: tuple[bytes, ...], dispositions: tuple[bytes, ...]) -> Content:
    found = {b"content-type": list(types), b"content-disposition": list(dispositions)}
    return read_content({name: values for name, values in found.items() if values})


def _value_ranges(block: bytes, wanted: bytes) -> Iterator[tuple[int, int]]:
    """Offsets of the values of the fields of a lower-case name; fields before the first match are skipped by one search."""
    shift = _first_field(block, wanted)
    if shift >= 0:
        for field in fields(block[shift:]):
            if field.name.lower() == wanted:
                yield field.value_start + shift, field.end + shift


def _first_field(block: bytes, wanted: bytes) -> int:
    """Where the first field of a lower-case name begins, -1 without one (a regular expression takes ten times as long)."""
    lower = b"\n" + block.lower()
    at = lower.find(b"\n" + wanted)
    while at >= 0 and not _COLON.match(lower, at + 1 + len(wanted)):
        at = lower.find(b"\n" + wanted, at + 1)
    return at


class PartText:
    """Decoder of one part's body, from the octets in the message to text."""

    __slots__ = ("_charset", "_encoded", "_ended", "_held", "_transfer")

    def __init__(self, transfer: int, charset: str) -> None:
        """`transfer` as in the part map."""
        self._transfer = transfer
        self._charset = charset
        self._encoded = b""
        self._held = b""
        self._ended = False

    def feed(self, chunk: bytes) -> str:
        """The text of the complete lines so far."""
        octets = self._held + self._decoded(chunk)
        end = octets.rfind(b"\n") + 1
        if not end and len(octets) > HELD_OCTETS:
            end = len(octets)
        self._held = octets[end:]
        return decode_text(octets[:end], self._charset) if end else ""

    def finish(self) -> str:
        """The rest."""
        octets = self._held
        if self._transfer == QUOTED_PRINTABLE:
            octets += a2b_qp(self._encoded)
        elif self._transfer == BASE64:
            octets += _unbase64(self._encoded + b"=" * (-len(self._encoded) % 4))
        self._held = self._encoded = b""
        return decode_text(octets, self._charset)

    def _decoded(self, chunk: bytes) -> bytes:
        if self._transfer == QUOTED_PRINTABLE:
            encoded = self._encoded + chunk
            end = encoded.rfind(b"\n") + 1
            if not end and len(encoded) > HELD_OCTETS:
                end = len(encoded)
            self._encoded = encoded[end:]
            return a2b_qp(encoded[:end])
        if self._transfer == BASE64:
            if self._ended:
                return b""
            encoded = self._encoded + chunk.translate(None, _NOT_BASE64)
            padding = encoded.find(b"=")
            if padding >= 0:
                self._ended = True
                encoded = encoded[:padding]
                self._encoded = b""
                return _unbase64(encoded + b"=" * (-len(encoded) % 4))
            end = len(encoded) & ~3
            self._encoded = encoded[end:]
            return _unbase64(encoded[:end])
        return chunk


def _unbase64(octets: bytes) -> bytes:
    try:
        return a2b_base64(octets)
    except BinasciiError:
        return b""


class Needles:
    """Searches text fed in chunks for several needles; `reset` between one text and the next."""

    __slots__ = ("_overlap", "_tail", "found", "missing")

    def __init__(self, needles: Iterable[str]) -> None:
        """`needles` are folded already; the empty one matches at once."""
        self.missing = set(needles)
        self.found = self.missing & {""}
        self.missing -= self.found
        self._overlap = max(map(len, self.missing), default=1) - 1
        self._tail = ""

    def feed(self, text: str) -> None:
        self.feed_folded(folded(text))

    def feed_folded(self, text: str) -> None:
        """Text that is folded already."""
        if not self.missing or not text:
            return
        text = self._tail + text
        hits = {needle for needle in self.missing if needle in text}
        self.found |= hits
        self.missing -= hits
        self._tail = text[-self._overlap :] if self._overlap else ""

    def reset(self) -> None:
        self._tail = ""
