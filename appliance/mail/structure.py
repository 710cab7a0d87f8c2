"""Incremental MIME parser: the tree of a message as octet offsets, for chunks of any size (RFC 2045, RFC 2046).

Linear time; memory is bounded by HEADER_OCTETS for the header being parsed or the boundary being compared, DESCRIBED_OCTETS for all
header values kept, NESTING_LEVELS and MIME_PARTS for the tree. Any octets have a tree: parts beyond these limits are one opaque leaf, a
boundary counts at the start of any line and is compared whole (RFC 2046 §5.1.1), an outer boundary ends inner parts, and parts still open
end with the message. A multipart has at least one part: where no part begins in it, its whole body is one plain text, so that all text
belongs to a part.
"""

import re
from dataclasses import dataclass, field

from .content import Content, read_content
from .header_fields import OF_A_MESSAGE, OF_A_PART, HeaderFields, HeaderFieldsReader
from .limits import HEADER_OCTETS, MIME_PARTS, NESTING_LEVELS
from .partmap import IDENTITY, LEAF, MESSAGE, MULTIPART, TRANSFERS, UNKNOWN

PATTERN_OCTETS = 80
"""Octets of a boundary by which candidate lines are found; RFC 2046 §5.1.1 allows 70, but longer ones occur."""
AFTER_BOUNDARY_OCTETS = 4
"""Octets needed after a boundary: two hyphens and the line end."""
DESCRIBED_OCTETS = 2 * 2**20
"""Header values kept of one message; further parts are described by type and transfer encoding only."""
FALSE_CANDIDATES = 200
"""Lines that begin with two hyphens and are not boundaries, after which one pattern for all open boundaries is faster."""


_HEADER, _BODY, _BOUNDARY_LINE, _TO_END = range(4)

SAMPLED = (b"plain", b"html", b"rfc822-headers")
"""Subtypes of text of which a sample is kept; the last is the header that a report returns."""


@dataclass(slots=True)
class Node:
    """One part. Its header is `header_start` to `body_start`, its body ends at `end`; `lines`: line ends of text and message parts."""

    parent: "Node | None"
    depth: int
    header_start: int
    body_start: int = 0
    end: int = -1
    lines: int = 0
    kind: int = LEAF
    transfer: int = IDENTITY
    digest: bool = False
    content: Content = field(default_factory=Content)
    header_fields: HeaderFields = field(default_factory=dict)
    children: "list[Node]" = field(default_factory=list)


def begins_no_part(node: Node) -> bool:
    """True for a multipart whose only part is its whole body, because no part begins in it."""
    first = node.children[0] if node.children else node
    return node.kind == MULTIPART and len(node.children) < 2 and first.header_start == first.body_start == node.body_start


