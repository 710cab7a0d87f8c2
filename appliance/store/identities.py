"""Identities: what a user sends as, with name, Reply-To, Bcc and signatures (RFC 8621 §6).

Every address of an account is an identity by itself, without a row: a row is made when the user changes it (`is_default`), and more can be
made for the same address. Whether the address may be used is asked when it is used, not kept here.
Bounds: IDENTITIES of an account, DETAILS_OCTETS each.
"""

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from appliance.database.writer import Transaction
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import AccountId, ModSeq

from .object_changes import IDENTITY, changed, forget_oldest, object_state

IDENTITIES = 100
DETAILS_OCTETS = 128 * 2**10
"""Signatures with a small picture in them."""


@dataclass(frozen=True, slots=True)
class IdentityRow:
    """`details`: JSON members that differ from their defaults."""

    id: int
    address: str
    is_default: bool
    details: dict[str, Any] = field(default_factory=dict)


def identities(connection: "sqlite3.Connection | Transaction", account: AccountId) -> tuple[ModSeq, list[IdentityRow]]:
    """The state and all rows."""
    rows = connection.execute(
        "SELECT id, address, is_default, details FROM identity WHERE account = ? AND NOT destroyed ORDER BY id", (account,)
    ).fetchall()
    found = [IdentityRow(number, address, bool(default), json.loads(details)) for number, address, default, details in rows]
    return object_state(connection, IDENTITY, account), found


def add_identity(transaction: Transaction, account: AccountId, address: str, details: Mapping[str, Any], *, is_default: bool) -> int:
    """Raises StoreError TOO_MANY, TOO_BIG."""
    count = transaction.execute("SELECT count(*) FROM identity WHERE account = ? AND NOT destroyed", (account,)).fetchone()[0]
    if count >= IDENTITIES:
        raise StoreError(Trouble.TOO_MANY, f"There are {IDENTITIES} identities already.")
    number, modseq = transaction.next_id(IDENTITY), changed(transaction, account)
    transaction.execute(
        "INSERT INTO identity(id, account, address, is_default, details, created_modseq, modseq) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (number, account, address, int(is_default), _encoded(details), modseq, modseq),
    )
    return number


def update_identity(transaction: Transaction, account: AccountId, number: int, change: Callable[[IdentityRow], Mapping[str, Any]]) -> None:
    """`change` gives the new details and may raise. Raises StoreError GONE, TOO_BIG."""
    row = transaction.execute(
        "SELECT address, is_default, details FROM identity WHERE id = ? AND account = ? AND NOT destroyed", (number, account)
    ).fetchone()
    if row is None:
        raise StoreError(Trouble.GONE)
    details = _encoded(change(IdentityRow(number, row[0], bool(row[1]), json.loads(row[2]))))
    transaction.execute("UPDATE identity SET details = ?, modseq = ? WHERE id = ?", (details, changed(transaction, account), number))


def destroy_identity(transaction: Transaction, account: AccountId, number: int) -> None:
    """Raises StoreError GONE, NOT_ALLOWED for the identity that an address is by itself."""
    row = transaction.execute(
        "SELECT is_default FROM identity WHERE id = ? AND account = ? AND NOT destroyed", (number, account)
    ).fetchone()
    if row is None:
        raise StoreError(Trouble.GONE)
    if row[0]:
        raise StoreError(Trouble.NOT_ALLOWED, "Every address of the account has an identity.")
    transaction.execute(
        "UPDATE identity SET destroyed = 1, address = '', details = '{}', modseq = ? WHERE id = ?", (changed(transaction, account), number)
    )
    forget_oldest(transaction, IDENTITY, account)


def _encoded(details: Mapping[str, Any]) -> str:
    text = json.dumps(details, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) > DETAILS_OCTETS:
        raise StoreError(Trouble.TOO_BIG, f"An identity takes at most {DETAILS_OCTETS // 1024} kB.")
    return text
