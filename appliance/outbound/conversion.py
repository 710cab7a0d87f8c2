"""A message put into a form the next server takes, losing nothing: 8-bit and binary parts encoded, header words too.

| the message has                           | and the server lacks        | what happens                                                    |
|------------------------------------------|-----------------------------|-----------------------------------------------------------------|
| 8-bit text in a part                     | 8BITMIME (RFC 6152 §3)      | text becomes quoted-printable, everything else base64           |
| NUL, a bare CR or LF in a part           | (nobody takes them)         | the same                                                        |
| a line over 998 octets in a part         | (RFC 5321 §4.5.3.1.6)       | the same in messages of ours; in forwarded ones it stays         |
| 8-bit words in a header                  | 8BITMIME                    | encoded words (RFC 2047), parameters by RFC 2231                |
| 8-bit words in a header, SMTPUTF8        | SMTPUTF8 (RFC 6531)         | the same; domains become A-labels                               |
| the same in ours, sent without SMTPUTF8  | (RFC 5322 has no 8 bits)    | the same; addresses that need it: SMTPUTF8, where it is offered |
| UTF-8 in a forwarded message's header    |                             | goes as it is, with SMTPUTF8 where that is offered (RFC 6532)   |
| other 8-bit words in a header of ours    |                             | encoded words in the body's charset, or in unknown-8bit         |
| an address with 8-bit before the @       | SMTPUTF8                    | fails, 5.6.7: there is no other way to write it                 |
| the first two inside multipart/signed    | the same                    | fails, 5.6.3 (binary: 5.6.1): it would break the seal           |
| a bare CR or LF in a header              | (nobody takes them)         | becomes a blank                                                 |

Containers say "7bit" or "8bit" for what their parts now are; no octet of a part that need not change is changed. BINARYMIME is never
used on the way out, since every message travels by DATA. Three readings of the message at most, one for messages that need nothing;
memory: the part tree, one header, one piece.
"""

import re
from base64 import b64encode
from codecs import getincrementaldecoder
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from appliance.mail.content import first_encoding
from appliance.mail.header import fields, header_end
from appliance.mail.outcome import DeliveryStatus, Outcome, Reason
from appliance.mail.outgoing import Chunks, OutgoingMessage
from appliance.mail.partmap import BASE64, IDENTITY, QUOTED_PRINTABLE, TRANSFERS, UNKNOWN
from appliance.mail.structure import Node, StructureScanner, begins_no_part
from appliance.protocol.smtp.client import Offer

from .header_words import charset_said, in_words
from .header_words import encoded_words as encoded_words

LINE_OCTETS = 998
HOLD_OCTETS = 16 * 2**10
"""Of a text line without end, encoded at once."""
_LONG = re.compile(rb"[^\n]{1000}")
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_STRAY = re.compile(rb"[^\t\x20-\x7e]")
_EIGHT = bytes([0, *range(0x80, 0x100)])
_UNSAFE = re.compile(rb"[^\t\x20-\x3c\x3e-\x7e]")


@dataclass(slots=True)
class Shape:
    """What stands in some octets; `long` a line over LINE_OCTETS, `bare` a CR or LF alone."""

    eight: bool = False
    nul: bool = False
    bare: bool = False
    long: bool = False
    _tail: bytes = b""
    _run: int = 0

    def feed(self, chunk: bytes) -> None:
        """In order, in any pieces; `end` when there are no more."""
        self.eight = self.eight or not chunk.isascii()
        self.nul = self.nul or b"\0" in chunk
        text = self._tail + chunk
        self._tail = b"\r" if text.endswith(b"\r") else b""
        text = text[: len(text) - len(self._tail)]
        if not self.bare and (text.count(b"\r\n") != text.count(b"\n") or text.count(b"\r\n") != text.count(b"\r")):
            self.bare = True
        if not self.long:
            first = text.find(b"\n")
            if first < 0:
                self._run += len(text)
            else:
                self.long = self._run + first > LINE_OCTETS + 1 or bool(_LONG.search(text, first))
                self._run = len(text) - text.rfind(b"\n") - 1
            self.long = self.long or self._run > LINE_OCTETS

    def end(self) -> None:
        self.bare = self.bare or bool(self._tail)

    @property
    def binary(self) -> bool:
        return self.nul or self.bare


