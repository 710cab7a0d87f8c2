"""CONTRACT SKELETON (owner: helper E1 fills it in; signatures fixed).

The one writer thread: requests in, group commits out.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from appliance.mail.ids import MailboxId, ModSeq

T = TypeVar("T")


class Transaction:
    """What a request may do inside the group's transaction, on the writer thread, under its own savepoint."""

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        raise NotImplementedError

    def executemany(self, sql: str, rows: "Sequence[Sequence[Any]]") -> None:
        raise NotImplementedError

    def next_id(self, name: str, count: int = 1) -> int:
        """First of `count` fresh ids of the durable counter `name` (message, body, mailbox, person, ...); never repeats."""
        raise NotImplementedError

    def touched(self, mailbox: MailboxId, modseq: ModSeq) -> None:
        """This request changed the mailbox; watchers are woken after the commit."""
        raise NotImplementedError

    def after_commit(self, call: Callable[[], None]) -> None:
        """Run on the writer thread once the group is durable (unlinking a body file, say); not on roll-back."""
        raise NotImplementedError

    def after_rollback(self, call: Callable[[], None]) -> None:
        raise NotImplementedError


class Writes(Protocol):
    """What rooms above hold of the writer (the real one, or one for tests that commits inline)."""

    async def write(self, work: Callable[[Transaction], T], *, octets: int = 0) -> T:
        """Run `work` in the next group; return its result after the commit is durable.

        Raises what `work` raised (its savepoint rolled back, the group unharmed), StoreError FULL when this
        request met a full card, StoreError BROKEN when the commit failed. Cancelled before its group began,
        the request leaves no trace; afterwards it commits whether or not anyone waits.
        """
        ...

    def write_lazily(self, work: Callable[[Transaction], object]) -> None:
        """Run `work` with the next durable commit or within LAZY_S, in order; nobody waits; failure is journalled."""
        ...
