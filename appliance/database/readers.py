"""Read connections: a few threads, each with a read-only connection, run short queries.

A query sees one snapshot and ends before its result is handed out: no cursor and no transaction outlives it, so
that no slow client can keep the log from being reused. It reads a batch of bounded size (500 rows, say).
The writer stops all queries for an instant (`gate`) when it needs the log empty of readers.

Fails with StoreError BROKEN when the storage or the file cannot be read.
"""

import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import outcome
import trio

from appliance.mail.errors import StoreError, Trouble

from .connection import is_damage, open_reader

T = TypeVar("T")


class _Query:
    __slots__ = ("begun", "outcome", "task", "withdrawn", "work")

    def __init__(self, work: Callable[[sqlite3.Connection], Any], task: Any) -> None:
        self.work = work
        self.task = task
        self.begun = False
        self.withdrawn = False
        self.outcome: Any = None


def query(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    """Run `work` in one snapshot; SQLite's own failures become StoreError BROKEN."""
    try:
        connection.execute("BEGIN")
        try:
            return work(connection)
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    except (sqlite3.OperationalError, sqlite3.DatabaseError) as error:
        if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
            raise
        raise StoreError(Trouble.BROKEN, f"reading failed: {error}") from error


class _ReaderThread:
    """One reader's connection, opened by its thread at the first query, and the lock that is held while a query runs."""

    __slots__ = ("connection", "lock")

    def __init__(self) -> None:
        self.connection: sqlite3.Connection | None = None
        self.lock = threading.Lock()


class Readers:
    """`threads` threads at most; the second one starts when the first is busy."""

    def __init__(self, path: Path, threads: int, cache_kib: int) -> None:
        self._path = path
        self._cache_kib = cache_kib
        self._slots = [_ReaderThread() for _ in range(threads)]
        self._threads: list[threading.Thread] = []
        self._inbox: queue.SimpleQueue[_Query | None] = queue.SimpleQueue()
        self._claim = threading.Lock()
        self._done: deque[_Query] = deque()
        self._resuming = False
        self._in_flight = 0
        self._token: trio.lowlevel.TrioToken
        self._open = False
        self.damaged: Callable[[sqlite3.Error], None] = lambda _: None
        """Called, on a reader's thread, with the error when a page cannot be read."""

    def start(self) -> None:
        """On the trio thread, after `open_first`."""
        self._token = trio.lowlevel.current_trio_token()
        self._open = True

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Cancelled before it began, the query is not run; afterwards its (short) end is awaited."""
        if not self._open:
            raise StoreError(Trouble.BROKEN, "the database is closed")
        request = _Query(work, trio.lowlevel.current_task())
        self._in_flight += 1
        if self._in_flight > len(self._threads) < len(self._slots):
            slot = self._slots[len(self._threads)]
            thread = threading.Thread(target=self._run, args=(slot,), name=f"database-reader-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._inbox.put(request)

        def abort(_: Any) -> trio.lowlevel.Abort:
            with self._claim:
                if request.begun:
                    return trio.lowlevel.Abort.FAILED
                request.withdrawn = True
            self._in_flight -= 1
            return trio.lowlevel.Abort.SUCCEEDED

        result: T = await trio.lowlevel.wait_task_rescheduled(abort)
        return result

    def _run(self, slot: _ReaderThread) -> None:
        while (request := self._inbox.get()) is not None:
            with self._claim:
                if request.withdrawn:
                    continue
                request.begun = True
            request.outcome = outcome.capture(self._answer, slot, request.work)
            self._done.append(request)
            if not self._resuming:
                self._resuming = True
                try:
                    self._token.run_sync_soon(self._resume)
                except trio.RunFinishedError:
                    return

    def _answer(self, slot: _ReaderThread, work: Callable[[sqlite3.Connection], Any]) -> Any:
        with slot.lock:
            if slot.connection is None:
                if not self._open:
                    raise StoreError(Trouble.BROKEN, "the database is closed")
                try:
                    slot.connection = open_reader(self._path, self._cache_kib)
                except sqlite3.Error as error:
                    raise StoreError(Trouble.BROKEN, f"reading failed: {error}") from error
            try:
                return query(slot.connection, work)
            except StoreError as error:
                if is_damage(error.__cause__):
                    self.damaged(error.__cause__)
                raise

    def _resume(self) -> None:
        self._resuming = False
        while self._done:
            request = self._done.popleft()
            self._in_flight -= 1
            trio.lowlevel.reschedule(request.task, request.outcome)

    @contextmanager
    def gate(self) -> Iterator[None]:
        """No query runs inside the block (called by the writer thread)."""
        for slot in self._slots:
            slot.lock.acquire()
        try:
            yield
        finally:
            for slot in self._slots:
                slot.lock.release()

    def open_first(self) -> None:
        """One read-only connection must be open whenever the writer's closes: it keeps SQLite from taking that for the last
        close, which would work the log into the database and delete it. Inside the gate or before `start`."""
        if self._slots[0].connection is None:
            self._slots[0].connection = open_reader(self._path, self._cache_kib)

    def first(self) -> sqlite3.Connection:
        """The first connection, for queries on the calling thread."""
        self.open_first()
        connection = self._slots[0].connection
        assert connection is not None  # noqa: S101 open_first saw to it
        return connection

    def close_connections(self) -> None:
        """Inside the gate, after the writer's connection closed; later queries open their own again."""
        for slot in self._slots:
            if slot.connection is not None:
                slot.connection.close()
                slot.connection = None

    def stop(self) -> None:
        """End the threads; blocks until the queries under way are done."""
        self._open = False
        for _ in self._threads:
            self._inbox.put(None)
        for thread in self._threads:
            thread.join()
