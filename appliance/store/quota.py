"""Quota: how many octets each account's mail takes, and its limit.

The mailbox rows are the truth; this keeps their sums in memory, changed only after a commit, so that a question costs
nothing. A limit is checked inside the transaction against the rows. Messages are counted as often as they are shown.
Two things pass the limit, and both have a bound, so that a user with a full mailbox is not stuck: COPY into the Trash, by which
clients without MOVE delete (no octet is stored twice; the Trash may hold as much as the limit, or as all else together), and
what the server itself has to send (`Placement.beyond`).
"""

import sqlite3
from collections.abc import Callable, Sequence

from appliance.database.writer import Transaction
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import AccountId

from .values import Placement

TRASH_FULL = "the mailbox and its Trash are full; reading, moving and deleting still work, so empty the Trash first"

QuotaOf = Callable[[AccountId], int | None]
"""An account's limit in octets, None for none; called from the loop and from the writer's thread."""


class Quota:
    """The sums and the limits. Sums change on the writer's thread alone."""

    def __init__(self, quota_of: QuotaOf) -> None:
        self._limit_of = quota_of
        self._used: dict[AccountId, int] = {}

    def load(self, connection: sqlite3.Connection) -> None:
        sums = connection.execute("SELECT account, sum(octets) FROM mailbox GROUP BY account").fetchall()
        self._used = {AccountId(account): used for account, used in sums}

    def of(self, account: AccountId) -> tuple[int, int | None]:
        """(octets used, limit or None)."""
        return self._used.get(account, 0), self._limit_of(account)

    def took(
        self, transaction: Transaction, account: AccountId, octets: int, *, beyond: int = 0, trash: int = -1, checked: bool = True
    ) -> None:
        """The transaction has added `octets` (negative: has freed) to the account's mailbox rows. Raises OVER_QUOTA.

        `beyond`: so far above the limit this may go. `trash`: the octets of the Trash they were copied into, -1 for another
        mailbox. `checked` False: they were taken from another mailbox of the account in this transaction.
        """
        limit = self._limit_of(account) if octets > 0 and checked else None
        if limit is not None:
            used = _used(transaction, account)
            if used > limit + beyond and not 0 <= trash <= max(limit, used - trash):
                raise StoreError(Trouble.OVER_QUOTA, TRASH_FULL if trash >= 0 else "")
        if octets:
            transaction.after_commit(lambda: self._add(account, octets))

    def without_room(self, transaction: Transaction, placements: Sequence[Placement], octets: int) -> list[int]:
        """Which of these placements (numbers) of a body of `octets` would pass their account's limit."""
        found = []
        for number, placement in enumerate(placements):
            row = transaction.execute("SELECT account FROM mailbox WHERE id = ?", (placement.mailbox,)).fetchone()
            limit = self._limit_of(AccountId(row[0])) if row else None
            if limit is not None and _used(transaction, AccountId(row[0])) + octets + len(placement.prefix) > limit + placement.beyond:
                found.append(number)
        return found

    def _add(self, account: AccountId, octets: int) -> None:
        self._used[account] = self._used.get(account, 0) + octets

    def forget(self, account: AccountId) -> None:
        self._used.pop(account, None)


def _used(transaction: Transaction, account: AccountId) -> int:
    used: int | None = transaction.execute("SELECT sum(octets) FROM mailbox WHERE account = ?", (account,)).fetchone()[0]
    return used or 0
