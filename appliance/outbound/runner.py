"""The one task group that sends what waits: it sleeps until a lane is due, travels it, and settles what became of each letter.

Promise: no recipient is forgotten and none is told anything before the commit that makes it last. An outcome that cannot be
written (a full or broken card) is kept and written again; meanwhile nobody else takes the letter.
Fairness: a lane has at most `sessions_per_lane` connections and all lanes together `sessions`; a lane that is dead or slow
holds only its own. A lane without a way, or whose house cannot be reached, costs one attempt for all of its letters at hand.
How it ends: `drain` starts nothing new; what has begun may finish until the supervisor cancels it.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import trio

from appliance.delivery.body_chunks import pieces_of
from appliance.delivery.route import Way
from appliance.delivery.transport import Carrier, Delivery, Trip
from appliance.dsn.report import Entry, Notices, Subject
from appliance.mail.address import Address
from appliance.mail.clock import Clock
from appliance.mail.errors import StoreError
from appliance.mail.outcome import Fate, Outcome, Reason
from appliance.mail.outgoing import Parcel
from appliance.queue.entry import Item
from appliance.queue.queue import Queue, Settlement
from appliance.status.events import AttemptBegun, Event, LetterDelayed, LetterFailed, LetterSent, QueueState

if TYPE_CHECKING:
    from appliance.store.mailbox import Store

TOGETHER = 32
"""Letters of a lane taken from the index at once."""
WRITE_AGAIN_S = 30.0
STATE_S = 0.5
"""The board is told of the queue at most so often."""
_WHOLE_LANE = frozenset({Reason.UNREACHABLE, Reason.DNS, Reason.NO_DOMAIN, Reason.NO_MAIL, Reason.LOOP, Reason.NO_ROUTE, Reason.SIGN_IN})
"""Reasons that say nothing about the letter: all others of the lane would meet the same."""


class Ways(Protocol):
    """Where lanes lead: `route.Routes`."""

    def way(self, lane: str, sender: Address | None) -> Way: ...
    def other_lane(self, item: Item, outcomes: Sequence[Outcome], refusals: int) -> str | None: ...


class Board(Protocol):
    def publish(self, event: Event) -> None: ...


@dataclass(frozen=True, slots=True)
class Limits:
    sessions: int = 20
    sessions_per_lane: int = 4


class Runner:
    """Give `carrier` and `notices` as makers: nothing of the way out is loaded before the first letter leaves."""

    def __init__(
        self,
        *,
        queue: Queue,
        ways: Ways,
        carrier: Callable[[], Carrier],
        notices: Callable[[], Notices],
        store: "Store",
        board: Board,
        clock: Clock,
        limits: Limits | None = None,
    ) -> None:
        self._queue = queue
        self._ways = ways
        self._make_carrier = carrier
        self._make_notices = notices
        self._carrier: Carrier | None = None
        self._notices: Notices | None = None
        self._store = store
        self._board = board
        self._clock = clock
        self._limits = limits or Limits()
        self._travelled: dict[str, int] = {}
        """Connections by lane."""
        self._freed = trio.Event()
        self._changed = trio.Event()
        self._draining = trio.Event()

    async def run(self) -> None:
        """For ever; after `drain` until everything that has begun is over."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tell_state)
            async with trio.open_nursery() as trips:
                while not self._draining.is_set():
                    await self._sleep()
                    await self._start_due(trips)
            nursery.cancel_scope.cancel()

    def drain(self) -> None:
        self._draining.set()
        self._freed.set()

    # --- choosing --------------------------------------------------------------------------------

    async def _sleep(self) -> None:
        """Until a lane with room is due, a letter came, a connection ended, or the house closes."""
        moved, self._freed = self._queue.moved, trio.Event()
        if self._draining.is_set():
            return
        free = sum(self._travelled.values()) < self._limits.sessions
        following = self._queue.lanes.next(self._travelled) if free else None
        wait_s = max(0.0, following[1] - self._queue.now()) if following else float("inf")
        if wait_s <= 0.0:
            await trio.lowlevel.checkpoint()
            return
        with trio.move_on_after(wait_s):
            await first_of(moved, self._freed)

    async def _start_due(self, trips: trio.Nursery) -> None:
        """Begin to travel every lane that is due while there is room."""
        while (room := self._limits.sessions - sum(self._travelled.values())) > 0 and not self._draining.is_set():
            following = self._queue.lanes.next(self._travelled)
            if following is None or following[1] > self._queue.now():
                return
            lane = following[0]
            items = deque(await self._queue.due(lane, TOGETHER))
            if not items:
                await self._queue.look(lane)
                continue
            self._queue.trying.update(item.id for item in items)
            sessions = min(room, self._limits.sessions_per_lane, (len(items) + 1) // 2)
            self._travelled[lane] = sessions
            for _ in range(sessions):
                trips.start_soon(self._travel, lane, items)

    # --- travelling ------------------------------------------------------------------------------

    async def _travel(self, lane: str, items: deque[Item]) -> None:
        """One connection of a lane, until its letters are all tried."""
        try:
            while items:
                way = self._ways.way(lane, items[0].sender)
                async with self._carry().trip(lane, way) as trip:
                    while items and self._ways.way(lane, items[0].sender) == way:
                        if not await self._try(trip, items.popleft(), items):
                            break
        finally:
            for item in items if self._travelled[lane] == 1 else ():
                self._queue.trying.discard(item.id)
            self._travelled[lane] -= 1
            if not self._travelled[lane]:
                with trio.CancelScope(shield=True):
                    await self._queue.look(lane)
                del self._travelled[lane]
            self._freed.set()

    def _carry(self) -> Carrier:
        if self._carrier is None:
            self._carrier = self._make_carrier()
        return self._carrier

    async def _try(self, trip: Trip, item: Item, others: deque[Item]) -> bool:
        """Try one letter; False when the connection is over."""
        self._board.publish(AttemptBegun(item.letter, item.lane))
        self._changed.set()
        begun_mono = self._clock.mono_s()
        try:
            delivery = await trip.deliver(self._parcel(item), lambda: None)
            await self._settle(item, delivery, self._clock.mono_s() - begun_mono)
        finally:
            self._queue.trying.discard(item.id)
        if all(one.reason in _WHOLE_LANE for one in delivery.outcomes):
            await self._same_for_all(delivery, others)
            return False
        return delivery.again

    async def _same_for_all(self, delivery: Delivery, others: deque[Item]) -> None:
        """What the lane's letters at hand would all meet is not tried again for each."""
        while others:
            item = others.popleft()
            try:
                outcome = delivery.outcomes[0]
                await self._settle(item, Delivery(tuple(outcome for _ in item.waiting), delivery.meetings), 0.0)
            finally:
                self._queue.trying.discard(item.id)

    def _parcel(self, item: Item) -> Parcel:
        return Parcel(
            letter=item.letter,
            sender=item.sender,
            recipients=tuple(one.recipient for one in item.waiting),
            octets=item.octets,
            pieces=pieces_of(self._store, item.body, item.prefix),
            author=item.author,
            kept=(item.body, item.prefix),
            **item.options(),
        )

    # --- settling --------------------------------------------------------------------------------

    async def _settle(self, item: Item, delivery: Delivery, took_s: float) -> None:
        """Make the outcomes last, tell the sender in the same commit, then the board. Comes back until it is written."""
        settlement = self._queue.judge(item, delivery.outcomes, delivery.meetings, self._ways.other_lane)
        while True:
            try:
                await self._write(settlement, delivery)
                break
            except StoreError:
                await trio.sleep(WRITE_AGAIN_S)
        self._announce(settlement, took_s)

    async def _write(self, settlement: Settlement, delivery: Delivery) -> None:
        item, at = settlement.item, int(self._clock.wall_s())
        gives_up_at = at + max(0, int(self._queue.intervals.give_up_s) - item.waited_s - item.interval_s)
        entries = [Entry(one.recipient, outcome, at, passed_on=delivery.passed_on) for one, outcome in settlement.ended]
        entries += [Entry(one.recipient, outcome, at, gives_up_at) for one, outcome in settlement.late]
        if self._notices is None:
            self._notices = self._make_notices()
        subject = Subject(
            letter=item.letter,
            sender=item.origin,
            octets=item.octets,
            pieces=pieces_of(self._store, item.body, item.prefix),
            arrived_at=item.accepted_at,
            header_octets=item.header_octets,
            **item.options(),
        )

        def settle(transaction: Any) -> None:
            if delivery.also is not None:
                delivery.also(transaction)  # first: it takes over a body that the row may be the last to hold
            self._queue.settle(transaction, settlement)

        await self._notices.tell(subject, entries, settle)

    def _announce(self, settlement: Settlement, took_s: float) -> None:
        item = settlement.item
        sent = [outcome for _, outcome in settlement.ended if outcome.fate is not Fate.FAILED]
        failed = [outcome for _, outcome in settlement.ended if outcome.fate is Fate.FAILED]
        if sent:
            tls = settlement.meetings[-1].tls if settlement.meetings else ""
            self._board.publish(LetterSent(item.letter, item.lane, sent[0].host, len(sent), item.octets, tls, took_s))
        if failed:
            self._board.publish(LetterFailed(item.letter, item.lane, len(failed), failed[0].text))
        if settlement.kept:
            last = settlement.kept[0].last
            cause = last.reason.lower()
            self._board.publish(LetterDelayed(item.letter, item.lane, len(settlement.kept), last.text, settlement.wait_s, cause))
        self._changed.set()

    # --- the picture -----------------------------------------------------------------------------

    async def _tell_state(self) -> None:
        """Tell the board how the queue is, after changes, at most every STATE_S."""
        while True:
            moved, self._changed = self._queue.moved, trio.Event()
            counts = await self._queue.counts()
            following = self._queue.lanes.next()
            oldest_s = self._clock.wall_s() - counts.oldest_at if counts.oldest_at else 0.0
            self._board.publish(
                QueueState(
                    counts.waiting, counts.held, len(self._queue.trying), counts.stuck, len(self._queue.lanes), max(0.0, oldest_s),
                    max(0.0, following[1] - self._queue.now()) if following else None,
                )
            )  # fmt: skip
            await trio.sleep(STATE_S)
            await first_of(moved, self._changed)


async def first_of(*events: trio.Event) -> None:
    """Until one of them is set."""
    async with trio.open_nursery() as nursery:

        async def until(event: trio.Event) -> None:
            await event.wait()
            nursery.cancel_scope.cancel()

        for event in events:
            nursery.start_soon(until, event)
