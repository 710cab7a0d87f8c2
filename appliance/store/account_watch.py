"""Hearing of committed changes in an account: its mailboxes' messages, and the mailboxes themselves.

A watch costs nothing while nobody watches, and one look into a set for each mailbox that a commit touched. It says that something
happened, never what: whoever watches reads. Metadata has no MODSEQ to be read by, so the names of changed entries are kept, up to
ENTRIES. Lives in the event loop's thread.
"""

from collections.abc import Iterable, Mapping, Sequence

import trio

from appliance.mail.ids import AccountId, MailboxId, ModSeq

OF_ACCOUNT = MailboxId(0)
"""Stands for the account itself where metadata is kept: no mailbox has this id."""
ENTRIES = 500
"""Names of changed metadata that a watch keeps until they are taken: 125 kB at worst."""


def key_of(account: AccountId) -> MailboxId:
    """Stands for the account's tree of mailboxes among the mailboxes a commit touched: no mailbox has a negative id."""
    return MailboxId(-account)


class AccountWatch:
    """One session's watch. `mailboxes` are those of the account, as whoever watches last read them; None: any change counts."""

    __slots__ = ("_changed", "_entries", "_key", "_watches", "mailboxes", "overflowed", "watches_metadata")

    def __init__(self, watches: "AccountWatches", account: AccountId) -> None:
        self._watches = watches
        self._key = key_of(account)
        self._changed = trio.Event()
        self.mailboxes: frozenset[MailboxId] | None = None
        self.watches_metadata = False
        self.overflowed = False
        """More metadata changed than is kept: some of it is not known."""
        self._entries: dict[tuple[MailboxId, str], None] = {}

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

    def metadata_changed(self, account: AccountId | None, mailbox: MailboxId, entries: Iterable[str]) -> None:
        """See `AccountWatches.metadata_changed`."""
        concerned = key_of(account) == self._key if account is not None else self.mailboxes is None or mailbox in self.mailboxes
        if self.watches_metadata and concerned:
            self._entries.update(((mailbox, entry), None) for entry in entries)
            if len(self._entries) > ENTRIES:
                self._entries.clear()
                self.overflowed = True
            self._changed.set()

    def take_metadata(self) -> dict[MailboxId, list[str]]:
        """The entries changed since the last time, by mailbox, in the order of their first change."""
        found: dict[MailboxId, list[str]] = {}
        for mailbox, entry in self._entries:
            found.setdefault(mailbox, []).append(entry)
        self._entries.clear()
        return found

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

    def metadata_changed(
        self, account: AccountId | None, mailbox: MailboxId, entries: Sequence[str], by: AccountWatch | None = None
    ) -> None:
        """Metadata was committed: an account's own, or, without `account`, that of all who see the mailbox; `by` knows already."""
        for watch in self._watches:
            if watch is not by:
                watch.metadata_changed(account, mailbox, entries)
