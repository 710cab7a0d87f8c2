"""Starts the parts in order, starts a crashed one again, and lets the server end in order.

| phase    | event                          | next     | what happens                                                        |
|----------|--------------------------------|----------|---------------------------------------------------------------------|
| starting | every part stands              | ready    | HouseState, READY=1, watchdog beats begin                           |
| starting | a part fails before it stood   | stopped  | the others are cancelled, last first; its error is raised           |
| starting | SIGTERM, SIGINT                | draining | as from ready, with the parts that stand                            |
| ready    | a part crashes or just returns | ready    | TaskCrashed; again after a pause that doubles; TaskRunning          |
| ready    | SIGTERM, SIGINT, `stop()`      | draining | STOPPING=1, or RELOADING=1 before it begins again (sd_notify(3));   |
|          |                                |          | each part drained and ended, the one started last first             |
| ready    | SIGHUP                         | ready    | `on_hangup` (certificates are read again)                           |
| draining | a part crashes                 | draining | it stays down                                                       |
| draining | all parts ended                | stopped  | `run` returns; HouseState is whoever closes the rest's to say       |
| draining | SIGTERM, SIGINT again          | stopped  | what is left is cancelled at once, last first                       |

How it fails: the first error of a part that never stood comes out of `run`; nothing else does. A part that crashes
in its start after having stood before is only a crash.
"""

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum

import trio

from appliance.mail.errors import PillarboxError
from appliance.status.board import Board
from appliance.status.events import ServerState, TaskCrashed, TaskRunning
from appliance.status.journal import frames_of

from .notify import Notifier

PAUSE_S = (0.5, 60.0)
"""First and longest pause before a crashed part is started again."""
QUIET_S = 60.0
"""A part that ran this long without a crash begins again with the first pause."""
JITTER = 0.3
"""A pause is stretched by up to this part, so that parts that fell together do not rise together."""
DRAIN_S = 20.0
"""Longest a part may take to drain and end before it is cancelled; systemd's TimeoutStopSec must exceed the sum."""


class Ending(Enum):
    """How the server was told to end; the last word counts, so that a signal is never overruled by what was asked before it."""

    SIGNAL = "signal"
    AT_THE_BOX = "at the box"
    AGAIN = "again"


@dataclass(slots=True)
class Task:
    """One part of the server.

    `run` calls `task_status.started()` once it stands and then runs until cancelled, or until `drain` has returned
    (when there is one; a part without is cancelled). `alive` answers while the part is well: the watchdog asks it.
    `ends` says that returning is no crash: something that is done once.
    """

    name: str
    run: Callable[..., Awaitable[object]]
    drain: Callable[[], Awaitable[None]] | None = None
    alive: Callable[[], Awaitable[object]] | None = None
    ends: bool = False


class _Running:
    """One part as the supervisor holds it."""

    __slots__ = ("ended", "part", "scope", "stood", "stopping", "up")

    def __init__(self, part: Task) -> None:
        self.part = part
        self.scope = trio.CancelScope()
        self.ended = trio.Event()
        self.stopping = False
        self.up = False
        self.stood = False
        """It stood at least once: from then on a crash is no reason to give up."""


