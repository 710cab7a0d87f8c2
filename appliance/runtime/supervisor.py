"""Starts the server's tasks in order, restarts one that crashes, and shuts the server down in order.

| phase    | event                          | next     | what happens                                                        |
|----------|--------------------------------|----------|---------------------------------------------------------------------|
| starting | every task has started         | ready    | ServerState, READY=1, watchdog notifications begin                  |
| starting | a task fails before it started | stopped  | the others are cancelled, last first; its error is raised           |
| starting | SIGTERM, SIGINT                | draining | as from ready, with the tasks that have started                     |
| ready    | a task crashes or just returns | ready    | TaskCrashed; restarted after a pause that doubles; TaskRunning      |
| ready    | SIGTERM, SIGINT, `stop()`      | draining | STOPPING=1, RELOADING=1 or STATUS (sd_notify(3), REPORTED);         |
|          |                                |          | each task drained and ended, the one started last first             |
| ready    | SIGHUP                         | ready    | `on_hangup` (certificates are read again)                           |
| draining | a task crashes                 | draining | it is not restarted                                                 |
| draining | all tasks ended                | stopped  | `run` returns; the caller publishes the last ServerState            |
| draining | SIGTERM, SIGINT again          | stopped  | what is left is cancelled at once, last first                       |

How it fails: the first error of a task that never started comes out of `run`; nothing else does. A task that crashes
while it restarts is only a crash.
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
"""First and longest pause before a crashed task is restarted."""
QUIET_S = 60.0
"""A task that ran this long without a crash is restarted after the first pause again."""
JITTER = 0.3
"""A pause is stretched by up to this fraction, so that tasks that crashed together do not restart together."""
DRAIN_S = 20.0
"""Longest a task may take to drain and end before it is cancelled; systemd's TimeoutStopSec must exceed the sum."""


class Ending(Enum):
    """How the server is to end: by a signal, shut down or restarted by an admin request. The last request counts, so that a
    signal is never overruled by an earlier request."""

    SIGNAL = "signal"
    SHUT_DOWN = "shut down"
    RESTART = "restart"


REPORTED = {Ending.SIGNAL: "STOPPING=1", Ending.RESTART: "RELOADING=1", Ending.SHUT_DOWN: "STATUS=Shut down by an admin request."}
"""What systemd is told of an ending. A server that was shut down may stay, to show on its LEDs that the plug may be pulled: told
STOPPING=1, systemd would wait for its end without a signal, and then kill it."""


@dataclass(slots=True)
class Task:
    """One long-running task of the server.

    `run` calls `task_status.started()` once it has started and then runs until cancelled, or until `drain` has returned
    (when there is one; a task without is cancelled). `alive` returns while the task is well: the watchdog calls it.
    `ends` says that returning is no crash: something that is done once.
    """

    name: str
    run: Callable[..., Awaitable[object]]
    drain: Callable[[], Awaitable[None]] | None = None
    alive: Callable[[], Awaitable[object]] | None = None
    ends: bool = False


class _Running:
    """The supervisor's state of one task."""

    __slots__ = ("ended", "has_started", "scope", "stopping", "task", "up")

    def __init__(self, task: Task) -> None:
        self.task = task
        self.scope = trio.CancelScope()
        self.ended = trio.Event()
        self.stopping = False
        self.up = False
        self.has_started = False
        """It started at least once: from then on a crash does not end the server."""


