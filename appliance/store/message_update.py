"""Change one message in all its mailboxes at once: its flags and where it is, in one transaction (JMAP's Email/set, RFC 8621 §4.6).

The change is decided inside the transaction from what is there then, so two clients that change different flags both succeed.
Flags are set in every copy alike. A copy with \\Deleted is not there for JMAP (RFC 8621 §4.1.1): it stays as it is.
"""

from collections.abc import Callable
from dataclasses import dataclass

from appliance.database.writer import Transaction
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import AccountId, MailboxId, MessageId

from . import copy_move, expunge
from .account_messages import flag_names
from .flag_changes import set_flags
from .keywords import keywords_of
from .observers import Effects
from .values import FlagChange, Mode


@dataclass(frozen=True, slots=True)
class MessageState:
    """What can change: names of flags (those of any copy), and the mailboxes that hold the message."""

    flags: frozenset[str]
    mailboxes: frozenset[MailboxId]


Decide = Callable[[MessageState], MessageState]
"""What the message shall be; may raise whatever the caller wants to get."""


def update_message(transaction: Transaction, account: AccountId, message: MessageId, decide: Decide, effects: Effects) -> None:
    """Raises GONE, NO_MAILBOX, NOT_ALLOWED (into the Outbox), OVER_QUOTA, TOO_MANY. Without mailboxes the message is destroyed."""
    rows = transaction.execute(
        "SELECT m.mailbox, m.uid, m.flags FROM message AS m JOIN mailbox AS b ON b.id = m.mailbox WHERE message_data = ? AND account = ?"
        " AND m.flags & 8 = 0 ORDER BY m.mailbox, m.uid",
        (message, account),
    ).fetchall()
    if not rows:
        raise StoreError(Trouble.GONE)
    names = {mailbox: keywords_of(transaction, MailboxId(mailbox)) for mailbox, _, _ in rows}
    flags = frozenset(name for mailbox, _, bits in rows for name in flag_names(bits, names[mailbox]))
    before = MessageState(flags, frozenset(MailboxId(mailbox) for mailbox, _, _ in rows))
    after = decide(before)
    _expect_own(transaction, account, after.mailboxes - before.mailboxes)
    if after.flags != before.flags and after.mailboxes:
        for mailbox, uid, _ in rows:
            set_flags(transaction, MailboxId(mailbox), [uid], FlagChange(Mode.REPLACE, tuple(sorted(after.flags))), None, effects)
    _place(transaction, rows, sorted(after.mailboxes - before.mailboxes), before.mailboxes - after.mailboxes, effects)


def _expect_own(transaction: Transaction, account: AccountId, mailboxes: frozenset[MailboxId]) -> None:
    for mailbox in mailboxes:
        if not transaction.execute("SELECT 1 FROM mailbox WHERE id = ? AND account = ?", (mailbox, account)).fetchone():
            raise StoreError(Trouble.NO_MAILBOX)


def _place(
    transaction: Transaction, rows: list[tuple[int, int, int]], added: list[MailboxId], removed: frozenset[MailboxId], effects: Effects
) -> None:
    """Copy to the mailboxes added, expunge from those removed; the first of either together are a move, which no quota stops."""
    leaving = [(MailboxId(mailbox), uid) for mailbox, uid, _ in rows if mailbox in removed]
    mailbox, first, _ = rows[0]
    source = MailboxId(mailbox)
    if added and leaving:
        (source, first), *leaving = leaving
        moved = copy_move.copy(transaction, source, [first], added[0], effects, copy_move.MOVE)
        (source, first), added = (added[0], moved.copies[0]), added[1:]
    for target in added:
        copy_move.copy(transaction, source, [first], target, effects)
    for mailbox, uid in leaving:
        expunge.expunge(transaction, mailbox, [uid], effects, marked=False)
