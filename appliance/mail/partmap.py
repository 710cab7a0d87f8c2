"""The packed part map: where each section of a message lies, found without scanning again (RFC 9051 §6.4.5.1).

A few octets for a message of one part. Records have one width, parts stand level by level and the
children of one part side by side, so a look-up costs one step a level. A map that is cut off or
made by another version answers None, never wrong offsets beyond its own message.
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
"""Octets for the place of the first child and the number of children."""


class PartLike(Protocol):
    """What the map is packed from."""

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

    `transfer` is its transfer encoding. For a MESSAGE the header of the message inside starts at
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
    """A run of octets and what BINARY makes of them: `header` with its transfer encoding replaced, or a body decoded from `transfer`."""

    start: int
    end: int
    transfer: int = IDENTITY
    header: bool = False


def pack(root: PartLike) -> bytes:
    """The map of a message's tree; offsets count from the start of the shared body."""
    nodes: list[PartLike] = [root]
    for node in nodes:
        nodes.extend(node.children)  # grows while it runs: level by level
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
    """Record access; the place of a record is its number level by level."""

    __slots__ = ("linked", "octets", "record", "width")

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.width = octets[0] & 15 if octets and octets[0] >> 4 == _VERSION else 0
        self.linked = len(octets) > 2 + 3 * self.width
        self.record = 1 + 3 * self.width + (_LINKS if self.linked else 0)

    def part(self, place: int) -> Part | None:
        start = 1 + place * self.record
        if not self.width or place < 0 or start + self.record > len(self.octets):
            return None
        flags = self.octets[start]
        header, body, end = (self._number(start + 1 + n * self.width, self.width) for n in range(3))
        part = Part(header, body, end, flags & 3, flags >> 2, body)
        if part.kind == MESSAGE:
            child, count = self.children(place)
            if count and child > place and (inner := self.part(child)):
                part.inner_body_start = inner.body_start
        return part

    def kind(self, place: int) -> int:
        start = 1 + place * self.record
        return self.octets[start] & 3 if start < len(self.octets) else LEAF

    def children(self, place: int) -> tuple[int, int]:
        """Place of the first child and how many there are."""
        start = 1 + (place + 1) * self.record - _LINKS
        return (self._number(start, 2), self._number(start + 2, 2)) if self.linked else (0, 0)

    def _number(self, start: int, width: int) -> int:
        return int.from_bytes(self.octets[start : start + width], "big")

    def find(self, section: tuple[int, ...]) -> int:
        """The place of a section's part; NO_PART, or EMPTY_PART for the one part of a multipart that has none."""
        place = 0
        message = True  # a message that is no multipart calls its own body part 1
        for level, number in enumerate(section, 1):
            if not message and self.kind(place) == MESSAGE:
                place, count = self.children(place)
                if not count:
                    return NO_PART
                message = True
            if self.kind(place) == MULTIPART:
                first, count = self.children(place)
                if not 1 <= number <= count:
                    return EMPTY_PART if number == 1 and not count and level == len(section) else NO_PART
                place = first + number - 1
            elif not message or number != 1:
                return NO_PART
            message = False
        return place


def find(parts: bytes, section: tuple[int, ...]) -> Part | None:
    """The part a section number names, `()` being the whole message; None when the message has no such part."""
    packed = _Map(parts)
    place = packed.find(section)
    if place == EMPTY_PART:
        return Part(0, 0, 0, LEAF, IDENTITY, 0)
    return packed.part(place)


def binary_spans(parts: bytes, section: tuple[int, ...]) -> list[Span] | None:
    """What BINARY[section] is made of, in order (RFC 9051 §6.4.5.1); None when there is no such part.

    A leaf is its decoded body; of a multipart or message every part inside is decoded and its header
    says so. `section` `()` is the message without its header.
    """
    packed = _Map(parts)
    place = packed.find(section)
    if place == EMPTY_PART:
        return []
    part = packed.part(place)
    if part is None:
        return None
    spans: list[Span] = []
    if part.kind == LEAF or not packed.children(place)[1]:
        return [Span(part.body_start, part.end, part.transfer)]
    done = part.body_start
    stack = [(place, iter(range(*_run(packed.children(place)))), part.end)]
    while stack:
        _, rest, end = stack[-1]
        place = next(rest, -1)
        child = packed.part(place)
        if child is None:
            _plain(spans, done, end)
            done = end
            stack.pop()
            continue
        _plain(spans, done, child.header_start)
        spans.append(Span(child.header_start, child.body_start, child.transfer, header=True))
        done = child.body_start
        first, count = packed.children(place)
        if child.kind != LEAF and count and first > place:
            stack.append((place, iter(range(first, first + count)), child.end))
        else:
            spans.append(Span(done, child.end, child.transfer))
            done = child.end
    return spans


def _run(children: tuple[int, int]) -> tuple[int, int]:
    return children[0], children[0] + children[1]


def _plain(spans: list[Span], start: int, end: int) -> None:
    if end > start:
        spans.append(Span(start, end))
