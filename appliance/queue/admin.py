"""What an administrator does with the queue: list, find, hold, release, retry, reroute, cancel, flush, and a message's history.

Each change is one commit and leaves a row in the history. Unknown or ambiguous names raise SetupError with the remedy.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from appliance.database.writer import Transaction
from appliance.mail.envelope import Recipient
from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence

from . import history
from .entry import QueuedRecipient, QueueEntry
from .queue import Queue
from .rows import AT_ONCE, COLUMNS, COPY, encode_recipients, parse_row

STUCK_S = 86_400
"""A message that has waited a whole day is counted as stuck: it needs an administrator."""
LISTED = 1000
"""Rows of one list."""
MOVED_ROWS = 500
"""Rows that change their destination in one commit."""
ID_DIGITS = 18

DestinationOf = Callable[[QueueEntry, Recipient], str]
"""`destination_of(entry, recipient)`: where the recipient is to queue."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by state; `stuck` need an administrator; `oldest_at` UTC seconds or 0."""

    waiting: int
    held: int
    stuck: int
    oldest_at: int


class QueueAdmin:
    """The administrator's operations on one Queue. A `word` names rows by number, or a message by its id or an unambiguous start of it."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._database = queue.database
        self._clock = queue.clock

    async def counts(self) -> Counts:
        def work(connection: sqlite3.Connection) -> Counts:
            everything, held = connection.execute("SELECT count(*), coalesce(sum(held), 0) FROM queue").fetchone()
            stuck = connection.execute("SELECT count(*) FROM queue WHERE held OR waited_s >= ?", (STUCK_S,)).fetchone()[0]
            oldest = connection.execute("SELECT accepted_at FROM queue ORDER BY id LIMIT 1").fetchone()
            return Counts(everything - held, held, stuck, oldest[0] if oldest else 0)

        return await self._database.read(work)

    async def entries(self, limit: int = LISTED, after: int = 0) -> list[QueueEntry]:
        """The rows after the row `after`, oldest first."""
        select = f"SELECT {COLUMNS} FROM queue WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608
        return await self._database.read(lambda connection: [parse_row(row) for row in connection.execute(select, (after, limit))])

    async def find(self, word: str) -> list[QueueEntry]:
        """The rows of one message: by the number of a row, or by the queue ID or its beginning, which may be digits too.

        Raises SetupError.
        """

        def select(connection: sqlite3.Connection, condition: str, *parameters: str) -> list[QueueEntry]:
            rows = connection.execute(f"SELECT {COLUMNS} FROM queue WHERE {condition} LIMIT ?", (*parameters, LISTED))  # noqa: S608
            return [parse_row(row) for row in rows.fetchall()]

        def work(connection: sqlite3.Connection) -> list[QueueEntry]:
            numbered = word.isdecimal() and len(word) <= ID_DIGITS
            found = select(connection, "id = ? OR message = ?", word, word) if numbered else []
            return found or select(connection, "message >= ? AND message < ?", word, word + "\U0010ffff")

        found = await self._database.read(work) if word else []
        if not found:
            raise SetupError(Sentence('There is no message "%(word)s" in the queue.', word=word), "See: pillarbox queue list")
        if len({entry.message for entry in found}) > 1:
            raise SetupError(
                Sentence('Several messages begin with "%(word)s".', word=word), "Give more of the queue ID. See: pillarbox queue list"
            )
        return found

    async def hold(self, word: str) -> list[QueueEntry]:
        return await self._change(word, "held = 1", "held")

    async def release(self, word: str) -> list[QueueEntry]:
        return await self._change(word, f"held = 0, {AT_ONCE}", "released")

    async def retry(self, word: str) -> list[QueueEntry]:
        return await self._change(word, f"held = 0, {AT_ONCE}", "retried")

    async def reroute(self, word: str, destination_of: DestinationOf) -> list[QueueEntry]:
        """Give the message other destinations, due at once; the caller knows that they are routable. Recipients that go to
        different destinations get rows of their own."""
        found = await self.find(word)

        def work(transaction: Transaction) -> None:
            for entry in found:
                self._move(transaction, entry, destination_of)

        await self._database.write(work)
        return await self.find(found[0].message)

    async def reassign_destinations(self, is_routable: Callable[[str], bool], destination_of: DestinationOf) -> int:
        """Give messages whose destination is not routable any more the destination of today, due at once; how many rows moved."""
        moved = 0
        for destination in [destination for destination in self._queue.destinations.names() if not is_routable(destination)]:
            last = 0
            while True:
                rows = await self._database.read(
                    lambda connection, destination=destination, last=last: connection.execute(  # type: ignore[misc]
                        f"SELECT {COLUMNS} FROM queue WHERE destination = ? AND held = 0 AND id > ? ORDER BY id LIMIT ?",  # noqa: S608
                        (destination, last, MOVED_ROWS),
                    ).fetchall()
                )
                entries = [entry for entry in map(parse_row, rows) if entry.id not in self._queue.active]

                def work(transaction: Transaction, entries: Sequence[QueueEntry] = entries) -> int:
                    return sum(self._move(transaction, entry, destination_of) for entry in entries)

                if not rows:
                    break
                moved += await self._database.write(work)
                last = rows[-1][0]
            await self._queue.refresh(destination)
        return moved

    def _move(self, transaction: Transaction, entry: QueueEntry, destination_of: DestinationOf) -> bool:
        """Sort the row's recipients into destinations again; False when they stay where they are."""
        destinations: dict[str, list[QueuedRecipient]] = {}
        for waiting in entry.waiting:
            destinations.setdefault(destination_of(entry, waiting.recipient), []).append(waiting)
        if list(destinations) == [entry.destination]:
            return False
        now, first = int(self._queue.now()), True
        for destination, some in destinations.items():
            number = int(entry.id)
            if not first:
                number = transaction.next_id("queue")
                transaction.execute(COPY, (number, entry.id))
                self._queue.bodies.hold_more(transaction, entry.body)
            transaction.execute(
                f"UPDATE queue SET destination = :destination, held = 0, {AT_ONCE}, recipients = :some WHERE id = :id",  # noqa: S608 - constants of ours
                {"destination": destination, "now": now, "some": encode_recipients(some), "id": number},
            )
            first = False
        wall = int(self._clock.wall_s())
        history.add(transaction, entry.message, wall, "rerouted", destination=", ".join(destinations))
        self._queue.wake_after_commit(transaction, ((destination, float(now)) for destination in destinations))
        return True

    async def _change(self, word: str, assignments: str, event: str) -> list[QueueEntry]:
        found = await self.find(word)
        wall, now = int(self._clock.wall_s()), int(self._queue.now())

        def work(transaction: Transaction) -> None:
            for entry in found:
                transaction.execute(
                    f"UPDATE queue SET {assignments} WHERE id = :id",  # noqa: S608 - constants of ours
                    {"now": now, "id": entry.id},
                )
            history.add(transaction, found[0].message, wall, event)
            self._queue.wake_after_commit(transaction, ((entry.destination, float(now)) for entry in found))

        await self._database.write(work)
        return await self.find(word) if event != "retried" else found

    async def cancel(self, word: str) -> list[QueueEntry]:
        """Remove the message without a DSN. An attempt that runs at this moment may deliver it all the same."""
        found = await self.find(word)
        wall = int(self._clock.wall_s())

        def work(transaction: Transaction) -> None:
            self._queue.remove(transaction, [entry.id for entry in found])
            history.add(transaction, found[0].message, wall, "cancelled", text=Sentence("It was taken out of the queue."))

        await self._database.write(work)
        return found

    async def flush(self) -> int:
        """Make every waiting row due now; how many rows. One whose release time has not come keeps it (RFC 4865 §5)."""
        now, wall = int(self._queue.now()), int(self._queue.clock.wall_s())

        def work(transaction: Transaction) -> int:
            waits = "held = 0 AND due_at > :now AND NOT (release_at > :wall AND tries = 0)"
            changed = f"UPDATE queue SET {AT_ONCE} WHERE {waits} RETURNING destination"  # noqa: S608 - constants of ours
            rows = transaction.execute(changed, {"now": now, "wall": wall}).fetchall()
            self._queue.wake_after_commit(transaction, ((destination, float(now)) for destination in {one for (one,) in rows}))
            return len(rows)

        return await self._database.write(work)

    async def timeline(self, word: str) -> list[history.HistoryLine]:
        """The history of one message, queued or not. Raises SetupError."""

        def work(connection: sqlite3.Connection) -> list[history.HistoryLine]:
            if word.isdecimal() and len(word) <= ID_DIGITS:
                named = connection.execute("SELECT message FROM queue WHERE id = ?", (word,)).fetchone()
                if named:
                    return history.timeline(connection, named[0])
            names = history.messages_like(connection, word) if word else []
            if len(names) > 1 and word not in names:
                raise SetupError(Sentence('Several messages begin with "%(word)s".', word=word), "Give more of the queue ID.")
            return history.timeline(connection, word if word in names else names[0]) if names else []

        found = await self._database.read(work)
        if not found:
            raise SetupError(
                Sentence('The server knows nothing of a message "%(word)s".', word=word),
                "The queue ID is in the server's reply to the sender's mail program and in the message's Received field.",
            )
        return found
