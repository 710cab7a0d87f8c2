"""The queue: letters are added in the commit that accepts them and leave in the commit that settles them.

States and invariants: `item`. The clock and the intervals: `schedule`. Nothing is polled and nothing is written while letters
wait; in memory are the lanes' next due instants, the ids being tried, and counters.
Fails with StoreError (FULL, BROKEN) when the card does; then nothing changed. Wrong ids and words raise SetupError.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Protocol

import trio

from appliance.database.database import House
from appliance.database.writer import Transaction
from appliance.mail.address import Address, encode_address, parse_address
from appliance.mail.clock import Clock
from appliance.mail.envelope import Recipient
from appliance.mail.errors import SetupError
from appliance.mail.ids import BodyId, MailboxId, PersonId, QueueId, Uid
from appliance.mail.outcome import Fate, Meeting, Outcome, Reason

from . import history
from .entry import Item, Last, Leaving, Waiting, encode_waiting, parse_waiting
from .schedule import Intervals, Lanes, Ticks

DAY_S = 86_400
STUCK_S = DAY_S
"""A letter that waited a whole day needs a person."""
LISTED = 1000
"""Rows of one list."""
COLUMNS = """id, letter, lane, held, due_at, tries, waited_s, interval_s, refusals, told_late, accepted_at, release_at, person, sender,
    origin, body, prefix, octets, header_octets, options, outbox_mailbox, outbox_uid, recipients"""
COPY = """INSERT INTO queue SELECT ?1, lane, held, due_at, tries, waited_s, interval_s, refusals, told_late, recipients, letter,
    accepted_at, release_at, person, sender, origin, body, prefix, octets, header_octets, options, outbox_mailbox, outbox_uid
    FROM queue WHERE id = ?2"""
AT_ONCE = "interval_s = max(0, interval_s - max(0, due_at - :now)), due_at = :now"
"""Tried now: what a letter then need not wait it has not waited."""
CLOSE_S = 2
"""Instants this close are the same."""
REHOMED = 500
"""Rows moved in one commit."""


class Holds(Protocol):
    """Whoever keeps the bodies: `store.bodies`."""

    def hold_more(self, transaction: Transaction, body: BodyId, holders: int = 1) -> None: ...
    def release(self, transaction: Transaction, counts: Sequence[tuple[BodyId, int]]) -> None: ...


class Outbox(Protocol):
    """The mailbox that shows a person what waits: `store.mailbox`."""

    def show(
        self, transaction: Transaction, person: PersonId, body: BodyId, prefix: bytes, octets: int, at: int
    ) -> tuple[MailboxId, Uid] | None:
        """Put prefix and body, `octets` in all, into the person's Outbox; None where they cannot have it there."""
        ...

    def unshow(self, transaction: Transaction, mailbox: MailboxId, uid: Uid) -> None: ...


