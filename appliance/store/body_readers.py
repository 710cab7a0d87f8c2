"""Readers: a body open for reading, and a stored message, which is its own prefix and its shared body joined.

Promise: reading a range unpacks at most one block more than was asked for; nothing is read or unpacked on the event
loop beyond one small block. After `open` an expunge takes nothing away any more. Fails with StoreError GONE, BROKEN.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import trio

from appliance.mail.description import Scanner
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import BodyId
from appliance.mail.limits import READ_OCTETS
from appliance.mail.partmap import find

from .blocks import BLOCK_OCTETS, split_many, unpack
from .body_files import BodyFile, BodyFiles

T = TypeVar("T")
READ_AT_ONCE_OCTETS = 2**20


class BodySource(Protocol):
    """Where the readers get octets from: `Bodies`."""

    files: BodyFiles
    recent: "RecentBlock"

    async def hop(self, call: Callable[..., T], *arguments: Any) -> T: ...
    async def open_body(self, body: BodyId) -> "Body": ...


class RecentBlock:
    """The block that a reader of ranges stopped in, so that the next range does not unpack it again: one for the server."""

    __slots__ = ("_key", "_octets")

    def __init__(self) -> None:
        self._key: tuple[bytes, int] | None = None
        self._octets = b""

    def get(self, digest: bytes, number: int) -> bytes | None:
        key, octets = self._key, self._octets
        return octets if key == (digest, number) else None

    def put(self, digest: bytes, number: int, octets: bytes) -> None:
        self._key, self._octets = None, octets
        self._key = (digest, number)


class Body:
    """The octets as received, open for reading; no transaction is held."""

    __slots__ = ("octets",)

    def __init__(self, octets: int) -> None:
        self.octets = octets

    async def open(self) -> None:
        """Take hold of the octets. Raises GONE when the message was expunged after its row was read."""

    def whole(self) -> bytes | None:
        """All octets of a small body that is in memory and unpacked, None of any other."""
        return None

    async def read(self, offset: int, octets: int) -> bytes:
        """Up to `octets` octets from `offset`, at most READ_AT_ONCE_OCTETS; shorter only at the end."""
        raise NotImplementedError


class WholeBody(Body):
    """A small one, already in memory."""

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        super().__init__(len(raw))
        self._raw = raw

    def whole(self) -> bytes:
        return self._raw

    async def read(self, offset: int, octets: int) -> bytes:
        if not offset and octets >= self.octets:
            return self._raw
        return self._raw[offset : offset + octets]


class GoneBody(Body):
    """Its last row went meanwhile."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(0)

    async def open(self) -> None:
        raise StoreError(Trouble.GONE)

    async def read(self, offset: int, octets: int) -> bytes:
        raise StoreError(Trouble.GONE)


class LaterBody(Body):
    """A row whose octets did not fit into the read batch; read when they are asked for."""

    __slots__ = ("_bodies", "_body", "_id")

    def __init__(self, octets: int, body: BodyId, bodies: BodySource) -> None:
        super().__init__(octets)
        self._id = body
        self._bodies = bodies
        self._body: Body | None = None

    async def open(self) -> None:
        if self._body is None:
            body = await self._bodies.open_body(self._id)
            await body.open()
            self._body = body

    async def read(self, offset: int, octets: int) -> bytes:
        if self._body is None:
            self._body = await self._bodies.open_body(self._id)
        return await self._body.read(offset, octets)


