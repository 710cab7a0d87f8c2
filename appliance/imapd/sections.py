"""BODY[...] of a stored message: where a section's octets stand, and sending them piece by piece (RFC 9051 §6.4.5.1).

Memory is constant: a literal's size is told, then its octets follow as they are read, and a partial range reads no more than it
names. NUL, which no plain literal may hold (RFC 9051 §4.3.1), goes out as 0x80: one octet for one, so that sizes, RFC822.SIZE and
partial ranges stay true; the octets as they are stored come by BINARY. HEADER.FIELDS has no size of its own until its header was
walked: what it gives is kept while it is small, else walked twice.
Raises StoreError when the message cannot be read to its end; a response begun by then cannot be taken back, so FETCH ends the session,
and nothing false is ever sent for octets.
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
"""Read at once: large enough that the session to a thread does not count, small enough for constant memory."""
KEPT_OCTETS = 2**20
"""Made octets (selected header fields, decoded parts) kept rather than made twice."""

Send = Callable[["ImapClient"], Awaitable[None]]
"""Sends a value that is ready: `{n}`, CRLF and the octets. Raises StoreError when the message cannot be read to its end."""
Extent = tuple[int, int]
"""From octet, up to octet of a message, prefix included."""


def locate(message: "StoredMessage", section: "Section") -> Extent | None:
    """Where the section's octets stand; None when the message has no such part. HEADER.FIELDS: the header they are cut from."""
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
        return None  # only a message inside the message has a header and a text of its own
    if section.text == b"TEXT":
        return part.inner_body_start + shift, part.end + shift
    return part.body_start + shift, part.inner_body_start + shift


def cut(size: int, partial: Extent | None) -> Extent:
    """The octets of a section of so many that `<first.count>` names; none behind its end (RFC 9051 §6.4.5)."""
    if partial is None:
        return 0, size
    first = min(partial[0], size)
    return first, min(first + partial[1], size)


def plain(octets: bytes) -> bytes:
    """The octets as a plain literal may hold them; the same object when none is NUL."""
    return octets.replace(b"\0", b"\x80") if b"\0" in octets else octets


async def extent(message: "StoredMessage", start: int, end: int) -> Send:
    """The octets from `start` to `end`; the first piece is read now, so that a message that is gone is known before anything is sent."""
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
    chosen = Chosen(message, header, section)
    while (chunk := await chosen.next()) is not None:
        size += len(chunk)
        if size <= KEPT_OCTETS:
            kept.append(chunk)
    start, end = cut(size, partial)

    async def send_kept(client: "ImapClient") -> None:
        await client.send(b"{%d}\r\n" % (end - start), plain(b"".join(kept)[start:end]))

    async def send_again(client: "ImapClient") -> None:
        await client.send(b"{%d}\r\n" % (end - start))
        chosen, at = Chosen(message, header, section), 0
        while (chunk := await chosen.next()) is not None:
            await client.send(plain(chunk[max(start - at, 0) : max(end - at, 0)]))
            at += len(chunk)

    return send_kept if size <= KEPT_OCTETS else send_again


class Readable(Protocol):
    """A stored message, or what reads ahead in one."""

    async def read(self, offset: int, octets: int) -> bytes: ...


class SectionChunks:
    """The octets of a message from `start` to `end`, a piece at a time."""

    __slots__ = ("_at", "_end", "_message")

    def __init__(self, message: Readable, start: int, end: int) -> None:
        self._message = message
        self._at = start
        self._end = end

    async def next(self) -> bytes:
        """The next piece, b"" at the end. Raises StoreError, also when the message ends too early."""
        if self._at >= self._end:
            return b""
        chunk = await self._message.read(self._at, min(CHUNK_OCTETS, self._end - self._at))
        if not chunk:
            raise StoreError(Trouble.BROKEN, "the message ends before its size")
        self._at += len(chunk)
        return chunk


class Chosen:
    """The fields a section chooses from a header, a piece at a time."""

    __slots__ = ("_chunks", "_fields")

    def __init__(self, message: "StoredMessage", header: Extent, section: "Section") -> None:
        self._chunks: SectionChunks | None = SectionChunks(message, *header)
        self._fields = Fields(section.fields, others=section.text.endswith(b".NOT"))

    async def next(self) -> bytes | None:
        """The next piece, which may be empty; None at the end."""
        if self._chunks is None:
            return None
        chunk = await self._chunks.next()
        if chunk:
            return self._fields.feed(chunk)
        self._chunks = None
        return self._fields.finish()