@dataclass(frozen=True, slots=True)
class Settlement:
    """What one attempt comes to, made by `Queue.judge`: `kept` wait on, `ended` are over, each with its outcome.

    `late` are those whose sender is to be told now that the letter is late. `wait_s` is the next interval, 0 when nothing waits.
    """

    item: Item
    kept: tuple[Waiting, ...]
    ended: tuple[tuple[Waiting, Outcome], ...]
    late: tuple[tuple[Waiting, Outcome], ...]
    meetings: tuple[Meeting, ...]
    lane: str
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
        database: House,
        bodies: Holds,
        clock: Clock,
        *,
        intervals: Intervals | None = None,
        history_days: int = 30,
        history_rows: int = 20_000,
        random: Random | None = None,
        outbox: "Outbox | None" = None,
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
        self.lanes = Lanes()
        self.trying: set[QueueId] = set()
        self.moved = trio.Event()

    async def open(self) -> None:
        """Read the lanes from the index; due instants that a clock ahead of time has left are brought near."""
        self._token = trio.lowlevel.current_trio_token()
        longest = int(self.intervals.longest_s) + 1

        def work(connection: sqlite3.Connection) -> tuple[int, list[tuple[str, int]]]:
            newest = connection.execute("SELECT at FROM history ORDER BY id DESC LIMIT 1").fetchone()
            lanes = connection.execute("SELECT lane, min(due_at) FROM queue WHERE held = 0 GROUP BY lane").fetchall()
            return newest[0] if newest else 0, lanes

        newest, lanes = await self._database.read(work)
        self._ticks = Ticks(self._clock, newest)
        now, wall = int(self.now()), int(self._clock.wall_s())
        far = "due_at > :now + :longest + max(0, release_at - :wall)"
        if any(due > now + longest for _, due in lanes):
            values = {"now": now, "longest": longest, "wall": wall}

            def near(transaction: Transaction) -> list[tuple[str, int]]:
                transaction.execute(f"UPDATE queue SET due_at = :now + :longest WHERE {far}", values)  # noqa: S608 - words of ours
                return transaction.execute("SELECT lane, min(due_at) FROM queue WHERE held = 0 GROUP BY lane").fetchall()

            lanes = await self._database.write(near)
        for lane, due in lanes:
            self.lanes.know(lane, float(due))
        await self.clock_set()

    async def clock_set(self) -> None:
        """The wall clock is right, or was stepped: letters that wait for a day and hour (RFC 4865) are due by it anew."""
        now, wall = int(self.now()), int(self._clock.wall_s())
        if not self._clock.trusted():
            return

        def wrong(connection: sqlite3.Connection) -> list[tuple[int, str, int]]:
            rows = connection.execute("SELECT id, lane, due_at, release_at FROM queue WHERE release_at > 0 AND tries = 0").fetchall()
            found = [(number, lane, due, now + max(0, release - wall)) for number, lane, due, release in rows]
            return [(number, lane, right) for number, lane, due, right in found if abs(right - due) > CLOSE_S and max(right, due) > now]

        found = await self._database.read(wrong)

        def work(transaction: Transaction) -> None:
            for number, lane, due in found:
                transaction.execute("UPDATE queue SET due_at = ? WHERE id = ? AND tries = 0", (due, number))
                self._soon(transaction, ((lane, float(due)),))

        if found:
            await self._database.write(work)

    def now(self) -> float:
        """The queue's clock."""
        return self._ticks.now()

    def _wake(self) -> None:
        self.moved.set()
        self.moved = trio.Event()

    def _soon(self, transaction: Transaction, lanes: Iterable[tuple[str, float]]) -> None:
        """Tell the runner once the commit is on the card (the writer thread says so)."""
        found = list(lanes)

        def told() -> None:
            for lane, due in found:
                self.lanes.sooner(lane, due)
            self._wake()

        transaction.after_commit(lambda: self._token.run_sync_soon(told))

    # --- in --------------------------------------------------------------------------------------

    def add(
        self,
        transaction: Transaction,
        body: BodyId,
        leaving: Leaving,
        lane_of: Callable[[Recipient], str],
    ) -> list[QueueId]:
        """Inside the commit that accepts the letter: one row for each lane its recipients take."""
        lanes: dict[str, list[Waiting]] = {}
        for recipient in leaving.recipients:
            lanes.setdefault(lane_of(recipient), []).append(Waiting(recipient))
        wall, now = int(self._clock.wall_s()), int(self.now())
        due = now + max(0, leaving.release_at - wall) if leaving.release_at and self._clock.trusted() else now
        first = transaction.next_id("queue", len(lanes))
        options = _encode_options(leaving)
        outbox = None
        if due > now and leaving.person is not None:
            outbox = self._shown(transaction, leaving.letter, leaving.person, body, leaving.prefix, leaving.octets, wall)
        for number, (lane, waiting) in enumerate(lanes.items(), first):
            transaction.execute(
                """INSERT INTO queue(id, lane, due_at, recipients, letter, accepted_at, release_at, person, sender, origin, body, prefix,
                    octets, header_octets, options, outbox_mailbox, outbox_uid) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)""",
                (
                    number, lane, due, encode_waiting(waiting), leaving.letter, wall, leaving.release_at, leaving.person,
                    _text(leaving.sender), _text(leaving.origin), body, leaving.prefix, leaving.octets, leaving.header_octets, options,
                    *(outbox or (None, None)),
                ),
            )  # fmt: skip
        self._bodies.hold_more(transaction, body, len(lanes))
        recipients = [str(recipient.address) for recipient in leaving.recipients[:20]]
        history.add(
            transaction, leaving.letter, wall, "accepted", sender=str(leaving.origin or ""), to=recipients, octets=leaving.octets,
            release_at=leaving.release_at if due > now else None,
        )  # fmt: skip
        self._soon(transaction, ((lane, float(due)) for lane in lanes))
        return [QueueId(number) for number in range(first, first + len(lanes))]

    # --- out -------------------------------------------------------------------------------------

    async def due(self, lane: str, limit: int) -> list[Item]:
        """Rows of the lane whose time has come and that nobody is trying, the one due first first."""
        now, most = int(self.now()), limit + len(self.trying)
        trying = set(self.trying)
        rows = await self._database.read(
            lambda connection: connection.execute(
                f"SELECT {COLUMNS} FROM queue WHERE lane = ? AND held = 0 AND due_at <= ? ORDER BY due_at, id LIMIT ?",  # noqa: S608
                (lane, now, most),
            ).fetchall()
        )
        return [_item(row) for row in rows if row[0] not in trying][:limit]

    async def look(self, lane: str) -> None:
        """Set the lane's next due instant by the index, those being tried left out."""

        def work(connection: sqlite3.Connection) -> int | None:
            rows = connection.execute(
                "SELECT due_at, id FROM queue WHERE lane = ? AND held = 0 ORDER BY due_at LIMIT ?", (lane, len(trying) + 1)
            )
            return next((due for due, number in rows if number not in trying), None)

        moved = None
        while moved is None or moved.is_set():  # what came in while it was read, the answer does not know
            moved, trying = self.moved, set(self.trying)
            due = await self._database.read(work)
        self.lanes.know(lane, None if due is None else float(due))

    def judge(
        self,
        item: Item,
        outcomes: Sequence[Outcome],
        meetings: Sequence[Meeting],
        other_lane: Callable[[Item, Sequence[Outcome], int], str | None] = lambda item, outcomes, refusals: None,
    ) -> Settlement:
        """What the outcomes of an attempt (one a recipient, in order) come to. `other_lane(item, outcomes, refusals)` may send what is
        left another way. Pure but for the random spread."""
        refusals = item.refusals + any(one.reason in (Reason.REPUTATION, Reason.UNREACHABLE) for one in outcomes)
        lane = other_lane(item, outcomes, refusals)
        moved = lane is not None and lane != item.lane
        waited_s = item.waited_s + item.interval_s
        over = waited_s >= self.intervals.give_up_s and not moved
        kept: list[Waiting] = []
        ended: list[tuple[Waiting, Outcome]] = []
        late: list[tuple[Waiting, Outcome]] = []
        for waiting, outcome in zip(item.waiting, outcomes, strict=True):
            if moved and outcome.fate is Fate.FAILED and outcome.reason is Reason.REPUTATION:
                outcome = replace(outcome, fate=Fate.DEFERRED)
            if outcome.fate is not Fate.DEFERRED:
                ended.append((waiting, outcome))
            elif over:
                ended.append((waiting, expired(outcome)))
            else:
                kept.append(Waiting(waiting.recipient, _last(outcome)))
                if waited_s >= self.intervals.warn_s and not item.told_late:
                    late.append((waiting, outcome))
        wait_s = 0.0
        if kept:
            wait_s = 1.0 if moved else self.intervals.after(waited_s, self._random)
        return Settlement(
            item, tuple(kept), tuple(ended), tuple(late), tuple(meetings), lane if moved and lane else item.lane, wait_s, refusals
        )

    def settle(self, transaction: Transaction, settlement: Settlement) -> None:
        """Inside the commit that makes it last: the row, the history, the Outbox. A row cancelled meanwhile only gets its line."""
        item, wall = settlement.item, int(self._clock.wall_s())
        met = [[m.host, m.address, m.port, m.tls, m.cipher, m.verified, round(m.duration_s, 2)] for m in settlement.meetings[-8:]]
        for waiting, outcome in settlement.ended:
            history.add(
                transaction, item.letter, wall, _WHAT.get(outcome.reason, "sent" if outcome.fate is not Fate.FAILED else "failed"),
                to=str(waiting.recipient.address), status=outcome.status, text=outcome.text, host=outcome.host,
                reply=str(outcome.reply or ""), met=met,
            )  # fmt: skip
        if not settlement.kept:
            self._drop(transaction, (item.id,))
        else:
            due = int(self.now() + settlement.wait_s)
            last = settlement.kept[0].last
            history.add(
                transaction, item.letter, wall, "delayed", to=[str(one.recipient.address) for one in settlement.kept[:20]],
                status=last.status, text=last.text, host=last.host, reply=last.reply, met=met, again_s=int(settlement.wait_s),
                lane=settlement.lane,
            )  # fmt: skip
            transaction.execute(
                """UPDATE queue SET lane = ?, due_at = ?, tries = tries + 1, waited_s = waited_s + interval_s, interval_s = ?,
                    refusals = ?, told_late = told_late | ?, recipients = ? WHERE id = ?""",
                (
                    settlement.lane, due, int(settlement.wait_s), settlement.refusals, int(bool(settlement.late)),
                    encode_waiting(settlement.kept), item.id,
                ),
            )  # fmt: skip
            self._soon(transaction, ((settlement.lane, float(due)),))
            if item.outbox is None and item.person is not None:
                self._show(transaction, item, item.person)
        self._prune_sometimes(transaction, wall)

    def _show(self, transaction: Transaction, item: Item, person: PersonId) -> None:
        """A letter that has to wait shows in its writer's Outbox; one that leaves at once never costs the card that."""
        outbox = self._shown(transaction, item.letter, person, item.body, item.prefix, item.octets, item.accepted_at)
        if outbox is not None:
            transaction.execute("UPDATE queue SET outbox_mailbox = ?, outbox_uid = ? WHERE id = ?", (*outbox, item.id))

    def _shown(
        self, transaction: Transaction, letter: str, person: PersonId, body: BodyId, prefix: bytes, octets: int, at: int
    ) -> tuple[MailboxId, Uid] | None:
        """The letter's place in the Outbox, one for all its rows."""
        if self._outbox is None:
            return None
        there = transaction.execute(
            "SELECT outbox_mailbox, outbox_uid FROM queue WHERE letter = ? AND outbox_mailbox IS NOT NULL LIMIT 1", (letter,)
        ).fetchone()
        if there is not None:
            return MailboxId(there[0]), Uid(there[1])
        return self._outbox.show(transaction, person, body, prefix, octets, at)

    def _prune_sometimes(self, transaction: Transaction, wall: int) -> None:
        self._lines += 1
        if self._lines % history.PRUNE_EVERY == 0:
            history.prune(transaction, wall, self._days, self._rows)

    def _drop(self, transaction: Transaction, ids: Sequence[QueueId]) -> list[tuple[str, str]]:
        """Remove rows with what hangs on them; (letter, lane) of each that was there."""
        gone = []
        for number in ids:
            for letter, lane, body, mailbox, uid in transaction.execute(
                "DELETE FROM queue WHERE id = ? RETURNING letter, lane, body, outbox_mailbox, outbox_uid", (number,)
            ).fetchall():
                gone.append((letter, lane))
                if mailbox is not None and self._outbox is not None:
                    others = transaction.execute(
                        "SELECT 1 FROM queue WHERE outbox_mailbox = ? AND outbox_uid = ?", (mailbox, uid)
                    ).fetchone()
                    if others is None:
                        self._outbox.unshow(transaction, MailboxId(mailbox), Uid(uid))
                self._bodies.release(transaction, [(BodyId(body), 1)])
        return gone

    def expunged(self, transaction: Transaction, mailbox: MailboxId, uids: Sequence[int]) -> None:
        """Somebody took letters out of an Outbox: they are called back in the same commit, and nobody is sent a notice."""
        wall = int(self._clock.wall_s())
        for uid in uids:
            for number, letter, body in transaction.execute(
                "DELETE FROM queue WHERE outbox_mailbox = ? AND outbox_uid = ? RETURNING id, letter, body", (mailbox, uid)
            ).fetchall():
                self._bodies.release(transaction, [(BodyId(body), 1)])
                history.add(transaction, letter, wall, "cancelled", text="It was deleted from the Outbox.", row=number)

    # --- hands -----------------------------------------------------------------------------------

    async def counts(self) -> Counts:
        def work(connection: sqlite3.Connection) -> Counts:
            everything, held = connection.execute("SELECT count(*), coalesce(sum(held), 0) FROM queue").fetchone()
            stuck = connection.execute("SELECT count(*) FROM queue WHERE held OR waited_s >= ?", (STUCK_S,)).fetchone()[0]
            oldest = connection.execute("SELECT accepted_at FROM queue ORDER BY id LIMIT 1").fetchone()
            return Counts(everything - held, held, stuck, oldest[0] if oldest else 0)

        return await self._database.read(work)

    async def listed(self, limit: int = LISTED) -> list[Item]:
        """The rows, oldest first."""
        return await self._database.read(
            lambda connection: [
                _item(row)
                for row in connection.execute(f"SELECT {COLUMNS} FROM queue ORDER BY id LIMIT ?", (limit,))  # noqa: S608
            ]
        )

    async def find(self, word: str) -> list[Item]:
        """Rows by number or by the letter's name (its beginning is enough when it is the only one). Raises SetupError."""

        def work(connection: sqlite3.Connection) -> list[Item]:
            condition, parameters = "letter >= ? AND letter < ?", (word, word + "\U0010ffff")
            if word.isdecimal() and len(word) <= 18:
                condition, parameters = "id = ? OR letter = ?", (word, word)
            rows = connection.execute(f"SELECT {COLUMNS} FROM queue WHERE {condition} LIMIT ?", (*parameters, LISTED)).fetchall()  # noqa: S608
            return [_item(row) for row in rows]

        found = await self._database.read(work) if word else []
        if not found:
            raise SetupError(f'No letter "{word}" waits here.', "See: pillarbox queue list")
        if len({item.letter for item in found}) > 1:
            raise SetupError(f'Several letters begin with "{word}".', "Give more of the name. See: pillarbox queue list")
        return found

    async def hold(self, word: str) -> list[Item]:
        return await self._change(word, "held = 1", "held")

    async def release(self, word: str) -> list[Item]:
        return await self._change(word, f"held = 0, {AT_ONCE}", "released")

    async def retry(self, word: str) -> list[Item]:
        return await self._change(word, f"held = 0, {AT_ONCE}", "retried")

    async def reroute(self, word: str, lane_of: Callable[[Item, Recipient], str]) -> list[Item]:
        """Other lanes, tried at once; the caller knows that they lead somewhere. Recipients that part get rows of their own."""
        found = await self.find(word)

        def work(transaction: Transaction) -> None:
            for item in found:
                self._move(transaction, item, lane_of)

        await self._database.write(work)
        return await self.find(found[0].letter)

    async def rehome(self, leads: Callable[[str], bool], lane_of: Callable[[Item, Recipient], str]) -> int:
        """Letters in lanes that lead nowhere any more take the way of today, at once; how many rows moved."""
        moved = 0
        for lane in [lane for lane in self.lanes.names() if not leads(lane)]:
            last = 0
            while True:
                rows = await self._database.read(
                    lambda connection, lane=lane, last=last: connection.execute(  # type: ignore[misc]
                        f"SELECT {COLUMNS} FROM queue WHERE lane = ? AND held = 0 AND id > ? ORDER BY id LIMIT ?",  # noqa: S608
                        (lane, last, REHOMED),
                    ).fetchall()
                )
                items = [item for item in map(_item, rows) if item.id not in self.trying]

                def work(transaction: Transaction, items: Sequence[Item] = items) -> int:
                    return sum(self._move(transaction, item, lane_of) for item in items)

                if not rows:
                    break
                moved += await self._database.write(work)
                last = rows[-1][0]
            await self.look(lane)
        return moved

    def _move(self, transaction: Transaction, item: Item, lane_of: Callable[[Item, Recipient], str]) -> bool:
        """Sort the row's recipients into lanes anew; False when they stay where they are."""
        lanes: dict[str, list[Waiting]] = {}
        for waiting in item.waiting:
            lanes.setdefault(lane_of(item, waiting.recipient), []).append(waiting)
        if list(lanes) == [item.lane]:
            return False
        now, first = int(self.now()), True
        for lane, some in lanes.items():
            number = int(item.id)
            if not first:
                number = transaction.next_id("queue")
                transaction.execute(COPY, (number, item.id))
                self._bodies.hold_more(transaction, item.body)
            transaction.execute(
                f"UPDATE queue SET lane = :lane, held = 0, {AT_ONCE}, recipients = :some WHERE id = :id",  # noqa: S608 - words of ours
                {"lane": lane, "now": now, "some": encode_waiting(some), "id": number},
            )
            first = False
        wall = int(self._clock.wall_s())
        history.add(transaction, item.letter, wall, "rerouted", lane=", ".join(lanes))
        self._soon(transaction, ((lane, float(now)) for lane in lanes))
        return True

    async def _change(self, word: str, assignments: str, what: str) -> list[Item]:
        found = await self.find(word)
        wall, now = int(self._clock.wall_s()), int(self.now())

        def work(transaction: Transaction) -> None:
            for item in found:
                transaction.execute(
                    f"UPDATE queue SET {assignments} WHERE id = :id",  # noqa: S608 - words of ours
                    {"now": now, "id": item.id},
                )
            history.add(transaction, found[0].letter, wall, what)
            self._soon(transaction, ((item.lane, float(now)) for item in found))

        await self._database.write(work)
        return await self.find(word) if what != "retried" else found

    async def cancel(self, word: str) -> list[Item]:
        """Called back: a line in the history, no notice. What is being sent at this very moment may arrive all the same."""
        found = await self.find(word)
        wall = int(self._clock.wall_s())

        def work(transaction: Transaction) -> None:
            self._drop(transaction, [item.id for item in found])
            history.add(transaction, found[0].letter, wall, "cancelled", text="It was called back.")

        await self._database.write(work)
        return found

    async def flush(self) -> int:
        """Everything that waits is due now; how many rows."""
        now = int(self.now())

        def work(transaction: Transaction) -> int:
            changed = f"UPDATE queue SET {AT_ONCE} WHERE held = 0 AND due_at > :now RETURNING lane"  # noqa: S608 - words of ours
            rows = transaction.execute(changed, {"now": now}).fetchall()
            self._soon(transaction, ((lane, float(now)) for lane in {lane for (lane,) in rows}))
            return len(rows)

        return await self._database.write(work)

    async def timeline(self, word: str) -> list[history.Line]:
        """What became of a letter, by its name or the beginning of it. Raises SetupError."""

        def work(connection: sqlite3.Connection) -> list[history.Line]:
            if word.isdecimal() and len(word) <= 18:
                named = connection.execute("SELECT letter FROM queue WHERE id = ?", (word,)).fetchone()
                if named:
                    return history.timeline(connection, named[0])
            names = history.letters_like(connection, word) if word else []
            if len(names) > 1 and word not in names:
                raise SetupError(f'Several letters begin with "{word}".', "Give more of the name.")
            return history.timeline(connection, word if word in names else names[0]) if names else []

        found = await self._database.read(work)
        if not found:
            raise SetupError(
                f'The house knows nothing of a letter "{word}".', "Its name is in the answer to its sender and in its Received field."
            )
        return found


