"""The outbound queue: messages enter in the commit that accepts them and leave in the commit that records their outcome.

States and invariants: `entry`. Clock and retry intervals: `schedule`. What an administrator does: `admin`. Nothing is polled and
nothing is written while messages wait; in memory are the destinations' next due instants and the ids of the active rows.
Fails with StoreError (FULL, BROKEN) when the storage does; then nothing changed.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any, Protocol

import trio

from appliance.database.database import AnyDatabase
from appliance.database.writer import Transaction
from appliance.mail.clock import Clock
from appliance.mail.description import DescriptionOf
from appliance.mail.envelope import Recipient
from appliance.mail.ids import AccountId, BodyId, MailboxId, QueueId, Uid
from appliance.mail.outcome import DsnAction, HostAttempt, Outcome, Reason
from appliance.mail.sentence import Sentence

from . import history
from .attempt_result import AttemptResult, OtherDestination, evaluate, stay
from .entry import NewEntry, QueuedRecipient, QueueEntry
from .rows import COLUMNS, INSERT, encode_new_options, encode_recipients, encode_sender, parse_row
from .schedule import Destinations, Intervals, QueueClock
from .submissions import is_pending

CLOSE_S = 2
"""Due instants this close to each other are the same."""
NAMED_RECIPIENTS = 20
"""Recipients named in one history row."""
NAMED_HOSTS = 8
"""Host attempts kept in one history row: the last ones."""


class BodyReferences(Protocol):
    """Reference counts of stored bodies: `store.bodies`."""

    def hold_more(self, transaction: Transaction, body: BodyId, refcount: int = 1) -> None: ...
    def release(self, transaction: Transaction, counts: Sequence[tuple[BodyId, int]]) -> None: ...


class OutboxView(Protocol):
    """The mailbox that shows an account its queued messages: `store.outboxes`."""

    def show(
        self, transaction: Transaction, account: AccountId, body: BodyId, prefix: bytes, describe: DescriptionOf, at: int
    ) -> tuple[MailboxId, Uid] | None:
        """Put prefix and body into the account's Outbox; None where it cannot be shown."""
        ...

    def unshow(self, transaction: Transaction, mailbox: MailboxId, uid: Uid) -> None: ...


