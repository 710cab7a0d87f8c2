"""Quota: how many octets and messages each account's mail takes, and its limits.

The mailbox rows are the truth; this keeps their sums in memory, changed only after a commit, so that a question costs
nothing. A limit is checked inside the transaction against the rows. Messages are counted as often as they are shown.
Two things pass the limit, and both have a bound, so that a user with a full mailbox is not stuck: COPY into the Trash, by which
clients without MOVE delete (no octet is stored twice; the Trash may hold as much as the limit, or as all else together), and
what the server itself has to send (`Placement.beyond`). The number of messages has one limit for all accounts, far above what a family
has; it is checked against the sum in memory, so transactions of one group may pass it by what they add.
"""

import sqlite3
from collections.abc import Callable, Sequence

from appliance.database.writer import Transaction
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import AccountId
from appliance.mail.limits import ACCOUNT_MESSAGES

from .values import Placement

TRASH_FULL = "the mailbox and its Trash are full; reading, moving and deleting still work, so empty the Trash first"

QuotaOf = Callable[[AccountId], int | None]
"""An account's limit in octets, None for none; called from the loop and from the database's threads."""


class Quota:
    """The sums and the limits. Sums change on the writer's thread alone."""

    def __init__(self, quota_of: QuotaOf) -> None:
        self._limit_of = quota_of
        self._used: dict[AccountId, int] = {}
        self._messages: dict[AccountId, int] = {}

    def load(self, connection: sqlite3.Connection) -> None:
        sums = connection.execute("SELECT account, sum(octets), sum(messages) FROM mailbox GROUP BY account").fetchall()
        self._used = {AccountId(account): used for account, used, _ in sums}
        self._messages = {AccountId(account): messages for account, _, messages in sums}

    def of(self, account: AccountId) -> tuple[int, int | None]:
        """(octets used, limit or None)."""
        return self._used.get(account, 0), self._limit_of(account)

    def messages_of(self, account: AccountId) -> tuple[int, int]:
        """(messages, limit)."""
        return self._messages.get(account, 0), ACCOUNT_MESSAGES

    def as_of(self, source: sqlite3.Connection | Transaction, account: AccountId) -> tuple[int, int | None, int, int]:
        """(octets used, limit or None, messages, limit) of the rows, so never a commit behind."""
        used, messages = _sums(source, account)
        return used, self._limit_of(account), messages, ACCOUNT_MESSAGES

    def took(
        self, transaction: Transaction, account: AccountId, octets: int, messages: int, *, beyond: int = 0, trash: int = -1,
        checked: bool = True,
    ) -> None:  # fmt: skip
        """The transaction has added `octets` and `messages` (negative: has freed) to the account's mailbox rows. Raises OVER_QUOTA.

        `beyond`: so far above the limit this may go. `trash`: the octets of the Trash they were copied into, -1 for another
        mailbox. `checked` False: they were taken from another mailbox of the account in this transaction.
        """
        limit = self._limit_of(account) if octets > 0 and checked else None
        if limit is not None:
            used = _used(transaction, account)
            if used > limit + beyond and not 0 <= trash <= max(limit, used - trash):
                raise StoreError(Trouble.OVER_QUOTA, TRASH_FULL if trash >= 0 else "")
        if checked and self._too_many(account, messages):
            raise StoreError(Trouble.OVER_QUOTA, f"an account has at most {ACCOUNT_MESSAGES} messages")
        if messages:
            transaction.after_commit(lambda: self._add(account, octets, messages))

    def without_room(self, transaction: Transaction, placements: Sequence[Placement], octets: int) -> list[int]:
        """Which of these placements (numbers) of a body of `octets` would pass their account's limit."""
        found = []
        for number, placement in enumerate(placements):
            row = transaction.execute("SELECT account FROM mailbox WHERE id = ?", (placement.mailbox,)).fetchone()
            if row is None:
                continue  # `append` says so
            account = AccountId(*row)
            if self._too_many(account, 1):
                found.append(number)
                continue
            limit = self._limit_of(account)
            if limit is not None and _used(transaction, account) + octets + len(placement.prefix) > limit + placement.beyond:
                found.append(number)
        return found

    def _too_many(self, account: AccountId, more: int) -> bool:
        return more > 0 and self._messages.get(account, 0) + more > ACCOUNT_MESSAGES

    def _add(self, account: AccountId, octets: int, messages: int) -> None:
        self._used[account] = self._used.get(account, 0) + octets
        self._messages[account] = self._messages.get(account, 0) + messages

    def forget(self, account: AccountId) -> None:
        self._used.pop(account, None)
        self._messages.pop(account, None)


def _used(transaction: Transaction, account: AccountId) -> int:
    return _sums(transaction, account)[0]


def _sums(source: sqlite3.Connection | Transaction, account: AccountId) -> tuple[int, int]:
    """(octets, messages)."""
    statement = "SELECT coalesce(sum(octets), 0), coalesce(sum(messages), 0) FROM mailbox WHERE account = ?"
    found: tuple[int, int] = source.execute(statement, (account,)).fetchone()
    return found