def expired(outcome: Outcome) -> Outcome:
    """Time is up (RFC 3463 §3.5: 4.4.7 becomes final)."""
    return replace(outcome, fate=Fate.FAILED, status="5.4.7", reason=Reason.EXPIRED)


_WHAT = {Reason.EXPIRED: "expired", Reason.CANCELLED: "cancelled"}


def _last(outcome: Outcome) -> Last:
    return Last(outcome.status, outcome.reason.name, outcome.text, outcome.host, str(outcome.reply) if outcome.reply else "")


def _text(address: Address | None) -> str | None:
    return None if address is None else encode_address(address).decode()


def _encode_options(leaving: Leaving) -> str:
    words = {
        "body": leaving.body_kind if leaving.body_kind != "7BIT" else "", "utf8": leaving.smtputf8, "ret": leaving.ret,
        "envid": leaving.envid, "tls": leaving.require_tls, "author": leaving.author,
    }  # fmt: skip
    kept = {key: value for key, value in words.items() if value}
    return json.dumps(kept, separators=(",", ":")) if kept else ""


def _item(row: tuple[Any, ...]) -> Item:
    options = json.loads(row[19]) if row[19] else {}
    return Item(
        id=QueueId(row[0]), letter=row[1], lane=row[2], held=bool(row[3]), due_at=row[4], tries=row[5], waited_s=row[6],
        interval_s=row[7], refusals=row[8], told_late=bool(row[9]), accepted_at=row[10], release_at=row[11],
        person=PersonId(row[12]) if row[12] is not None else None,
        sender=parse_address(row[13]) if row[13] is not None else None,
        origin=parse_address(row[14]) if row[14] is not None else None,
        body=BodyId(row[15]), prefix=row[16], octets=row[17], header_octets=row[18],
        body_kind=options.get("body", "7BIT"), smtputf8=options.get("utf8", False), ret=options.get("ret", ""),
        envid=options.get("envid", ""), require_tls=options.get("tls", False), author=options.get("author", ""),
        outbox=(MailboxId(row[20]), Uid(row[21])) if row[20] is not None else None, waiting=parse_waiting(row[22]),
    )  # fmt: skip
