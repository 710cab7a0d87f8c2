"""The queue: messages are added in the commit that accepts them and leave in the commit that settles them.

States and invariants: `item`. The clock and the intervals: `schedule`. Nothing is polled and nothing is written while messages
wait; in memory are the destinations' next due instants, the ids being tried, and counters.
Fails with StoreError (FULL, BROKEN) when the card does; then nothing changed. Wrong ids and words raise SetupError.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Protocol

import trio

from appliance.database.database import AnyDatabase
from appliance.database.writer import Transaction
from appliance.mail.address import Address, encode_address, parse_address
from appliance.mail.clock import Clock
from appliance.mail.envelope import Recipient
from appliance.mail.errors import SetupError
from appliance.mail.ids import AccountId, BodyId, MailboxId, QueueId, Uid
from appliance.mail.outcome import DeliveryStatus, HostAttempt, Outcome, Reason

from . import history
from .entry import LastAttempt, NewEntry, QueuedRecipient, QueueEntry, encode_waiting, parse_waiting
from .schedule import Destinations, Intervals, Ticks

DAY_S = 86_400
STUCK_S = DAY_S
"""A message that waited a whole day needs a person."""
LISTED = 1000
"""Rows of one list."""
COLUMNS = """id, message, destination, held, due_at, tries, waited_s, interval_s, refusals, delay_sent, accepted_at, release_at, account, sender,
    origin, body, prefix, octets, header_octets, options, outbox_mailbox, outbox_uid, recipients"""
COPY = """INSERT INTO queue SELECT ?1, destination, held, due_at, tries, waited_s, interval_s, refusals, delay_sent, recipients, message,
    accepted_at, release_at, account, sender, origin, body, prefix, octets, header_octets, options, outbox_mailbox, outbox_uid
    FROM queue WHERE id = ?2"""
AT_ONCE = "interval_s = max(0, interval_s - max(0, due_at - :now)), due_at = :now"
"""Tried now: what a message then need not wait it has not waited."""
CLOSE_S = 2
"""Instants this close are the same."""
REHOMED = 500
"""Rows moved in one commit."""


class BodyReferences(Protocol):
    """Whoever keeps the bodies: `store.bodies`."""

    def hold_more(self, transaction: Transaction, body: BodyId, refcount: int = 1) -> None: ...
    def release(self, transaction: Transaction, counts: Sequence[tuple[BodyId, int]]) -> None: ...


class OutboxView(Protocol):
    """The mailbox that shows a person what waits: `store.mailbox`."""

    def show(
        self, transaction: Transaction, account: AccountId, body: BodyId, prefix: bytes, octets: int, at: int
    ) -> tuple[MailboxId, Uid] | None:
        """Put prefix and body, `octets` in all, into the person's Outbox; None where they cannot have it there."""
        ...

    def unshow(self, transaction: Transaction, mailbox: MailboxId, uid: Uid) -> None: ...


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """What one attempt comes to, made by `Queue.judge`: `kept` wait on, `ended` are over, each with its outcome.

    `late` are those whose sender is to be told now that the message is late. `wait_s` is the next interval, 0 when nothing waits.
    """

    entry: QueueEntry
    kept: tuple[QueuedRecipient, ...]
    ended: tuple[tuple[QueuedRecipient, Outcome], ...]
    late: tuple[tuple[QueuedRecipient, Outcome], ...]
    host_attempts: tuple[HostAttempt, ...]
    destination: str
    wait_s: float
    refusals: int


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by state; `stuck` need a person; `oldest_at` UTC seconds or 0."""

    waiting: int
    held: int
    stuck: int
    oldest_at: int


class Queue:
    """Made by `open`; `lanes` is what the runner sleeps by, `moved` wakes it."""

    def __init__(
        self,
        database: AnyDatabase,
        bodies: BodyReferences,
        clock: Clock,
        *,
        intervals: Intervals | None = None,
        history_days: int = 30,
        history_rows: int = 20_000,
        random: Random | None = None,
        outbox: "OutboxView | None" = None,
    ) -> None:
        self._database = database
        self._bodies = bodies
        self._clock = clock
        self.intervals = intervals or Intervals()
        self._days, self._rows = history_days, history_rows
        self._random = random or Random()  # noqa: S311 - spreads instants, hides nothing
        self._outbox = outbox
        self._token: trio.lowlevel.TrioToken
        self._ticks: Ticks
        self._lines = 0
        self.destinations = Destinations()
        self.trying: set[QueueId] = set()
        self.moved = trio.Event()

    async def open(self) -> None:
        """Read the destinations from the index; due instants that a clock ahead of time has left are brought near."""
        self._token = trio.lowlevel.current_trio_token()
        longest = int(self.intervals.longest_s) + 1

        def work(connection: sqlite3.Connection) -> tuple[int, list[tuple[str, int]]]:
            newest = connection.execute("SELECT at FROM history ORDER BY id DESC LIMIT 1").fetchone()
            destinations = connection.execute("SELECT destination, min(due_at) FROM queue WHERE held = 0 GROUP BY destination").fetchall()
            return newest[0] if newest else 0, destinations

        newest, destinations = await self._database.read(work)
        self._ticks = Ticks(self._clock, newest)
        now, wall = int(self.now()), int(self._clock.wall_s())
        far = "due_at > :now + :longest + max(0, release_at - :wall)"
        if any(due > now + longest for _, due in destinations):
            values = {"now": now, "longest": longest, "wall": wall}

            def near(transaction: Transaction) -> list[tuple[str, int]]:
                transaction.execute(f"UPDATE queue SET due_at = :now + :longest WHERE {far}", values)  # noqa: S608 - words of ours
                return transaction.execute("SELECT destination, min(due_at) FROM queue WHERE held = 0 GROUP BY destination").fetchall()

            destinations = await self._database.write(near)
        for destination, due in destinations:
            self.destinations.know(destination, float(due))
        await self.clock_set()

    async def clock_set(self) -> None:
        """The wall clock is right, or was stepped: messages that wait for a day and hour (RFC 4865) are due by it anew."""
        now, wall = int(self.now()), int(self._clock.wall_s())
        if not self._clock.trusted():
            return

        def wrong(connection: sqlite3.Connection) -> list[tuple[int, str, int]]:
            rows = connection.execute("SELECT id, destination, due_at, release_at FROM queue WHERE release_at > 0 AND tries = 0").fetchall()
            found = [(number, destination, due, now + max(0, release - wall)) for number, destination, due, release in rows]
            return [
                (number, destination, right)
                for number, destination, due, right in found
                if abs(right - due) > CLOSE_S and max(right, due) > now
            ]

        found = await self._database.read(wrong)

        def work(transaction: Transaction) -> None:
            for number, destination, due in found:
                transaction.execute("UPDATE queue SET due_at = ? WHERE id = ? AND tries = 0", (due, number))
                self._soon(transaction, ((destination, float(due)),))

        if found:
            await self._database.write(work)

    def now(self) -> float:
        """The queue's clock."""
        return self._ticks.now()

    def _wake(self) -> None:
        self.moved.set()
        self.moved = trio.Event()

    def _soon(self, transaction: Transaction, destinations: Iterable[tuple[str, float]]) -> None:
        """Tell the runner once the commit is on the card (the writer thread says so)."""
        found = list(destinations)

        def told() -> None:
            for destination, due in found:
                self.destinations.sooner(destination, due)
            self._wake()

        transaction.after_commit(lambda: self._token.run_sync_soon(told))

    # --- in --------------------------------------------------------------------------------------

    def add(
        self,
        transaction: Transaction,
        body: BodyId,
        new_entry: NewEntry,
        destination_of: Callable[[Recipient], str],
    ) -> list[QueueId]:
        """Inside the commit that accepts the message: one row for each destination its recipients take."""
        destinations: dict[str, list[QueuedRecipient]] = {}
        for recipient in new_entry.recipients:
            destinations.setdefault(destination_of(recipient), []).append(QueuedRecipient(recipient))
        wall, now = int(self._clock.wall_s()), int(self.now())
        due = now + max(0, new_entry.release_at - wall) if new_entry.release_at and self._clock.trusted() else now
        first = transaction.next_id("queue", len(destinations))
        options = _encode_options(new_entry)
        outbox = None
        if due > now and new_entry.account is not None:
            outbox = self._shown(transaction, new_entry.message, new_entry.account, body, new_entry.prefix, new_entry.octets, wall)
        for number, (destination, waiting) in enumerate(destinations.items(), first):
            transaction.execute(
                """INSERT INTO queue(id, destination, due_at, recipients, message, accepted_at, release_at, account, sender, origin, body, prefix,
                    octets, header_octets, options, outbox_mailbox, outbox_uid) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)""",
                (
                    number, destination, due, encode_waiting(waiting), new_entry.message, wall, new_entry.release_at, new_entry.account,
                    _text(new_entry.sender), _text(new_entry.origin), body, new_entry.prefix, new_entry.octets, new_entry.header_octets, options,
                    *(outbox or (None, None)),
                ),
            )  # fmt: skip
        self._bodies.hold_more(transaction, body, len(destinations))
        recipients = [str(recipient.address) for recipient in new_entry.recipients[:20]]
        history.add(
            transaction, new_entry.message, wall, "accepted", sender=str(new_entry.origin or ""), to=recipients, octets=new_entry.octets,
            release_at=new_entry.release_at if due > now else None,
        )  # fmt: skip
        self._soon(transaction, ((destination, float(due)) for destination in destinations))
        return [QueueId(number) for number in range(first, first + len(destinations))]

    # --- out -------------------------------------------------------------------------------------

    async def due(self, destination: str, limit: int) -> list[QueueEntry]:
        """Rows of the destination whose time has come and that nobody is trying, the one due first first."""
        now, most = int(self.now()), limit + len(self.trying)
        trying = set(self.trying)
        rows = await self._database.read(
            lambda connection: connection.execute(
                f"SELECT {COLUMNS} FROM queue WHERE destination = ? AND held = 0 AND due_at <= ? ORDER BY due_at, id LIMIT ?",  # noqa: S608
                (destination, now, most),
            ).fetchall()
        )
        return [_entry(row) for row in rows if row[0] not in trying][:limit]

    async def look(self, destination: str) -> None:
        """Set the destination's next due instant by the index, those being tried left out."""

        def work(connection: sqlite3.Connection) -> int | None:
            rows = connection.execute(
                "SELECT due_at, id FROM queue WHERE destination = ? AND held = 0 ORDER BY due_at LIMIT ?", (destination, len(trying) + 1)
            )
            return next((due for due, number in rows if number not in trying), None)

        moved = None
        while moved is None or moved.is_set():  # what came in while it was read, the answer does not know
            moved, trying = self.moved, set(self.trying)
            due = await self._database.read(work)
        self.destinations.know(destination, None if due is None else float(due))

    def judge(
        self,
        entry: QueueEntry,
        outcomes: Sequence[Outcome],
        host_attempts: Sequence[HostAttempt],
        other_destination: Callable[[QueueEntry, Sequence[Outcome], int], str | None] = lambda entry, outcomes, refusals: None,
    ) -> AttemptResult:
        """What the outcomes of an attempt (one a recipient, in order) come to. `other_lane(item, outcomes, refusals)` may send what is
        left another way. Pure but for the random spread."""
        refusals = entry.refusals + any(one.reason in (Reason.REPUTATION, Reason.UNREACHABLE) for one in outcomes)
        destination = other_destination(entry, outcomes, refusals)
        moved = destination is not None and destination != entry.destination
        waited_s = entry.waited_s + entry.interval_s
        over = waited_s >= self.intervals.give_up_s and not moved
        kept: list[QueuedRecipient] = []
        ended: list[tuple[QueuedRecipient, Outcome]] = []
        late: list[tuple[QueuedRecipient, Outcome]] = []
        for waiting, outcome in zip(entry.waiting, outcomes, strict=True):
            if moved and outcome.delivery_status is DeliveryStatus.FAILED and outcome.reason is Reason.REPUTATION:
                outcome = replace(outcome, delivery_status=DeliveryStatus.DEFERRED)
            if outcome.delivery_status is not DeliveryStatus.DEFERRED:
                ended.append((waiting, outcome))
            elif over:
                ended.append((waiting, expired(outcome)))
            else:
                kept.append(QueuedRecipient(waiting.recipient, _last(outcome)))
                if waited_s >= self.intervals.warn_s and not entry.delay_sent:
                    late.append((waiting, outcome))
        wait_s = 0.0
        if kept:
            wait_s = 1.0 if moved else self.intervals.after(waited_s, self._random)
        return AttemptResult(
            entry,
            tuple(kept),
            tuple(ended),
            tuple(late),
            tuple(host_attempts),
            destination if moved and destination else entry.destination,
            wait_s,
            refusals,
        )

    def settle(self, transaction: Transaction, settlement: AttemptResult) -> None:
        """Inside the commit that makes it last: the row, the history, the Outbox. A row cancelled meanwhile only gets its line."""
        entry, wall = settlement.entry, int(self._clock.wall_s())
        met = [[m.host, m.address, m.port, m.tls, m.cipher, m.verified, round(m.duration_s, 2)] for m in settlement.host_attempts[-8:]]
        for waiting, outcome in settlement.ended:
            history.add(
                transaction, entry.message, wall, _WHAT.get(outcome.reason, "sent" if outcome.delivery_status is not DeliveryStatus.FAILED else "failed"),
                to=str(waiting.recipient.address), status=outcome.status, text=outcome.text, host=outcome.host,
                reply=str(outcome.reply or ""), met=met,
            )  # fmt: skip
        if not settlement.kept:
            self._drop(transaction, (entry.id,))
        else:
            due = int(self.now() + settlement.wait_s)
            last = settlement.kept[0].last
            history.add(
                transaction, entry.message, wall, "delayed", to=[str(one.recipient.address) for one in settlement.kept[:20]],
                status=last.status, text=last.text, host=last.host, reply=last.reply, met=met, again_s=int(settlement.wait_s),
                destination=settlement.destination,
            )  # fmt: skip
            transaction.execute(
                """UPDATE queue SET destination = ?, due_at = ?, tries = tries + 1, waited_s = waited_s + interval_s, interval_s = ?,
                    refusals = ?, delay_sent = delay_sent | ?, recipients = ? WHERE id = ?""",
                (
                    settlement.destination, due, int(settlement.wait_s), settlement.refusals, int(bool(settlement.late)),
                    encode_waiting(settlement.kept), entry.id,
                ),
            )  # fmt: skip
            self._soon(transaction, ((settlement.destination, float(due)),))
            if entry.outbox is None and entry.account is not None:
                self._show(transaction, entry, entry.account)
        self._prune_sometimes(transaction, wall)

    def _show(self, transaction: Transaction, entry: QueueEntry, account: AccountId) -> None:
        """A message that has to wait shows in its writer's Outbox; one that leaves at once never costs the card that."""
        outbox = self._shown(transaction, entry.message, account, entry.body, entry.prefix, entry.octets, entry.accepted_at)
        if outbox is not None:
            transaction.execute("UPDATE queue SET outbox_mailbox = ?, outbox_uid = ? WHERE id = ?", (*outbox, entry.id))

    def _shown(
        self, transaction: Transaction, message: str, account: AccountId, body: BodyId, prefix: bytes, octets: int, at: int
    ) -> tuple[MailboxId, Uid] | None:
        """The message's place in the Outbox, one for all its rows."""
        if self._outbox is None:
            return None
        there = transaction.execute(
            "SELECT outbox_mailbox, outbox_uid FROM queue WHERE message = ? AND outbox_mailbox IS NOT NULL LIMIT 1", (message,)
        ).fetchone()
        if there is not None:
            return MailboxId(there[0]), Uid(there[1])
        return self._outbox.show(transaction, account, body, prefix, octets, at)

    def _prune_sometimes(self, transaction: Transaction, wall: int) -> None:
        self._lines += 1
        if self._lines % history.PRUNE_EVERY == 0:
            history.prune(transaction, wall, self._days, self._rows)

    def _drop(self, transaction: Transaction, ids: Sequence[QueueId]) -> list[tuple[str, str]]:
        """Remove rows with what hangs on them; (message, destination) of each that was there."""
        gone = []
        for number in ids:
            for message, destination, body, mailbox, uid in transaction.execute(
                "DELETE FROM queue WHERE id = ? RETURNING message, destination, body, outbox_mailbox, outbox_uid", (number,)
            ).fetchall():
                gone.append((message, destination))
                if mailbox is not None and self._outbox is not None:
                    others = transaction.execute(
                        "SELECT 1 FROM queue WHERE outbox_mailbox = ? AND outbox_uid = ?", (mailbox, uid)
                    ).fetchone()
                    if others is None:
                        self._outbox.unshow(transaction, MailboxId(mailbox), Uid(uid))
                self._bodies.release(transaction, [(BodyId(body), 1)])
        return gone

    def expunged(self, transaction: Transaction, mailbox: MailboxId, uids: Sequence[int]) -> None:
        """Somebody took messages out of an Outbox: they are called back in the same commit, and nobody is sent a notice."""
        wall = int(self._clock.wall_s())
        for uid in uids:
            for number, message, body in transaction.execute(
                "DELETE FROM queue WHERE outbox_mailbox = ? AND outbox_uid = ? RETURNING id, message, body", (mailbox, uid)
            ).fetchall():
                self._bodies.release(transaction, [(BodyId(body), 1)])
                history.add(transaction, message, wall, "cancelled", text="It was deleted from the Outbox.", row=number)

    # --- hands -----------------------------------------------------------------------------------

    async def counts(self) -> Counts:
        def work(connection: sqlite3.Connection) -> Counts:
            everything, held = connection.execute("SELECT count(*), coalesce(sum(held), 0) FROM queue").fetchone()
            stuck = connection.execute("SELECT count(*) FROM queue WHERE held OR waited_s >= ?", (STUCK_S,)).fetchone()[0]
            oldest = connection.execute("SELECT accepted_at FROM queue ORDER BY id LIMIT 1").fetchone()
            return Counts(everything - held, held, stuck, oldest[0] if oldest else 0)

        return await self._database.read(work)

    async def listed(self, limit: int = LISTED) -> list[QueueEntry]:
        """The rows, oldest first."""
        return await self._database.read(
            lambda connection: [
                _entry(row)
                for row in connection.execute(f"SELECT {COLUMNS} FROM queue ORDER BY id LIMIT ?", (limit,))  # noqa: S608
            ]
        )

    async def find(self, word: str) -> list[QueueEntry]:
        """Rows by number or by the message's name (its beginning is enough when it is the only one). Raises SetupError."""

        def work(connection: sqlite3.Connection) -> list[QueueEntry]:
            condition, parameters = "message >= ? AND message < ?", (word, word + "\U0010ffff")
            if word.isdecimal() and len(word) <= 18:
                condition, parameters = "id = ? OR message = ?", (word, word)
            rows = connection.execute(f"SELECT {COLUMNS} FROM queue WHERE {condition} LIMIT ?", (*parameters, LISTED)).fetchall()  # noqa: S608
            return [_entry(row) for row in rows]

        found = await self._database.read(work) if word else []
        if not found:
            raise SetupError(f'No message "{word}" waits here.', "See: pillarbox queue list")
        if len({entry.message for entry in found}) > 1:
            raise SetupError(f'Several messages begin with "{word}".', "Give more of the name. See: pillarbox queue list")
        return found

    async def hold(self, word: str) -> list[QueueEntry]:
        return await self._change(word, "held = 1", "held")

    async def release(self, word: str) -> list[QueueEntry]:
        return await self._change(word, f"held = 0, {AT_ONCE}", "released")

    async def retry(self, word: str) -> list[QueueEntry]:
        return await self._change(word, f"held = 0, {AT_ONCE}", "retried")

    async def reroute(self, word: str, destination_of: Callable[[QueueEntry, Recipient], str]) -> list[QueueEntry]:
        """Other destinations, tried at once; the caller knows that they lead somewhere. Recipients that part get rows of their own."""
        found = await self.find(word)

        def work(transaction: Transaction) -> None:
            for entry in found:
                self._move(transaction, entry, destination_of)

        await self._database.write(work)
        return await self.find(found[0].message)

    async def rehome(self, leads: Callable[[str], bool], destination_of: Callable[[QueueEntry, Recipient], str]) -> int:
        """Messages in destinations that lead nowhere any more take the way of today, at once; how many rows moved."""
        moved = 0
        for destination in [destination for destination in self.destinations.names() if not leads(destination)]:
            last = 0
            while True:
                rows = await self._database.read(
                    lambda connection, destination=destination, last=last: connection.execute(  # type: ignore[misc]
                        f"SELECT {COLUMNS} FROM queue WHERE destination = ? AND held = 0 AND id > ? ORDER BY id LIMIT ?",  # noqa: S608
                        (destination, last, REHOMED),
                    ).fetchall()
                )
                entries = [entry for entry in map(_entry, rows) if entry.id not in self.trying]

                def work(transaction: Transaction, entries: Sequence[QueueEntry] = entries) -> int:
                    return sum(self._move(transaction, entry, destination_of) for entry in entries)

                if not rows:
                    break
                moved += await self._database.write(work)
                last = rows[-1][0]
            await self.look(destination)
        return moved

    def _move(self, transaction: Transaction, entry: QueueEntry, destination_of: Callable[[QueueEntry, Recipient], str]) -> bool:
        """Sort the row's recipients into destinations anew; False when they stay where they are."""
        destinations: dict[str, list[QueuedRecipient]] = {}
        for waiting in entry.waiting:
            destinations.setdefault(destination_of(entry, waiting.recipient), []).append(waiting)
        if list(destinations) == [entry.destination]:
            return False
        now, first = int(self.now()), True
        for destination, some in destinations.items():
            number = int(entry.id)
            if not first:
                number = transaction.next_id("queue")
                transaction.execute(COPY, (number, entry.id))
                self._bodies.hold_more(transaction, entry.body)
            transaction.execute(
                f"UPDATE queue SET destination = :destination, held = 0, {AT_ONCE}, recipients = :some WHERE id = :id",  # noqa: S608 - words of ours
                {"destination": destination, "now": now, "some": encode_waiting(some), "id": number},
            )
            first = False
        wall = int(self._clock.wall_s())
        history.add(transaction, entry.message, wall, "rerouted", destination=", ".join(destinations))
        self._soon(transaction, ((destination, float(now)) for destination in destinations))
        return True

    async def _change(self, word: str, assignments: str, what: str) -> list[QueueEntry]:
        found = await self.find(word)
        wall, now = int(self._clock.wall_s()), int(self.now())

        def work(transaction: Transaction) -> None:
            for entry in found:
                transaction.execute(
                    f"UPDATE queue SET {assignments} WHERE id = :id",  # noqa: S608 - words of ours
                    {"now": now, "id": entry.id},
                )
            history.add(transaction, found[0].message, wall, what)
            self._soon(transaction, ((entry.destination, float(now)) for entry in found))

        await self._database.write(work)
        return await self.find(word) if what != "retried" else found

    async def cancel(self, word: str) -> list[QueueEntry]:
        """Called back: a line in the history, no notice. What is being sent at this very moment may arrive all the same."""
        found = await self.find(word)
        wall = int(self._clock.wall_s())

        def work(transaction: Transaction) -> None:
            self._drop(transaction, [entry.id for entry in found])
            history.add(transaction, found[0].message, wall, "cancelled", text="It was called back.")

        await self._database.write(work)
        return found

    async def flush(self) -> int:
        """Everything that waits is due now; how many rows."""
        now = int(self.now())

        def work(transaction: Transaction) -> int:
            changed = f"UPDATE queue SET {AT_ONCE} WHERE held = 0 AND due_at > :now RETURNING destination"  # noqa: S608 - words of ours
            rows = transaction.execute(changed, {"now": now}).fetchall()
            self._soon(transaction, ((destination, float(now)) for destination in {destination for (destination,) in rows}))
            return len(rows)

        return await self._database.write(work)

    async def timeline(self, word: str) -> list[history.HistoryLine]:
        """What became of a message, by its name or the beginning of it. Raises SetupError."""

        def work(connection: sqlite3.Connection) -> list[history.HistoryLine]:
            if word.isdecimal() and len(word) <= 18:
                named = connection.execute("SELECT message FROM queue WHERE id = ?", (word,)).fetchone()
                if named:
                    return history.timeline(connection, named[0])
            names = history.messages_like(connection, word) if word else []
            if len(names) > 1 and word not in names:
                raise SetupError(f'Several messages begin with "{word}".', "Give more of the name.")
            return history.timeline(connection, word if word in names else names[0]) if names else []

        found = await self._database.read(work)
        if not found:
            raise SetupError(
                f'The server knows nothing of a message "{word}".', "Its name is in the answer to its sender and in its Received field."
            )
        return found


