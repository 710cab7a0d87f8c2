"""Hearing of committed changes in an account: its mailboxes' messages, and the mailboxes themselves.

A watch costs nothing while nobody watches, and one look into a set for each mailbox that a commit touched. It says that something
happened, never what: whoever watches reads. Lives in the event loop's thread.
"""

from collections.abc import Mapping

import trio

from appliance.mail.ids import AccountId, MailboxId, ModSeq


def key_of(account: AccountId) -> MailboxId:
    """Stands for the account's tree of mailboxes among the mailboxes a commit touched: no mailbox has a negative id."""
    return MailboxId(-account)


class AccountWatch:
    """One session's watch. `mailboxes` are those of the account, as whoever watches last read them; None: any change counts."""

    __slots__ = ("_changed", "_key", "_watches", "mailboxes")

    def __init__(self, watches: "AccountWatches", account: AccountId) -> None:
        self._watches = watches
        self._key = key_of(account)
        self._changed = trio.Event()
        self.mailboxes: frozenset[MailboxId] | None = None

    async def wait(self) -> None:
        """Return once something changed after the last `begin`."""
        await self._changed.wait()

    def begin(self) -> None:
        """What is read from here on is known; later changes end the next `wait`."""
        if self._changed.is_set():
            self._changed = trio.Event()

    def touched(self, changes: Mapping[MailboxId, ModSeq]) -> None:
        if self.mailboxes is None or self._key in changes or any(number in self.mailboxes for number in changes):
            self._changed.set()

    def close(self) -> None:
        self._watches.remove(self)


class AccountWatches:
    """All watches of this process."""

    __slots__ = ("_watches",)

    def __init__(self) -> None:
        self._watches: set[AccountWatch] = set()

    def add(self, account: AccountId) -> AccountWatch:
        watch = AccountWatch(self, account)
        self._watches.add(watch)
        return watch

    def remove(self, watch: AccountWatch) -> None:
        self._watches.discard(watch)

    def touched(self, changes: Mapping[MailboxId, ModSeq]) -> None:
        """A group was committed."""
        for watch in self._watches:
            watch.touched(changes)