class Queue:
    """Call `open` first. The runner sleeps by `destinations`; `changed` is set, and replaced, when they change. `active` are the ids of
    rows that are being tried."""

    def __init__(
        self,
        database: AnyDatabase,
        bodies: BodyReferences,
        clock: Clock,
        *,
        intervals: Intervals | None = None,
        keep: history.HistoryLimits | None = None,
        random: Random | None = None,
        outbox: OutboxView | None = None,
    ) -> None:
        self.database = database
        self.bodies = bodies
        self.clock = clock
        self.intervals = intervals or Intervals()
        self.keep = keep or history.HistoryLimits()
        self._random = random or Random()  # noqa: S311 - spreads instants, hides nothing
        self._outbox = outbox
        self._token: trio.lowlevel.TrioToken
        self._queue_clock: QueueClock
        self._recorded = 0
        self._claims = 0
        self.destinations = Destinations()
        self.active: set[QueueId] = set()
        self.changed = trio.Event()

    async def open(self) -> None:
        """Read the destinations from the index; due instants written by a clock that was ahead are brought near."""
        self._token = trio.lowlevel.current_trio_token()
        longest = int(self.intervals.longest_s) + 1

        def work(connection: sqlite3.Connection) -> tuple[int, list[tuple[str, int]]]:
            newest = connection.execute("SELECT at FROM history ORDER BY id DESC LIMIT 1").fetchone()
            destinations = connection.execute("SELECT destination, min(due_at) FROM queue WHERE held = 0 GROUP BY destination").fetchall()
            return newest[0] if newest else 0, destinations

        newest, destinations = await self.database.read(work)
        self._queue_clock = QueueClock(self.clock, newest)
        now, wall = int(self.now()), int(self.clock.wall_s())
        far = "due_at > :now + :longest + max(0, release_at - :wall)"
        if any(due > now + longest for _, due in destinations):
            values = {"now": now, "longest": longest, "wall": wall}

            def near(transaction: Transaction) -> list[tuple[str, int]]:
                transaction.execute(f"UPDATE queue SET due_at = :now + :longest WHERE {far}", values)  # noqa: S608 - constants of ours
                return transaction.execute("SELECT destination, min(due_at) FROM queue WHERE held = 0 GROUP BY destination").fetchall()

            destinations = await self.database.write(near)
        for destination, due in destinations:
            self.destinations.set_due(destination, float(due))
        await self.clock_set()

    async def clock_set(self) -> None:
        """The wall clock became trusted or was stepped: due instants of messages with a release time (RFC 4865) are computed again."""
        now, wall = int(self.now()), int(self.clock.wall_s())
        if not self.clock.trusted():
            return

        def wrong(connection: sqlite3.Connection) -> list[tuple[int, str, int]]:
            rows = connection.execute("SELECT id, destination, due_at, release_at FROM queue WHERE release_at > 0 AND tries = 0").fetchall()
            found = [(number, destination, due, now + max(0, release - wall)) for number, destination, due, release in rows]
            return [
                (number, destination, right)
                for number, destination, due, right in found
                if abs(right - due) > CLOSE_S and max(right, due) > now
            ]

        found = await self.database.read(wrong)

        def work(transaction: Transaction) -> None:
            for number, destination, due in found:
                transaction.execute("UPDATE queue SET due_at = ? WHERE id = ? AND tries = 0", (due, number))
                self.wake_after_commit(transaction, ((destination, float(due)),))

        if found:
            await self.database.write(work)

    def now(self) -> float:
        """Seconds by the queue's clock."""
        return self._queue_clock.now()

    def wake_after_commit(self, transaction: Transaction, destinations: Iterable[tuple[str, float]]) -> None:
        """Once the transaction is durable, make the destinations due and set `changed` (the writer thread calls back)."""
        found = list(destinations)

        def wake() -> None:
            for destination, due in found:
                self.destinations.advance(destination, due)
            self.changed.set()
            self.changed = trio.Event()

        transaction.after_commit(lambda: self._token.run_sync_soon(wake))

    # --- adding ----------------------------------------------------------------------------------

    def add(
        self,
        transaction: Transaction,
        body: BodyId,
        new_entry: NewEntry,
        destination_of: Callable[[Recipient], str],
        describe: DescriptionOf,
    ) -> list[QueueId]:
        """Inside the commit that accepts the message: one row for each destination of its recipients; `describe` is for the Outbox."""
        destinations: dict[str, list[QueuedRecipient]] = {}
        for recipient in new_entry.recipients:
            destinations.setdefault(destination_of(recipient), []).append(QueuedRecipient(recipient))
        wall, now = int(self.clock.wall_s()), int(self.now())
        due = now + max(0, new_entry.options.release_at - wall) if new_entry.options.release_at and self.clock.trusted() else now
        first = transaction.next_id("queue", len(destinations))
        options = encode_new_options(new_entry)
        outbox = None
        if due > now and new_entry.account is not None:
            outbox = self._shown(transaction, new_entry.message, new_entry.account, body, new_entry.prefix, describe, wall)
        for number, (destination, waiting) in enumerate(destinations.items(), first):
            transaction.execute(
                INSERT,
                (
                    number, destination, due, encode_recipients(waiting), new_entry.message, wall, new_entry.options.release_at,
                        new_entry.account,
                    encode_sender(new_entry.sender), encode_sender(new_entry.origin), body, new_entry.prefix, new_entry.octets,
                    new_entry.header_octets, options, *(outbox or (None, None)),
                ),
            )  # fmt: skip
        self.bodies.hold_more(transaction, body, len(destinations))
        recipients = [str(recipient.address) for recipient in new_entry.recipients[:NAMED_RECIPIENTS]]
        history.add(
            transaction, new_entry.message, wall, "accepted", sender=str(new_entry.origin or ""), to=recipients, octets=new_entry.octets,
            release_at=new_entry.options.release_at if due > now else None,
        )  # fmt: skip
        self.wake_after_commit(transaction, ((destination, float(due)) for destination in destinations))
        return [QueueId(number) for number in range(first, first + len(destinations))]

    # --- delivery attempts -----------------------------------------------------------------------

    async def due(self, destination: str, limit: int) -> list[QueueEntry]:
        """Rows of the destination that are due and not active, in the order they came due. The caller makes them active at once."""
        rows: list[Any] = []
        claims = -1
        while claims != self._claims:  # a row that was withdrawn while it was read may be gone
            claims = self._claims
            now, most = int(self.now()), limit + len(self.active)
            rows = await self.database.read(
                lambda connection, now=now, most=most: connection.execute(  # type: ignore[misc]
                    f"SELECT {COLUMNS} FROM queue WHERE destination = ? AND held = 0 AND due_at <= ? ORDER BY due_at, id LIMIT ?",  # noqa: S608
                    (destination, now, most),
                ).fetchall()
            )
        return [entry for entry in map(parse_row, rows) if entry.id not in self.active][:limit]

    async def refresh(self, destination: str) -> None:
        """Read the destination's next due instant from the index; active rows are left out."""

        def work(connection: sqlite3.Connection) -> int | None:
            rows = connection.execute(
                "SELECT due_at, id FROM queue WHERE destination = ? AND held = 0 ORDER BY due_at LIMIT ?", (destination, len(active) + 1)
            )
            return next((due for due, number in rows if number not in active), None)

        changed = None
        while changed is None or changed.is_set():  # the answer does not include what was queued while it was read
            changed, active = self.changed, set(self.active)
            due = await self.database.read(work)
        self.destinations.set_due(destination, None if due is None else float(due))

    def evaluate(
        self,
        entry: QueueEntry,
        outcomes: Sequence[Outcome],
        host_attempts: Sequence[HostAttempt],
        other_destination: OtherDestination = stay,
    ) -> AttemptResult:
        """What the outcomes of an attempt (one for each recipient, in order) mean: see `attempt_result`."""
        return evaluate(entry, outcomes, host_attempts, other_destination, self.intervals, self._random)

    def will_show(self, result: AttemptResult) -> bool:
        """Does `record` put the message into its author's Outbox? One that is sent at once never costs that write."""
        entry = result.entry
        return bool(result.deferred) and self._outbox is not None and entry.outbox is None and entry.account is not None

    def record(self, transaction: Transaction, result: AttemptResult, describe: DescriptionOf | None = None) -> None:
        """Inside a commit: write the result to the row, the history and the Outbox. A row cancelled meanwhile only gets its history.

        `describe` describes the body, where `will_show`; without it the message is shown after a later attempt.
        """
        entry, wall = result.entry, int(self.clock.wall_s())
        hosts = [
            [m.host, m.address, m.port, m.tls, m.cipher, m.verified, round(m.duration_s, 2)] for m in result.host_attempts[-NAMED_HOSTS:]
        ]
        for waiting, outcome in result.final:
            history.add(
                transaction, entry.message, wall, _event_of(outcome), to=str(waiting.recipient.address), status=outcome.status,
                text=outcome.text, host=outcome.host, reply=str(outcome.reply or ""), met=hosts,
            )  # fmt: skip
        if not result.deferred:
            self.remove(transaction, (entry.id,))
        else:
            due = int(self.now() + result.wait_s)
            last = result.deferred[0].last
            history.add(
                transaction, entry.message, wall, "deferred",
                to=[str(one.recipient.address) for one in result.deferred[:NAMED_RECIPIENTS]], status=last.status, text=last.text,
                host=last.host, reply=last.reply, met=hosts, again_s=int(result.wait_s), destination=result.destination,
            )  # fmt: skip
            changed = transaction.execute(
                """UPDATE queue SET destination = ?, due_at = ?, tries = tries + 1, waited_s = waited_s + interval_s, interval_s = ?,
                    refusals = ?, delay_sent = delay_sent | ?, recipients = ? WHERE id = ?""",
                (
                    result.destination, due, int(result.wait_s), result.refusals, int(bool(result.delayed)),
                    encode_recipients(result.deferred), entry.id,
                ),
            )  # fmt: skip
            self.wake_after_commit(transaction, ((result.destination, float(due)),))
            if changed.rowcount and describe is not None and entry.account is not None and entry.outbox is None:
                self._show(transaction, entry, entry.account, describe)
        self._recorded += 1
        if self._recorded % history.PRUNE_EVERY == 0:
            history.prune(transaction, wall, self.keep)

    def remove(self, transaction: Transaction, ids: Sequence[QueueId]) -> None:
        """Delete rows with their Outbox entry and body reference; ids that are gone are passed over."""
        for number in ids:
            for body, mailbox, uid in transaction.execute(
                "DELETE FROM queue WHERE id = ? RETURNING body, outbox_mailbox, outbox_uid", (number,)
            ).fetchall():
                if mailbox is not None and self._outbox is not None:
                    others = transaction.execute(
                        "SELECT 1 FROM queue WHERE outbox_mailbox = ? AND outbox_uid = ?", (mailbox, uid)
                    ).fetchone()
                    if others is None:
                        self._outbox.unshow(transaction, MailboxId(mailbox), Uid(uid))
                self.bodies.release(transaction, [(BodyId(body), 1)])

    async def withdraw(self, message: str) -> bool:
        """Take a message out of the queue before anything of it is sent; False when it has been sent, or an attempt is under way.

        The rows are active while this runs, so no attempt begins; the commit finds all of them, or the message stays.
        """
        rows = await self.database.read(
            lambda connection: connection.execute("SELECT id, destination FROM queue WHERE message = ?", (message,)).fetchall()
        )
        ids = [QueueId(number) for number, _ in rows]
        if not ids or not self.active.isdisjoint(ids):
            return False

        def work(transaction: Transaction) -> bool:
            there = transaction.execute("SELECT id FROM queue WHERE message = ?", (message,)).fetchall()
            if {number for (number,) in there} != set(ids) or not is_pending(transaction, message):
                return False
            self.remove(transaction, ids)
            history.add(transaction, message, int(self.clock.wall_s()), "cancelled", text=Sentence("Its sender canceled it."))
            return True

        self._claim(ids)
        try:
            return await self.database.write(work)
        finally:
            self._claims += 1
            self.active.difference_update(ids)
            with trio.CancelScope(shield=True):
                for destination in {destination for _, destination in rows}:
                    await self.refresh(destination)
            self.changed.set()
            self.changed = trio.Event()

    def _claim(self, ids: Sequence[QueueId]) -> None:
        self._claims += 1
        self.active.update(ids)

    # --- the Outbox ------------------------------------------------------------------------------

    def _show(self, transaction: Transaction, entry: QueueEntry, account: AccountId, describe: DescriptionOf) -> None:
        """Show a deferred message in its author's Outbox."""
        outbox = self._shown(transaction, entry.message, account, entry.body, entry.prefix, describe, entry.accepted_at)
        if outbox is not None:
            transaction.execute("UPDATE queue SET outbox_mailbox = ?, outbox_uid = ? WHERE id = ?", (*outbox, entry.id))

    def _shown(
        self, transaction: Transaction, message: str, account: AccountId, body: BodyId, prefix: bytes, describe: DescriptionOf, at: int
    ) -> tuple[MailboxId, Uid] | None:
        """The message's place in the Outbox, one for all its rows."""
        if self._outbox is None:
            return None
        there = transaction.execute(
            "SELECT outbox_mailbox, outbox_uid FROM queue WHERE message = ? AND outbox_mailbox IS NOT NULL LIMIT 1", (message,)
        ).fetchone()
        if there is not None:
            return MailboxId(there[0]), Uid(there[1])
        return self._outbox.show(transaction, account, body, prefix, describe, at)

    def expunged(self, transaction: Transaction, mailbox: MailboxId, uids: Sequence[int]) -> None:
        """Messages were expunged from an Outbox: they are cancelled in the same commit, without a DSN."""
        wall = int(self.clock.wall_s())
        for uid in uids:
            for number, message, body in transaction.execute(
                "DELETE FROM queue WHERE outbox_mailbox = ? AND outbox_uid = ? RETURNING id, message, body", (mailbox, uid)
            ).fetchall():
                self.bodies.release(transaction, [(BodyId(body), 1)])
                history.add(transaction, message, wall, "cancelled", text=Sentence("It was deleted from the Outbox."), row=number)


def _event_of(outcome: Outcome) -> str:
    """The history's word for a final outcome."""
    if outcome.reason is Reason.EXPIRED:
        return "expired"
    return "bounced" if outcome.action is DsnAction.FAILED else "sent"
