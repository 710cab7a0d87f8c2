"""Reclaim the space of bodies without a reference, and move aside files no row names; in the background.

At start one sweep compares names and rows: a file without a row goes aside, one that lies aside and is named again comes
back. Then whatever a commit left behind is freed, within a budget of octets written to storage. Stopping half way loses
nothing: unreferenced bodies are found again by their rows, files without a row by the next sweep. Messages whose file is
gone are counted after the sweep, and again while there are any.

Fails quietly: storage that cannot be read or written now is tried again later; other errors end the task.
"""

import math
from collections.abc import Callable, Sequence

import trio

from appliance.database.database import AnyDatabase
from appliance.database.writer import Transaction
from appliance.mail.clock import Clock
from appliance.mail.errors import StoreError

from .bodies import Bodies
from .body_files import ASIDE, KEPT

BATCH = 32
"""Bodies freed, or file names looked at and moved, in one commit."""
OCTETS_A_S = 256 * 1024
"""Octets a second that freeing may write; a freed row writes about a page for each of its own, a file 8 KiB of metadata."""
FILE_OCTETS = 8 * 1024
AGAIN_S = 10.0
"""Between two looks whether there is work (in memory: nothing is read or written when there is none)."""
ASIDE_LOOK_S = 3600.0
"""Between two looks at the files that lie aside or are missing, while there are any."""
NAMES_AT_ONCE = 256
NEEDED = "SELECT digest FROM body WHERE digest > ? AND refcount > 0 ORDER BY digest LIMIT ?"
STILL_NEEDED = "SELECT count(*) FROM body WHERE digest = ? AND refcount > 0"


class Reclaim:
    """`report_aside` is called with how many files lie aside, `report_missing` with how many that messages need are gone; at start and
    when that changes."""

    def __init__(
        self,
        server: AnyDatabase,
        bodies: Bodies,
        clock: Clock,
        *,
        report_aside: Callable[[int], object] = lambda _: None,
        report_missing: Callable[[int], object] = lambda _: None,
        octets_a_s: float = OCTETS_A_S,
    ) -> None:
        self._server = server
        self._bodies = bodies
        self._clock = clock
        self._report_aside = report_aside
        self._report_missing = report_missing
        self._octets_a_s = octets_a_s
        self._aside = 0
        self._missing = 0
        self._looked_mono = 0.0

    async def run(self) -> None:
        """For ever: sweep once, then free whenever a commit left bodies behind."""
        self._bodies.left_unreferenced = True
        swept = False
        while True:
            try:
                if not swept:
                    await self.sweep()
                    await self.look_missing()
                    swept = True
                if self._bodies.left_unreferenced:
                    self._bodies.left_unreferenced = False
                    await self.free_all()
                if (self._aside or self._missing) and self._clock.mono_s() - self._looked_mono > ASIDE_LOOK_S:
                    await self.look_aside()
                    await self.look_missing()
            except StoreError:
                self._bodies.left_unreferenced = True
            await trio.sleep(AGAIN_S)

    async def free_all(self) -> int:
        """Free all unreferenced bodies; how many."""
        total, last = 0, 0
        while True:
            freed, octets = await self._server.write(lambda transaction, after=last: self._bodies.free(transaction, BATCH, after))  # type: ignore[misc]
            total += len(freed)
            if len(freed) < BATCH:
                break
            last = freed[-1]
            await self._rest(octets + len(freed) * 1024)
        await self._forget_unlinked()
        return total

    async def _forget_unlinked(self) -> None:
        """The rows of files that are gone go after them; the unlinking of each is durable first."""
        last = 0
        while True:
            rows = await self._server.write(lambda transaction, after=last: self._bodies.unlinked(transaction, BATCH, after))  # type: ignore[misc]
            if not rows:
                return
            await self._bodies.hop(self._bodies.files.sync)
            await self._server.write(lambda transaction, rows=rows: self._bodies.forget(transaction, rows))  # type: ignore[misc]
            last = rows[-1][0]
            await self._rest(FILE_OCTETS + len(rows) * 1024)

    async def sweep(self) -> int:
        """Move files aside that no row names, bring back those a row names again; how many were looked at closely.

        Arrivals meanwhile are safe: their names are known to this process.
        """
        looked_at = 0
        for where, named, call in ((ASIDE, True, self._bodies.bring_back_later), (KEPT, False, self._bodies.set_aside_later)):
            names = self._bodies.files.names(where)
            while (some := await self._bodies.hop(next, names, None)) is not None:
                chosen = await self._chosen(some, named=named)
                looked_at += len(chosen)
                for start in range(0, len(chosen), BATCH):
                    await self._each(chosen[start : start + BATCH], call)
        await self._server.write(lambda transaction: None)  # what follows the commits above is done when this one is
        await self.look_aside()
        return looked_at

    async def look_aside(self) -> None:
        """Count the files that lie aside, and remove those whose time is over by a clock that can be trusted."""
        now_s = self._clock.wall_s() if self._clock.trusted() else None
        self._looked_mono = self._clock.mono_s()
        count = await self._bodies.hop(self._bodies.files.count_aside, now_s)
        if count != self._aside:
            self._aside = count
            self._report_aside(count)

    async def look_missing(self) -> int:
        """Count the files that rows name and that are nowhere; one that is freed meanwhile is not missed."""
        count, last = 0, b""
        while rows := await self._server.read(lambda connection, after=last: connection.execute(NEEDED, (after, NAMES_AT_ONCE)).fetchall()):  # type: ignore[misc]
            digests = [digest for (digest,) in rows]
            if gone := await self._bodies.hop(self._gone, digests):
                count += await self._server.read(
                    lambda connection, gone=gone: sum(connection.execute(STILL_NEEDED, (digest,)).fetchone()[0] for digest in gone)  # type: ignore[misc]
                )
            last = digests[-1]
        if count != self._missing:
            self._missing = count
            self._report_missing(count)
        return count

    def _gone(self, digests: Sequence[bytes]) -> list[bytes]:
        files = self._bodies.files
        return [digest for digest in digests if files.is_gone(digest) and not (files.directory / ASIDE / digest.hex()).exists()]

    async def _chosen(self, digests: Sequence[bytes], *, named: bool) -> list[bytes]:
        """Those that a row names, or those that none does."""
        marks = ",".join("?" * len(digests))
        rows = await self._server.read(
            lambda connection: connection.execute(f"SELECT digest FROM body WHERE digest IN ({marks})", digests).fetchall()  # noqa: S608
        )
        rows_of = {digest for (digest,) in rows}
        return [digest for digest in digests if (digest in rows_of) is named]

    async def _each(self, digests: Sequence[bytes], call: Callable[[Transaction, bytes], None]) -> None:
        def work(transaction: Transaction) -> None:
            for digest in digests:
                call(transaction, digest)

        await self._server.write(work)
        await self._rest(FILE_OCTETS * len(digests))

    async def _rest(self, octets: int) -> None:
        if math.isfinite(self._octets_a_s):
            await trio.sleep(octets / self._octets_a_s)
