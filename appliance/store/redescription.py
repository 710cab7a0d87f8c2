"""Re-description: rows made by an older scanner are described anew, all of them in the background, at once only what a reader needs.

The octets are read again from the body in chunks. `message_data.described_by` says which scanner described a row, so a run that was
cut off anywhere goes on with what is left; the counter `described_by` says of which scanner all rows are known to be, so that a start
with nothing to do reads one row.

Promises: a reading makes at most AT_ONCE rows anew, of AT_ONCE_OCTETS together; else it is answered from the older description, which is
sound, only less good: every row has one from the commit that made it. A description is written only to the row it was made for, still
as old as it was then: a message that is expunged or moved meanwhile is left alone.
The background run holds one message's chunks in memory, commits BATCH rows at a time and keeps to OCTETS_A_S. It fails quietly: storage
that is full or cannot be read now is tried again later, a body that is broken is passed over; other errors end the task.
"""

import math
import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

import trio

from appliance.database.writer import Transaction
from appliance.mail.description import Description
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import MailboxId

from .base import StoreBase
from .body_readers import scan
from .loading import OPENING
from .messages import batch
from .threads import own_columns
from .values import Row, Want

AT_ONCE = 16
"""Older rows that one reading makes anew itself: a client that opens a few messages sees them as today's scanner does."""
AT_ONCE_OCTETS = 4 * 2**20
BATCH = 32
"""Rows written in one commit."""
LOOK_ROWS = 500
"""Rows looked at in one reading."""
OCTETS_A_S = 2 * 2**20
"""Octets a second read from bodies: 20,000 messages of 5 kB take a minute, and a small board has 19 of 20 parts of its time for others."""
AGAIN_S = 60.0
"""After storage that was full or could not be read."""
UPDATE = """UPDATE message_data SET message_id_hash = ?, subject_hash = ?, reference_ids = ?, own_references = ?, is_reply = ?,
    described_by = ?, sent_at = ?, envelope = ?, bodystructure = ?, parts = ?, preview = ?
    WHERE id = ? AND described_by = ?"""
_COUNTER = "described_by"
_OCTETS, _DESCRIBED_BY = map(Row._fields.index, ("octets", "described_by"))


def old_ones(store: StoreBase, rows: Sequence[Any]) -> list[Any]:
    """Of rows, or raw rows with Want.FACTS, those that a reading must not be answered from as they stand."""
    today = store.described_by
    old = [row for row in rows if row[_DESCRIBED_BY] != today]
    return old if len(old) <= AT_ONCE and sum([row[_OCTETS] for row in old]) <= AT_ONCE_OCTETS else []


async def remade(store: StoreBase, mailbox: MailboxId, rows: list[Row], want: Want) -> list[Row]:
    """The same rows with descriptions of today's scanner, where they are few; costs nothing when they are today's.

    A row that was expunged before its message was read again is left out.
    """
    old = {row.uid for row in old_ones(store, rows)}
    if not old:
        return rows
    described = [await _remade(store, mailbox, row, want) if row.uid in old else row for row in rows]
    return [row for row in described if row is not None]


async def _remade(store: StoreBase, mailbox: MailboxId, row: Row, want: Want) -> Row | None:
    found = await _described(store, mailbox, row.uid)
    if found is None:
        return None
    values = _values(found, row.message, row.described_by)
    store.database.write_lazily(lambda transaction: transaction.execute(UPDATE, values))
    store.columns.clear()
    row = row._replace(sent_at=found.sent_at, described_by=found.described_by)
    if Want.FACTS in want:
        row = row._replace(envelope=found.envelope, bodystructure=found.bodystructure)
    if Want.RARE in want:
        row = row._replace(preview=found.preview)
    return row._replace(parts=found.parts) if Want.BODY in want else row


def _values(found: Description, message: int, before: int) -> tuple[Any, ...]:
    """The parameters of UPDATE; `before` is the scanner that described the row until now."""
    return (
        *own_columns(found.thread),
        found.described_by,
        found.sent_at,
        found.envelope,
        found.bodystructure,
        found.parts,
        found.preview,
        message,
        before,
    )


