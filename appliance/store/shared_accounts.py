"""Which accounts share mailboxes with which, in memory, as of the last commit: a question costs nothing.

An account counts as shared with another when a mailbox of it is in that one's sight (`scope`). The list is made anew in each transaction
that changes what an account sees, and takes effect with its commit, before whoever waits for that goes on.
"""

# ruff: noqa: S608 - ANYONE is a constant, values are always parameters

import sqlite3
from collections.abc import Mapping
from typing import NamedTuple

from appliance.database.writer import Transaction
from appliance.mail.ids import AccountId, MailboxId, ModSeq
from appliance.mail.rights import ANYONE, NONE, Rights, parse_rights

from .account_watch import key_of

CHANGING: Rights = frozenset("swikxte")
"""With none of these nothing in an account can be changed."""
SELECT = f"""SELECT m.account, group_concat(r.rights, '') FROM mailbox_right AS r JOIN mailbox AS m ON m.id = r.mailbox
    LEFT JOIN account AS a ON a.id = m.account WHERE r.account IN (?1, {ANYONE}) AND m.account <> ?1 AND a.removed_at IS NULL
    GROUP BY m.id"""


class SharedAccount(NamedTuple):
    """An account with mailboxes in sight. `can_change`: something on one of them is allowed beyond reading."""

    account: AccountId
    can_change: bool


Shared = tuple[SharedAccount, ...]


class SharedAccounts:
    """All of one server. Changed on the loop alone; `changed` runs on the writer's thread and lays ready what `touched` takes."""

    def __init__(self) -> None:
        self._known: dict[AccountId, Shared] = {}
        self._ready: dict[tuple[AccountId, int], Shared] = {}
        self._number = 1

    def load(self, connection: sqlite3.Connection) -> None:
        viewers = [AccountId(account) for (account,) in connection.execute("SELECT id FROM account").fetchall()]
        self._known = {viewer: found for viewer in viewers if (found := _found(connection, viewer))}

    def of(self, viewer: AccountId) -> Shared:
        """By account."""
        return self._known.get(viewer, ())

    def changed(self, transaction: Transaction, viewer: AccountId) -> None:
        """An observer: what this account sees may have changed."""
        found = _found(transaction, viewer)
        if not found and viewer not in self._known and not self._ready:
            return
        self._number += 1
        key = (viewer, self._number)
        self._ready[key] = found
        transaction.after_rollback(lambda: self._withdraw(key))
        transaction.touched(key_of(viewer), ModSeq(self._number))

    def _withdraw(self, key: tuple[AccountId, int]) -> None:
        self._ready.pop(key, None)

    def touched(self, changes: Mapping[MailboxId, ModSeq]) -> None:
        """A group was committed."""
        for viewer, number in list(self._ready):
            newest = changes.get(key_of(viewer), 0)
            if number <= newest:
                found = self._ready.pop((viewer, number), ())
                if number == newest and found:
                    self._known[viewer] = found
                elif number == newest:
                    self._known.pop(viewer, None)


def _found(source: sqlite3.Connection | Transaction, viewer: AccountId) -> Shared:
    rights: dict[AccountId, Rights] = {}
    for owner, written in source.execute(SELECT, (viewer,)).fetchall():
        some = parse_rights(written)
        if "l" in some:
            rights[AccountId(owner)] = rights.get(AccountId(owner), NONE) | some
    return tuple(SharedAccount(owner, bool(some & CHANGING)) for owner, some in sorted(rights.items()))
