"""The one writer thread: requests in, group commits out.

Promises: a request is durable when `write` returns; groups commit in the order requests came, lazy ones among
them; a group costs one sync and one wake-up of the event loop, however many wait; the inbox is bounded in requests
and octets and later requests wait their turn, without polling; a request withdrawn before its group began leaves
no trace; the writer stops last and finishes what it was given.

Fails with StoreError FULL for the request that met full storage, BROKEN when a commit failed (see `group`).
"""

import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import outcome
import trio

from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import MailboxId, ModSeq
from appliance.mail.limits import LAZY_S, WRITER_OCTETS, WRITER_REQUESTS

from .engine import Engine, Report
from .group import Request, Transaction

__all__ = ("Transaction", "Watch", "Writer", "Writes")

T = TypeVar("T")
Watch = Callable[[Mapping[MailboxId, ModSeq]], None]

GROUP_REQUESTS = 128
LINGER_S = 0.007
"""Under load (groups of more than one of late) the next group gets this long to gather; a lone session never waits.
50 sessions on a fast disk, flushes a message: 0.69 without, 0.44 with 2 ms, 0.36 with 4 ms, 0.28 with 7 ms, and no fewer
messages a second with any of them."""
LAZY_REQUESTS = 8192
"""Lazy requests under way; more are turned away (and reported): storage that hangs must not fill the memory."""


class Writes(Protocol):
    """What packages above use of the writer (the real one, or one for tests that commits inline)."""

    async def write(self, work: Callable[[Transaction], T], *, octets: int = 0, hold_s: float = 0.0) -> T:
        """Run `work` in the next group; return its result after the commit is durable.

        `hold_s`: so long it may be held, with those that come after it, for one that may not be held.

        Raises what `work` raised (its savepoint rolled back, the group unharmed), StoreError FULL when this
        request met full storage, StoreError BROKEN when the commit failed. Cancelled before its group began,
        the request leaves no trace; afterwards it commits whether or not anyone waits. `work` runs on the writer
        thread and may run again after others' trouble: it must not change anything but the database.
        """
        ...

    def write_lazily(self, work: Callable[[Transaction], object]) -> None:
        """Run `work` with the next durable commit or within LAZY_S, in order; the caller does not wait; failure is journalled."""
        ...