class BlocksBody(Body):
    """Up to 1 MiB in a row of at most 64 KiB: packed in memory, unpacked as asked."""

    __slots__ = ("_bodies", "_packed")

    def __init__(self, octets: int, packed: list[bytes], bodies: BodySource) -> None:
        super().__init__(octets)
        self._packed = packed
        self._bodies = bodies

    async def read(self, offset: int, octets: int) -> bytes:
        end = min(self.octets, offset + min(octets, READ_AT_ONCE_OCTETS))
        if offset >= end:
            return b""
        return await self._bodies.hop(self._range, offset, end)

    def _range(self, offset: int, end: int) -> bytes:
        first = offset // BLOCK_OCTETS
        try:
            raw = b"".join([unpack(block) for block in self._packed[first : (end - 1) // BLOCK_OCTETS + 1]])
        except ValueError as error:
            raise StoreError(Trouble.BROKEN, str(error)) from error
        return raw[offset - first * BLOCK_OCTETS : end - first * BLOCK_OCTETS]


class FileBody(Body):
    """A large one in its file, opened at the first read and closed with the last reference."""

    __slots__ = ("_bodies", "_digest", "_file")

    def __init__(self, octets: int, digest: bytes, bodies: BodySource) -> None:
        super().__init__(octets)
        self._digest = digest
        self._bodies = bodies
        self._file: BodyFile | None = None

    async def open(self) -> None:
        if self._file is None:
            await self._bodies.hop(self._opened)

    def _opened(self) -> BodyFile:
        """In a thread."""
        if self._file is None:
            self._file = self._bodies.files.open(self._digest)
        return self._file

    async def read(self, offset: int, octets: int) -> bytes:
        end = min(self.octets, offset + min(octets, READ_AT_ONCE_OCTETS))
        if offset >= end:
            return b""
        return await self._bodies.hop(self._range, offset, end)

    def _range(self, offset: int, end: int) -> bytes:
        """In a thread."""
        file = self._opened()
        first, last = offset // BLOCK_OCTETS, (end - 1) // BLOCK_OCTETS
        recent = self._bodies.recent
        head = recent.get(self._digest, first)
        if head is None:
            raw = file.blocks(first, last)
        elif first == last:
            raw = head
        else:
            raw = head + file.blocks(first + 1, last)
        rest = raw[(last - first) * BLOCK_OCTETS :]
        if end < self.octets and end % BLOCK_OCTETS and (head is None or first != last):
            recent.put(self._digest, last, rest)
        return raw[offset - first * BLOCK_OCTETS : end - first * BLOCK_OCTETS]


class NearBody(Body):
    """A body of which small ranges are read that stand close together: a read takes what follows along, a block in memory."""

    __slots__ = ("_at", "_body", "_held")

    def __init__(self, body: Body) -> None:
        super().__init__(body.octets)
        self._body = body
        self._at = 0
        self._held = b""

    async def open(self) -> None:
        await self._body.open()

    def whole(self) -> bytes | None:
        return self._body.whole()

    async def read(self, offset: int, octets: int) -> bytes:
        octets = min(octets, self.octets - offset)
        if octets <= 0:
            return b""
        if octets >= BLOCK_OCTETS:
            return await self._body.read(offset, octets)
        if not self._at <= offset <= offset + octets <= self._at + len(self._held):
            self._at, self._held = offset, await self._body.read(offset, BLOCK_OCTETS)
        return self._held[offset - self._at : offset - self._at + octets]


def body_in_row(octets: int, data: bytes, bodies: BodySource) -> Body:
    """Open what a row holds; raises BROKEN."""
    try:
        packed = split_many(data)
        return WholeBody(unpack(data)) if packed is None else BlocksBody(octets, packed, bodies)
    except ValueError as error:
        raise StoreError(Trouble.BROKEN, str(error)) from error


def whole_in_row(data: bytes) -> Body:
    """The same where its size is unknown; at most 1 MiB in memory. Raises BROKEN."""
    try:
        packed = split_many(data)
        return WholeBody(unpack(data) if packed is None else b"".join(map(unpack, packed)))
    except ValueError as error:
        raise StoreError(Trouble.BROKEN, str(error)) from error


def header_octets(parts: bytes) -> int:
    """Octets of the body's own header by its packed part map; the message's prefix stands before it."""
    part = find(parts, ())
    return part.body_start if part is not None else 0


async def scan(scanner: Scanner, opened: "Body | StoredMessage", at: int = 0) -> Scanner:
    """Feed the scanner all octets from `at` on, in chunks; the loop is given back between them. Raises GONE, BROKEN."""
    await opened.open()
    while chunk := await opened.read(at, READ_OCTETS):
        scanner.feed(chunk)
        at += len(chunk)
        await trio.lowlevel.checkpoint()  # a small body is read without waiting
    return scanner


class StoredMessage:
    """A stored message opened for reading: prefix and body joined. No transaction is held between reads."""

    __slots__ = ("_body", "octets", "parts", "prefix")

    def __init__(self, prefix: bytes, parts: bytes, body: Body) -> None:
        self.prefix = prefix
        self.parts = parts
        """Packed part map; offsets count from the start of the body: add `len(prefix)`."""
        self.octets = len(prefix) + body.octets
        self._body = body

    def read_along(self) -> "StoredMessage":
        """The same, for reading many small parts in their order: one wait on a thread for all in a block, and not for each."""
        return StoredMessage(self.prefix, self.parts, NearBody(self._body))

    @property
    def header_octets(self) -> int:
        """Prefix and the body's header, up to and including the blank line."""
        return len(self.prefix) + header_octets(self.parts)

    async def open(self) -> None:
        """Take hold of all octets before the first is used: sizes of a message that is gone are worth nothing. Raises GONE."""
        await self._body.open()

    def whole(self) -> bytes | None:
        """Prefix and body of a small message that is in memory, None of any other: what needs no `open` and no `read`."""
        body = self._body.whole()
        return None if body is None else self.prefix + body

    async def read(self, offset: int, octets: int) -> bytes:
        """Up to `octets` octets of prefix + body from `offset`; shorter only at the end; at most 1 MiB a call."""
        octets = min(octets, READ_AT_ONCE_OCTETS)
        before = len(self.prefix)
        if offset >= before:
            return await self._body.read(offset - before, octets)
        head = self.prefix[offset : offset + octets]
        if len(head) == octets:
            return head
        return head + await self._body.read(0, octets - len(head))