class Supervisor:
    """Runs `parts` in their order until told to stop."""

    def __init__(
        self,
        parts: Sequence[Task],
        *,
        board: Board,
        say: Callable[[str], None],
        notifier: Notifier | None = None,
        on_hangup: Callable[[], object] | None = None,
        jitter: Callable[[], float] | None = None,
        drain_s: float = DRAIN_S,
    ) -> None:
        self._parts = tuple(parts)
        self._board = board
        self._say = say
        self._notifier = notifier or Notifier({})
        self._on_hangup = on_hangup
        self._jitter = jitter or _random
        self._drain_s = drain_s
        self._running: list[_Running] = []
        self._stop = trio.Event()
        self._now = trio.Event()
        self.ending = Ending.SIGNAL

    def stop(self, ending: Ending = Ending.SIGNAL) -> None:
        """Drain and end; the second call ends at once."""
        self.ending = ending
        (self._now if self._stop.is_set() else self._stop).set()

    async def run(self, *, signals: bool = True, on_ready: Callable[[], object] | None = None) -> None:
        """The whole life of the server; `on_ready` is called once every part stands."""
        self._board.publish(ServerState("starting"))
        failure: Exception | None = None
        async with trio.open_nursery() as server:
            if signals:
                await server.start(self._hear_signals)
            failure = await self._start_all(server)
            if failure is None and not self._stop.is_set():
                self._board.publish(ServerState("ready"))
                self._notifier.tell("READY=1")
                if on_ready:
                    on_ready()
                if self._notifier.watchdog_s:
                    server.start_soon(self._beat)
                await self._stop.wait()
            self._board.publish(ServerState("draining"))
            self._notifier.tell("RELOADING=1" if self.ending is Ending.AGAIN else "STOPPING=1")
            await self._end_all(at_once=failure is not None)
            server.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _start_all(self, server: trio.Nursery) -> Exception | None:
        """Start in order, until told to stop; the error of the part that would not stand."""
        failure: Exception | None = None
        with trio.CancelScope() as starting:
            async with trio.open_nursery() as watching:
                watching.start_soon(_cancel_when, self._stop, starting)
                for part in self._parts:
                    running = _Running(part)
                    self._running.append(running)
                    try:
                        failure = await server.start(self._keep, running)
                    except trio.Cancelled:
                        running.ended.set()
                        raise
                    if failure is not None:
                        break
                watching.cancel_scope.cancel()
        return failure

    async def _keep(self, running: _Running, *, task_status: "trio.TaskStatus[Exception | None]") -> None:
        """One part, started again after each crash; `task_status` gets None when it stands, or why it never did."""
        part, pause_s = running.part, PAUSE_S[0]
        try:
            with running.scope:
                while True:
                    since = trio.current_time()
                    fault = await self._once(running, task_status)
                    if not running.stood:
                        task_status.started(fault)
                        return
                    if fault is None and (part.ends or running.stopping):
                        return
                    if trio.current_time() - since >= QUIET_S:
                        pause_s = PAUSE_S[0]
                    wait_s = pause_s * (1 + JITTER * self._jitter())
                    self._crashed(part.name, fault, wait_s)
                    if running.stopping:
                        return
                    pause_s = min(2 * pause_s, PAUSE_S[1])
                    await trio.sleep(wait_s)
        except Exception as e:  # what a part raised while it was cancelled
            self._crashed(part.name, _bare(e), 0.0)
        finally:
            running.ended.set()

    async def _once(self, running: _Running, task_status: "trio.TaskStatus[Exception | None]") -> Exception | None:
        """Run a part to its end (None) or crash (why)."""
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(running.part.run)
                running.up = True
                self._board.publish(TaskRunning(running.part.name))
                if not running.stood:
                    running.stood = True
                    task_status.started(None)
        except Exception as e:  # the supervisor is what stands between a crash and the server
            return _bare(e)
        finally:
            running.up = False
        return None

    def _crashed(self, name: str, fault: Exception | None, wait_s: float) -> None:
        told = "it ended on its own"
        if fault is not None:
            told = str(fault) if isinstance(fault, PillarboxError) else f"{type(fault).__name__}: {fault}"
        self._board.publish(TaskCrashed(name, told, wait_s))
        if fault is not None:
            for place in frames_of(fault):
                self._say(place)

    async def _end_all(self, *, at_once: bool) -> None:
        """End the parts, the one started last first, each within its time."""
        for running in reversed(self._running):
            running.stopping = True
            if not at_once and not self._now.is_set():
                await self._end_in_order(running)
            running.scope.cancel()
            await running.ended.wait()

    async def _end_in_order(self, running: _Running) -> None:
        drain = running.part.drain
        if drain is None or not running.up:
            return
        with trio.move_on_after(self._drain_s) as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_cancel_when, self._now, scope)
                try:
                    await drain()
                except Exception as e:  # a part that cannot drain is cancelled like one that has no drain
                    self._crashed(running.part.name, _bare(e), 0.0)
                else:
                    await running.ended.wait()
                nursery.cancel_scope.cancel()

    # --- signals and systemd --------------------------------------------------------------------

    async def _hear_signals(self, *, task_status: trio.TaskStatus[None]) -> None:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as received:
            task_status.started()
            await self._obey(received)

    async def _obey(self, received: AsyncIterator[int]) -> None:
        async for number in received:
            if number != signal.SIGHUP:
                self.stop()
            elif self._on_hangup:
                self._on_hangup()

    async def _beat(self) -> None:
        """Tell the watchdog twice in its time, while the loop turns and every part that can answer does."""
        every_s = self._notifier.watchdog_s / 2
        while True:
            with trio.move_on_after(every_s) as scope:
                try:
                    for running in self._running:
                        if running.part.alive:
                            await running.part.alive()
                except Exception as e:  # an answer that is an error is no answer
                    self._say(f"watchdog: {running.part.name} does not answer: {e}")
                    scope.cancel()
            if not scope.cancel_called:
                self._notifier.tell("WATCHDOG=1")
            await trio.sleep(every_s)


async def _cancel_when(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()


def _bare(fault: Exception) -> Exception:
    """The first error inside exception groups."""
    while isinstance(fault, ExceptionGroup):
        fault = fault.exceptions[0]
    return fault


def _random() -> float:
    """0 to 1."""
    return os.urandom(1)[0] / 255
