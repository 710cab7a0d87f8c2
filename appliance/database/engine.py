"""The writing side of one database: the connection, its log and what happens around a commit; no threads, no trio.

Promises: a group is durable when `run` returns; the log is checkpointed into the database only after the waiting
tasks were resumed (`tidy`) and keeps its first size; after a failed sync the connection is thrown away, the log rewritten from
its acknowledged frames to fresh pages, and the database opened again through SQLite's recovery.

On full storage half the ring is still free for deletes, also while it cannot be checkpointed. Known gap: when another program
takes the whole reserve while new pages wait in the log, and that half is used up by deletes of small messages alone (hundreds
of commits), deleting stops with FULL until some space is given back.

POSIX drops a process's locks on a file when any descriptor of it is closed: nothing here opens and closes the
database's files by itself while a connection is open.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from appliance.mail.errors import StoreError, Trouble
from appliance.mail.limits import RESERVE_OCTETS

from .connection import Ring, is_damage, log_of, open_writer, ready_ring, write_log
from .group import Counters, Group, Request
from .mending import mend_indexes

MEND_AGAIN_S = 3600.0
REOPEN_S = 1.0
"""Between two tries to open a broken database again."""

Report = Callable[[str, str], None]
"""`report(kind, text)`: "full" and "broken" when that state begins, "" when writing works again, "lazy" for a lazy request
that failed, "damaged" for the first page that cannot be read, "repaired" when damaged indexes were rebuilt."""


class _Readers(Protocol):
    def gate(self) -> AbstractContextManager[None]: ...
    def open_first(self) -> None: ...
    def close_connections(self) -> None: ...


class Engine:
    """Used by one thread at a time."""

    def __init__(self, path: Path, readers: _Readers, *, ring_octets: int, report: Report) -> None:
        self._path = path
        self._readers = readers
        self._ring_octets = ring_octets
        self._report = report
        self._counters = Counters()
        self._connection: sqlite3.Connection | None = None
        self._group: Group
        self._ring: Ring
        self._page_octets = 0
        self._saved_log: bytes | None = None
        self._next_try_mono = 0.0
        self._directory = str(path.parent)
        self._trouble = ""
        self._damage_met = self._damage_reported = False
        self._mend_next_mono = float("-inf")
        self._checkpoint_at = ring_octets // 2
        self.checkpoints = 0
        self.reusable_octets = 0
        """Pages of the database that deleting gave back and arriving mail can take, as last counted (when storage is low)."""

    def open(self) -> None:
        """Raises sqlite3.Error, OSError."""
        ready_ring(self._path, self._ring_octets)
        self._open()

    def _open(self) -> None:
        connection = open_writer(self._path, self._ring_octets)
        try:
            # the first transaction recovers the log; a write that changes nothing adds no frame
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("COMMIT")
            page = int(connection.execute("PRAGMA page_size").fetchone()[0])
            self._page_octets = page
            self.reusable_octets = self._reusable(connection)
            self._readers.open_first()
            self._ring = Ring(self._path, page)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._group = Group(connection, self._counters)

    def run(self, requests: Sequence[Request]) -> None:
        """Commit them as one group; each has its result or its error afterwards."""
        if self._connection is None and not self._reopened():
            for request in requests:
                request.error = StoreError(Trouble.BROKEN)
            return
        self._group.run(requests)
        for request in requests:
            if request.error is not None and is_damage(request.error.__cause__ or request.error):
                self.met_damage(request.error.__cause__ or request.error)
        if self._group.ruined:
            self._report_once("broken", self._group.ruined)
        elif self._group.met_full:
            self._report_once("full", "the storage is full")

    def met_damage(self, error: BaseException) -> None:
        """A page could not be read, here or by a reader (on its thread): reported once, and the indexes are checked in the next `tidy`."""
        self._damage_met = True
        if not self._damage_reported:
            self._damage_reported = True
            self._report("damaged", str(error))

    def mend(self) -> None:
        """Rebuild damaged indexes; at most once in MEND_AGAIN_S. Never raises: what cannot be mended is reported when it is read."""
        self._damage_met = False
        now = time.monotonic()
        if self._connection is None or now < self._mend_next_mono:
            return
        self._mend_next_mono = now + MEND_AGAIN_S
        mended = mend_indexes(self._connection)
        if mended:
            self._report("repaired", f"rebuilt: {', '.join(mended)}")

    def tidy(self) -> None:
        """After the waiting tasks were resumed: make room in the log, or throw a broken connection away."""
        if self._connection is None:
            return
        if self._damage_met:
            self.mend()
        if self._group.ruined:
            self._discard_connection()
            self._reopened()
            return
        octets = self._ring.octets()
        free_octets = self._free_octets()
        low = free_octets < RESERVE_OCTETS
        if low:
            self.reusable_octets = self._reusable(self._connection)
        if not low or free_octets + self.reusable_octets >= RESERVE_OCTETS:
            self._report_once("", "writing works again")
        if octets < self._ring_octets // 2:
            self._checkpoint_at = self._ring_octets // 2
        if octets > self._checkpoint_at or (low and octets > self._ring_octets // 64):
            self.checkpoint()

    def checkpoint(self) -> None:
        """Checkpoint the log into the database; the next commit then begins the log anew, in place."""
        if self._connection is None:
            return
        self.checkpoints += 1
        try:
            _, frames, done = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            # the log begins anew only when no query still reads its old part: with the gate shut for an instant none does,
            # and those that come after it read the database alone
            with self._readers.gate():
                if done < frames:
                    _, frames, done = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            # a foreign reader (a user's sqlite3 command) holds it: the log grows, and not every commit tries again
            self._checkpoint_at = self._ring_octets // 2 if done >= frames else self._ring.octets() + self._ring_octets // 8
        except sqlite3.Error as error:
            self._report_once("full" if "full" in str(error) else "broken", str(error))

    def room_octets(self) -> int:
        """Octets free for more mail, on the file system and in the database's own free pages; from any thread."""
        return self._free_octets() + self.reusable_octets

    def _reusable(self, connection: sqlite3.Connection) -> int:
        return int(connection.execute("PRAGMA freelist_count").fetchone()[0]) * self._page_octets

    def _free_octets(self) -> int:
        about = os.statvfs(self._directory)
        return about.f_bavail * about.f_frsize

    def _report_once(self, kind: str, text: str) -> None:
        if kind != self._trouble:
            self._trouble = kind
            self._report(kind, text)

    def _discard_connection(self) -> None:
        """Close without a checkpoint, keep the acknowledged frames: they are rewritten, the old pages never synced again."""
        connection = self._connection
        if connection is None:
            return
        with self._readers.gate():
            acknowledged = self._ring.octets() if self._ring.frames() else 0
            self._connection = None
            connection.close()
            self._readers.close_connections()
            self._ring.close()
            with log_of(self._path).open("rb") as file:
                self._saved_log = file.read(acknowledged)

    def _reopened(self) -> bool:
        now = time.monotonic()
        if now < self._next_try_mono:
            return False
        self._next_try_mono = now + REOPEN_S
        try:
            with self._readers.gate():
                if self._saved_log is not None:
                    write_log(self._path, max(self._ring_octets, len(self._saved_log)), self._saved_log)
                    self._saved_log = None
                self._open()
        except (sqlite3.Error, OSError) as error:
            self._report_once("broken", f"the database could not be opened again: {error}")
            return False
        return True

    def close(self) -> None:
        """Checkpoint, close the writer first and the readers after it: the log stays for the next start."""
        if self._connection is None:
            return
        if not self._group.ruined:
            self.checkpoint()
        with self._readers.gate():
            self._connection.close()
            self._connection = None
            self._readers.close_connections()
            self._ring.close()
