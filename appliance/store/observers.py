"""Store observers: what is called inside the transaction that changes mail, and what follows such a change in any case.

    | event           | called with                      | after                                                      |
    |-----------------|----------------------------------|------------------------------------------------------------|
    | appended        | mailbox, its new UIDs            | append, copy and the target of a move                      |
    | flags_changed   | mailbox, the UIDs                | STORE and \\Seen by reading, where a flag differs           |
    | expunged        | mailbox, the UIDs                | expunge, the source of a move, a mailbox deleted           |
    | mailbox_changed | account                          | create, rename, delete, subscribe, unsubscribe             |

An observer writes rows in the same commit, or refuses by raising: then the request fails and nothing of it lasts. It runs on the
writer thread, perhaps again after other requests' trouble (see `database.group`), so it changes nothing but the database; what
is kept in memory follows by `transaction.after_commit`. Without observers an event costs nothing.
`Store` puts the Outbox into the table; what `Store.start` is given comes after it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

from appliance.database.writer import Transaction
from appliance.mail.clock import Clock
from appliance.mail.ids import AccountId, BodyId, MailboxId, ModSeq

from .account_watch import key_of
from .quota import Quota

MessageObserver = Callable[[Transaction, MailboxId, Sequence[int]], object]
MailboxObserver = Callable[[Transaction, AccountId], object]
Release = Callable[[Transaction, Sequence[tuple[BodyId, int]]], None]
"""Gives back that many references of each body."""


@dataclass(frozen=True, slots=True)
class Observers:
    """The table: who is called for what, in order."""

    appended: tuple[MessageObserver, ...] = ()
    flags_changed: tuple[MessageObserver, ...] = ()
    expunged: tuple[MessageObserver, ...] = ()
    mailbox_changed: tuple[MailboxObserver, ...] = ()

    def followed_by(self, more: "Observers") -> "Observers":
        return Observers(**{one.name: getattr(self, one.name) + getattr(more, one.name) for one in fields(self)})


@dataclass(frozen=True, slots=True)
class Effects:
    """What follows a change of mail in its transaction: body references given back, quota counted, observers called."""

    release: Release
    quota: Quota
    observers: Observers
    clock: Clock | None = None

    def saved_after_s(self, internal_at: int) -> int | None:
        """How long after its internal date a message is saved now, in seconds; None while the time is not known (RFC 8514 §3)."""
        now = self.saved_at()
        return now - internal_at if now is not None else None

    def saved_at(self) -> int | None:
        """Now in UTC seconds, None while it is not known."""
        return int(self.clock.wall_s()) if self.clock is not None and self.clock.trusted() else None

    def appended(self, transaction: Transaction, mailbox: MailboxId, uids: Sequence[int]) -> None:
        for call in self.observers.appended:
            call(transaction, mailbox, uids)

    def flags_changed(self, transaction: Transaction, mailbox: MailboxId, uids: Sequence[int]) -> None:
        for call in self.observers.flags_changed:
            call(transaction, mailbox, uids)

    def expunged(self, transaction: Transaction, mailbox: MailboxId, uids: Sequence[int]) -> None:
        for call in self.observers.expunged:
            call(transaction, mailbox, uids)

    def mailbox_changed(self, transaction: Transaction, account: AccountId) -> None:
        transaction.touched(key_of(account), ModSeq(1))
        for call in self.observers.mailbox_changed:
            call(transaction, account)
