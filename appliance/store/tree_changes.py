"""Changes of an account's tree of mailboxes with all that follows from them, each inside one transaction (RFC 9051 §6.3.4 to §6.3.6).

`mailboxes` has the rows; here are the messages that go or move with them, the rights that new ones inherit, what other accounts see
of it (`sharing`), and that sessions hear.
"""

from appliance.database.writer import Transaction
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.flags import INBOX
from appliance.mail.ids import AccountId, MailboxId

from . import copy_move, expunge, mailboxes, metadata, shared_members, shared_sight, sharing
from .names import proper, superiors
from .observers import Effects
from .values import OUTBOX


def create(transaction: Transaction, account: AccountId, name: str, special_use: str, effects: Effects) -> MailboxId:
    """Missing superiors are made as well; all of them have the rights of the nearest mailbox above. Raises as `mailboxes.create`."""
    with sharing.following_sight(transaction, sharing.accounts_with_rights(transaction, account), effects):
        number = _create(transaction, account, name, special_use)
    effects.mailbox_changed(transaction, account)
    return number


def _create(transaction: Transaction, account: AccountId, name: str, special_use: str = "") -> MailboxId:
    name = proper(name)
    rows = [(one, mailboxes.row_named(transaction, account, one)) for one in superiors(name)]
    there = [row for _, row in rows if row is not None]
    number = mailboxes.create(transaction, account, name, special_use)
    if there:
        made = [one for one, row in rows if row is None]
        sharing.inherit_rights(transaction, account, [*made, name], there[-1].id)
    return number


def delete(transaction: Transaction, account: AccountId, name: str, effects: Effects) -> None:
    """Raises NO_MAILBOX, NOT_ALLOWED (INBOX, the Outbox), HAS_CHILDREN."""
    row = mailboxes.deletable(transaction, account, name)
    _expect_movable(row)
    with sharing.following_sight(transaction, sharing.accounts_with_rights(transaction, account), effects):
        expunge.expunge(transaction, row.id, None, effects, marked=False)
        mailboxes.forget(transaction, row)
    effects.mailbox_changed(transaction, account)


def rename(transaction: Transaction, account: AccountId, old: str, new: str, effects: Effects) -> None:
    """Children follow, rights stay with their mailboxes. INBOX's messages move and INBOX stays, empty (RFC 9051 §6.3.6); both have its
    metadata then (RFC 5464 §4.1).

    Raises NO_MAILBOX, EXISTS, BAD_NAME, TOO_MANY, OVER_QUOTA, NOT_ALLOWED (below itself, the Outbox).
    """
    row, name = mailboxes.renamable(transaction, account, old, new)
    _expect_movable(row)
    with sharing.following_sight(transaction, sharing.accounts_with_rights(transaction, account), effects):
        if row.name == INBOX:
            target = _create(transaction, account, name)
            mailboxes.subscribe_alike(transaction, account, INBOX, name)
            metadata.copy(transaction, account, row.id, target)
            copy_move.copy(transaction, row.id, None, target, effects, copy_move.MOVE)
        else:
            mailboxes.rename(transaction, row, name)
    effects.mailbox_changed(transaction, account)


def remove_all(transaction: Transaction, account: AccountId, effects: Effects) -> None:
    """All mailboxes of an account that goes, and what it may do with those of others."""
    with sharing.following_sight(transaction, sharing.accounts_with_rights(transaction, account), effects):
        for number in mailboxes.ids_of(transaction, account):
            expunge.expunge(transaction, number, None, effects, marked=False)
            mailboxes.drop_row(transaction, number)
    mailboxes.forget_account(transaction, account)
    shared_sight.forget(transaction, account)
    shared_members.forget_unshared(transaction)
    effects.mailbox_changed(transaction, account)


def _expect_movable(row: mailboxes.MailboxRow) -> None:
    if row.special_use == OUTBOX:
        raise StoreError(Trouble.NOT_ALLOWED, "the Outbox stays where it is")
