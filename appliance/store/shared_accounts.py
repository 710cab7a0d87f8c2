"""Which accounts share mailboxes with which, in memory, as of the last commit: a question costs nothing.

An account counts as shared with another when a mailbox of it is in that one's sight (`scope`). The list is made anew in each transaction
that changes what an account sees, and takes effect with its commit, before whoever waits for that goes on.
"""

import sqlite3
from collections.abc import Mapping
from typing import NamedTuple

from appliance.database.writer import Transaction
from appliance.mail.ids import AccountId, MailboxId, ModSeq
from appliance.mail.rights import Rights, parse_rights

from .account_watch import key_of

CHANGING: Rights = frozenset("swikxte")
"""With none of these nothing in an account can be changed."""
SELECT = """SELECT r.account, m.account, r.rights FROM mailbox_right AS r JOIN mailbox AS m ON m.id = r.mailbox
    LEFT JOIN account AS a ON a.id = m.account WHERE a.removed_at IS NULL"""


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
        self._known = _found(connection.execute(SELECT).fetchall())

    def of(self, viewer: AccountId) -> Shared:
        """By account."""
        return self._known.get(viewer, ())

    def changed(self, transaction: Transaction, viewer: AccountId) -> None:
        """An observer: what this account sees may have changed."""
        found = _found(transaction.execute(f"{SELECT} AND r.account = ?", (viewer,)).fetchall()).get(viewer, ())
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


def _found(rows: list[tuple[int, int, str]]) -> dict[AccountId, Shared]:
    rights: dict[AccountId, dict[AccountId, Rights]] = {}
    for viewer, owner, written in rows:
        one = parse_rights(written)
        if "l" in one:
            some = rights.setdefault(AccountId(viewer), {})
            some[AccountId(owner)] = some.get(AccountId(owner), frozenset()) | one
    return {
        viewer: tuple(SharedAccount(owner, bool(some & CHANGING)) for owner, some in sorted(of.items())) for viewer, of in rights.items()
    }
