"""The Outbox: an ordinary mailbox that shows a user which of their messages are still queued.

Only the queue puts messages in, in its own commits, and takes them out when they have left; whoever expunges one, or moves it
elsewhere, calls it back: the hook `called_back` is told inside the same commit. APPEND, COPY and MOVE into it, renaming and
deleting it are refused. It is made when the first message has to wait, and carries \\Scheduled (RFC 9979).
A message's facts are made when somebody first looks at it (`remaking`): most are gone before.
"""

import sqlite3
from collections.abc import Callable, Sequence

from appliance.database.writer import Transaction
from appliance.mail.description import Description
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import AccountId, BodyId, MailboxId, Uid

from . import append, expunge, mailboxes
from .bodies import Bodies
from .modseq import next_modseq
from .quota import Quota
from .values import Placement

NAME = "Outbox"
USE = "\\Scheduled"
UNSEEN_YET = Description(0, 0, b"", b"", b"", None, 0, "", False, False, False, 0, False, False, False, False, 0)
"""Facts of scanner 0, which nobody ever was: made anew when they are read."""

CalledBack = Callable[[Transaction, MailboxId, Sequence[int]], object]


class Outboxes:
    """All Outboxes of the server. `Store` asks it; the queue holds it as its `Outbox`."""

    def __init__(self, bodies: Bodies, quota: Quota) -> None:
        self._bodies = bodies
        self._quota = quota
        self._ids: set[int] = set()
        self.called_back: CalledBack = lambda transaction, mailbox, uids: None

    def load(self, connection: sqlite3.Connection) -> None:
        self._ids = {number for (number,) in connection.execute("SELECT id FROM mailbox WHERE special_use = ?", (USE,))}

    def __contains__(self, mailbox: int) -> bool:
        return mailbox in self._ids

    def expect_open(self, mailbox: int) -> None:
        """Raises NOT_ALLOWED for an Outbox: nobody but the queue puts messages in."""
        if mailbox in self._ids:
            raise StoreError(Trouble.NOT_ALLOWED, "messages get into the Outbox by being sent, not by being put there")

    def left(self, transaction: Transaction, mailbox: MailboxId, uids: Sequence[int]) -> None:
        """Somebody took these out of a mailbox: told on when it is an Outbox."""
        if mailbox in self._ids and uids:
            self.called_back(transaction, mailbox, uids)

    def show(
        self, transaction: Transaction, account: AccountId, body: BodyId, prefix: bytes, octets: int, at: int
    ) -> tuple[MailboxId, Uid] | None:
        """See `queue.Outbox`. None for somebody who left, or has no room: sending does not hang on it."""
        used, limit = self._quota.of(account)
        if limit is not None and used + octets > limit:
            return None
        mailbox = self._of(transaction, account)
        if mailbox is None:
            return None
        self._bodies.hold_more(transaction, body)
        place = Placement(mailbox, prefix, ("\\Seen",), at)
        (filed,) = append.append(transaction, body, octets - len(prefix), [place], lambda _: UNSEEN_YET, self._quota)
        return filed.mailbox, filed.uid

    def unshow(self, transaction: Transaction, mailbox: MailboxId, uid: Uid) -> None:
        """The message has left, or never will."""
        expunge.expunge(transaction, mailbox, [uid], self._bodies.release, self._quota, marked=False)

    def _of(self, transaction: Transaction, account: AccountId) -> MailboxId | None:
        """The person's Outbox, made where it is missing; None for nobody."""
        found = transaction.execute("SELECT id FROM mailbox WHERE account = ? AND special_use = ?", (account, USE)).fetchone()
        if found is None:
            if transaction.execute("SELECT 1 FROM mailbox WHERE account = ?", (account,)).fetchone() is None:
                return None
            there = mailboxes.row_named(transaction, account, NAME)
            if there is not None and there[4]:
                transaction.execute(
                    "UPDATE mailbox SET special_use = ?, changed_modseq = ? WHERE id = ?", (USE, next_modseq(transaction, account), there[0])
                )
                found = there
            else:
                if there is not None:
                    mailboxes.replace(transaction, account, there[0])
                found = (mailboxes.make_row(transaction, account, NAME, USE),)
                mailboxes.subscribe(transaction, account, NAME, True)
        self._ids.add(found[0])
        return MailboxId(found[0])
