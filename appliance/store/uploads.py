"""Uploads: octets that a client sent ahead, to be used in a message of the same account soon (RFC 8620 §6.1).

    | state    | leaves it by                                                                                             |
    |----------|----------------------------------------------------------------------------------------------------------|
    | received | `keep` commits -> kept; the end of `receive`'s block -> gone                                             |
    | kept     | KEPT_S are over, or newer uploads of the account need its room (oldest first) -> gone; account purged    |

An upload is a body with a row of its own; what a message takes of it is the message's, so nothing is lost when it goes. The room is
the account's own beside its mail, and larger than the attachments of one message.

Fails with StoreError: TOO_BIG, BUSY, FULL while receiving; BROKEN.
"""

from collections.abc import AsyncIterable, Iterable
from typing import Any, NamedTuple

from appliance.database.database import AnyDatabase
from appliance.database.writer import Transaction
from appliance.mail.clock import Clock
from appliance.mail.description import Description
from appliance.mail.ids import AccountId, BodyId

from .bodies import Bodies
from .incoming import StagedBody
from .messages import listed

KEPT_S = 86_400
"""RFC 8620 §6.1 asks for an hour at least; a draft left open over night still has its attachments."""
ROOM_OCTETS = 200_000_000
"""Of one account, as sent: several messages with all the attachments they may have."""
MOST = 1_000
"""Uploads of one account: each has a row."""


NOTHING = Description(0, 0, b"", b"", b"", None, 0, "", False, False, 0, False, 0)


class Upload(NamedTuple):
    """`octets` as sent; `media_type` as the client named it."""

    id: int
    body: BodyId
    octets: int
    media_type: str


class _Unread:
    """The scanner of octets that are no message."""

    def feed(self, chunk: bytes) -> None:
        pass

    def finish(self, prefix: bytes = b"") -> Description:
        return NOTHING


class Uploads:
    """The uploads of all accounts. Without a clock they are kept until their room is needed."""

    def __init__(self, database: AnyDatabase, bodies: Bodies, clock: Clock | None) -> None:
        self._database = database
        self._bodies = bodies
        self._clock = clock
        self._due_at: float | None = 0.0
        """When the oldest is over: None without any, 0 before the first look."""

    async def keep(self, account: AccountId, chunks: AsyncIterable[bytes], limit_octets: int, media_type: str) -> Upload:
        """Receive, in constant memory, and commit."""
        async with self._bodies.receive(limit_octets, _Unread) as incoming:
            async for chunk in chunks:
                await incoming.write(chunk)
            return await self._commit(account, await incoming.finish(), media_type)

    async def _commit(self, account: AccountId, staged: StagedBody, media_type: str) -> Upload:
        at = self._now()

        def work(transaction: Transaction) -> Upload:
            self._make_room(transaction, account, staged.octets)
            body = self._bodies.hold(transaction, staged)
            number = transaction.next_id("upload")
            transaction.execute("INSERT INTO upload VALUES(?, ?, ?, ?, ?, ?)", (number, account, body, staged.octets, media_type, at))
            return Upload(number, body, staged.octets, media_type)

        kept = await self._database.write(work, octets=staged.stored_octets)
        if self._due_at is None:
            self._due_at = at + KEPT_S
        return kept

    def _make_room(self, transaction: Transaction, account: AccountId, octets: int) -> None:
        """The oldest go first (RFC 8620 §6.1)."""
        rows = transaction.execute("SELECT id, octets FROM upload WHERE account = ? ORDER BY id", (account,)).fetchall()
        left, total, gone = len(rows), sum(size for _, size in rows), []
        for number, size in rows:
            if total + octets <= ROOM_OCTETS and left < MOST:
                break
            gone.append(number)
            left, total = left - 1, total - size
        self._remove(transaction, gone)

    def _remove(self, transaction: Transaction, numbers: Iterable[int]) -> None:
        gone = list(numbers)
        if gone:
            rows = transaction.execute("DELETE FROM upload WHERE id IN (SELECT value FROM json_each(?)) RETURNING body", (listed(gone),))
            self._bodies.release(transaction, [(BodyId(body), 1) for (body,) in rows.fetchall()])

    async def expire(self) -> int:
        """Remove those whose time is over; how many. Reads and writes nothing while none is due, or the clock may be wrong."""
        now = self._now()
        if self._clock is None or not self._clock.trusted() or self._due_at is None or now < self._due_at:
            return 0

        def work(transaction: Transaction) -> int:
            due = transaction.execute("SELECT id FROM upload WHERE uploaded_at <= ?", (now - KEPT_S,)).fetchall()
            self._remove(transaction, [number for (number,) in due])
            return len(due)

        oldest = "SELECT min(uploaded_at) FROM upload"
        first = await self._database.read(lambda connection: connection.execute(oldest).fetchone()[0])
        gone = await self._database.write(work) if first is not None and first + KEPT_S <= now else 0
        self._due_at = None  # an upload meanwhile sets it
        first = await self._database.read(lambda connection: connection.execute(oldest).fetchone()[0])
        if first is not None:
            self._due_at = first + KEPT_S
        return gone

    def forget(self, transaction: Transaction, account: AccountId) -> None:
        """All of an account's: joins the commit that removes the account."""
        rows = transaction.execute("SELECT id FROM upload WHERE account = ?", (account,)).fetchall()
        self._remove(transaction, [number for (number,) in rows])

    def _now(self) -> int:
        return int(self._clock.wall_s()) if self._clock is not None else 0


def uploads_of(connection: Any, account: AccountId, numbers: Iterable[int]) -> dict[int, Upload]:
    """Those of the account that are there, by number."""
    rows = connection.execute(
        "SELECT id, body, octets, media_type FROM upload WHERE id IN (SELECT value FROM json_each(?)) AND account = ?",
        (listed(list(numbers)), account),
    ).fetchall()
    return {number: Upload(number, BodyId(body), octets, kind) for number, body, octets, kind in rows}