async def _described(store: StoreBase, mailbox: MailboxId, uid: int) -> Description | None:
    """What today's scanner says of a message; None when it was expunged meanwhile."""
    found = await store.database.read(lambda connection: batch(connection, mailbox, uid, uid, OPENING, 1))
    if not found:
        return None
    try:
        message = (await store.messages(found, 0))[0]
        scanner = await scan(store.describe(), message, len(message.prefix))
        return scanner.finish(message.prefix)
    except StoreError as trouble:
        if trouble.trouble is not Trouble.GONE:
            raise
        return None


class Redescription:
    """The background run; the one of its kind in a process. `run` is a part of the server that stands until it is cancelled."""

    def __init__(self, store: StoreBase, *, octets_a_s: float = OCTETS_A_S, again_s: float = AGAIN_S) -> None:
        self._store = store
        self._again_s = again_s
        self._octets_a_s = octets_a_s

    async def run(self) -> None:
        """Describe all older rows anew, then nothing more: new rows are today's."""
        while True:
            try:
                if await self.is_due():
                    await self.describe_all()
                break
            except StoreError:
                await trio.sleep(self._again_s)
        await trio.sleep_forever()

    async def is_due(self) -> bool:
        """Are there rows that may be older?"""
        known = await self._store.database.read(
            lambda connection: connection.execute("SELECT next FROM counter WHERE name = ?", (_COUNTER,)).fetchone()
        )
        return known is None or known[0] != self._store.described_by

    async def describe_all(self) -> int:
        """Walk all messages until a walk finds none to describe, so that none is missed which moved behind the walk; how many were."""
        total = 0
        while True:
            made, passed_over = await self._walk()
            total += made
            if not made:
                break
        if not passed_over:
            today = self._store.described_by
            await self._store.database.write(
                lambda transaction: transaction.execute("INSERT OR REPLACE INTO counter VALUES(?, ?)", (_COUNTER, today))
            )
        return total

    async def _walk(self) -> tuple[int, int]:
        """One walk over all messages: rows described, and rows that are still old because their body cannot be read."""
        place, made, passed_over = (0, 0), 0, 0
        today = self._store.described_by
        while rows := await self._store.database.read(lambda connection, place=place: _next_rows(connection, place)):  # type: ignore[misc]
            place = (rows[-1].mailbox, rows[-1].uid)
            old = [row for row in rows if row.described_by != today]
            for start in range(0, len(old), BATCH):
                done, left = await self._batch(old[start : start + BATCH])
                made += done
                passed_over += left
        return made, passed_over

    async def _batch(self, rows: "Sequence[DescribedRow]") -> tuple[int, int]:
        """Describe these and commit them together."""
        values: list[tuple[Any, ...]] = []
        octets = left = 0
        for mailbox, uid, message, before in rows:
            try:
                found = await _described(self._store, MailboxId(mailbox), uid)
            except StoreError as error:
                if error.trouble is not Trouble.BROKEN:
                    raise
                left += 1
                continue
            if found is not None:
                values.append(_values(found, message, before))
                octets += found.octets

        def work(transaction: Transaction) -> int:
            return sum(transaction.execute(UPDATE, one).rowcount for one in values)

        made = await self._store.database.write(work) if values else 0
        if made:
            self._store.columns.clear()
        if math.isfinite(self._octets_a_s):
            await trio.sleep(octets / self._octets_a_s)
        return made, left


class DescribedRow(NamedTuple):
    """A message, and which scanner described it."""

    mailbox: int
    uid: int
    message_data: int
    described_by: int


def _next_rows(connection: sqlite3.Connection, place: tuple[int, int]) -> list[DescribedRow]:
    """The messages behind a place, in order."""
    rows = connection.execute(
        "SELECT mailbox, uid, message_data, described_by FROM message JOIN message_data ON message_data.id = message_data"
        " WHERE (mailbox, uid) > (?, ?) ORDER BY mailbox, uid LIMIT ?",
        (*place, LOOK_ROWS),
    )
    return [DescribedRow._make(row) for row in rows]