async def shape_of(chunks: Chunks) -> Shape:
    """The shape of a whole message."""
    shape = Shape()
    async with chunks() as octets:
        async for chunk in octets:
            shape.feed(chunk)
    shape.end()
    return shape


async def convert(outgoing: OutgoingMessage, offer: Offer) -> OutgoingMessage | Outcome:
    """The message as this server can take it, with `octets`, `body` and `smtputf8` to match; or why it cannot."""
    utf8 = outgoing.smtputf8 and offer.smtputf8
    if outgoing.smtputf8 and not utf8:
        for address in (outgoing.sender, *(one.address for one in outgoing.recipients)):
            if address is not None and not address.ascii_local:
                return _no("5.6.7", f"The address {address} needs SMTPUTF8, which the other server does not speak.")
    shape, ours = await shape_of(outgoing.chunks), bool(outgoing.author)
    to_seven = shape.eight and not offer.eightbitmime
    header_words = shape.eight and (to_seven or (not utf8 and (ours or outgoing.smtputf8)))
    if shape.eight and not header_words and (ours or not utf8) and offer.smtputf8:
        form = await header_form(outgoing.chunks)
        utf8 = utf8 or form == UTF8
        header_words = ours and form == OTHER
    lines = shape.long and ours
    if to_seven or header_words or shape.binary or lines:
        made = await _converted(
            outgoing, to_seven=to_seven, header_words=header_words, bodies=to_seven or shape.binary or lines, lines=lines
        )
        if isinstance(made, Outcome):
            if to_seven or not ours or not offer.smtputf8 or made.status != "5.6.7" or await header_form(outgoing.chunks) != UTF8:
                return made
            return await convert(replace(outgoing, smtputf8=True), offer)  # what has no other form goes as it is
        outgoing, shape = made
    return replace(outgoing, body="8BITMIME" if shape.eight else "7BIT", smtputf8=utf8)


def _no(status: str, text: str) -> Outcome:
    return Outcome(DeliveryStatus.FAILED, status, Reason.CONVERSION, text)


# --- what has to change -----------------------------------------------------------------------------


@dataclass(slots=True)
class Edit:
    """Octets from `start` to `end` of the message: a header becomes what `header` makes of it, a body what `coder` does, or stays."""

    start: int
    end: int
    header: Callable[[bytes], bytes] | None = None
    coder: "type[Coder] | None" = None


@dataclass(slots=True)
class ConversionPlan:
    """The edits in order; `between`: what stands outside parts, preambles and boundaries, loses what nobody may send."""

    between: bool
    edits: list[Edit] = field(default_factory=list)


async def structure_of(chunks: Chunks) -> Node:
    scanner = StructureScanner()
    async with chunks() as octets:
        async for chunk in octets:
            scanner.feed(chunk)
    return scanner.finish()


ASCII, UTF8, OTHER = "ascii", "utf-8", "other"


async def header_form(chunks: Chunks) -> str:
    """What the headers of the message and of its parts are written in: ASCII, UTF8 where one is not ASCII, OTHER where one is neither."""
    form, nodes, at = ASCII, [await structure_of(chunks)], 0
    headers: list[tuple[int, int]] = []
    while nodes:
        node = nodes.pop()
        headers.append((node.header_start, node.body_start))
        nodes += reversed(_parts(node))
    decoder = getincrementaldecoder("utf-8")()
    async with chunks() as octets:
        async for chunk in octets:
            for start, end in headers:
                if start >= at + len(chunk):
                    break
                some = chunk[max(0, start - at) : max(0, end - at)]
                if not some.isascii():
                    form = UTF8
                try:
                    decoder.decode(some, final=bool(some) and end <= at + len(chunk))
                except UnicodeDecodeError:
                    return OTHER
            at += len(chunk)
            headers = [one for one in headers if one[1] > at]
    return form


