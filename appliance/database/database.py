"""The server's one database: writer thread, readers and schema behind one object.

`Database.open` brings the file up to date (in a child process, only when there is work), readies the log and
starts the threads; `aclose` finishes the requests given so far and checkpoints the log. `InlineWriter` is the
same for tests on virtual time: every write commits on the spot, on the calling thread.

Fails with SetupError when the file cannot be this server's database.
"""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Protocol, TypeVar

import trio

from appliance.mail.ids import MailboxId, ModSeq
from appliance.mail.limits import LAZY_S

from . import migrations
from .connection import READER_CACHE_KIB, RING_OCTETS
from .engine import Engine, Report
from .group import Request, Transaction
from .readers import Readers, query
from .writer import Watch, Writer, Writes

T = TypeVar("T")


class Reads(Protocol):
    """What packages above use of the readers."""

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a short query in one snapshot on a reader thread. Raises StoreError BROKEN."""
        ...


class AnyDatabase(Reads, Writes, Protocol):
    """Reading, writing and watching: the real Database or the inline one."""

    def watch(self, call: Watch) -> None: ...

    def new_lock(self) -> AbstractContextManager[bool]:
        """A lock that threads share: threads belong to this package, and their locks come from it too."""
        ...

    def room_octets(self) -> int:
        """Octets free for more mail: on the file system and in the database's own free pages."""
        ...


def _silent(kind: str, text: str) -> None:
    """For callers that want no reports."""


def _prepare(path: Path, *, in_child: bool) -> None:
    if migrations.needed(path):
        (migrations.migrate_in_child if in_child else migrations.migrate)(path)


class Database:
    """Use `open`, then `async with` or `aclose`. Times in seconds, sizes in octets."""

    def __init__(self, path: Path, *, ring_octets: int, report: Report, readers: int, lazy_s: float) -> None:
        self._report = report
        self._token: trio.lowlevel.TrioToken
        self.path = path
        self.readers = Readers(path, readers, READER_CACHE_KIB)
        self.engine = Engine(path, self.readers, ring_octets=ring_octets, report=self._report_soon)
        self.readers.damaged = self.engine.met_damage
        self.writer = Writer(self.engine, group_octets=ring_octets // 8, report=report, lazy_s=lazy_s)
        self.write = self.writer.write
        self.write_lazily = self.writer.write_lazily
        self.watch = self.writer.watch
        self.read = self.readers.read
        self.new_lock = threading.Lock
        self.room_octets = self.engine.room_octets

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        ring_octets: int = RING_OCTETS,
        readers: int = 2,
        lazy_s: float = LAZY_S,
        report: Report = _silent,
        migrate_in_child: bool = True,
        mend: bool = False,
    ) -> "Database":
        """`report` runs on the trio thread; `mend`: check all indexes and rebuild damaged ones.

        The caller holds the lock on the data directory. Raises SetupError.
        """
        database = cls(path, ring_octets=ring_octets, report=report, readers=readers, lazy_s=lazy_s)
        database._token = trio.lowlevel.current_trio_token()

        def work() -> None:
            _prepare(path, in_child=migrate_in_child)
            try:
                database.engine.open()
            except (sqlite3.Error, OSError) as trouble:
                raise migrations.refusal(path, trouble) from trouble
            if mend:
                database.engine.mend()

        await trio.to_thread.run_sync(work)
        database.readers.start()
        database.writer.start()
        return database

    def _report_soon(self, kind: str, text: str) -> None:
        self._token.run_sync_soon(self._report, kind, text)

    async def aclose(self) -> None:
        """Finish all requests, work the log in, close. Idempotent."""
        with trio.CancelScope(shield=True):
            await self.writer.stop()
            await trio.to_thread.run_sync(self.readers.stop)

    async def __aenter__(self) -> "Database":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()


class InlineWriter:
    """Database for tests on virtual time: commits and reads happen at once on the calling thread."""

    def __init__(self, path: Path, *, report: Report = _silent, ring_octets: int = 256 * 1024) -> None:
        _prepare(path, in_child=False)
        self.path = path
        self._report = report
        self._watchers: list[Watch] = []
        self._readers = Readers(path, 1, READER_CACHE_KIB)
        self.new_lock = threading.Lock
        self.engine = Engine(path, self._readers, ring_octets=ring_octets, report=report)
        self.room_octets = self.engine.room_octets
        self.engine.open()

    def watch(self, call: Watch) -> None:
        self._watchers.append(call)

    async def write(self, work: Callable[[Transaction], T], *, octets: int = 0, hold_s: float = 0.0) -> T:
        """See Writes; the checkpoint before it is where a cancelled request goes without a trace."""
        await trio.lowlevel.checkpoint()
        return self.write_now(work)

    def write_now(self, work: Callable[[Transaction], T]) -> T:
        request = Request(work)
        self.engine.run((request,))
        touched: dict[MailboxId, ModSeq] = dict(request.touched)
        if touched and request.error is None:
            for watcher in self._watchers:
                watcher(touched)
        for call in request.after_commit:
            call()
        self.engine.tidy()
        if request.error is not None:
            raise request.error
        result: T = request.result
        return result

    def write_lazily(self, work: Callable[[Transaction], object]) -> None:
        """Commits at once; failure is reported."""
        try:
            self.write_now(work)
        except Exception as error:
            self._report("lazy", f"a small change was lost: {error}")

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        await trio.lowlevel.checkpoint()
        return self.read_now(work)

    def read_now(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return query(self._readers.first(), work)

    def close(self) -> None:
        self.engine.close()

    async def aclose(self) -> None:
        self.close()

    async def __aenter__(self) -> "InlineWriter":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
