"""BODY[...] of a stored message: the extent of a section, and sending it chunk by chunk (RFC 9051 §6.4.5.1).

Memory is constant: a literal's size is sent, then its octets as they are read, and a partial range reads no more than it
names. NUL, which no plain literal may contain (RFC 9051 §4.3.1), is sent as 0x80: one octet for one, so that sizes, RFC822.SIZE and
partial ranges stay correct; BINARY sends the octets as stored. The size of HEADER.FIELDS is unknown until its header was
scanned: the selected fields are kept while they are small, else scanned twice.
Raises StoreError when the message cannot be read to its end; a response begun by then cannot be taken back, so FETCH ends the session
rather than send wrong octets.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from appliance.mail.errors import StoreError, Trouble
from appliance.mail.partmap import MESSAGE, find
from appliance.protocol.imap.fields import Fields

if TYPE_CHECKING:
    from appliance.protocol.imap.fetch import Section
    from appliance.store.body_readers import StoredMessage

    from .client import ImapClient

CHUNK_OCTETS = 256 * 2**10
"""Read at once: large enough that the hop to a thread does not count, small enough for constant memory."""
KEPT_OCTETS = 2**20
"""Computed octets (selected header fields, decoded parts) up to this size are kept rather than computed twice."""

Send = Callable[["ImapClient"], Awaitable[None]]
"""Sends a prepared value: `{n}`, CRLF and the octets. Raises StoreError when the message cannot be read to its end."""
Extent = tuple[int, int]
"""Half-open range of octets of a message, prefix included."""


def locate(message: "StoredMessage", section: "Section") -> Extent | None:
    """The extent of a section; None when the message has no such part. HEADER.FIELDS: the header the fields are selected from."""
    if not section.part:
        if section.text.startswith(b"HEADER"):
            return 0, message.header_octets
        return (message.header_octets if section.text else 0), message.octets
    part = find(message.parts, section.part)
    if part is None:
        return None
    shift = len(message.prefix)
    if section.text == b"MIME":
        return part.header_start + shift, part.body_start + shift
    if not section.text:
        return part.body_start + shift, part.end + shift
    if part.kind != MESSAGE:
        return None  # only an enclosed message has HEADER and TEXT
    if section.text == b"TEXT":
        return part.inner_body_start + shift, part.end + shift
    return part.body_start + shift, part.inner_body_start + shift


def cut(size: int, partial: Extent | None) -> Extent:
    """The range `<first.count>` of a section of `size` octets; empty beyond its end (RFC 9051 §6.4.5)."""
    if partial is None:
        return 0, size
    first = min(partial[0], size)
    return first, min(first + partial[1], size)


def plain(octets: bytes) -> bytes:
    """The octets as a plain literal may contain them; the same object when none is NUL."""
    return octets.replace(b"\0", b"\x80") if b"\0" in octets else octets


async def extent(message: "StoredMessage", start: int, end: int) -> Send:
    """The octets from `start` to `end`; the first chunk is read now, so that an expunged message is detected before anything is sent."""
    chunks = SectionChunks(message, start, end)
    first = await chunks.next()

    async def send(client: "ImapClient") -> None:
        await client.send(b"{%d}\r\n" % (end - start), plain(first))
        while chunk := await chunks.next():
            await client.send(plain(chunk))

    return send


async def fields(message: "StoredMessage", header: Extent, section: "Section", partial: Extent | None) -> Send:
    """HEADER.FIELDS or HEADER.FIELDS.NOT of the header at `header`."""
    kept: list[bytes] = []
    size = 0
    selected = SelectedFields(message, header, section)
    while (chunk := await selected.next()) is not None:
        size += len(chunk)
        if size <= KEPT_OCTETS:
            kept.append(chunk)
    start, end = cut(size, partial)

    async def send_kept(client: "ImapClient") -> None:
        await client.send(b"{%d}\r\n" % (end - start), plain(b"".join(kept)[start:end]))

    async def send_again(client: "ImapClient") -> None:
        await client.send(b"{%d}\r\n" % (end - start))
        selected, at = SelectedFields(message, header, section), 0
        while (chunk := await selected.next()) is not None:
            await client.send(plain(chunk[max(start - at, 0) : max(end - at, 0)]))
            at += len(chunk)

    return send_kept if size <= KEPT_OCTETS else send_again


def selected_fields(header: bytes, section: "Section") -> bytes:
    """HEADER.FIELDS or HEADER.FIELDS.NOT of a whole header in memory."""
    found = Fields(section.fields, others=section.text.endswith(b".NOT"))
    return found.feed(header) + found.finish()


class Readable(Protocol):
    """A stored message, or a read-ahead of one."""

    async def read(self, offset: int, octets: int) -> bytes: ...


class SectionChunks:
    """The octets of a message from `start` to `end`, a chunk at a time."""

    __slots__ = ("_at", "_end", "_message")

    def __init__(self, message: Readable, start: int, end: int) -> None:
        self._message = message
        self._at = start
        self._end = end

    async def next(self) -> bytes:
        """The next chunk, b"" at the end. Raises StoreError, also when the message ends too early."""
        if self._at >= self._end:
            return b""
        chunk = await self._message.read(self._at, min(CHUNK_OCTETS, self._end - self._at))
        if not chunk:
            raise StoreError(Trouble.BROKEN, "the message ends before its size")
        self._at += len(chunk)
        return chunk


class SelectedFields:
    """The fields a section selects from a header, a chunk at a time."""

    __slots__ = ("_chunks", "_fields")

    def __init__(self, message: "StoredMessage", header: Extent, section: "Section") -> None:
        self._chunks: SectionChunks | None = SectionChunks(message, *header)
        self._fields = Fields(section.fields, others=section.text.endswith(b".NOT"))

    async def next(self) -> bytes | None:
        """The next chunk, which may be empty; None at the end."""
        if self._chunks is None:
            return None
        chunk = await self._chunks.next()
        if chunk:
            return self._fields.feed(chunk)
        self._chunks = None
        return self._fields.finish()
