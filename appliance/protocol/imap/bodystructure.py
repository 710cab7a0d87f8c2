"""BODYSTRUCTURE and BODY in wire form, and the scanner that makes them once, at arrival (RFC 9051 §7.5.2).

A message is described in one pass: linear time, constant memory, octets in chunks of any size; the same
octets have the same description however they are cut. Nothing is refused here: intake decides by the
description. Malformed messages have a description too.
"""

import re

from appliance.mail.content import Content, Parameters
from appliance.mail.date import parse_date
from appliance.mail.description import Description, Scanner
from appliance.mail.header_fields import ADDRESS_FIELDS, HeaderFields, message_header_fields
from appliance.mail.limits import SMTP_LINE_OCTETS
from appliance.mail.partmap import LEAF, MESSAGE, MULTIPART, pack
from appliance.mail.preview import preview
from appliance.mail.structure import Node, StructureScanner
from appliance.mail.threads import ThreadKeys, thread_keys

from .envelope import envelope, nstring, string

DESCRIBED_BY = 4
"""Incremented when the description of the same octets changes: rows of an older scanner are then described again."""
SAMPLE_OCTETS = 4096
"""Octets of a text from which its preview is made."""
_LINE_OCTETS = SMTP_LINE_OCTETS - 2
_DEFAULT_CHARSET = b'"charset" "us-ascii"'
_NOT_IN_ENVELOPE = frozenset((b"received",))
"""Header fields that ENVELOPE does not depend on."""
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|\{([0-9]+)\}\r\n|[()]|[^()"{ ]+| ')


def make_describe() -> Scanner:
    """A scanner for one message; its `longest_line_octets` is at least 998, which every line may have (RFC 5322 §2.1.1)."""
    return _MessageScanner()


class _MessageScanner:
    __slots__ = ("_after_cr", "_folded", "_line", "_longest", "_made", "_octets", "_structure")

    def __init__(self) -> None:
        self._structure = StructureScanner(SAMPLE_OCTETS)
        self._octets = 0
        self._longest = _LINE_OCTETS
        self._line = 0  # octets of the current line in earlier chunks
        self._after_cr = False
        self._folded = False
        self._made: tuple[bytes, bytes, str, bytes, ThreadKeys] | None = None

    def feed(self, chunk: bytes) -> None:
        if chunk:
            if not self._octets:
                self._folded = chunk[0] in b" \t"
            self._octets += len(chunk)
            self._measure_lines(chunk)
            self._after_cr = chunk[-1] == 13
            self._structure.feed(chunk)

    def _measure_lines(self, chunk: bytes) -> None:
        """Finds lines longer than the longest so far; all others are skipped a window of that length at a time."""
        start = -self._line
        while True:
            reach = max(start + self._longest + 2, 0)
            end = chunk.rfind(b"\n", max(start, 0), reach)
            if end < 0:
                end = chunk.find(b"\n", reach)
                if end < 0:
                    break
                self._longest = end - start - (chunk[end - 1] == 13 if end else self._after_cr)
            start = end + 1
        self._line = len(chunk) - start

    def finish(self, prefix: bytes = b"") -> Description:
        root = self._structure.finish()
        if self._made is None:
            thread = thread_keys(root.header_fields, self._returned(root))
            self._made = pack(root), bodystructure(root), self._preview(), envelope(root.header_fields), thread
        parts, structure, text, written, thread = self._made
        own = message_header_fields(prefix)
        header_fields = _merged(own, root.header_fields) if own else root.header_fields
        if not own.keys() <= _NOT_IN_ENVELOPE:
            written, thread = envelope(header_fields), thread_keys(header_fields, self._returned(root))
        dates = header_fields.get(b"date")
        return Description(
            octets=self._octets,
            header_octets=root.body_start,
            envelope=written,
            bodystructure=structure,
            parts=parts,
            sent_at=parse_date(dates[-1]) if dates else None,
            hops=len(header_fields.get(b"received", ())),
            preview=text,
            has_date=b"date" in header_fields,
            has_message_id=b"message-id" in header_fields,
            longest_line_octets=max(self._longest, self._line - self._after_cr),
            begins_folded=self._folded,
            described_by=DESCRIBED_BY,
            thread=thread,
        )

    def _preview(self) -> str:
        """Of the plain text; where that is empty, of the HTML, else of a multipart in which no part begins."""
        ranked = sorted([one for one in self._structure.samples if not _is_header(one[0])], key=lambda sample: _rank(sample[0]))
        leaves = [(node if node.kind == LEAF else node.children[0], octets) for node, octets in ranked]
        return next(filter(None, (preview(node.content, node.transfer, bytes(octets)) for node, octets in leaves)), "")

    def _returned(self, root: Node) -> HeaderFields | None:
        """The header fields of the message that a report returns, whole or its header alone (RFC 3464 §2)."""
        if root.kind != MULTIPART or (root.content.subtype or b"").lower() != b"report":
            return None
        whole = next((child.children[0].header_fields for child in root.children if child.kind == MESSAGE), None)
        headers = (bytes(octets) for node, octets in self._structure.samples if node.parent is root and _is_header(node))
        return whole if whole is not None else message_header_fields(next(headers, b""))


def _is_header(node: Node) -> bool:
    return node.kind == LEAF and (node.content.subtype or b"").lower() == b"rfc822-headers"


def _rank(node: Node) -> int:
    if node.kind != LEAF:
        return 2
    return (node.content.subtype or b"").lower() == b"html"


def _merged(prefix: HeaderFields, message: HeaderFields) -> HeaderFields:
    """The fields of both as one header: those of the prefix, which the server added, come first."""
    together = ADDRESS_FIELDS | {b"received"}
    merged = {name: values + message.get(name, []) if name in together else message.get(name, values) for name, values in prefix.items()}
    return message | merged


def bodystructure(node: Node) -> bytes:
    """BODYSTRUCTURE of a part and all its parts."""
    return b"(" + _inside(node) + b")"


def _inside(node: Node) -> bytes:
    content = node.content
    if node.parent is None and _is_simple(node):
        content = Content()
    if node.kind == MULTIPART:
        parts = b"".join([bodystructure(child) for child in node.children])
        return b"%b %b %b %b" % (parts, string(content.subtype or b""), _parameters(content.parameters), _extension(content))
    sizes = b"%d" % (node.end - node.body_start)
    if node.kind == MESSAGE:
        kind = b'"message" "rfc822"'
        message = node.children[0]
        sizes = b"%b %b %b %d" % (sizes, envelope(message.header_fields), bodystructure(message), node.lines)
    elif content.type is None:
        kind = b'"text" "plain"'
        sizes += b" %d" % node.lines
    else:
        kind = string(content.type) + b" " + string(content.subtype or b"")
        if content.is_text():
            sizes += b" %d" % node.lines
    return b"%b %b %b %b %b %b %b %b" % (
        kind,
        _parameters(content.parameters, charset=node.kind != MESSAGE and content.is_text()),
        nstring(content.id),
        nstring(content.description),
        b'"7bit"' if content.encoding is None else string(content.encoding),
        sizes,
        nstring(content.md5),
        _extension(content),
    )


def _is_simple(node: Node) -> bool:
    """The most common message, plain ASCII text, has one form however its header states it."""
    content = node.content
    return (
        node.kind == LEAF
        and content.type is not None
        and content.is_text()
        and (content.subtype or b"").lower() == b"plain"
        and [(name.lower(), value.lower()) for name, value in content.parameters] in ([], [(b"charset", b"us-ascii")])
        and (content.encoding is None or content.encoding.lower() == b"7bit")
        and content.id is content.description is content.md5 is content.disposition is content.location is None
        and not content.languages
    )


def _parameters(parameters: Parameters, *, charset: bool = False) -> bytes:
    pairs = [string(name) + b" " + string(value) for name, value in parameters]
    if charset and not any(name.lower() == b"charset" for name, _ in parameters):
        pairs.append(_DEFAULT_CHARSET)
    return b"(" + b" ".join(pairs) + b")" if pairs else b"NIL"


def _extension(content: Content) -> bytes:
    disposition = b"NIL"
    if content.disposition is not None:
        disposition = b"(" + string(content.disposition) + b" " + _parameters(content.disposition_parameters) + b")"
    languages = b"(" + b" ".join([string(tag) for tag in content.languages]) + b")" if content.languages else b"NIL"
    return disposition + b" " + languages + b" " + nstring(content.location)


def body_of(bodystructure: bytes) -> bytes:
    """BODY, the form without extension data, from BODYSTRUCTURE as made here; anything else is returned unchanged."""
    out: list[bytes] = []
    try:
        _copy_body(bodystructure, 0, out)
    except ValueError:
        return bodystructure
    return b"".join(out)


def _copy_body(wire: bytes, at: int, out: list[bytes]) -> int:
    """Copies one part's list that starts at `at` up to its extension data; returns the index after the list."""
    start = at + 1
    if wire[start : start + 1] == b"(":
        out.append(b"(")
        at = start
        while wire[at : at + 1] == b"(":
            at = _copy_body(wire, at, out)
        at = _copy_items(wire, at, 1, out)
    else:
        at = _copy_items(wire, at, 7, out)
        kind = wire[start : start + 20].lower()
        if kind.startswith(b'"text" '):
            at = _copy_items(wire, at, 1, out)
        elif kind.startswith(b'"message" "rfc822" '):
            at = _copy_items(wire, at, 1, out)
            out.append(b" ")
            at = _copy_items(wire, _copy_body(wire, at + 1, out), 1, out)
    out.append(b")")
    while wire[at : at + 1] == b" ":
        at = _item_end(wire, at + 1)
    if wire[at : at + 1] != b")":
        raise ValueError("not a part")
    return at + 1


def _copy_items(wire: bytes, at: int, count: int, out: list[bytes]) -> int:
    """Copies `count` items, each with the octet before it; returns the index after the last."""
    start = at
    for _ in range(count):
        at = _item_end(wire, at + 1)
    out.append(wire[start:at])
    return at


def _item_end(wire: bytes, at: int) -> int:
    """The index after one string, number, NIL or list."""
    level = 0
    while found := _TOKEN.match(wire, at):
        at = found.end()
        if found[1]:
            at += int(found[1])
        elif found[0] == b"(":
            level += 1
        elif found[0] == b")":
            level -= 1
        if level <= 0:
            return at
    raise ValueError("an item that does not end")
