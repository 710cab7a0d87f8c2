"""Give back the space of bodies nobody needs: the sweep at start, and what large expunges left behind.

Runs behind the listeners, in idle time, within a budget of octets written to the card. Stopping half way loses
nothing: unreferenced bodies are found again by their rows, files without a row by the next sweep.

Fails quietly: a card that cannot be read or written now is tried again later; other errors end the task.
"""

import math
from collections.abc import Sequence

import trio

from appliance.database.database import House
from appliance.database.writer import Transaction
from appliance.mail.errors import StoreError

from .bodies import Bodies

BATCH = 32
"""Bodies freed, or file names looked at and removed, in one commit."""
OCTETS_A_S = 256 * 1024
"""Octets a second that freeing may write; a freed row writes about a page for each of its own, a file 8 KiB of metadata."""
FILE_OCTETS = 8 * 1024
AGAIN_S = 10.0
"""Between two looks whether there is work (in memory: nothing is read or written when there is none)."""


class Reclaim:
    def __init__(self, house: House, bodies: Bodies, *, octets_a_s: float = OCTETS_A_S) -> None:
        self._house = house
        self._bodies = bodies
        self._octets_a_s = octets_a_s

    async def run(self) -> None:
        """For ever: sweep once, then free whenever a commit left bodies behind."""
        self._bodies.unheld = True
        swept = False
        while True:
            try:
                if not swept:
                    await self.sweep()
                    swept = True
                if self._bodies.unheld:
                    self._bodies.unheld = False
                    await self.free_all()
            except StoreError:
                self._bodies.unheld = True
            await trio.sleep(AGAIN_S)

    async def free_all(self) -> int:
        """Free all unreferenced bodies; how many."""
        total = 0
        while True:
            freed, octets = await self._house.write(lambda transaction: self._bodies.free(transaction, BATCH))
            total += freed
            if freed < BATCH:
                return total
            await self._rest(octets + freed * 1024)

    async def sweep(self) -> int:
        """Remove files no row names; how many were looked at closely. Arrivals meanwhile are safe: their names are claimed."""
        looked_at = 0
        names = self._bodies.files.names()
        while (some := await self._bodies.hop(next, names, None)) is not None:
            unnamed = await self._unnamed(some)
            looked_at += len(unnamed)
            for start in range(0, len(unnamed), BATCH):
                await self._unlink(unnamed[start : start + BATCH])
        return looked_at

    async def _unnamed(self, digests: Sequence[bytes]) -> list[bytes]:
        marks = ",".join("?" * len(digests))
        rows = await self._house.read(
            lambda connection: connection.execute(f"SELECT digest FROM body WHERE digest IN ({marks})", digests).fetchall()  # noqa: S608
        )
        named = {row[0] for row in rows}
        return [digest for digest in digests if digest not in named]

    async def _unlink(self, digests: Sequence[bytes]) -> None:
        def work(transaction: Transaction) -> None:
            for digest in digests:
                self._bodies.unlink_later(transaction, digest)

        await self._house.write(work)
        await self._rest(FILE_OCTETS * len(digests))

    async def _rest(self, octets: int) -> None:
        if math.isfinite(self._octets_a_s):
            await trio.sleep(octets / self._octets_a_s)