async def _converted(
    outgoing: OutgoingMessage, *, to_seven: bool, header_words: bool, bodies: bool, lines: bool
) -> tuple[OutgoingMessage, Shape] | Outcome:
    """The message changed, and what it holds then. `bodies`: not the headers alone."""
    root = await structure_of(outgoing.chunks)
    leaves = list(_leaves(root)) if bodies else []
    shapes = await _shapes(outgoing.chunks, leaves) if bodies else []
    plan = ConversionPlan(between=to_seven or any(shape.binary for shape in shapes))
    encoded: set[int] = set()
    for leaf, shape in zip(leaves, shapes, strict=True):
        if shape.binary or (to_seven and shape.eight) or (lines and shape.long and not _sealed(leaf)):
            if _sealed(leaf):
                status = "5.6.1" if shape.binary else "5.6.3"
                return _no(status, "The message is signed, and would have to be changed for the other server to take it.")
            if _transfer(leaf) not in CODERS:
                return _no("5.6.3", "A part of the message is in an encoding that cannot be changed here for the other server.")
            encoded.add(id(leaf))
    faults: list[str] = []
    _walk(root, encoded, plan, faults, words=header_words, seven=to_seven, fold=lines)
    made, after, size = replace(outgoing, chunks=_edited(outgoing.chunks, plan)), Shape(), 0
    async with made.chunks() as octets:
        async for chunk in octets:
            size += len(chunk)
            after.feed(chunk)
    if faults:
        return _no("5.6.7", f"The address {faults[0]} in the header needs SMTPUTF8, which the other server does not speak.")
    return replace(made, octets=size), after


def _leaves(node: Node) -> "list[Node]":
    """All parts without parts, in the order of the message. Not by recursion: a tree may be deep."""
    found, left = [], [node]
    while left:
        one = left.pop()
        if inside := _parts(one):
            left += reversed(inside)
        elif one.end > one.body_start:
            found.append(one)
    return found


def _parts(node: Node) -> "list[Node]":
    """The parts inside that have a header of their own to say how they are encoded."""
    return [] if begins_no_part(node) else [part for part in node.children if part.body_start != node.body_start]


def _transfer(node: Node) -> int:
    """The transfer encoding as a receiver may take it: without MIME-Version some decode all the same (RFC 2045 §4 leaves it open)."""
    named = first_encoding(node.header_fields.get(b"content-transfer-encoding", ()))
    return node.transfer if named is None else TRANSFERS.get(named.lower(), UNKNOWN)


async def _shapes(chunks: Chunks, leaves: "list[Node]") -> list[Shape]:
    """The shape of each leaf's body."""
    shapes = [Shape() for _ in leaves]
    at = number = 0
    async with chunks() as octets:
        async for chunk in octets:
            end = at + len(chunk)
            while number < len(leaves) and leaves[number].body_start < end:
                leaf = leaves[number]
                shapes[number].feed(chunk[max(0, leaf.body_start - at) : leaf.end - at])
                if leaf.end > end:
                    break
                number += 1
            at = end
    for shape in shapes:
        shape.end()
    return shapes


def _sealed(node: Node) -> bool:
    """Inside multipart/signed, where no octet may change (RFC 1847 §2.1)."""
    parent = node.parent
    while parent is not None:
        if (parent.content.subtype or b"").lower() == b"signed":
            return True
        parent = parent.parent
    return False


