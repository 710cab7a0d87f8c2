"""The setup code: the one secret that opens a server without accounts, for whoever can see its console or its boot partition.

| state  | how it gets there                                   | what a code does                                         |
|--------|-----------------------------------------------------|----------------------------------------------------------|
| none   | the server has an account, or one removed lately    | nothing: every code is wrong                             |
| live   | `prepare` at the start of a server without accounts | the right one is accepted, as often as it is typed       |
| used   | the commit that adds the first account              | nothing; the row went in that very commit                |

Invariants: the database has the hash only, the code itself is in memory, to be shown on the box; of two requests that bring
the right code at once, one adds the first account (`claim` looks inside the transaction); an account added in any other way
ends the code as well. A code that was shown before a restart stays good when it is given back (`given`);
otherwise a start makes a new one and the one before is void.

Guesses are throttled for each source like passwords (`throttle`): ten a minute against 59 bits.
"""

import hmac
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import pbkdf2_hmac
from typing import TYPE_CHECKING

from appliance.mail.errors import SetupError

from .passwords import ALPHABET, SALT_OCTETS, InThread, random_groups

if TYPE_CHECKING:
    from appliance.database.database import AnyDatabase
    from appliance.database.group import Transaction
    from appliance.mail.clock import Clock

    from .throttle import Throttle

KEY = "setup_code"
"""The row of `meta`: salt and hash."""
GROUPS, GROUP_CHARACTERS = 3, 4
"""Twelve characters of 31: 59 bits, short enough to be typed from a screen."""
ITERATIONS = 20_000
"""Of PBKDF2-HMAC-SHA-256; the code is random, so this only makes a stolen database useless."""
NAME = "setup code"
"""What the throttle knows it by."""


@dataclass(frozen=True, slots=True)
class CodeVerdict:
    """Whether a code was accepted; else why not, in a sentence, and how long to wait before the next try (0: no need to)."""

    accepted: bool
    problem: str = ""
    wait_s: float = 0.0


class SetupCode:
    """Makes, shows and checks it. `has_accounts`: is there an account, a removed one included?"""

    def __init__(self, database: "AnyDatabase", in_thread: InThread, clock: "Clock", has_accounts: Callable[[], bool]) -> None:
        self._database = database
        self._in_thread = in_thread
        self._clock = clock
        self._has_accounts = has_accounts
        self._code = ""
        self._throttle: Throttle | None = None

    @property
    def shown(self) -> str:
        """The code, to be shown on the box itself; "" while there is none."""
        return "" if self._has_accounts() else self._code

    async def prepare(self, given: str = "") -> None:
        """At the start of a server: make a code if there is no account. `given` is the one shown before, kept if it still fits."""
        if self._has_accounts():
            return
        if normalised(given) and await self._fits(given):
            self._code = normalised(given)
            return
        code, salt = random_groups(GROUPS, GROUP_CHARACTERS), os.urandom(SALT_OCTETS)
        hashed = await self._in_thread(lambda: _hash(code, salt))

        def keep(transaction: "Transaction") -> None:
            transaction.execute("INSERT OR REPLACE INTO meta(key, value) VALUES (?, ?)", (KEY, salt + hashed))

        await self._database.write(keep)
        self._code = code

    async def verify(self, typed: str, source: bytes = b"") -> CodeVerdict:
        """Is it the code? `source`: who types it, as for the login throttle (an address, or b"" for the box itself).

        Never waits for the throttle: a try that comes too early is refused unchecked.
        """
        if self._has_accounts():
            return CodeVerdict(False, "The server is set up: there is no setup code any more.")
        self._throttle = self._throttle or _new_throttle()
        now = self._clock.mono_s()
        trying = self._throttle.start(NAME, source)
        if wait_s := self._throttle.wait_s(trying, now):
            return CodeVerdict(False, f"Wait {wait_s:.0f} seconds before the next try.", wait_s)
        self._throttle.admit(trying, now)
        if await self._fits(typed):
            self._throttle.withdrawn(trying)
            return CodeVerdict(True)
        self._throttle.wrong(trying, now)
        return CodeVerdict(False, "That is not the setup code. It is on the serial console and in pillarbox-setup.txt.")

    async def _fits(self, typed: str) -> bool:
        code, stored = normalised(typed), await self._database.read(_stored)
        if not code or not stored:
            return False
        salt, hashed = stored[:SALT_OCTETS], stored[SALT_OCTETS:]
        return hmac.compare_digest(await self._in_thread(lambda: _hash(code, salt)), hashed)


def claim(transaction: "Transaction") -> None:
    """Use the code up, in the transaction that adds the first account. Raises SetupError where that was done before."""
    if transaction.execute("DELETE FROM meta WHERE key = ? RETURNING 1", (KEY,)).fetchone() is None:
        raise SetupError("The setup code has been used.", "Sign in with the account that was made with it.")


def end(transaction: "Transaction") -> None:
    """There is an account from this transaction on: no code any more, used or not."""
    transaction.execute("DELETE FROM meta WHERE key = ?", (KEY,))


def _new_throttle() -> "Throttle":
    from .throttle import Throttle

    return Throttle()


def normalised(typed: str) -> str:
    """A code as it is shown, in groups with dashes, whatever case, blanks or dashes it was typed with; "" when it cannot be one."""
    bare = typed.replace("-", "").replace(" ", "").strip().lower()
    if len(bare) != GROUPS * GROUP_CHARACTERS or not bare.isascii() or not set(bare.encode()).issubset(ALPHABET):
        return ""
    return "-".join([bare[at : at + GROUP_CHARACTERS] for at in range(0, len(bare), GROUP_CHARACTERS)])


def _hash(code: str, salt: bytes) -> bytes:
    return pbkdf2_hmac("sha256", code.encode(), salt, ITERATIONS)


def _stored(connection: sqlite3.Connection) -> bytes:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (KEY,)).fetchone()
    return bytes(row[0]) if row else b""
