"""A body on its way in: received in constant memory, packed, hashed and described in one pass, then held for the commit that names it.

    | state    | octets                                   | leaves it by                                                      |
    |----------|------------------------------------------|-------------------------------------------------------------------|
    | held     | in memory, at most HELD_OCTETS           | the end of a small body -> staged; more octets -> spilled         |
    | spilled  | packed blocks, or a file without a name  | `finish` -> staged (a file: named and durable); abort -> gone     |
    | staged   | what goes into the row, or a named file  | `Bodies.hold` in a commit; the end of `receive`'s block -> gone   |

Raises StoreError: TOO_BIG over the limit, BUSY without memory in time, FULL when storage is.
"""

import hashlib
from types import TracebackType
from typing import Any, Protocol

import trio

from appliance.mail.crlf import MissingCrlf
from appliance.mail.description import ChunkScanner, Description, Scanner
from appliance.mail.errors import StoreError, Trouble

from .blocks import BLOCK_OCTETS, pack, pack_many
from .body_files import DIGEST_OCTETS, Staging
from .body_readers import Body, BodySource, FileBody, body_in_row
from .budget import FIRST, FULL, SMALL, Budget

ROW_STORED_OCTETS = 64 * 1024
ROW_RAW_OCTETS = 2**20
HELD_OCTETS = 4 * BLOCK_OCTETS
"""Octets a message gathers before they go to a thread together: a hop costs 190 us, packing a block of text 600. With 50 sessions each hop
also waits for a turn of all the others: messages of 400 KB take 0.6 of the time that two blocks and reads of 64 KiB took."""


class BodyStorage(BodySource, Protocol):
    """Where a received body goes: `Bodies`."""

    budget: Budget

    def check_room(self) -> None: ...
    def look_after(self, digest: bytes) -> None: ...
    async def place(self, staging: Staging, digest: bytes) -> None: ...


class StagedBody:
    """A body waiting for the commit that names it; given back when `receive`'s block ends uncommitted."""

    __slots__ = ("_bodies", "_scanner", "crlf_missing", "data", "description", "digest", "octets", "stored_octets")

    def __init__(self, octets: int, scanner: Scanner, data: bytes, digest: bytes, stored_octets: int, crlf_missing: int = 0) -> None:
        self.octets = octets
        self.data = data
        """What goes into the row; empty for a file."""
        self.digest = digest
        """The file's name; empty for a row."""
        self.stored_octets = stored_octets
        self.crlf_missing = crlf_missing
        """Octets more when every line ends in CRLF (`wire_sizes`)."""
        self._scanner = scanner
        self._bodies: BodyStorage | None = None
        self.description = scanner.finish()

    def describe(self, prefix: bytes) -> Description:
        """The description of prefix + body (RFC822.SIZE is len(prefix) + octets)."""
        return self._scanner.finish(prefix) if prefix else self.description

    def open(self) -> Body:
        """The octets as received, for reading before the commit, inside `receive`'s block; a large one is not held in memory.

        Its `read` raises StoreError BROKEN when the storage fails.
        """
        assert self._bodies is not None  # noqa: S101 - set by `Incoming.finish`
        return FileBody(self.octets, self.digest, self._bodies) if self.digest else body_in_row(self.octets, self.data, self._bodies)

    def readable_in(self, bodies: BodyStorage) -> None:
        """Where `open` finds the octets."""
        self._bodies = bodies


