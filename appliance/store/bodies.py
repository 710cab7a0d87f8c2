"""Bodies: the octets of messages, small ones in a row, large ones in a file; both exactly as received.

    | state        | row in `body`     | file                    | leaves it by                                               |
    |--------------|-------------------|-------------------------|------------------------------------------------------------|
    | staged       | none (or a twin's)| in `new/`, not synced   | `finish` -> synced; abort, stop -> unlinked                 |
    | synced       | none (or a twin's)| named, durable, claimed | `hold` commits -> referenced; abort -> the writer unlinks   |
    | referenced   | refcount > 0       | named, durable          | `release` of the last reference -> unreferenced             |
    | unreferenced | refcount = 0       | named, durable          | `hold` of a twin -> referenced; the writer unlinks it       |
    | unlinked     | refcount = 0       | gone                    | `hold` of a twin, which brings its file -> referenced;      |
    |              |                   |                         | directory synced, `forget` removes the row                  |
    | unknown      | none              | named, not of this run  | the sweep at start -> aside                                 |
    | aside        | none              | in `aside/`             | a row names it again -> referenced; ASIDE_S -> removed      |

Nothing is removed because a row is missing: the database may be an old one, or another server's. So the row of a file
stays, with count 0, until the file is unlinked and that is durable. Only the writer unlinks, after the commit that set
the count to 0 (or for an arrival of this run that was given up), and only while no arrival has the name claimed. What a
power cut left between "synced" and its commit is unknown at the next start, and lies aside for 30 days.
A body in a row of its own has no file: row and octets go in the commit that lets go of them.

A body is stored once however many rows need it: `refcount` counts them. In a row: at most ROW_STORED_OCTETS packed and
ROW_RAW_OCTETS as received.

Fails with StoreError: TOO_BIG, BUSY, FULL while receiving; GONE, BROKEN while reading.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import trio

from appliance.database.database import AnyDatabase
from appliance.database.writer import Transaction
from appliance.mail.crlf import MissingCrlf
from appliance.mail.description import ChunkScanner, Describe, Description, Scanner
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import BodyId
from appliance.mail.limits import RESERVE_OCTETS

from .blocks import BLOCK_OCTETS, pack, pack_many
from .body_files import DIGEST_OCTETS, BodyFiles, Staging, trouble_of
from .body_readers import Body, FileBody, GoneBody, LaterBody, RecentBlock, StoredMessage, body_in_row
from .budget import FIRST, FULL, SMALL, Budget

__all__ = ("Bodies", "Body", "Budget", "Incoming", "StagedBody", "StoredMessage")

T = TypeVar("T")
ROW_STORED_OCTETS = 64 * 1024
ROW_RAW_OCTETS = 2**20
HELD_OCTETS = 2 * BLOCK_OCTETS
"""Octets a message gathers before they go to a thread together: a hop costs 190 us, packing a block of text 600."""
FREE_AT_ONCE = 64
"""Bodies a commit frees itself; of a larger expunge the rest stays unreferenced and is freed in idle time."""


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
        self._bodies: Bodies | None = None
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

    def readable_in(self, bodies: "Bodies") -> None:
        """Where `open` finds the octets."""
        self._bodies = bodies


class Incoming:
    """One message being received, in constant memory."""

    __slots__ = (
        "_blocks", "_bodies", "_crlf", "_digest", "_held", "_held_octets", "_limit", "_scanner", "_scanners",
        "_share", "_staged", "_staging", "octets",
    )  # fmt: skip

    def __init__(self, bodies: "Bodies", limit_octets: int, scanner: Scanner) -> None:
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


class Bodies:
    """All bodies of one server. `limiter` bounds the threads that pack, sync and read files. Made by `open`."""

    def __init__(self, server: AnyDatabase, directory: Path, limiter: trio.CapacityLimiter, budget: Budget | None = None) -> None:
        self._server = server
        self._limiter = limiter
        self.files = BodyFiles(directory, server.new_lock)
        self.budget = budget or Budget()
        self.recent = RecentBlock()
        self._placing = trio.Lock()
        self._to_place: list[tuple[Staging, bytes]] = []
        self._faults: dict[Staging, OSError | None] = {}
        self.left_unreferenced = False
        """A commit left unreferenced bodies behind: `reclaim` has work."""

    @classmethod
    async def open(
        cls, server: AnyDatabase, directory: Path, limiter: trio.CapacityLimiter | None = None, *, budget: Budget | None = None
    ) -> "Bodies":
        """Ready the directory; drop what was being written when the server stopped."""
        bodies = cls(server, directory, limiter or trio.CapacityLimiter(2), budget)
        await bodies.hop(bodies.files.prepare)
        return bodies

    async def hop(self, call: Callable[..., T], *arguments: Any) -> T:
        """Run in a thread of the pool; errors of storage become StoreErrors."""
        try:
            return await trio.to_thread.run_sync(call, *arguments, limiter=self._limiter)
        except OSError as error:
            raise trouble_of(error) from error

    async def place(self, staging: Staging, digest: bytes) -> None:
        """Name the file and make it durable, together with all that came meanwhile. Cancelled, it leaves no claim."""
        mine = (staging, digest)
        self._to_place.append(mine)
        try:
            async with self._placing:
                if mine in self._to_place:
                    batch, self._to_place = self._to_place, []
                    with trio.CancelScope(shield=True):
                        faults = await self.hop(self.files.place, batch)
                    self._faults.update(zip((place[0] for place in batch), faults, strict=True))
        except BaseException:
            if mine in self._to_place:
                self._to_place.remove(mine)
            else:
                with trio.CancelScope(shield=True):
                    async with self._placing:
                        pass
                if self._faults.pop(staging) is None:
                    self.files.unclaim(digest)
                    self.look_after(digest)
            raise
        fault = self._faults.pop(staging)
        if fault is not None:
            raise trouble_of(fault) from fault

    def check_room(self) -> None:
        """Arriving mail keeps out of the reserve that deleting needs. Raises FULL."""
        if self._server.room_octets() < RESERVE_OCTETS:
            raise StoreError(Trouble.FULL)

    def receive(self, limit_octets: int, describe: Describe) -> AbstractAsyncContextManager[Incoming]:
        """`async with bodies.receive(n, describe) as incoming:` an uncommitted body is given back at the end of the block.

        Draws on the server's budget of octets in flight: waits up to RECEIVE_WAIT_S, then StoreError BUSY. FULL when
        storage is.
        """
        return Incoming(self, limit_octets, describe())

    # --- on the writer thread --------------------------------------------------------------------------

    def hold(self, transaction: Transaction, staged: StagedBody, refcount: int = 1) -> BodyId:
        """`refcount` more rows need this body: inserts it, or finds its twin (a body with the same octets)."""
        if staged.digest:
            found = transaction.execute("SELECT id FROM body WHERE digest = ?", (staged.digest,)).fetchone()
            if found:
                self.hold_more(transaction, BodyId(found[0]), refcount)
                return BodyId(found[0])
        body = BodyId(transaction.next_id("body"))
        transaction.execute(
            "INSERT INTO body VALUES(?, ?, ?, ?, ?)", (body, staged.octets, staged.stored_octets, refcount, staged.digest or None)
        )
        if not staged.digest:
            transaction.execute("INSERT INTO body_data VALUES(?, ?)", (body, staged.data))
        if staged.crlf_missing:
            transaction.execute("INSERT INTO body_crlf VALUES(?, ?)", (body, staged.crlf_missing))
        return body

    def hold_more(self, transaction: Transaction, body: BodyId, refcount: int = 1) -> None:
        """`refcount` more rows need a body that is there."""
        transaction.execute("UPDATE body SET refcount = refcount + ? WHERE id = ?", (refcount, body))

    def release(self, transaction: Transaction, counts: Sequence[tuple[BodyId, int]]) -> None:
        """So many rows that needed these bodies went in this transaction."""
        freed = 0
        for body, count in counts:
            row = transaction.execute("UPDATE body SET refcount = refcount - ? WHERE id = ? RETURNING refcount", (count, body)).fetchall()
            if row and row[0][0] <= 0:
                if freed < FREE_AT_ONCE:
                    self._free(transaction, body)
                freed += 1
        if freed > FREE_AT_ONCE:
            self.left_unreferenced = True

    def free(self, transaction: Transaction, limit: int, after: int = 0) -> tuple[list[int], int]:
        """Free up to `limit` unreferenced bodies with ids above `after`: their ids, and their stored octets."""
        sql = "SELECT id, stored_octets FROM body WHERE refcount = 0 AND id > ? ORDER BY id LIMIT ?"
        rows = transaction.execute(sql, (after, limit)).fetchall()
        for body, _ in rows:
            self._free(transaction, body)
        return [row[0] for row in rows], sum(row[1] for row in rows)

    def _free(self, transaction: Transaction, body: int) -> None:
        digest = transaction.execute("SELECT digest FROM body WHERE id = ?", (body,)).fetchall()[0][0]
        if digest is None:
            transaction.execute("DELETE FROM body WHERE id = ?", (body,))
            transaction.execute("DELETE FROM body_data WHERE id = ?", (body,))
        else:
            self.unlink_later(transaction, digest)
            self.left_unreferenced = True

    def unlinked(self, transaction: Transaction, limit: int, after: int) -> list[tuple[int, bytes]]:
        """Up to `limit` bodies with ids above `after` with no reference whose files are gone."""
        sql = "SELECT id, digest FROM body WHERE refcount = 0 AND digest IS NOT NULL AND id > ? ORDER BY id LIMIT ?"
        return [row for row in transaction.execute(sql, (after, limit)).fetchall() if self.files.is_gone(row[1])]

    def forget(self, transaction: Transaction, bodies: Sequence[tuple[int, bytes]]) -> None:
        """Remove the rows of files that are durably gone, unless a twin came meanwhile."""
        for body, digest in bodies:
            if self.files.is_gone(digest):
                transaction.execute("DELETE FROM body WHERE id = ? AND refcount = 0", (body,))

    def _after_commit(self, transaction: Transaction, digest: bytes, call: Callable[[bytes, Callable[[], int | None]], None]) -> None:
        """Once this commit is durable, on the writer thread: `call` with the digest and a function that gives its row's refcount then."""

        def refcount() -> int | None:
            row = transaction.execute("SELECT refcount FROM body WHERE digest = ?", (digest,)).fetchone()
            return int(row[0]) if row else None

        transaction.after_commit(lambda: call(digest, refcount))

    def unlink_later(self, transaction: Transaction, digest: bytes) -> None:
        """After this commit the writer removes the file, unless it is needed by then."""
        self._after_commit(transaction, digest, self.files.unlink_unless)

    def set_aside_later(self, transaction: Transaction, digest: bytes) -> None:
        """After this commit the writer moves the file aside, unless a row names it by then."""
        self._after_commit(transaction, digest, self.files.set_aside_unless)

    def bring_back_later(self, transaction: Transaction, digest: bytes) -> None:
        """After this commit the writer brings a file back that lay aside, if a row needs it."""
        self._after_commit(transaction, digest, self.files.bring_back_if)

    def look_after(self, digest: bytes) -> None:
        """An arrival let go of the name: if no row took it, the writer removes the file."""
        self._server.write_lazily(lambda transaction: self.unlink_later(transaction, digest))

    # --- reading ---------------------------------------------------------------------------------------

    def load(self, connection: sqlite3.Connection, bodies: Sequence[BodyId], octets: int = 2**20) -> dict[BodyId, Body]:
        """Inside a read query: all these bodies, open for reading.

        Small ones are read whole here while they fit in `octets` (the first always does), so that reading them later
        costs no thread; the others fetch their octets at their first read. One that is gone says so when it is read.
        """
        found: dict[BodyId, Body] = {}
        for body in bodies:
            if body in found:
                continue
            row = connection.execute("SELECT octets, digest FROM body WHERE id = ?", (body,)).fetchone()
            if row is None:
                found[body] = GoneBody()
            elif row[1] is not None:
                found[body] = FileBody(row[0], row[1], self)
            elif found and row[0] > octets:
                found[body] = LaterBody(row[0], body, self)
            else:
                octets -= row[0]
                found[body] = self._in_row(connection, body, row[0])
        return found

    def _in_row(self, connection: sqlite3.Connection, body: BodyId, octets: int) -> Body:
        row = connection.execute("SELECT data FROM body_data WHERE id = ?", (body,)).fetchone()
        if row is None:
            raise StoreError(Trouble.BROKEN, f"body {body} has lost its octets")
        return body_in_row(octets, row[0], self)

    async def read_many(self, bodies: Sequence[BodyId], octets: int = 2**20) -> dict[BodyId, Body]:
        """`load` in one hop."""
        return await self._server.read(lambda connection: self.load(connection, bodies, octets))

    async def open_body(self, body: BodyId) -> Body:
        """One of them; raises StoreError BROKEN."""
        return (await self.read_many((body,)))[body]
