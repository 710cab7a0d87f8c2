"""How many octets each person's mail takes, and how many it may.

The mailbox rows are the truth; this keeps their sums in memory, changed only after a commit, so that a question costs
nothing. A limit is checked inside the transaction against the rows. Letters are counted as often as they are shown.
"""

import sqlite3
from collections.abc import Callable

from appliance.database.writer import Transaction
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import PersonId

QuotaOf = Callable[[PersonId], int | None]
"""A person's limit in octets, None for none; called from the loop and from the writer's thread."""


class Quota:
    """The sums and the limits. Sums change on the writer's thread alone."""

    def __init__(self, quota_of: QuotaOf) -> None:
        self._limit_of = quota_of
        self._used: dict[PersonId, int] = {}

    def load(self, connection: sqlite3.Connection) -> None:
        sums = connection.execute("SELECT person, sum(octets) FROM mailbox GROUP BY person").fetchall()
        self._used = {PersonId(person): used for person, used in sums}

    def of(self, person: PersonId) -> tuple[int, int | None]:
        """(octets used, limit or None)."""
        return self._used.get(person, 0), self._limit_of(person)

    def took(self, transaction: Transaction, person: PersonId, octets: int) -> None:
        """The transaction has added `octets` (negative: has freed) to the person's mailbox rows. Raises OVER_QUOTA."""
        limit = self._limit_of(person) if octets > 0 else None
        if limit is not None:
            used = transaction.execute("SELECT sum(octets) FROM mailbox WHERE person = ?", (person,)).fetchone()[0]
            if used > limit:
                raise StoreError(Trouble.OVER_QUOTA)
        if octets:
            transaction.after_commit(lambda: self._add(person, octets))

    def _add(self, person: PersonId, octets: int) -> None:
        self._used[person] = self._used.get(person, 0) + octets

    def forget(self, person: PersonId) -> None:
        self._used.pop(person, None)
