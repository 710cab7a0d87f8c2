"""The packed part map: offsets of every section of a message, so that it need not be scanned again (RFC 9051 §6.4.5.1).

A few octets for a message of one part. Records have a fixed width; parts are in breadth-first order with the
children of a part adjacent, so a lookup takes one step a level. A truncated map or one of another version gives
None, never offsets outside the message.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

LEAF, MULTIPART, MESSAGE = range(3)
"""Kinds of parts; MESSAGE is message/rfc822, whose body is a message of its own."""
IDENTITY, BASE64, QUOTED_PRINTABLE, UNKNOWN = range(4)
"""Transfer encodings (RFC 2045 §6): 7bit, 8bit and binary are all IDENTITY."""
TRANSFERS: dict[bytes, int] = {
    b"7bit": IDENTITY, b"8bit": IDENTITY, b"binary": IDENTITY, b"base64": BASE64, b"quoted-printable": QUOTED_PRINTABLE,
}  # fmt: skip

NO_PART, EMPTY_PART = -1, -2
_VERSION = 1
_LINKS = 4
"""Octets of the first child's index and the number of children."""


class PartLike(Protocol):
    """A node of the MIME tree that the map is packed from."""

    header_start: int
    body_start: int
    end: int
    kind: int
    transfer: int

    @property
    def children(self) -> "Sequence[PartLike]": ...


@dataclass(slots=True)
class Part:
    """One section. Its header (of the part, or of the message for the root) is `header_start` to `body_start`, its body ends at `end`.

    `transfer` is its transfer encoding. For a MESSAGE the header of the enclosed message starts at
    `body_start` and ends at `inner_body_start`; else `inner_body_start` equals `body_start`.
    """

    header_start: int
    body_start: int
    end: int
    kind: int
    transfer: int
    inner_body_start: int


@dataclass(slots=True)
class Span:
    """A range of octets and its conversion for BINARY: a `header` with its encoding replaced, or a body decoded from `transfer`."""

    start: int
    end: int
    transfer: int = IDENTITY
    header: bool = False


def pack(root: PartLike) -> bytes:
    """The map of a message's MIME tree; offsets count from the start of the stored body."""
    nodes: list[PartLike] = [root]
    for node in nodes:
        nodes.extend(node.children)  # grows while iterated: breadth-first
    width = max(1, (root.end.bit_length() + 7) // 8)
    packed = bytearray((_VERSION << 4 | width,))
    links = _LINKS if len(nodes) > 1 else 0
    next_child = 1
    for node in nodes:
        packed.append(node.kind | node.transfer << 2)
        for offset in (node.header_start, node.body_start, node.end):
            packed += offset.to_bytes(width, "big")
        if links:
            packed += next_child.to_bytes(2, "big") + len(node.children).to_bytes(2, "big")
            next_child += len(node.children)
    return bytes(packed)


class _Map:
    """Access to the records by breadth-first index."""

    __slots__ = ("linked", "octets", "record", "width")

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.width = octets[0] & 15 if octets and octets[0] >> 4 == _VERSION else 0
        self.linked = len(octets) > 2 + 3 * self.width
        self.record = 1 + 3 * self.width + (_LINKS if self.linked else 0)

    def part(self, index: int) -> Part | None:
        start = 1 + index * self.record
        if not self.width or index < 0 or start + self.record > len(self.octets):
            return None
        flags = self.octets[start]
        header, body, end = (self._number(start + 1 + n * self.width, self.width) for n in range(3))
        part = Part(header, body, end, flags & 3, flags >> 2, body)
        if part.kind == MESSAGE:
            child, count = self.children(index)
            if count and child > index and (inner := self.part(child)):
                part.inner_body_start = inner.body_start
        return part

    def kind(self, index: int) -> int:
        start = 1 + index * self.record
        return self.octets[start] & 3 if start < len(self.octets) else LEAF

    def children(self, index: int) -> tuple[int, int]:
        """Index of the first child and the number of children."""
        start = 1 + (index + 1) * self.record - _LINKS
        return (self._number(start, 2), self._number(start + 2, 2)) if self.linked else (0, 0)

    def _number(self, start: int, width: int) -> int:
        return int.from_bytes(self.octets[start : start + width], "big")

    def find(self, section: tuple[int, ...]) -> int:
        """The index of a section's part; NO_PART, or EMPTY_PART for part 1 of a multipart without parts."""
        index = 0
        message = True  # the body of a message that is not a multipart is its part 1
        for level, number in enumerate(section, 1):
            if not message and self.kind(index) == MESSAGE:
                index, count = self.children(index)
                if not count:
                    return NO_PART
                message = True
            if self.kind(index) == MULTIPART:
                first, count = self.children(index)
                if not 1 <= number <= count:
                    return EMPTY_PART if number == 1 and not count and level == len(section) else NO_PART
                index = first + number - 1
            elif not message or number != 1:
                return NO_PART
            message = False
        return index


def single_part(parts: bytes) -> Part | None:
    """The only part of a message that is one leaf; None for every other."""
    packed = _Map(parts)
    return packed.part(0) if packed.width and not packed.linked and packed.kind(0) == LEAF else None


def find(parts: bytes, section: tuple[int, ...]) -> Part | None:
    """The part with a section number, `()` for the whole message; None when the message has no such part."""
    packed = _Map(parts)
    index = packed.find(section)
    if index == EMPTY_PART:
        return Part(0, 0, 0, LEAF, IDENTITY, 0)
    return packed.part(index)


def binary_spans(parts: bytes, section: tuple[int, ...]) -> list[Span] | None:
    """The spans that make up BINARY[section], in order (RFC 9051 §6.4.5.1); None when there is no such part.

    A leaf is its decoded body; in a multipart or message every part is decoded and its header
    changed accordingly. `section` `()` is the message without its header.
    """
    packed = _Map(parts)
    index = packed.find(section)
    if index == EMPTY_PART:
        return []
    part = packed.part(index)
    if part is None:
        return None
    spans: list[Span] = []
    if part.kind == LEAF or not packed.children(index)[1]:
        return [Span(part.body_start, part.end, part.transfer)]
    done = part.body_start
    stack = [(index, iter(range(*_run(packed.children(index)))), part.end)]
    while stack:
        _, rest, end = stack[-1]
        index = next(rest, -1)
        child = packed.part(index)
        if child is None:
            _plain(spans, done, end)
            done = end
            stack.pop()
            continue
        _plain(spans, done, child.header_start)
        spans.append(Span(child.header_start, child.body_start, child.transfer, header=True))
        done = child.body_start
        first, count = packed.children(index)
        if child.kind != LEAF and count and first > index:
            stack.append((index, iter(range(first, first + count)), child.end))
        else:
            spans.append(Span(done, child.end, child.transfer))
            done = child.end
    return spans


def _run(children: tuple[int, int]) -> tuple[int, int]:
    return children[0], children[0] + children[1]


def _plain(spans: list[Span], start: int, end: int) -> None:
    if end > start:
        spans.append(Span(start, end))
