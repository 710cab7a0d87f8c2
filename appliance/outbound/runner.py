"""The one task group that sends what waits: it sleeps until a destination is due, travels it, and settles what became of each message.

Promise: no recipient is forgotten and none is told anything before the commit that makes it last. An outcome that cannot be
written (a full or broken card) is kept and written again; meanwhile nobody else takes the message.
Fairness: a destination has at most `sessions_per_lane` connections and all destinations together `sessions`; a destination that is dead or slow
holds only its own. A destination without a way, or whose server cannot be reached, costs one attempt for all of its messages at hand.
How it ends: `drain` starts nothing new; what has begun may finish until the supervisor cancels it.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import trio

from appliance.delivery.body_chunks import chunks_of
from appliance.delivery.route import Route
from appliance.delivery.transport import DeliveryResult, Transport, TransportSession
from appliance.dsn.report import DsnSender, RecipientReport, Subject
from appliance.mail.address import Address
from appliance.mail.clock import Clock
from appliance.mail.errors import StoreError
from appliance.mail.outcome import DeliveryStatus, Outcome, Reason
from appliance.mail.outgoing import OutgoingMessage
from appliance.queue.entry import QueueEntry
from appliance.queue.queue import AttemptResult, Queue
from appliance.status.events import AttemptBegun, Event, MessageDelayed, MessageFailed, MessageSent, QueueState

if TYPE_CHECKING:
    from appliance.store.store import Store

TOGETHER = 32
"""Messages of a destination taken from the index at once."""
WRITE_AGAIN_S = 30.0
STATE_S = 0.5
"""The board is told of the queue at most so often."""
_WHOLE_DESTINATION = frozenset(
    {Reason.UNREACHABLE, Reason.DNS, Reason.NO_DOMAIN, Reason.NO_MAIL, Reason.LOOP, Reason.NO_ROUTE, Reason.SIGN_IN}
)
"""Reasons that say nothing about the message: all others of the destination would meet the same."""


class RouteTable(Protocol):
    """Where destinations lead: `route.Routes`."""

    def route_to(self, destination: str, sender: Address | None) -> Route: ...
    def other_destination(self, entry: QueueEntry, outcomes: Sequence[Outcome], refusals: int) -> str | None: ...


class EventSink(Protocol):
    def publish(self, event: Event) -> None: ...


@dataclass(frozen=True, slots=True)
class Limits:
    sessions: int = 20
    sessions_per_destination: int = 4


class Runner:
    """Give `carrier` and `notices` as makers: nothing of the way out is loaded before the first message leaves."""

    def __init__(
        self,
        *,
        queue: Queue,
        routes: RouteTable,
        transport: Callable[[], Transport],
        notices: Callable[[], DsnSender],
        store: "Store",
        board: EventSink,
        clock: Clock,
        limits: Limits | None = None,
    ) -> None:
        self._queue = queue
        self._routes = routes
        self._make_transport = transport
        self._make_notices = notices
        self._transport: Transport | None = None
        self._notices: DsnSender | None = None
        self._store = store
        self._board = board
        self._clock = clock
        self._limits = limits or Limits()
        self._travelled: dict[str, int] = {}
        """Connections by destination."""
        self._freed = trio.Event()
        self._changed = trio.Event()
        self._draining = trio.Event()

    async def run(self) -> None:
        """For ever; after `drain` until everything that has begun is over."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tell_state)
            async with trio.open_nursery() as transport_sessions:
                while not self._draining.is_set():
                    await self._sleep()
                    await self._start_due(transport_sessions)
            nursery.cancel_scope.cancel()

    def drain(self) -> None:
        self._draining.set()
        self._freed.set()

    # --- choosing --------------------------------------------------------------------------------

    async def _sleep(self) -> None:
        """Until a destination with room is due, a message came, a connection ended, or the server closes."""
        moved, self._freed = self._queue.moved, trio.Event()
        if self._draining.is_set():
            return
        free = sum(self._travelled.values()) < self._limits.sessions
        following = self._queue.destinations.next(self._travelled) if free else None
        wait_s = max(0.0, following[1] - self._queue.now()) if following else float("inf")
        if wait_s <= 0.0:
            await trio.lowlevel.checkpoint()
            return
        with trio.move_on_after(wait_s):
            await first_of(moved, self._freed)

    async def _start_due(self, transport_sessions: trio.Nursery) -> None:
        """Begin to travel every destination that is due while there is room."""
        while (room := self._limits.sessions - sum(self._travelled.values())) > 0 and not self._draining.is_set():
            following = self._queue.destinations.next(self._travelled)
            if following is None or following[1] > self._queue.now():
                return
            destination = following[0]
            entries = deque(await self._queue.due(destination, TOGETHER))
            if not entries:
                await self._queue.look(destination)
                continue
            self._queue.trying.update(entry.id for entry in entries)
            sessions = min(room, self._limits.sessions_per_destination, (len(entries) + 1) // 2)
            self._travelled[destination] = sessions
            for _ in range(sessions):
                transport_sessions.start_soon(self._travel, destination, entries)

    # --- travelling ------------------------------------------------------------------------------

    async def _travel(self, destination: str, entries: deque[QueueEntry]) -> None:
        """One connection of a destination, until its messages are all tried."""
        try:
            while entries:
                route = self._routes.route_to(destination, entries[0].sender)
                async with self._carry().transport_session(destination, route) as transport_session:
                    while entries and self._routes.route_to(destination, entries[0].sender) == route:
                        if not await self._try(transport_session, entries.popleft(), entries):
                            break
        finally:
            for entry in entries if self._travelled[destination] == 1 else ():
                self._queue.trying.discard(entry.id)
            self._travelled[destination] -= 1
            if not self._travelled[destination]:
                with trio.CancelScope(shield=True):
                    await self._queue.look(destination)
                del self._travelled[destination]
            self._freed.set()

    def _carry(self) -> Transport:
        if self._transport is None:
            self._transport = self._make_transport()
        return self._transport

    async def _try(self, transport_session: TransportSession, entry: QueueEntry, others: deque[QueueEntry]) -> bool:
        """Try one message; False when the connection is over."""
        self._board.publish(AttemptBegun(entry.message, entry.destination))
        self._changed.set()
        begun_mono = self._clock.mono_s()
        try:
            delivery = await transport_session.deliver(self._outgoing(entry), lambda: None)
            await self._settle(entry, delivery, self._clock.mono_s() - begun_mono)
        finally:
            self._queue.trying.discard(entry.id)
        if all(one.reason in _WHOLE_DESTINATION for one in delivery.outcomes):
            await self._same_for_all(delivery, others)
            return False
        return delivery.again

    async def _same_for_all(self, delivery: DeliveryResult, others: deque[QueueEntry]) -> None:
        """What the destination's messages at hand would all meet is not tried again for each."""
        while others:
            entry = others.popleft()
            try:
                outcome = delivery.outcomes[0]
                await self._settle(entry, DeliveryResult(tuple(outcome for _ in entry.waiting), delivery.host_attempts), 0.0)
            finally:
                self._queue.trying.discard(entry.id)

    def _outgoing(self, entry: QueueEntry) -> OutgoingMessage:
        return OutgoingMessage(
            message=entry.message,
            sender=entry.sender,
            recipients=tuple(one.recipient for one in entry.waiting),
            octets=entry.octets,
            chunks=chunks_of(self._store, entry.body, entry.prefix),
            author=entry.author,
            kept=(entry.body, entry.prefix),
            **entry.options(),
        )

    # --- settling --------------------------------------------------------------------------------

    async def _settle(self, entry: QueueEntry, delivery: DeliveryResult, took_s: float) -> None:
        """Make the outcomes last, tell the sender in the same commit, then the board. Comes back until it is written."""
        settlement = self._queue.judge(entry, delivery.outcomes, delivery.host_attempts, self._routes.other_destination)
        while True:
            try:
                await self._write(settlement, delivery)
                break
            except StoreError:
                await trio.sleep(WRITE_AGAIN_S)
        self._announce(settlement, took_s)

    async def _write(self, settlement: AttemptResult, delivery: DeliveryResult) -> None:
        entry, at = settlement.entry, int(self._clock.wall_s())
        gives_up_at = at + max(0, int(self._queue.intervals.give_up_s) - entry.waited_s - entry.interval_s)
        reports = [RecipientReport(one.recipient, outcome, at, passed_on=delivery.passed_on) for one, outcome in settlement.ended]
        reports += [RecipientReport(one.recipient, outcome, at, gives_up_at) for one, outcome in settlement.late]
        if self._notices is None:
            self._notices = self._make_notices()
        subject = Subject(
            message=entry.message,
            sender=entry.origin,
            octets=entry.octets,
            chunks=chunks_of(self._store, entry.body, entry.prefix),
            arrived_at=entry.accepted_at,
            header_octets=entry.header_octets,
            **entry.options(),
        )

        def settle(transaction: Any) -> None:
            if delivery.also is not None:
                delivery.also(transaction)  # first: it takes over a body that the row may be the last to hold
            self._queue.settle(transaction, settlement)

        await self._notices.tell(subject, reports, settle)

    def _announce(self, settlement: AttemptResult, took_s: float) -> None:
        entry = settlement.entry
        sent = [outcome for _, outcome in settlement.ended if outcome.delivery_status is not DeliveryStatus.FAILED]
        failed = [outcome for _, outcome in settlement.ended if outcome.delivery_status is DeliveryStatus.FAILED]
        if sent:
            tls = settlement.host_attempts[-1].tls if settlement.host_attempts else ""
            self._board.publish(MessageSent(entry.message, entry.destination, sent[0].host, len(sent), entry.octets, tls, took_s))
        if failed:
            self._board.publish(MessageFailed(entry.message, entry.destination, len(failed), failed[0].text))
        if settlement.kept:
            last = settlement.kept[0].last
            cause = last.reason.lower()
            self._board.publish(MessageDelayed(entry.message, entry.destination, len(settlement.kept), last.text, settlement.wait_s, cause))
        self._changed.set()

    # --- the picture -----------------------------------------------------------------------------

    async def _tell_state(self) -> None:
        """Tell the board how the queue is, after changes, at most every STATE_S."""
        while True:
            moved, self._changed = self._queue.moved, trio.Event()
            counts = await self._queue.counts()
            following = self._queue.destinations.next()
            oldest_s = self._clock.wall_s() - counts.oldest_at if counts.oldest_at else 0.0
            self._board.publish(
                QueueState(
                    counts.waiting, counts.held, len(self._queue.trying), counts.stuck, len(self._queue.destinations), max(0.0, oldest_s),
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