class Writer:
    """The thread around an Engine. `start` and everything public but the thread's own part run on the trio thread."""

    def __init__(self, engine: Engine, *, group_octets: int, report: Report, lazy_s: float = LAZY_S) -> None:
        self._engine = engine
        self._group_octets = group_octets
        self._report = report
        self._lazy_s = lazy_s
        self._inbox: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._claim = threading.Lock()
        self._finished: deque[list[Request]] = deque()
        self._thread = threading.Thread(target=self._run, name="database-writer", daemon=True)
        self._token: trio.lowlevel.TrioToken
        self._open = False
        # on the trio thread only: what is in the inbox or being written, and which requests wait to get there
        self._waiting: deque[Request] = deque()
        self._requests = 0
        self._octets = 0
        self._lazy = 0
        self._watchers: list[Watch] = []
        self._usual = 1.0
        """On the writer thread only: how many requests of late groups could not be held."""

    def start(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._open = True
        self._thread.start()

    def watch(self, call: Watch) -> None:
        """`call` runs on the trio thread after each durable commit, before the waiting tasks resume."""
        self._watchers.append(call)

    async def write(self, work: Callable[[Transaction], T], *, octets: int = 0, hold_s: float = 0.0) -> T:
        """See Writes."""
        if not self._open:
            raise StoreError(Trouble.BROKEN, "the database is closed")
        await trio.lowlevel.checkpoint_if_cancelled()
        request = Request(work, octets, hold_s=hold_s, task=trio.lowlevel.current_task())
        if self._waiting or not self._has_room(request):
            self._waiting.append(request)
        else:
            self._admit(request)

        def abort(_: Any) -> trio.lowlevel.Abort:
            with self._claim:
                if request.begun:
                    return trio.lowlevel.Abort.FAILED
                request.withdrawn = True
            if request in self._waiting:
                self._waiting.remove(request)
            return trio.lowlevel.Abort.SUCCEEDED

        result: T = await trio.lowlevel.wait_task_rescheduled(abort)
        return result

    def write_lazily(self, work: Callable[[Transaction], object]) -> None:
        """See Writes."""
        if not self._open or self._lazy >= LAZY_REQUESTS:
            self._report("lazy", "the database is closed" if not self._open else "too many small changes wait")
            return
        self._lazy += 1
        self._inbox.put(Request(work, lazy=True, hold_s=self._lazy_s))

    async def stop(self) -> None:
        """Finish all requests given so far, then end the thread. Not cancelled half way."""
        if not self._open:
            return
        with trio.CancelScope(shield=True):
            while self._waiting:
                await self.write(lambda _: None)
            self._open = False
            self._inbox.put(None)
            await trio.to_thread.run_sync(self._thread.join)
            self._resume()

    def _has_room(self, request: Request) -> bool:
        if not self._requests:
            return True
        return self._requests < WRITER_REQUESTS and self._octets + request.octets <= WRITER_OCTETS

    def _admit(self, request: Request) -> None:
        self._requests += 1
        self._octets += request.octets
        self._inbox.put(request)

    def _resume(self) -> None:
        """On the trio thread: watchers first, then room for waiting requests, then the tasks whose requests are done."""
        while self._finished:
            group = self._finished.popleft()
            touched: dict[MailboxId, ModSeq] = {}
            for request in group:
                if request.lazy:
                    self._lazy -= 1
                else:
                    self._requests -= 1
                    self._octets -= request.octets
                if request.touched and request.error is None:
                    for mailbox, modseq in request.touched.items():
                        if touched.get(mailbox, 0) < modseq:
                            touched[mailbox] = modseq
            if touched:
                for call in self._watchers:
                    call(touched)
            while self._waiting and self._has_room(self._waiting[0]):
                self._admit(self._waiting.popleft())
            for request in group:
                if request.withdrawn:
                    continue
                if request.task is not None:
                    error = request.error
                    trio.lowlevel.reschedule(request.task, outcome.Value(request.result) if error is None else outcome.Error(error))
                elif request.error is not None:
                    self._report("lazy", f"a small change was lost: {request.error}")

    # --- the writer thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        going = True
        while going:
            group, going = self._gather()
            if group:
                self._write(group)
        self._engine.close()

    def _gather(self) -> tuple[list[Request], bool]:
        """The next group in the order of asking; False with it when it is the last one.

        Requests that may be held wait for one that may not, or until the first of them is due.
        """
        group: list[Request] = []
        octets, hurried, until_mono = 0, 0, math.inf
        while octets < self._group_octets and len(group) < GROUP_REQUESTS:
            try:
                if hurried:
                    request = self._inbox.get_nowait()
                elif group:
                    request = self._inbox.get(timeout=max(0.0, until_mono - time.monotonic()))
                else:
                    request = self._inbox.get()
            except queue.Empty:
                break
            if request is None:
                return group, False
            group.append(request)
            octets += request.octets
            if request.hold_s:
                until_mono = min(until_mono, time.monotonic() + request.hold_s)
                continue
            hurried += 1
            if hurried == 1 and self._usual > 1.5:
                time.sleep(LINGER_S)
        if hurried:
            self._usual = 0.8 * self._usual + 0.2 * hurried
        return group, True

    def _write(self, group: list[Request]) -> None:
        with self._claim:
            wanted = []
            for request in group:
                if not request.withdrawn:
                    request.begun = True
                    wanted.append(request)
        if wanted:
            self._engine.run(wanted)
        self._finished.append(group)
        try:
            self._token.run_sync_soon(self._resume)
        except trio.RunFinishedError:
            return
        for request in wanted:
            for call in request.after_commit:
                try:
                    call()
                except Exception as error:
                    self._soon_report("lazy", f"cleaning up after a commit failed: {error}")
        self._engine.tidy()

    def _soon_report(self, kind: str, text: str) -> None:
        self._token.run_sync_soon(self._report, kind, text)
