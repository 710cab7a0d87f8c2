"""Publish the state of the queue to the status board, after changes, at most every STATE_S."""

import trio

from appliance.mail.clock import Clock
from appliance.queue.admin import QueueAdmin
from appliance.queue.queue import Queue
from appliance.status.events import QueueState

from .recorder import EventSink

STATE_S = 0.5


class QueueStatePublisher:
    """`run` publishes for ever; `touch` says that something changed besides the queue's rows."""

    def __init__(self, queue: Queue, board: EventSink, clock: Clock) -> None:
        self._queue = queue
        self._admin = QueueAdmin(queue)
        self._board = board
        self._clock = clock
        self._changed = trio.Event()

    def touch(self) -> None:
        self._changed.set()

    async def run(self) -> None:
        while True:
            queued, self._changed = self._queue.changed, trio.Event()
            counts = await self._admin.counts()
            following = self._queue.destinations.next()
            oldest_s = self._clock.wall_s() - counts.oldest_at if counts.oldest_at else 0.0
            self._board.publish(
                QueueState(
                    counts.waiting, counts.held, len(self._queue.active), counts.stuck, len(self._queue.destinations), max(0.0, oldest_s),
                    max(0.0, following[1] - self._queue.now()) if following else None,
                )
            )  # fmt: skip
            await trio.sleep(STATE_S)
            await first_of(queued, self._changed)


async def first_of(*events: trio.Event) -> None:
    """Until one of them is set."""
    async with trio.open_nursery() as nursery:

        async def until(event: trio.Event) -> None:
            await event.wait()
            nursery.cancel_scope.cancel()

        for event in events:
            nursery.start_soon(until, event)
