"""Run a group of requests as one transaction: the part of the writer that knows neither threads nor trio.

What happens to a request:

    | what happens                                      | this request            | the others of its group   |
    |---------------------------------------------------|-------------------------|---------------------------|
    | its work raises                                   | undone, raises that     | unharmed                  |
    | SQLite ends the transaction (full, I/O, memory)   | FULL or BROKEN          | repeated, one commit each |
    | the commit finds storage full                    | repeated alone          | repeated alone            |
    | the commit or its sync fails                      | BROKEN                  | BROKEN, database reopened |

Work may therefore run more than once; only its last run counts. A failed sync is never tried again on the same
pages: whoever runs the group throws the connection away (`Group.ruined`).
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import MailboxId, ModSeq

IDS_AT_ONCE = 256
"""Ids reserved by one durable step of a counter; what is left of them is skipped after a restart."""


class Request:
    """One unit of work for the writer: what to run, and its result or error. It may wait `hold_s` for others to be committed with."""

    __slots__ = ("after_commit", "after_rollback", "begun", "error", "hold_s", "lazy", "octets", "result", "task", "touched", "withdrawn",
                 "work")  # fmt: skip

    def __init__(
        self, work: "Callable[[Transaction], Any]", octets: int = 0, *, lazy: bool = False, hold_s: float = 0.0, task: Any = None
    ) -> None:
        self.work = work
        self.octets = octets
        self.lazy = lazy
        self.hold_s = hold_s
        self.task = task
        self.begun = False
        self.withdrawn = False
        self.forget()

    def forget(self) -> None:
        self.result: Any = None
        self.error: Exception | None = None
        self.touched: dict[MailboxId, ModSeq] = {}
        self.after_commit: list[Callable[[], None]] = []
        self.after_rollback: list[Callable[[], None]] = []


class Counters:
    """Durable counters: ids rise for ever and never repeat, also across restarts, at one write for IDS_AT_ONCE ids."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}
        self._end: dict[str, int] = {}

    def take(self, connection: sqlite3.Connection, name: str, count: int, undo: dict[str, int]) -> int:
        first = self._next.get(name, 0)
        if not first or first + count > self._end[name]:
            row = connection.execute("SELECT next FROM counter WHERE name = ?", (name,)).fetchone()
            first = max(first, row[0] if row else 1)
            end = first + max(count, IDS_AT_ONCE)
            connection.execute("INSERT INTO counter VALUES(?, ?) ON CONFLICT(name) DO UPDATE SET next = excluded.next", (name, end))
            undo.setdefault(name, self._end.get(name, 0))
            self._end[name] = end
        self._next[name] = first + count
        return first

    def undo(self, ends: dict[str, int]) -> None:
        """The reservations did not last: ids given out meanwhile are skipped, the next one reserves again."""
        self._end.update(ends)
        ends.clear()


class Transaction:
    """What a request may do inside the group's transaction, on the writer thread, under its own savepoint."""

    __slots__ = ("_connection", "_counters", "_request", "_reserved", "execute")

    def __init__(self, connection: sqlite3.Connection, counters: Counters) -> None:
        self._connection = connection
        self._counters = counters
        self._reserved: dict[str, int] = {}
        self._request: Request
        self.execute: Callable[..., sqlite3.Cursor] = connection.execute
        """`execute(sql, parameters)`: fetch all you want before the request ends."""

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        self._connection.executemany(sql, rows)

    def next_id(self, name: str, count: int = 1) -> int:
        """First of `count` fresh ids of the durable counter `name` (message, body, mailbox, account, ...); never repeats."""
        return self._counters.take(self._connection, name, count, self._reserved)

    def touched(self, mailbox: MailboxId, modseq: ModSeq) -> None:
        """This request changed the mailbox; watchers are woken after the commit."""
        seen = self._request.touched
        if seen.get(mailbox, 0) < modseq:
            seen[mailbox] = modseq

    def after_commit(self, call: Callable[[], None]) -> None:
        """Run on the writer thread once the group is durable and the waiting tasks are resumed; not on roll-back."""
        self._request.after_commit.append(call)

    def after_rollback(self, call: Callable[[], None]) -> None:
        """Run on the writer thread when what this request did was undone; it may be about to run again."""
        self._request.after_rollback.append(call)