class StructureScanner:
    """Parses a message fed in chunks; `finish()` returns the root.

    `samples` are the first `sample_octets` of the first plain and HTML text and the first text/rfc822-headers, still encoded.
    """

    __slots__ = (
        "_base", "_counting", "_false_candidates", "_first", "_fresh", "_held", "_kept", "_lf", "_lf_at", "_long_line", "_messages",
        "_newline", "_node", "_open", "_parts", "_pattern", "_reach", "_reader", "_room", "_sample_octets", "_stack", "_starved", "_state",
        "root", "samples",
    )  # fmt: skip

    def __init__(self, sample_octets: int = 0) -> None:
        self._base = 0  # octets of the message before the current chunk
        self._held = bytearray()  # octets that are incomplete without more
        self._starved = False
        self._lf = self._lf_at = 0  # line ends counted, and up to which offset
        self._counting = False
        self._messages = 0
        self._stack: list[tuple[bytes, Node]] = []  # open boundaries, the innermost last
        self._open: tuple[bytes, ...] = ()  # the boundaries alone
        self._reach = 0  # octets after the two hyphens that decide whether a line is an open boundary
        self._pattern: re.Pattern[bytes] | None = None
        self._false_candidates = 0
        self._first: HeaderFields | None = None  # of a first part whose delimiter is in the multipart's own header
        self._fresh = False  # the current chunk starts at the beginning of a body line
        self._parts = 0
        self._kept = 0
        self._long_line = False  # in a header line longer than HEADER_OCTETS
        self._sample_octets = sample_octets
        self._room = 0
        self.samples: list[tuple[Node, bytearray]] = []
        self.root = Node(None, 0, 0)
        self._open_header(self.root, OF_A_MESSAGE)

    def feed(self, chunk: bytes) -> None:
        """Parse the next octets. Buffers at most one header line or the start of a boundary line."""
        if self._held:
            self._held += chunk
            needed = HEADER_OCTETS if self._state == _HEADER else self._reach if self._state == _BODY else 0
            if b"\n" not in chunk and len(self._held) <= needed:
                return
            chunk = bytes(self._held)
            self._held.clear()
        done = self._run(chunk, final=False)
        self._count(chunk, self._base + done)
        self._base += done
        if done < len(chunk):
            self._held += chunk[done:]

    def finish(self) -> Node:
        """End of the message: ends all open parts. `feed` may not be called again."""
        if self.root.end < 0:
            rest = bytes(self._held)
            end = self._base + len(rest)
            self._run(rest, final=True)
            self._count(rest, end)
            while self._state == _HEADER:
                self._end_header(end, blank_line=False)
            self._close(None, end)
        return self.root

    # --- octets, state by state --------------------------------------------------------------

    def _run(self, chunk: bytes, *, final: bool) -> int:
        """Parse until the chunk is used up or more octets are needed; returns the octets used."""
        at = 0
        while at < len(chunk) and not self._starved:
            if self._state == _HEADER:
                at = self._header(chunk, at, final)
            elif self._state == _BODY:
                at = self._body(chunk, at, final)
            elif self._state == _BOUNDARY_LINE:
                at = self._boundary_line(chunk, at)
            else:
                at = self._leaf(chunk, at, len(chunk))
        self._starved = False
        return at

    def _header(self, chunk: bytes, at: int, final: bool) -> int:
        if self._long_line:
            at = chunk.find(b"\n", at) + 1
            if not at:
                return len(chunk)
            self._long_line = False
            self._newline = 1
            if at == len(chunk):
                return at
        stop, end = _blank_line(chunk, at)
        if self._stack:
            line = self._boundary_before(chunk, at, len(chunk) if stop < 0 else stop, final)
            if line >= 0:
                self._lines(chunk, at, line)
                # The line end before the boundary belongs to the boundary, RFC 2046 §5.1.1.
                end = self._base + line - self._newline if self._newline else self._node.header_start
                self._end_header(end, blank_line=False, cut=True)
                return line
        if stop >= 0:
            self._lines(chunk, at, stop)
            self._count(chunk, self._base + end)
            self._end_header(self._base + end, blank_line=True)
            return end
        stop = chunk.rfind(b"\n", at) + 1 or at
        if final or len(chunk) - stop > HEADER_OCTETS:
            stop = len(chunk)
            self._long_line = True
        self._lines(chunk, at, stop)
        self._starved = stop < len(chunk)
        return stop

    def _lines(self, chunk: bytes, at: int, stop: int) -> None:
        if stop > at:
            self._reader.take(chunk[at:stop] if at or stop < len(chunk) else chunk)
            self._newline = 2 if chunk[stop - 2 : stop] == b"\r\n" else 1

    def _boundary_before(self, chunk: bytes, at: int, stop: int, final: bool) -> int:
        """Start of the first line before `stop` that is an open boundary; -1 without one."""
        start = at
        if not chunk.startswith(b"--", at):
            start = chunk.find(b"\n--", at, stop) + 1
            if not start:
                return -1
        while True:
            if not final and chunk.find(b"\n", start) < 0 and len(chunk) - start <= HEADER_OCTETS:
                return -1
            if self._matching(chunk, start + 2) >= 0:
                return start
            start = chunk.find(b"\n--", start, stop) + 1
            if not start:
                return -1

    def _body(self, chunk: bytes, at: int, final: bool) -> int:
        size = len(chunk)
        if self._fresh:
            if chunk.startswith(b"--", at) or (size - at < 2 and chunk[at] == 45):
                if not final and size - at < self._reach + 2 and chunk.find(b"\n", at) < 0:
                    self._starved = True
                    return at
                index = self._matching(chunk, at + 2) if size - at > 1 else -1
                if index >= 0:
                    self._count(chunk, self._base + at)
                    return self._at_boundary(chunk, at + 2, index, self._base + at)
            self._fresh = False
        start = at
        while (candidate := self._candidate(chunk, start)) >= 0:
            line = candidate + 3
            if not final and size - line < self._reach and chunk.find(b"\n", line) < 0:
                break
            index = self._matching(chunk, line)
            if index >= 0:
                end = candidate - 1 if candidate > at and chunk[candidate - 1] == 13 else candidate
                self._leaf(chunk, at, end)
                self._count(chunk, self._base + end)
                return self._at_boundary(chunk, line, index, self._base + end)
            self._false_candidates += 1
            start = candidate + 1
        stop = size
        if not final:
            tail = chunk.rfind(b"\n", max(at, size - self._reach - 3))
            if tail >= 0 and chunk[tail + 1 : tail + 3] in (b"", b"-", b"--"):
                stop = tail - 1 if tail > at and chunk[tail - 1] == 13 else tail
            elif chunk[size - 1] == 13:
                stop = size - 1
            self._starved = stop < size
        return self._leaf(chunk, at, stop)

    def _boundary_line(self, chunk: bytes, at: int) -> int:
        """The rest of a boundary line; a part or the epilogue begins after it."""
        at = chunk.find(b"\n", at) + 1
        if not at:
            return len(chunk)
        if not self._stack or self._stack[-1][1] is not self._node:
            self._to_body()
        else:
            self._count(chunk, self._base + at)
            self._open_part(self._base + at)
        return at

    def _leaf(self, chunk: bytes, at: int, stop: int) -> int:
        if self._room > 0 and stop > at:
            sample = self.samples[-1][1]
            sample += chunk[at : min(stop, at + self._room)]
            self._room = self._sample_octets - len(sample)
        return stop

    # --- boundaries --------------------------------------------------------------------------

    def _candidate(self, chunk: bytes, start: int) -> int:
        """The next line end before something that may be an open boundary; -1 without one."""
        if len(self._stack) == 1:
            return chunk.find(b"\n--" + self._stack[0][0], start)
        if self._false_candidates < FALSE_CANDIDATES:
            return chunk.find(b"\n--", start)
        if self._pattern is None:
            starts = {boundary[:PATTERN_OCTETS] for boundary, _ in self._stack}
            self._pattern = re.compile(b"\n--(?:" + b"|".join(map(re.escape, starts)) + b")")
        found = self._pattern.search(chunk, start)
        return found.start() if found else -1

    def _matching(self, chunk: bytes, start: int) -> int:
        """Index of the open boundary that the line after `--` begins with, the longest one, of equal ones the innermost; -1 for none."""
        stop = chunk.find(b"\n", start, start + self._reach + 2)
        if stop < 0:
            stop = start + self._reach
        elif stop > start and chunk[stop - 1] == 13:
            stop -= 1
        line = chunk[start:stop]
        best = -1
        if not line.startswith(self._open):
            return best
        for index in range(len(self._stack) - 1, -1, -1):
            boundary = self._stack[index][0]
            if line.startswith(boundary) and (best < 0 or len(boundary) > len(self._stack[best][0])):
                best = index
                if len(boundary) == len(line) or line[len(boundary) :] == b"--":
                    break
        return best

    def _at_boundary(self, chunk: bytes, line: int, index: int, end: int) -> int:
        """End all parts inside the multipart of the boundary at `end`."""
        boundary, node = self._stack[index]
        self._close(node, end)
        after = line + len(boundary)
        last = chunk.startswith(b"--", after)
        if not last and self._first is not None and not node.children:
            self._add_first_part(node, self._first, end)
        self._first = None
        self._cut_stack(index if last else index + 1)
        self._state = _BOUNDARY_LINE
        return after

    def _add_first_part(self, parent: Node, header_fields: HeaderFields, end: int) -> None:
        """Add the first part of a multipart whose header contains its delimiter; otherwise that text would not belong to any part."""
        node = Node(parent, parent.depth + 1, parent.body_start, parent.body_start, end, parent.lines + self._lf)
        self._describe(node, header_fields, deep=True)
        parent.children.append(node)
        if self.samples and self.samples[-1][0] is parent and _text_subtype(node) in SAMPLED:
            self.samples[-1] = node, self.samples[-1][1]

    def _cut_stack(self, size: int) -> None:
        if size < len(self._stack):
            del self._stack[size:]
            self._stack_changed()

    def _stack_changed(self) -> None:
        self._open = tuple([boundary for boundary, _ in self._stack])
        self._reach = max([len(boundary) for boundary, _ in self._stack], default=0) + AFTER_BOUNDARY_OCTETS
        self._pattern = None
        self._false_candidates = 0

    # --- parts -------------------------------------------------------------------------------

    def _open_part(self, start: int) -> None:
        parent = self._node
        if self.samples and self.samples[-1][0] is parent:
            self.samples.pop()  # that was the preamble
        node = Node(parent, parent.depth + 1, start)
        parent.children.append(node)
        self._open_header(node, OF_A_MESSAGE if parent.kind == MESSAGE else OF_A_PART)

    def _open_header(self, node: Node, wanted: frozenset[bytes]) -> None:
        self._node = node
        self._reader = HeaderFieldsReader(wanted)
        self._newline = 0
        self._long_line = False
        self._room = 0
        self._state = _HEADER

    def _end_header(self, end: int, *, blank_line: bool, cut: bool = False) -> None:
        """The header of the current part ends at `end`. `cut`: by a boundary, so that there is no body."""
        node = self._node
        node.body_start = end
        header_fields = self._reader.header_fields()
        self._parts += 1
        deep = node.depth + 1 >= NESTING_LEVELS
        if self._parts >= MIME_PARTS:
            deep = True
            self._cut_stack(0)
        self._kept += self._reader.kept
        if self._kept > DESCRIBED_OCTETS:
            header_fields = {
                name: values for name, values in header_fields.items() if name in (b"content-type", b"content-transfer-encoding")
            }
        self._describe(node, header_fields, deep)
        node.lines = -self._lf
        self._counting = self._messages > 0 or node.content.is_text() or node.kind == MULTIPART
        if cut:
            node.end, node.lines = end, 0
        if node.kind == MESSAGE:
            self._messages += 1
            self._counting = True
            self._open_part(end)
            return
        boundary = node.content.parameter(b"boundary") if node.kind == MULTIPART and blank_line else None
        if boundary is not None and boundary.strip():
            self._stack.append((boundary, node))
            self._stack_changed()
            self._first = self._reader.first_part.header_fields() if self._reader.first_part is not None else None
        if self._sample_octets:
            self._sample(node)
        self._to_body()

    def _describe(self, node: Node, header_fields: HeaderFields, deep: bool) -> None:
        """Set kind, content and header fields of a part, from its header and its parent."""
        in_multipart = node.parent is not None and node.parent.kind == MULTIPART
        if not in_multipart:
            node.header_fields = header_fields
            if b"mime-version" not in header_fields and b"content-type" not in header_fields:
                return  # RFC 2045 §4: not MIME, so its Content- fields mean nothing, its transfer encoding neither
        node.content = content = read_content(header_fields)
        if content.encoding is not None:
            node.transfer = TRANSFERS.get(content.encoding.lower(), UNKNOWN)
        if content.type is None:
            if in_multipart and node.parent is not None and node.parent.digest and not deep:
                node.kind = MESSAGE
            return
        kind, subtype = content.type.lower(), content.subtype
        if subtype is None:
            return
        if kind == b"multipart":
            node.kind = MULTIPART
            node.digest = subtype.lower() == b"digest"
        elif kind == b"message" and subtype.lower() == b"rfc822":
            node.kind = MESSAGE
        if deep and node.kind != LEAF:
            node.kind = LEAF
            content.type, content.subtype = b"application", b"octet-stream"

    def _sample(self, node: Node) -> None:
        """Begin a sample for the first plain and HTML text and returned header, and for the first multipart until a part begins in it."""
        sort = MULTIPART if node.kind == MULTIPART else _text_subtype(node)
        if sort in (MULTIPART, *SAMPLED) and all(sort not in (seen.kind, _text_subtype(seen)) for seen, _ in self.samples):
            self.samples.append((node, bytearray()))
            self._room = self._sample_octets

    def _to_body(self) -> None:
        self._state = _BODY if self._stack else _TO_END
        self._fresh = True

    def _close(self, until: Node | None, end: int) -> None:
        """End the current part and its parents up to `until`, which stays open."""
        node: Node | None = self._node
        while node is not None and node is not until:
            if node.kind == MESSAGE:
                self._messages -= 1
            if node.end < 0:
                node.end = end
                node.lines += self._lf
            if node.kind == MULTIPART and not node.children:
                node.children.append(Node(node, node.depth + 1, node.body_start, node.body_start, node.end, node.lines))
            node = node.parent
        if node is not None:
            self._node = node
        self._counting = self._messages > 0 or (node is not None and node.kind == MULTIPART and not node.children)
        self._room = 0

    def _count(self, chunk: bytes, until: int) -> None:
        """Count line ends up to an offset in the current chunk."""
        if until > self._lf_at:
            if self._counting:
                self._lf += chunk.count(b"\n", self._lf_at - self._base, until - self._base)
            self._lf_at = until


def _text_subtype(node: Node) -> bytes:
    """The subtype of a text part, empty for any other."""
    return (node.content.subtype or b"plain").lower() if node.kind == LEAF and node.content.is_text() else b""


def _blank_line(chunk: bytes, at: int) -> tuple[int, int]:
    """Start and end of the first empty line at or after `at`, which starts a line; (-1, -1) without one."""
    if chunk.startswith((b"\n", b"\r\n"), at):
        return at, chunk.index(b"\n", at) + 1
    stop = chunk.find(b"\n\r\n", at)
    lone = chunk.find(b"\n\n", at, stop + 2 if stop >= 0 else len(chunk))
    if lone >= 0:
        return lone + 1, lone + 2
    return (stop + 1, stop + 3) if stop >= 0 else (-1, -1)