def _walk(root: Node, encoded: set[int], plan: ConversionPlan, faults: list[str], *, words: bool, seven: bool, fold: bool) -> None:
    left, fallback = [root], charset_said(root) if words else ""
    while left:
        node = left.pop()
        inside = _parts(node)
        coder: type[Coder] = CODERS.get(_transfer(node), Dropped) if not inside else Dropped
        if coder is QuotedPrintableEncoder and not node.content.is_text():
            coder = Base64Encoder
        changes: list[Callable[[bytes], bytes]] = [_lines_mended]
        if fold and not _sealed(node):
            changes.append(_folded)
        if words and not _sealed(node):
            changes.append(partial(in_words, faults, fallback))
        if id(node) in encoded and coder in (QuotedPrintableEncoder, Base64Encoder):
            changes.append(partial(_declared, root=node is root, word=b"base64" if coder is Base64Encoder else b"quoted-printable"))
        elif inside and seven and not _sealed(node):
            changes.append(_container)
        plan.edits.append(Edit(node.header_start, node.body_start, partial(_all, changes)))
        if not inside and node.end > node.body_start:
            plan.edits.append(Edit(node.body_start, node.end, coder=coder if id(node) in encoded else None))
        left += reversed(inside)


def _all(changes: "list[Callable[[bytes], bytes]]", block: bytes) -> bytes:
    for change in changes:
        block = change(block)
    return block


# --- headers ----------------------------------------------------------------------------------------


def _lines_mended(block: bytes) -> bytes:
    """A CR or LF alone becomes a blank, NUL nothing; a header is lines that end in CRLF."""
    if b"\0" in block:
        block = block.replace(b"\0", b"")
    return _BARE.sub(b" ", block) if _BARE.search(block) else block


def _folded(block: bytes) -> bytes:
    """Lines over LINE_OCTETS are folded at a blank, where they have one (RFC 5322 §2.2.3)."""
    if not _LONG.search(block):
        return block
    return b"\r\n".join([re.sub(rb"(.{1,900})([ \t])(?=[^ \t])", rb"\1\r\n\2", line) for line in block.split(b"\r\n")])


def _container(block: bytes) -> bytes:
    """A container's own transfer encoding, where it names one, is 7bit now."""
    return _replaced(block, b"content-transfer-encoding", b"7bit", add=False)


def _declared(block: bytes, *, root: bool, word: bytes) -> bytes:
    block = _replaced(block, b"content-transfer-encoding", word, add=True)
    names = {one.name.lower() for one in fields(block)}
    if b"content-type" not in names:
        block = _added(block, b"Content-Type: text/plain; charset=unknown-8bit\r\n")
    return _added(block, b"MIME-Version: 1.0\r\n") if root and b"mime-version" not in names else block


def _replaced(block: bytes, name: bytes, value: bytes, *, add: bool) -> bytes:
    """The block with the field's value replaced; a second field of the name goes."""
    out, done, there = b"", 0, False
    for one in fields(block[: header_end(block)]):
        if one.name.lower() == name:
            out += block[done : one.start] + (b"" if there else block[one.start : one.value_start] + b" " + value + b"\r\n")
            done, there = one.end, True
    block = out + block[done:]
    if not there and add:
        return _added(block, b"Content-Transfer-Encoding: " + value + b"\r\n")
    return block


def _added(block: bytes, line: bytes) -> bytes:
    """The line below the last field: in front of the empty line."""
    end = len(block)
    if block.endswith(b"\r\n\r\n") or block == b"\r\n":
        end -= 2
    elif block and not block.endswith(b"\r\n"):
        return block + b"\r\n" + line + b"\r\n"
    return block[:end] + line + (block[end:] or b"\r\n")


# --- bodies -----------------------------------------------------------------------------------------


