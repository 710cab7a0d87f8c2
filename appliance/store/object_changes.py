"""Changes of an account's small objects: identities and submissions, each with a MODSEQ of the account (RFC 8620 §5.2).

Each table has the columns id, account, created_modseq, modseq and destroyed. A destroyed object stays as a row without content until more
than DESTROYED_KEPT of them are there; then the oldest go, and states from before that are not known any more (`forgotten_change`).

| the row of an object, for one who knows MODSEQ n | is told as |
|--------------------------------------------------|------------|
| modseq at most n                                 | nothing    |
| created_modseq above n                           | created; nothing when it is destroyed by now |
| else                                             | updated, or destroyed |
"""

import sqlite3
from typing import NamedTuple

from appliance.database.writer import Transaction
from appliance.mail.ids import AccountId, MailboxId, ModSeq

from .modseq import next_modseq

DESTROYED_KEPT = 200
IDENTITY, SUBMISSION = "identity", "submission"
_FAR = 2**40
"""Accounts have smaller numbers."""


class ObjectChange(NamedTuple):
    """One object's row, without its content."""

    id: int
    created_modseq: ModSeq
    modseq: ModSeq
    destroyed: bool


def key_of_objects(account: AccountId) -> MailboxId:
    """Stands for the account's small objects among the mailboxes a commit touched (`account_watch`)."""
    return MailboxId(-account - _FAR)


def object_state(connection: "sqlite3.Connection | Transaction", table: str, account: AccountId) -> ModSeq:
    """The MODSEQ of the last change; 0 before the first."""
    found = connection.execute(
        f"SELECT max((SELECT coalesce(max(modseq), 0) FROM {table} WHERE account = ?1),"  # noqa: S608 - a constant of ours
        " (SELECT coalesce(max(modseq), 0) FROM forgotten_change WHERE account = ?1 AND kind = ?2))",
        (account, table),
    ).fetchone()
    return ModSeq(found[0])


def object_changes(
    connection: sqlite3.Connection, table: str, account: AccountId, since: ModSeq, most: int
) -> tuple[ModSeq, list[ObjectChange], bool] | None:
    """The state the changes lead to, the changes in the order of their MODSEQs, and whether more follow; None when `since` is too long
    ago, or was never a state."""
    state = object_state(connection, table, account)
    known = connection.execute("SELECT modseq FROM forgotten_change WHERE account = ? AND kind = ?", (account, table)).fetchone()
    if since > state or (known is not None and since < known[0]):
        return None
    rows = connection.execute(
        f"SELECT id, created_modseq, modseq, destroyed FROM {table} WHERE account = ? AND modseq > ? ORDER BY modseq LIMIT ?",  # noqa: S608
        (account, since, most + 1),
    ).fetchall()
    changes = [ObjectChange(number, ModSeq(made), ModSeq(modseq), bool(gone)) for number, made, modseq, gone in rows[:most]]
    more = len(rows) > most
    return changes[-1].modseq if more else state, changes, more


def changed(transaction: Transaction, account: AccountId) -> ModSeq:
    """The MODSEQ of a change that happens now; watchers are woken after the commit."""
    modseq = next_modseq(transaction, account)
    transaction.touched(key_of_objects(account), modseq)
    return modseq


def forget_oldest(transaction: Transaction, table: str, account: AccountId) -> None:
    """After objects were destroyed: delete the oldest rows without content past DESTROYED_KEPT."""
    last = transaction.execute(
        f"SELECT modseq FROM {table} WHERE account = ? AND destroyed ORDER BY modseq DESC LIMIT 1 OFFSET ?",  # noqa: S608
        (account, DESTROYED_KEPT),
    ).fetchone()
    if last is not None:
        transaction.execute(f"DELETE FROM {table} WHERE account = ? AND destroyed AND modseq <= ?", (account, last[0]))  # noqa: S608
        transaction.execute(
            "INSERT INTO forgotten_change VALUES(?, ?, ?) ON CONFLICT(account, kind) DO UPDATE SET modseq = excluded.modseq",
            (account, table, last[0]),
        )
