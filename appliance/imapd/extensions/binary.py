"""BINARY: parts without their transfer encoding (RFC 3516, RFC 9051 §6.4.5). APPEND's literal8 is part of APPEND.

A part's size is sent before its octets, so it is decoded once to count; a small one is kept, a large one decoded again while it
is sent: constant memory. What cannot be decoded leaves its item out of the response and ends FETCH with NO [UNKNOWN-CTE] or, where the
octets are damaged, NO [PARSE]; the session and the other messages go on.
"""

from typing import TYPE_CHECKING

from appliance.mail.encoding import DamagedOctets, header_as_binary, transfer_decoder
from appliance.mail.errors import MisuseError
from appliance.mail.partmap import UNKNOWN, Span, binary_spans
from appliance.protocol.imap.fetch import Attribute, label

from ..body_items import BodyItem, Prepared, Refusal, nil, only_parts
from ..contract import ImapExtension
from ..sections import KEPT_OCTETS, SectionChunks, cut

if TYPE_CHECKING:
    from appliance.store.body_readers import StoredMessage

    from ..client import ImapClient


class DecodedPart:
    """The decoded octets of some spans of a message, a chunk at a time. Raises DamagedOctets, StoreError."""

    __slots__ = ("_chunks", "_decoder", "_message", "_spans")

    def __init__(self, message: "StoredMessage", spans: list[Span]) -> None:
        self._message = message
        self._spans = iter(spans)
        self._chunks: SectionChunks | None = None
        self._decoder = transfer_decoder(0)

    async def next(self) -> bytes | None:
        """The next chunk, which may be empty; None at the end."""
        if self._chunks is None:
            span = next(self._spans, None)
            if span is None:
                return None
            shift = len(self._message.prefix)
            if span.header:
                return header_as_binary(await _whole(SectionChunks(self._message, span.start + shift, span.end + shift)), span.transfer)
            self._chunks = SectionChunks(self._message, span.start + shift, span.end + shift)
            self._decoder = transfer_decoder(span.transfer)
        assert self._decoder is not None  # noqa: S101 unknown encodings were refused before
        chunk = await self._chunks.next()
        if chunk:
            return self._decoder.feed(chunk)
        self._chunks = None
        return self._decoder.finish()


async def _whole(chunks: SectionChunks) -> bytes:
    """A part's header; its size is bounded by the scanner."""
    listed: list[bytes] = []
    while chunk := await chunks.next():
        listed.append(chunk)
    return b"".join(listed)


class MeasuredPart:
    """A decoded part: its size, whether it contains NUL, and its octets while they are few."""

    __slots__ = ("kept", "nul", "size")

    def __init__(self) -> None:
        self.size = 0
        self.nul = False
        self.kept: list[bytes] | None = []

    async def measure(self, decoded: DecodedPart) -> None:
        while (chunk := await decoded.next()) is not None:
            self.size += len(chunk)
            self.nul = self.nul or b"\0" in chunk
            if self.kept is not None:
                self.kept.append(chunk)
                if self.size > KEPT_OCTETS:
                    self.kept = None


async def _prepare(message: "StoredMessage", attribute: Attribute) -> Prepared | Refusal:
    assert attribute.section is not None  # noqa: S101 checked
    name = label(attribute) + b" "
    spans = _spans(message, attribute.section.part)
    if spans is None:
        return Prepared(name, zero if attribute.name == b"BINARY.SIZE[]" else nil)
    if any(span.transfer == UNKNOWN for span in spans):
        return Refusal.UNKNOWN_CTE
    measured = MeasuredPart()
    try:
        await measured.measure(DecodedPart(message, spans))
    except DamagedOctets:
        return Refusal.PARSE
    if attribute.name == b"BINARY.SIZE[]":
        return Prepared(name, lambda session: session.send(b"%d" % measured.size))
    start, end = cut(measured.size, attribute.partial)
    return Prepared(name, lambda session: _send(session, message, spans, measured, start, end))


async def _send(session: "ImapClient", message: "StoredMessage", spans: list[Span], measured: MeasuredPart, start: int, end: int) -> None:
    announcement = b"~{%d}\r\n" if measured.nul else b"{%d}\r\n"
    await session.send(announcement % (end - start))
    if measured.kept is not None:
        await session.send(b"".join(measured.kept)[start:end])
        return
    decoded, at = DecodedPart(message, spans), 0
    while at < end and (chunk := await decoded.next()) is not None:
        await session.send(chunk[max(start - at, 0) : max(end - at, 0)])
        at += len(chunk)


def _spans(message: "StoredMessage", part: tuple[int, ...]) -> list[Span] | None:
    """The spans of BINARY[part]; BINARY[] is the message with its header."""
    spans = binary_spans(message.parts, part)
    if part or spans is None:
        return spans
    shift = len(message.prefix)
    return [Span(-shift, message.header_octets - shift), *spans]


def _whole_parts(attribute: Attribute) -> None:
    """BINARY.SIZE is of a whole part, never of a range of one (RFC 9051 §9 fetch-att)."""
    only_parts(attribute)
    if attribute.partial is not None:
        raise MisuseError("BINARY.SIZE takes no range of octets")


async def zero(session: "ImapClient") -> None:
    """The size of a part that does not exist: the grammar allows a number only (RFC 9051 §9 msg-att-static)."""
    await session.send(b"0")


EXTENSION = ImapExtension(
    name="BINARY",
    rfc="RFC 3516",
    capability=lambda session: (b"BINARY",),
    fetch_items=(
        BodyItem(b"BINARY[]", True, _prepare, only_parts),
        BodyItem(b"BINARY.PEEK[]", False, _prepare, only_parts),
        BodyItem(b"BINARY.SIZE[]", False, _prepare, _whole_parts),
    ),
    response_codes=(b"UNKNOWN-CTE", b"PARSE"),
)
