"""How large a message each relay takes: what it announced when one was sent through it last (SIZE, RFC 1870 §3).

A row of `meta` for each relay, written when it changes, so that it is known after a restart too. Raises StoreError.
"""

from functools import partial
from typing import Any

from appliance.database.database import AnyDatabase
from appliance.database.writer import Transaction

KEY = "relay_size "


class RelaySizes:
    """`note` what a relay announced, 0 for no limit."""

    def __init__(self, database: AnyDatabase) -> None:
        self._database = database
        self._noted: dict[str, int] = {}

    def note(self, relay: str, octets: int) -> None:
        if self._noted.get(relay) != octets:
            self._noted[relay] = octets
            self._database.write_lazily(partial(_keep, KEY + relay, str(octets)))

    async def of(self, relay: str) -> int:
        """0 where it takes any, or none was sent through it yet."""
        if relay not in self._noted:
            self._noted[relay] = await self._database.read(partial(_read, KEY + relay))
        return self._noted[relay]


def _read(key: str, connection: Any) -> int:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return int(row[0]) if row else 0


def _keep(key: str, value: str, transaction: Transaction) -> None:
    transaction.execute(
        "INSERT INTO meta(key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value WHERE value != excluded.value",
        (key, value),
    )
