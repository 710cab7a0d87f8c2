"""The queue runner: one task group that sleeps until a destination is due, delivers its messages, and records their outcomes.

Fairness: a destination has at most `sessions_per_destination` connections and all destinations together `sessions`; a dead or slow
destination occupies only its own. A destination without a route, or whose server cannot be reached, costs one attempt for all of
its messages at hand.
Shutdown: `drain` starts nothing new; what has begun may finish until the supervisor cancels it.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import trio

from appliance.delivery.body_chunks import chunks_of
from appliance.delivery.route import Route
from appliance.delivery.transport import DeliveryResult, Transport, TransportSession
from appliance.mail.address import Address
from appliance.mail.outcome import DsnAction, Reason
from appliance.mail.outgoing import OutgoingMessage
from appliance.queue.entry import QueueEntry
from appliance.queue.queue import Queue
from appliance.store.store import Store

from .queue_state import QueueStatePublisher, first_of
from .recorder import OutcomeRecorder

BATCH = 32
"""Messages of a destination read from the index at once."""
UNSETTLED = 64
"""Messages that were sent and whose outcome is not durable yet: what a power cut may send twice."""
_WHOLE_DESTINATION = frozenset(
    {Reason.UNREACHABLE, Reason.DNS, Reason.NO_DOMAIN, Reason.NO_MAIL, Reason.LOOP, Reason.NO_ROUTE, Reason.SIGN_IN}
)
"""Reasons that are not about the message: every other message of the destination would have the same outcome."""
_SENT = frozenset({DsnAction.RELAYED, DsnAction.DELIVERED, DsnAction.EXPANDED})


class RouteFinder(Protocol):
    """`routing.Routes`."""

    def route_to(self, destination: str, sender: Address | None) -> Route: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Most connections: in all, and to one destination."""

    sessions: int = 20
    sessions_per_destination: int = 4


class Runner:
    """`transport` is called when the first message is sent: nothing of the SMTP client is loaded before."""

    def __init__(
        self,
        *,
        queue: Queue,
        routes: RouteFinder,
        transport: Callable[[], Transport],
        recorder: OutcomeRecorder,
        state: QueueStatePublisher,
        store: Store,
        limits: Limits | None = None,
    ) -> None:
        self._queue = queue
        self._routes = routes
        self._make_transport = transport
        self._transport: Transport | None = None
        self._recorder = recorder
        self._state = state
        self._store = store
        self.limits = limits or Limits()
        self._connections: dict[str, int] = {}
        """Open or opening, by destination."""
        self._freed = trio.Event()
        self._draining = trio.Event()
        self._sessions: trio.Nursery
        self._unsettled = trio.Semaphore(UNSETTLED)

    async def run(self) -> None:
        """For ever; after `drain` until everything that has begun is over."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._state.run)
            async with trio.open_nursery() as self._sessions:
                while not self._draining.is_set():
                    await self._sleep()
                    await self._start_due()
            nursery.cancel_scope.cancel()

    def drain(self) -> None:
        self._draining.set()
        self._freed.set()

    # --- choosing a destination ------------------------------------------------------------------

    async def _sleep(self) -> None:
        """Until a destination is due and may have a connection, a message is queued, a connection ended, or `drain`."""
        changed, self._freed = self._queue.changed, trio.Event()
        if self._draining.is_set():
            return
        free = sum(self._connections.values()) < self.limits.sessions
        following = self._queue.destinations.next(self._connections) if free else None
        wait_s = max(0.0, following[1] - self._queue.now()) if following else float("inf")
        if wait_s <= 0.0:
            await trio.lowlevel.checkpoint()
            return
        with trio.move_on_after(wait_s):
            await first_of(changed, self._freed)

    async def _start_due(self) -> None:
        """Start sessions for the destinations that are due, while the limits allow."""
        while (room := self.limits.sessions - sum(self._connections.values())) > 0 and not self._draining.is_set():
            following = self._queue.destinations.next(self._connections)
            if following is None or following[1] > self._queue.now():
                return
            destination = following[0]
            entries = deque(await self._queue.due(destination, BATCH))
            if not entries:
                await self._queue.refresh(destination)
                continue
            self._queue.active.update(entry.id for entry in entries)
            count = min(room, self.limits.sessions_per_destination, (len(entries) + 1) // 2)
            self._connections[destination] = count
            for _ in range(count):
                self._sessions.start_soon(self._run_session, destination, entries)

    # --- delivering ------------------------------------------------------------------------------

    async def _run_session(self, destination: str, entries: deque[QueueEntry]) -> None:
        """One session with a destination, until its messages have all been tried."""
        try:
            while entries:
                route = self._routes.route_to(destination, entries[0].sender)
                async with self._get_transport().session(destination, route) as session:
                    while entries and self._routes.route_to(destination, entries[0].sender) == route:
                        if not await self._try(session, entries.popleft(), entries):
                            break
        finally:
            for entry in entries if self._connections[destination] == 1 else ():
                self._queue.active.discard(entry.id)
            self._connections[destination] -= 1
            if not self._connections[destination]:
                with trio.CancelScope(shield=True):
                    await self._queue.refresh(destination)
                del self._connections[destination]
            self._freed.set()

    def _get_transport(self) -> Transport:
        if self._transport is None:
            self._transport = self._make_transport()
        return self._transport

    async def _try(self, session: TransportSession, entry: QueueEntry, others: deque[QueueEntry]) -> bool:
        """Try one message; False when the session is over. The next one does not wait until a sent one is settled."""
        await self._unsettled.acquire()
        begun_mono = self._recorder.begin(entry)
        self._state.touch()
        try:
            delivery = await session.deliver(self._outgoing(entry))
        except BaseException:
            self._unsettled.release()
            self._inactive(entry)
            raise
        if delivery.also is None and all(one.action in _SENT for one in delivery.outcomes):
            self._sessions.start_soon(self._settle, entry, delivery, begun_mono)
            return delivery.reusable
        await self._settle(entry, delivery, begun_mono)
        if all(one.reason in _WHOLE_DESTINATION for one in delivery.outcomes):
            await self._record_for_all(delivery, others)
            return False
        return delivery.reusable

    async def _settle(self, entry: QueueEntry, delivery: DeliveryResult, begun_mono: float) -> None:
        try:
            await self._recorder.record(entry, delivery, begun_mono)
        finally:
            self._unsettled.release()
            self._inactive(entry)

    def _inactive(self, entry: QueueEntry) -> None:
        self._queue.active.discard(entry.id)
        self._state.touch()

    async def _record_for_all(self, delivery: DeliveryResult, others: deque[QueueEntry]) -> None:
        """Record an outcome that concerns the whole destination for its other messages at hand, without trying them."""
        outcome = delivery.outcomes[0]
        while others:
            entry = others.popleft()
            try:
                await self._recorder.record(entry, DeliveryResult(tuple(outcome for _ in entry.waiting), delivery.host_attempts))
            finally:
                self._queue.active.discard(entry.id)

    def _outgoing(self, entry: QueueEntry) -> OutgoingMessage:
        return OutgoingMessage(
            message=entry.message,
            sender=entry.sender,
            recipients=tuple(one.recipient for one in entry.waiting),
            octets=entry.octets,
            chunks=chunks_of(self._store, entry.body, entry.prefix),
            author=entry.author,
            stored=(entry.body, entry.prefix),
            options=entry.options,
        )