def expired(outcome: Outcome) -> Outcome:
    """Time is up (RFC 3463 §3.5: 4.4.7 becomes final)."""
    return replace(outcome, delivery_status=DeliveryStatus.FAILED, status="5.4.7", reason=Reason.EXPIRED)


_WHAT = {Reason.EXPIRED: "expired", Reason.CANCELLED: "cancelled"}


def _last(outcome: Outcome) -> LastAttempt:
    return LastAttempt(outcome.status, outcome.reason.name, outcome.text, outcome.host, str(outcome.reply) if outcome.reply else "")


def _text(address: Address | None) -> str | None:
    return None if address is None else encode_address(address).decode()


def _encode_options(new_entry: NewEntry) -> str:
    words = {
        "body": new_entry.body_kind if new_entry.body_kind != "7BIT" else "", "utf8": new_entry.smtputf8, "ret": new_entry.ret,
        "envid": new_entry.envid, "tls": new_entry.require_tls, "author": new_entry.author,
    }  # fmt: skip
    kept = {key: value for key, value in words.items() if value}
    return json.dumps(kept, separators=(",", ":")) if kept else ""


def _entry(row: tuple[Any, ...]) -> QueueEntry:
    options = json.loads(row[19]) if row[19] else {}
    return QueueEntry(
        id=QueueId(row[0]), message=row[1], destination=row[2], held=bool(row[3]), due_at=row[4], tries=row[5], waited_s=row[6],
        interval_s=row[7], refusals=row[8], delay_sent=bool(row[9]), accepted_at=row[10], release_at=row[11],
        account=AccountId(row[12]) if row[12] is not None else None,
        sender=parse_address(row[13]) if row[13] is not None else None,
        origin=parse_address(row[14]) if row[14] is not None else None,
        body=BodyId(row[15]), prefix=row[16], octets=row[17], header_octets=row[18],
        body_kind=options.get("body", "7BIT"), smtputf8=options.get("utf8", False), ret=options.get("ret", ""),
        envid=options.get("envid", ""), require_tls=options.get("tls", False), author=options.get("author", ""),
        outbox=(MailboxId(row[20]), Uid(row[21])) if row[20] is not None else None, waiting=parse_waiting(row[22]),
    )  # fmt: skip
