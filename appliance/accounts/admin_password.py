"""The admin password: the serial console asks for it before it changes anything.

One for the server, stored like an account's (argon2id), beside a one-time password that is in memory only and expires with
its first use. Commands run on the machine need neither: the kernel gives the user id of the local socket's peer.
"""

import hmac
import sqlite3
from typing import TYPE_CHECKING

from .passwords import InThread, check_new, fits_slowly, generate, hash_slowly, prepare

if TYPE_CHECKING:
    from appliance.database.database import AnyDatabase
    from appliance.database.group import Transaction

KEY = "admin_password"


class Admin:
    """Sets and checks it; hashing runs `in_thread`."""

    def __init__(self, database: "AnyDatabase", in_thread: InThread) -> None:
        self._database = database
        self._in_thread = in_thread
        self.changes = 0
        """How often it was set since the start: a console unlocked before is locked again."""
        self.one_time = ""
        """The unused one-time password, to be shown only on the box itself; "" for none."""

    prompt = "Admin password:"

    @property
    def notice(self) -> str:
        """What the console's first screen says of it, or ""."""
        return f"One-time admin password: {self.one_time}" if self.one_time else ""

    async def set(self, password: str) -> None:
        """Raises SetupError when it cannot be typed; then nothing has changed."""
        check_new(password)
        slow = await self._in_thread(lambda: hash_slowly(prepare(password)))

        def keep(transaction: "Transaction") -> None:
            transaction.execute("INSERT OR REPLACE INTO meta(key, value) VALUES (?, ?)", (KEY, slow.encode()))

        await self._database.write(keep)
        self.one_time = ""
        self.changes += 1

    async def check(self, password: str) -> bool:
        """Is it the admin password, or the unused one-time password?"""
        prepared = prepare(password)
        if self.one_time and hmac.compare_digest(prepared, prepare(self.one_time)):
            self.one_time = ""
            return True
        stored = await self._database.read(_stored)
        return bool(stored) and await self._in_thread(lambda: fits_slowly(stored, prepared))

    async def known(self) -> bool:
        """Is any admin password set?"""
        return bool(self.one_time or await self._database.read(_stored))

    def make_one_time(self) -> None:
        """Make a new one-time password; the one before is void."""
        self.one_time = generate()


def _stored(connection: sqlite3.Connection) -> str:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (KEY,)).fetchone()
    return bytes(row[0]).decode() if row else ""