def code_of(error: BaseException) -> int:
    """SQLite's primary result code, 0 for errors that are not SQLite's."""
    if isinstance(error, MemoryError):
        return sqlite3.SQLITE_NOMEM
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


_END_A_TRANSACTION = frozenset(
    (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    )
)


class _TransactionEnded(Exception):
    """SQLite ended the whole transaction, or may have."""

    def __init__(self, cause: Exception) -> None:
        self.cause = cause


class Group:
    """Runs groups on one connection."""

    def __init__(self, connection: sqlite3.Connection, counters: Counters) -> None:
        self._connection = connection
        self._counters = counters
        self.ruined = ""
        """Why the connection must not be used again, or ""."""
        self.met_full = False

    def run(self, requests: Sequence[Request]) -> None:
        """Commit them together; afterwards each has its `result` or its `error`. Never raises."""
        self.met_full = False
        try:
            self._together(requests)
        except _TransactionEnded as end:
            if self.ruined or len(requests) == 1:
                self._refuse(requests, end.cause)
            else:
                self._one_by_one(requests)

    def _one_by_one(self, requests: Sequence[Request]) -> None:
        for request in requests:
            if self.ruined:
                request.error = StoreError(Trouble.BROKEN, self.ruined)
                continue
            try:
                self._together((request,))
            except _TransactionEnded as end:
                self._refuse((request,), end.cause)

    def _refuse(self, requests: Sequence[Request], cause: Exception) -> None:
        full = code_of(cause) == sqlite3.SQLITE_FULL and not self.ruined
        self.met_full = self.met_full or full
        for request in requests:
            request.error = StoreError(Trouble.FULL if full else Trouble.BROKEN)
            request.error.__cause__ = cause

    def _together(self, requests: Sequence[Request]) -> None:
        """One transaction; raises _Ended when nothing of it lasted."""
        execute = self._connection.execute
        transaction = Transaction(self._connection, self._counters)
        kept: dict[str, int] = {}
        alone = len(requests) == 1
        ran: list[Request] = []
        try:
            execute("BEGIN IMMEDIATE")
            for request in requests:
                ran.append(request)
                request.forget()
                transaction._request = request
                if not alone:
                    execute("SAVEPOINT request")
                try:
                    request.result = request.work(transaction)
                except Exception as error:
                    if code_of(error) in _END_A_TRANSACTION or not self._connection.in_transaction:
                        raise _TransactionEnded(error) from error
                    execute("ROLLBACK" if alone else "ROLLBACK TO request")
                    self._counters.undo(transaction._reserved)
                    self._undone(request)
                    request.error = error
                    if alone:
                        return
                else:
                    for name, end in transaction._reserved.items():
                        kept.setdefault(name, end)
                    transaction._reserved.clear()
                if not alone:
                    execute("RELEASE request")
            self._commit()
        except (_TransactionEnded, sqlite3.Error, MemoryError) as error:
            cause = error.cause if isinstance(error, _TransactionEnded) else error
            self._roll_back(cause)
            self._counters.undo(transaction._reserved | kept)
            for request in ran:
                self._undone(request)
            raise _TransactionEnded(cause) from error

    def _commit(self) -> None:
        try:
            self._connection.execute("COMMIT")
        except (sqlite3.Error, MemoryError) as error:
            if code_of(error) != sqlite3.SQLITE_FULL:
                self.ruined = f"the commit failed: {error}"
            raise

    def _roll_back(self, cause: Exception) -> None:
        if code_of(cause) == sqlite3.SQLITE_IOERR and not self.ruined:
            self.ruined = f"storage failed: {cause}" if not _only_reading(cause) else ""
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            self.ruined = self.ruined or f"a roll-back failed: {error}"

    @staticmethod
    def _undone(request: Request) -> None:
        calls = request.after_rollback
        request.forget()
        for call in calls:
            call()


def _only_reading(error: Exception) -> bool:
    """A failed read leaves the log as it was; a failed write or sync does not."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code in (sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ)
