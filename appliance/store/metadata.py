"""Metadata: small named values that clients keep with a mailbox or with the account (RFC 5464); inside one transaction or reading.

Names are kept in lower case and compared so. Everything is bounded: a value, the names of one mailbox, the octets of an account. The
values of a mailbox go with it; a rename keeps them.
"""

import sqlite3
from collections.abc import Mapping

from appliance.database.writer import Transaction
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import AccountId, MailboxId
from appliance.mail.limits import METADATA_ACCOUNT_OCTETS, METADATA_ENTRIES, METADATA_VALUE_OCTETS


def values_of(connection: sqlite3.Connection | Transaction, account: AccountId, mailbox: MailboxId) -> dict[str, bytes]:
    """All of them by name, ascending."""
    rows = connection.execute("SELECT entry, value FROM metadata WHERE account = ? AND mailbox = ? ORDER BY entry", (account, mailbox))
    return {entry: bytes(value) for entry, value in rows.fetchall()}


def change(transaction: Transaction, account: AccountId, mailbox: MailboxId, changes: Mapping[str, bytes | None]) -> None:
    """Set values, or remove those that are None: all of them or none. Raises TOO_BIG, TOO_MANY, OVER_QUOTA."""
    for entry, value in changes.items():
        if value is None:
            transaction.execute("DELETE FROM metadata WHERE account = ? AND mailbox = ? AND entry = ?", (account, mailbox, entry))
            continue
        if len(value) > METADATA_VALUE_OCTETS:
            raise StoreError(Trouble.TOO_BIG, f"a value has at most {METADATA_VALUE_OCTETS} octets")
        transaction.execute("INSERT OR REPLACE INTO metadata VALUES (?, ?, ?, ?)", (account, mailbox, entry, value))
    entries, octets = transaction.execute(
        "SELECT sum(mailbox = ?2), sum(length(value)) FROM metadata WHERE account = ?1", (account, mailbox)
    ).fetchone()
    if (entries or 0) > METADATA_ENTRIES:
        raise StoreError(Trouble.TOO_MANY, f"a mailbox has at most {METADATA_ENTRIES} values")
    if (octets or 0) > METADATA_ACCOUNT_OCTETS:
        raise StoreError(Trouble.OVER_QUOTA, f"the values of an account have at most {METADATA_ACCOUNT_OCTETS} octets in all")


def copy(transaction: Transaction, account: AccountId, source: MailboxId, target: MailboxId) -> None:
    """All values of a mailbox to one just made. Raises as `change`."""
    change(transaction, account, target, values_of(transaction, account, source))


def forget(transaction: Transaction, mailbox: MailboxId) -> None:
    transaction.execute("DELETE FROM metadata WHERE mailbox = ?", (mailbox,))
