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

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeVar

import trio

from appliance.database.database import AnyDatabase
from appliance.database.writer import Transaction
from appliance.mail.description import Describe
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import BodyId
from appliance.mail.limits import RESERVE_OCTETS

from .body_files import BodyFiles, Staging, trouble_of
from .body_readers import Body, FileBody, GoneBody, LaterBody, RecentBlock, body_in_row
from .budget import Budget
from .incoming import Incoming, StagedBody
from .messages import listed

T = TypeVar("T")
HEADS = "SELECT id, octets, digest FROM body WHERE id IN (SELECT value FROM json_each(?))"
DATA = "SELECT id, data FROM body_data WHERE id IN (SELECT value FROM json_each(?))"
FREE_AT_ONCE = 64
"""Bodies a commit frees itself; of a larger expunge the rest stays unreferenced and is freed in idle time."""


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
                (twin,) = found
                self.hold_more(transaction, BodyId(twin), refcount)
                return BodyId(twin)
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
        """So many rows that needed these bodies went in this transaction.

        A small body goes with its last reference, without first being counted down to 0: that would write its row and a page of the
        index of unreferenced bodies.
        """
        freed = 0
        for body, count in counts:
            row = transaction.execute("SELECT refcount, digest FROM body WHERE id = ?", (body,)).fetchone()
            if row is None:
                continue
            refcount, digest = row
            is_last = refcount <= count
            at_once = is_last and freed < FREE_AT_ONCE
            freed += is_last
            if at_once and digest is None:
                self._delete(transaction, body)
                continue
            transaction.execute("UPDATE body SET refcount = refcount - ? WHERE id = ?", (count, body))
            if at_once:
                self._free(transaction, body)
        if freed > FREE_AT_ONCE:
            self.left_unreferenced = True

    def free(self, transaction: Transaction, limit: int, after: int = 0) -> tuple[list[int], int]:
        """Free up to `limit` unreferenced bodies with ids above `after`: their ids, and their stored octets."""
        sql = "SELECT id, stored_octets FROM body WHERE refcount = 0 AND id > ? ORDER BY id LIMIT ?"
        rows = transaction.execute(sql, (after, limit)).fetchall()
        for body, _ in rows:
            self._free(transaction, body)
        return [body for body, _ in rows], sum(stored_octets for _, stored_octets in rows)

    def _free(self, transaction: Transaction, body: int) -> None:
        digest = transaction.execute("SELECT digest FROM body WHERE id = ?", (body,)).fetchall()[0][0]
        if digest is None:
            self._delete(transaction, body)
        else:
            self.unlink_later(transaction, digest)
            self.left_unreferenced = True

    def _delete(self, transaction: Transaction, body: int) -> None:
        """Of a body in a row: its octets go with it."""
        transaction.execute("DELETE FROM body WHERE id = ?", (body,))
        transaction.execute("DELETE FROM body_data WHERE id = ?", (body,))

    def unlinked(self, transaction: Transaction, limit: int, after: int) -> list[tuple[int, bytes]]:
        """Up to `limit` bodies with ids above `after` with no reference whose files are gone."""
        sql = "SELECT id, digest FROM body WHERE refcount = 0 AND digest IS NOT NULL AND id > ? ORDER BY id LIMIT ?"
        return [(body, digest) for body, digest in transaction.execute(sql, (after, limit)).fetchall() if self.files.is_gone(digest)]

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
        wanted = list(dict.fromkeys(bodies))
        heads = {body: (size, digest) for body, size, digest in connection.execute(HEADS, (listed(wanted),)).fetchall()}
        small: dict[BodyId, int] = {}
        found: dict[BodyId, Body] = {}
        for body in wanted:
            if body not in heads:
                found[body] = GoneBody()
                continue
            size, digest = heads[body]
            if digest is not None:
                found[body] = FileBody(size, digest, self)
            elif (found or small) and size > octets:
                found[body] = LaterBody(size, body, self)
            else:
                octets -= size
                small[body] = size
        return found | self._in_rows(connection, small)

    def _in_rows(self, connection: sqlite3.Connection, sizes: dict[BodyId, int]) -> dict[BodyId, Body]:
        """The bodies that rows hold, in one statement: a body of a batch costs 4 us less than with one for each."""
        rows = connection.execute(DATA, (listed(list(sizes)),)).fetchall() if sizes else ()
        found = {BodyId(number): body_in_row(sizes[number], data, self) for number, data in rows}
        if lost := sizes.keys() - found.keys():
            raise StoreError(Trouble.BROKEN, f"body {min(lost)} has lost its octets")
        return found

    async def read_many(self, bodies: Sequence[BodyId], octets: int = 2**20) -> dict[BodyId, Body]:
        """`load` in one hop."""
        return await self._server.read(lambda connection: self.load(connection, bodies, octets))

    async def open_body(self, body: BodyId) -> Body:
        """One of them; raises StoreError BROKEN."""
        return (await self.read_many((body,)))[body]
