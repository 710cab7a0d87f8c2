"""MODSEQs of an account: one counter for all its mailboxes, messages and changes (RFC 7162 §3.1, RFC 8621 §1.2 states).

Every change takes the next number: a mailbox's MODSEQ is that of the last change in it, and a number used in one mailbox is
never used in another. So "all changes of the account since N" is a question with one answer. Numbers rise for ever and may be
skipped; the counter is a durable one (`Transaction.next_id`), which costs a write once in 256 numbers.
"""

import sqlite3

from appliance.database.writer import Transaction
from appliance.mail.ids import AccountId, ModSeq


def next_modseq(transaction: Transaction, account: AccountId | int) -> ModSeq:
    """For one change, inside its transaction."""
    return ModSeq(transaction.next_id(counter_of(account)))


def counter_of(account: AccountId | int) -> str:
    return f"modseq {account}"


def account_modseq(connection: sqlite3.Connection | Transaction, account: AccountId) -> ModSeq:
    """The highest MODSEQ of the account's committed changes; 0 before the first."""
    found = connection.execute(
        """SELECT max((SELECT coalesce(max(max(modseq, changed_modseq)), 0) FROM mailbox WHERE account = ?1),
            (SELECT coalesce(max(modseq), 0) FROM deleted_mailbox WHERE account = ?1))""",
        (account,),
    ).fetchone()
    return ModSeq(found[0])
