"""The header block of a message or part: iterate over its fields, look one up, unfold, select (RFC 5322 §2.2).

Octets are never rewritten. Malformed blocks are parsed leniently: LF alone ends a line, a line without a
colon is a field without a value, white space before the colon is not part of the name, and only an empty
line ends the block. Every function is linear and none raises on any octets.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_END = re.compile(rb"\n\r?\n")


class Field(NamedTuple):
    """One field: `name` as written; its octets are `start` to `end`, the last line end included; its value starts at `value_start`."""

    name: bytes
    start: int
    value_start: int
    end: int


def header_end(octets: bytes) -> int:
    """Length of the header block, the empty line included; the whole length when there is no empty line."""
    if octets.startswith(b"\n"):
        return 1
    if octets.startswith(b"\r\n"):
        return 2
    found = _END.search(octets)
    return found.end() if found else len(octets)


def fields(block: bytes) -> Iterator[Field]:
    """The fields of a header block in order, up to the first empty line."""
    start, size = 0, len(block)
    while start < size:
        line_end = stop = block.find(b"\n", start) + 1 or size
        while block[stop : stop + 1] in (b" ", b"\t"):
            stop = block.find(b"\n", stop) + 1 or size
        if block[start:line_end] in (b"\n", b"\r\n"):
            return
        colon = block.find(b":", start, line_end)
        if colon < 0:
            yield Field(block[start:line_end].rstrip(b"\r\n"), start, line_end, stop)
        else:
            yield Field(block[start:colon].rstrip(b" \t"), start, colon + 1, stop)
        start = stop


def unfold(raw: bytes) -> bytes:
    """A field's value unfolded: line ends are removed, and white space at both ends (RFC 5322 §2.2.3)."""
    return _FOLD.sub(b"", raw).strip(b" \t\r\n")


def values(block: bytes, name: bytes) -> list[bytes]:
    """The unfolded values of every field of that name (case-insensitive)."""
    wanted = name.lower()
    return [unfold(block[field.value_start : field.end]) for field in fields(block) if field.name.lower() == wanted]


def value(block: bytes, name: bytes) -> bytes | None:
    """The unfolded value of the first field of that name; None when there is none."""
    wanted = name.lower()
    for field in fields(block):
        if field.name.lower() == wanted:
            return unfold(block[field.value_start : field.end])
    return None


def select(block: bytes, names: frozenset[bytes], *, leave_out: bool = False) -> bytes:
    """The unchanged fields with (or without) these lower-case names, and the empty line: HEADER.FIELDS (RFC 9051 §6.4.5.2)."""
    kept = [block[field.start : field.end] for field in fields(block) if (field.name.lower() in names) != leave_out]
    if kept and not kept[-1].endswith(b"\n"):
        kept.append(b"\r\n")
    kept.append(b"\r\n")
    return b"".join(kept)
