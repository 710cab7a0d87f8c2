"""The Outbox: an ordinary mailbox that shows a user which of their messages are still queued.

Only the queue puts messages in, in its own commits, and takes them out when they have left; a user who expunges one, or moves it
elsewhere, cancels it: the queue's hook `called_back` is called inside the same commit. APPEND, COPY and MOVE into it, renaming and
deleting it are refused. It is made when the first message has to wait, and carries \\Scheduled (RFC 9979).
Whoever shows a message brings its description, made before the commit: rows have one from the start.
"""

from collections.abc import Callable, Sequence

from appliance.database.writer import Transaction
from appliance.mail.description import DescriptionOf
from appliance.mail.ids import AccountId, BodyId, MailboxId, Uid

from . import append, expunge, mailboxes
from .bodies import Bodies
from .modseq import next_modseq
from .observers import Effects
from .values import OUTBOX, Placement

NAME = "Outbox"

CalledBack = Callable[[Transaction, MailboxId, Sequence[int]], object]


class Outboxes:
    """All Outboxes of the server: an observer of expunges for `Store`, and the queue's `OutboxView`. Rows alone say which they are."""

    effects: Effects

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self.called_back: CalledBack = lambda transaction, mailbox, uids: None

    def expunged(self, transaction: Transaction, mailbox: MailboxId, uids: Sequence[int]) -> None:
        """Messages went from a mailbox; `called_back` is called when it is an Outbox. Of one that has left, the queue has no row any
        more."""
        if transaction.execute("SELECT 1 FROM mailbox WHERE id = ? AND special_use = ?", (mailbox, OUTBOX)).fetchone():
            self.called_back(transaction, mailbox, uids)

    def detach(self, transaction: Transaction, account: AccountId) -> None:
        """The account goes: its Outbox is an ordinary mailbox from now on, and what is queued is sent all the same."""
        transaction.execute("UPDATE mailbox SET special_use = '' WHERE account = ? AND special_use = ?", (account, OUTBOX))

    def show(
        self, transaction: Transaction, account: AccountId, body: BodyId, prefix: bytes, describe: DescriptionOf, at: int
    ) -> tuple[MailboxId, Uid] | None:
        """See `queue.OutboxView`. None for an account that is gone or full: sending does not depend on it."""
        octets = describe(prefix).octets
        used, limit = self.effects.quota.of(account)
        if limit is not None and used + len(prefix) + octets > limit:
            return None
        mailbox = self._of(transaction, account)
        if mailbox is None:
            return None
        self._bodies.hold_more(transaction, body)
        place = Placement(mailbox, prefix, ("\\Seen",), at)
        (placed,) = append.append(transaction, body, octets, [place], describe, self.effects, to_outbox=True)
        return placed.mailbox, placed.uid

    def unshow(self, transaction: Transaction, mailbox: MailboxId, uid: Uid) -> None:
        """The message has left, or never will."""
        expunge.expunge(transaction, mailbox, [uid], self.effects, marked=False)

    def _of(self, transaction: Transaction, account: AccountId) -> MailboxId | None:
        """The account's Outbox, made where it is missing; None for an account without mailboxes."""
        found = transaction.execute("SELECT id FROM mailbox WHERE account = ? AND special_use = ?", (account, OUTBOX)).fetchone()
        if found is None:
            if transaction.execute("SELECT 1 FROM mailbox WHERE account = ?", (account,)).fetchone() is None:
                return None
            there = mailboxes.row_named(transaction, account, NAME)
            if there is not None and there.selectable:
                transaction.execute(
                    "UPDATE mailbox SET special_use = ?, changed_modseq = ? WHERE id = ?",
                    (OUTBOX, next_modseq(transaction, account), there.id),
                )
                found = there
            else:
                if there is not None:
                    mailboxes.replace(transaction, account, there.id)
                found = (mailboxes.make_row(transaction, account, NAME, OUTBOX),)
                mailboxes.subscribe(transaction, account, NAME, True)
            self.effects.mailbox_changed(transaction, account)
        return MailboxId(found[0])