def quoted_line(line: bytes) -> bytes:
    """A line's octets, its end left out, in quoted-printable with soft line ends (RFC 2045 §6.7)."""
    text = _UNSAFE.sub(lambda found: b"=%02X" % found[0][0], line)
    if text[-1:] in (b" ", b"\t"):
        text = text[:-1] + b"=%02X" % text[-1]
    out = []
    while len(text) > 76:
        cut = 75 if b"=" not in text[73:75] else 73 + text[73:75].find(b"=")
        out.append(text[:cut] + b"=\r\n")
        text = text[cut:]
    return b"".join(out) + text


class Coder(Protocol):
    """A body's octets in any pieces to what may travel."""

    def feed(self, chunk: bytes) -> bytes: ...
    def finish(self) -> bytes: ...


class QuotedPrintableEncoder:
    """Text to quoted-printable."""

    line: Callable[[bytes], bytes] = staticmethod(quoted_line)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> bytes:
        *lines, self._rest = (self._rest + chunk).split(b"\r\n")
        out = b"".join([self.line(line) + b"\r\n" for line in lines])
        if len(self._rest) > HOLD_OCTETS and not self._rest.endswith(b"\r"):
            out += self.line(self._rest) + b"=\r\n"
            self._rest = b""
        return out

    def finish(self) -> bytes:
        return self.line(self._rest)


class Base64Encoder:
    """Octets to base64 lines of 76."""

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


class Escaped(QuotedPrintableEncoder):
    """Quoted-printable that was not quite: what may not stand there is escaped, the rest stays."""

    line = staticmethod(lambda line: _STRAY.sub(lambda found: b"=%02X" % found[0][0], line))


class Dropped:
    """Base64, and what stands between parts: octets that mean nothing there and may not travel go."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> bytes:
        octets = self._rest + chunk
        self._rest = b"\r" if octets.endswith(b"\r") else b""
        return _BARE.sub(b"", octets[: len(octets) - len(self._rest)].translate(None, _EIGHT))

    def finish(self) -> bytes:
        return b""


CODERS: dict[int, type[Coder]] = {IDENTITY: QuotedPrintableEncoder, QUOTED_PRINTABLE: Escaped, BASE64: Dropped}
"""By the transfer encoding a part has."""


def _edited(chunks: Chunks, plan: ConversionPlan) -> Chunks:
    """The message with the plan carried out, the same octets each time."""

    @asynccontextmanager
    async def changed() -> AsyncIterator[AsyncIterator[bytes]]:
        async with chunks() as octets:
            yield _carried_out(octets, plan)

    return changed


async def _carried_out(octets: AsyncIterator[bytes], plan: ConversionPlan) -> AsyncIterator[bytes]:
    at, number, edits = 0, 0, plan.edits
    held: list[bytes] = []
    coder: Coder | None = None
    between = Dropped()
    async for chunk in octets:
        start = 0
        while start < len(chunk):
            here = at + start
            while number < len(edits) and edits[number].end <= here and coder is None and not held:
                if edits[number].header is not None and edits[number].start == edits[number].end == here:
                    yield _headed(edits[number], b"")
                number += 1
            edit = edits[number] if number < len(edits) else None
            if edit is None or here < edit.start:
                stop = len(chunk) if edit is None else min(len(chunk), edit.start - at)
                yield between.feed(chunk[start:stop]) if plan.between else chunk[start:stop]
                start = stop
                continue
            stop = min(len(chunk), edit.end - at)
            some = chunk[start:stop]
            start = stop
            if edit.header is not None:
                held.append(some)
                if at + stop == edit.end:
                    yield _headed(edit, b"".join(held))
                    held, number = [], number + 1
                continue
            if coder is None and edit.coder is not None:
                coder = edit.coder()
            yield some if coder is None else coder.feed(some)
            if at + stop == edit.end:
                if coder is not None:
                    yield coder.finish()
                coder, number = None, number + 1
        at += len(chunk)
    if held:
        yield _headed(edits[number], b"".join(held))
    if coder is not None:
        yield coder.finish()


def _headed(edit: Edit, block: bytes) -> bytes:
    return edit.header(block) if edit.header is not None else block
