"""Change one message in all its mailboxes at once: its flags and where it is, in one transaction (JMAP's Email/set, RFC 8621 §4.6).

The change is decided inside the transaction from what is there then, so two clients that change different flags both succeed.
Flags are set in every copy alike. A copy with \\Deleted is not there for JMAP (RFC 8621 §4.1.1): it stays as it is.
"""

# ruff: noqa: S608 - conditions are words of ours, values are always parameters

from collections.abc import Callable
from dataclasses import dataclass

from appliance.database.writer import Transaction
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import MailboxId, MessageId
from appliance.mail.rights import ALL, Rights, changeable, flag_mask

from . import copy_move, expunge
from .account_messages import flag_names
from .flag_changes import set_flags
from .keywords import keywords_of
from .observers import Effects
from .scope import Scope, only_readable
from .sharing import expect_rights
from .values import FlagChange, Mode


@dataclass(frozen=True, slots=True)
class MessageState:
    """What can change: names of flags (those of any copy), and the mailboxes that hold the message."""

    flags: frozenset[str]
    mailboxes: frozenset[MailboxId]


Decide = Callable[[MessageState], MessageState]
"""What the message shall be; may raise whatever the caller wants to get."""


def update_message(transaction: Transaction, scope: Scope, message: MessageId, decide: Decide, effects: Effects) -> None:
    """Raises GONE, NO_MAILBOX, NO_RIGHT, NOT_ALLOWED (into the Outbox), OVER_QUOTA, TOO_MANY. Without mailboxes it is destroyed."""
    condition, parameters = only_readable(transaction, scope, "m.mailbox")
    rows = transaction.execute(
        "SELECT m.mailbox, m.uid, m.flags FROM message AS m JOIN mailbox AS b ON b.id = m.mailbox WHERE message_data = ? AND account = ?"
        f" AND m.flags & 8 = 0{condition} ORDER BY m.mailbox, m.uid",
        (message, scope.account, *parameters),
    ).fetchall()
    if not rows:
        raise StoreError(Trouble.GONE)
    names = {mailbox: keywords_of(transaction, MailboxId(mailbox)) for mailbox, _, _ in rows}
    flags = frozenset(name for mailbox, _, bits in rows for name in flag_names(bits, names[mailbox]))
    before = MessageState(flags, frozenset(MailboxId(mailbox) for mailbox, _, _ in rows))
    after = decide(before)
    added, removed = after.mailboxes - before.mailboxes, before.mailboxes - after.mailboxes
    rights = {mailbox: expect_in(transaction, scope, mailbox, "i") for mailbox in sorted(added)}
    for mailbox in removed:
        expect_in(transaction, scope, mailbox, "te")
    if after.flags != before.flags and after.mailboxes:
        _set_flags(transaction, scope, rows, (before.flags, after.flags), effects)
    _place(transaction, rows, rights, removed, effects)


def expect_in(transaction: Transaction, scope: Scope, mailbox: MailboxId, needed: str) -> Rights:
    """The viewer's rights on a mailbox of the account, all of `needed` among them. Raises NO_MAILBOX, NO_RIGHT."""
    if not transaction.execute("SELECT 1 FROM mailbox WHERE id = ? AND account = ?", (mailbox, scope.account)).fetchone():
        raise StoreError(Trouble.NO_MAILBOX)
    return ALL if scope.is_own else expect_rights(transaction, mailbox, scope.viewer, needed)


def _set_flags(
    transaction: Transaction,
    scope: Scope,
    rows: list[tuple[int, int, int]],
    flags: tuple[frozenset[str], frozenset[str]],
    effects: Effects,
) -> None:
    """`flags`: before and after. What changes may be changed in every copy, or nowhere (RFC 8621 §2: maySetSeen, maySetKeywords)."""
    changed = {"s" if name == "\\Seen" else "w" for name in flags[0] ^ flags[1]}
    rights = {mailbox: expect_in(transaction, scope, MailboxId(mailbox), "".join(changed)) for mailbox, _, _ in rows}
    for mailbox, uid, _ in rows:
        names = changeable(sorted(flags[1]), rights[mailbox])
        change = FlagChange(Mode.REPLACE, names, flag_mask(rights[mailbox]))
        set_flags(transaction, MailboxId(mailbox), [uid], change, None, effects)


def _place(
    transaction: Transaction,
    rows: list[tuple[int, int, int]],
    rights: dict[MailboxId, Rights],
    removed: frozenset[MailboxId],
    effects: Effects,
) -> None:
    """Copy to the mailboxes that `rights` are on, expunge from those removed; the first of either together are a move, which no quota
    stops."""
    added = list(rights)
    leaving = [(MailboxId(mailbox), uid) for mailbox, uid, _ in rows if mailbox in removed]
    mailbox, first, _ = rows[0]
    source = MailboxId(mailbox)
    if added and leaving:
        (source, first), *leaving = leaving
        moved = copy_move.copy(transaction, source, [first], added[0], effects, copy_move.Copying(True, rights=rights[added[0]]))
        (source, first), added = (added[0], moved.copies[0]), added[1:]
    for target in added:
        copy_move.copy(transaction, source, [first], target, effects, copy_move.Copying(rights=rights[target]))
    for mailbox, uid in leaving:
        expunge.expunge(transaction, mailbox, [uid], effects, marked=False)