class Supervisor:
    """Runs `tasks`, started in their order, until `stop`."""

    def __init__(
        self,
        tasks: Sequence[Task],
        *,
        board: Board,
        log: Callable[[str], None],
        notifier: Notifier | None = None,
        on_hangup: Callable[[], object] | None = None,
        jitter: Callable[[], float] | None = None,
        drain_s: float = DRAIN_S,
    ) -> None:
        self._tasks = tuple(tasks)
        self._board = board
        self._log = log
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
        """The whole life of the server; `on_ready` is called once every task has started."""
        self._board.publish(ServerState("starting"))
        failure: Exception | None = None
        async with trio.open_nursery() as server:
            if signals:
                await server.start(self._receive_signals)
            failure = await self._start_all(server)
            if failure is None and not self._stop.is_set():
                self._board.publish(ServerState("ready"))
                self._notifier.notify("READY=1")
                if on_ready:
                    on_ready()
                if self._notifier.watchdog_s:
                    server.start_soon(self._notify_watchdog)
                await self._stop.wait()
            self._board.publish(ServerState("draining"))
            self._notifier.notify(REPORTED[self.ending])
            await self._end_all(at_once=failure is not None)
            server.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _start_all(self, server: trio.Nursery) -> Exception | None:
        """Start in order, until `stop`; the error of the task that did not start."""
        failure: Exception | None = None
        with trio.CancelScope() as starting:
            async with trio.open_nursery() as watching:
                watching.start_soon(_cancel_when, self._stop, starting)
                for task in self._tasks:
                    running = _Running(task)
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
        """One task, restarted after each crash; `task_status` gets None when it has started, or the error of its first start."""
        task, pause_s = running.task, PAUSE_S[0]
        try:
            with running.scope:
                while True:
                    since = trio.current_time()
                    fault = await self._once(running, task_status)
                    if not running.has_started:
                        task_status.started(fault)
                        return
                    if fault is None and (task.ends or running.stopping):
                        return
                    if trio.current_time() - since >= QUIET_S:
                        pause_s = PAUSE_S[0]
                    wait_s = pause_s * (1 + JITTER * self._jitter())
                    self._crashed(task.name, fault, wait_s)
                    if running.stopping:
                        return
                    pause_s = min(2 * pause_s, PAUSE_S[1])
                    await trio.sleep(wait_s)
        except Exception as e:  # raised while it was cancelled
            self._crashed(task.name, _unwrapped(e), 0.0)
        finally:
            running.ended.set()

    async def _once(self, running: _Running, task_status: "trio.TaskStatus[Exception | None]") -> Exception | None:
        """Run a task to its end (None) or crash (the error)."""
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(running.task.run)
                running.up = True
                self._board.publish(TaskRunning(running.task.name))
                if not running.has_started:
                    running.has_started = True
                    task_status.started(None)
        except Exception as e:  # whatever a task raises, the server goes on
            return _unwrapped(e)
        finally:
            running.up = False
        return None

    def _crashed(self, name: str, fault: Exception | None, wait_s: float) -> None:
        reason = "it ended on its own"
        if fault is not None:
            reason = str(fault) if isinstance(fault, PillarboxError) else f"{type(fault).__name__}: {fault}"
        self._board.publish(TaskCrashed(name, reason, wait_s))
        if fault is not None:
            for place in frames_of(fault):
                self._log(place)

    async def _end_all(self, *, at_once: bool) -> None:
        """End the tasks, the one started last first, each within its time."""
        for running in reversed(self._running):
            running.stopping = True
            if not at_once and not self._now.is_set():
                await self._end_in_order(running)
            running.scope.cancel()
            await running.ended.wait()

    async def _end_in_order(self, running: _Running) -> None:
        drain = running.task.drain
        if drain is None or not running.up:
            return
        with trio.move_on_after(self._drain_s) as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_cancel_when, self._now, scope)
                try:
                    await drain()
                except Exception as e:  # a task whose drain fails is cancelled like one that has none
                    self._crashed(running.task.name, _unwrapped(e), 0.0)
                else:
                    await running.ended.wait()
                nursery.cancel_scope.cancel()

    # --- signals and systemd --------------------------------------------------------------------

    async def _receive_signals(self, *, task_status: trio.TaskStatus[None]) -> None:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as received:
            task_status.started()
            await self._handle(received)

    async def _handle(self, received: AsyncIterator[int]) -> None:
        async for number in received:
            if number != signal.SIGHUP:
                self.stop()
            elif self._on_hangup:
                self._on_hangup()

    async def _notify_watchdog(self) -> None:
        """Notify the watchdog twice in its time, while the event loop runs and every task with `alive` answers."""
        every_s = self._notifier.watchdog_s / 2
        while True:
            with trio.move_on_after(every_s) as scope:
                try:
                    for running in self._running:
                        if running.task.alive:
                            await running.task.alive()
                except Exception as e:  # an error is no answer
                    self._log(f"watchdog: {running.task.name} does not answer: {e}")
                    scope.cancel()
            if not scope.cancel_called:
                self._notifier.notify("WATCHDOG=1")
            await trio.sleep(every_s)


async def _cancel_when(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()


def _unwrapped(fault: Exception) -> Exception:
    """The first error inside exception groups."""
    while isinstance(fault, ExceptionGroup):
        fault = fault.exceptions[0]
    return fault


def _random() -> float:
    """0 to 1."""
    return os.urandom(1)[0] / 255