class Incoming:
    """One message being received, in constant memory."""

    __slots__ = (
        "_blocks", "_bodies", "_crlf", "_digest", "_held", "_held_octets", "_limit", "_scanner", "_scanners",
        "_share", "_staged", "_staging", "octets",
    )  # fmt: skip

    def __init__(self, bodies: BodyStorage, limit_octets: int, scanner: Scanner) -> None:
        self.octets = 0
        self._bodies = bodies
        self._limit = limit_octets
        self._scanner = scanner
        self._crlf = MissingCrlf()
        self._scanners: list[ChunkScanner] = []
        self._share = 0
        self._held: list[bytes] = []
        self._held_octets = 0
        self._blocks: list[bytes] = []
        self._digest: Any = None
        self._staging: Staging | None = None
        self._staged: StagedBody | None = None

    def add_scanner(self, scanner: ChunkScanner) -> None:
        """Let one more reader share the pass over the octets; before the first `write`."""
        self._scanners.append(scanner)

    def _scan(self, octets: bytes) -> None:
        """The one pass over the octets: the description, the missing CRs, and what was added."""
        self._scanner.feed(octets)
        self._crlf.feed(octets)
        for scanner in self._scanners:
            scanner.feed(octets)

    async def write(self, chunk: bytes) -> None:
        """Take octets; raises StoreError TOO_BIG over the limit, FULL, BUSY."""
        self.octets += len(chunk)
        if self.octets > self._limit:
            raise StoreError(Trouble.TOO_BIG)
        self._held.append(bytes(chunk))
        self._held_octets += len(chunk)
        if self._held_octets > self._share:
            await self._grow(SMALL if self._held_octets <= SMALL else FULL)
        if self._held_octets >= HELD_OCTETS:
            await self._bodies.hop(self._spill, False)

    async def _grow(self, share: int) -> None:
        if share > self._share:
            await self._bodies.budget.grow(self._share, share)
            self._share = share

    async def finish(self) -> StagedBody:
        """All octets are in: packed, hashed, described; large ones durable in their file. Not yet referenced."""
        if self.octets <= BLOCK_OCTETS:
            raw = b"".join(self._held)
            self._scan(raw)
            data = pack(raw, first=True)
            self._staged = StagedBody(self.octets, self._scanner, data, b"", len(data), self._crlf.octets)
        else:
            self._staged = await self._bodies.hop(self._end)
            if self._staging is not None:
                digest = self._staged.digest
                self._staged.digest = b""  # no claim to give back until it is placed
                await self._bodies.place(self._staging, digest)
                self._staging, self._staged.digest = None, digest
        self._staged.readable_in(self._bodies)
        for scanner in self._scanners:
            scanner.end()
        self._held.clear()
        self._blocks.clear()
        if (kept := max(FIRST, len(self._staged.data))) < self._share:
            self._bodies.budget.give(self._share - kept)
            self._share = kept
        return self._staged

    def _spill(self, all_of_it: bool) -> None:
        """In a thread: pack the whole blocks that are held (at the end, the rest too)."""
        raw = b"".join(self._held)
        whole = len(raw) if all_of_it else len(raw) // BLOCK_OCTETS * BLOCK_OCTETS
        self._held = [raw[whole:]] if whole < len(raw) else []
        self._held_octets = len(raw) - whole
        first = self._digest is None
        if first:
            self._digest = hashlib.blake2b(digest_size=DIGEST_OCTETS)
        for at in range(0, whole, BLOCK_OCTETS):
            block = raw[at : min(at + BLOCK_OCTETS, whole)]
            self._digest.update(block)
            self._scan(block)
            self._blocks.append(pack(block, first=first and at == 0))
        if self._staging is None:
            packed = sum(map(len, self._blocks))
            if packed <= ROW_STORED_OCTETS - 1024 and self.octets <= ROW_RAW_OCTETS:
                return
            self._staging = self._bodies.files.stage()
        self._bodies.check_room()
        self._staging.write(self._blocks, self.octets - self._held_octets - self._staging.octets)
        self._blocks = []

    def _end(self) -> StagedBody:
        """In a thread."""
        self._spill(True)
        if self._staging is None:
            data = pack_many(self._blocks)
            return StagedBody(self.octets, self._scanner, data, b"", len(data), self._crlf.octets)
        self._staging.end()
        return StagedBody(self.octets, self._scanner, b"", self._digest.digest(), self._staging.stored_octets, self._crlf.octets)

    async def __aenter__(self) -> "Incoming":
        self._bodies.check_room()
        await self._grow(FIRST)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """The end of the block, committed or not: no claim and no nameless file is left."""
        try:
            if self._staging is not None:
                with trio.CancelScope(shield=True):
                    await self._bodies.hop(self._bodies.files.discard, self._staging)
            elif self._staged is not None and self._staged.digest:
                self._bodies.files.unclaim(self._staged.digest)
                self._bodies.look_after(self._staged.digest)
        finally:
            self._bodies.budget.give(self._share)
