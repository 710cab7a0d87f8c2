"""A database opened by one command for reading alone, beside no server: nothing is made, written or locked.

For read-only storage (what a dying SD card becomes) and for commands that only read. Stands in for `Database` behind the
same port; whoever writes gets a SetupError.
How it fails: SetupError when the file cannot be this server's database; StoreError BROKEN while reading.
"""

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NoReturn, TypeVar

import trio

from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence

from . import migrations
from .connection import open_alone
from .readers import query
from .writer import Transaction, Watch

T = TypeVar("T")


class ReadOnlyDatabase:
    """Use `open`, then `async with`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._turn = trio.CapacityLimiter(1)
        self.new_lock = threading.Lock

    @classmethod
    async def open(cls, path: Path) -> "ReadOnlyDatabase":
        """The caller holds the lock on the data directory, where there is one. Raises SetupError."""

        def work() -> sqlite3.Connection:
            if migrations.needed(path):
                raise SetupError(
                    Sentence("%(path)s is from an earlier version.", path=path), "Start the server once: it brings the database up to date."
                )
            try:
                connection = open_alone(path)
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            except (sqlite3.Error, OSError) as trouble:
                raise migrations.refusal(path, trouble) from trouble
            return connection

        return cls(path, await trio.to_thread.run_sync(work))

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """See Reads."""
        return await trio.to_thread.run_sync(query, self._connection, work, limiter=self._turn)

    async def write(self, work: Callable[[Transaction], T], *, octets: int = 0, hold_s: float = 0.0) -> T:
        self._refuse()

    def write_lazily(self, work: Callable[[Transaction], object]) -> None:
        """Nothing is kept: what is lazy may be lost."""

    def _refuse(self) -> NoReturn:
        raise SetupError(Sentence("%(parent)s is open for reading only.", parent=self.path.parent), "Nothing was changed.")

    def watch(self, call: Watch) -> None:
        """Nothing changes."""

    def room_octets(self) -> int:
        return 0

    async def __aenter__(self) -> "ReadOnlyDatabase":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()
