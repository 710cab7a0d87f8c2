"""The second factor of accounts: codes of an app (TOTP, RFC 6238) and recovery codes, beside the account's own password.

| state | how it gets there                                        | what the account's own password opens                       |
|-------|----------------------------------------------------------|-------------------------------------------------------------|
| off   | the beginning; `remove`                                  | everything                                                  |
| on    | `enable`, with a right code of the new secret            | browser and console, together with a code; no mail program  |

| a code        | is accepted                                                                                                  |
|---------------|--------------------------------------------------------------------------------------------------------------|
| of the app    | when its step is that of now or a neighbour, and newer than the last one used; never while the clock is not trusted |
| recovery      | once, whatever the clock says                                                                                |

Invariants: a code is used up by the transaction that accepts it, so of two requests with one code the second is refused. Switching on
gives the account's own password a new row number: every session that signed in without a code ends. Recovery codes are stored as
PBKDF2 hashes; the secret of TOTP has to be there as it is. Wrong codes are counted before they are checked, so many at once are no way
around the throttle, and every check has been preceded by the right password.
How it fails: SetupError; StoreError from the writer.
"""

import os
from hashlib import pbkdf2_hmac
from typing import TYPE_CHECKING

from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence

from .accounts import Accounts
from .passwords import SALT_OCTETS, random_groups
from .throttle import BoundedMap
from .totp import SECRET_OCTETS, SecondFactor, find_step, looks_like_code

if TYPE_CHECKING:
    from appliance.database.writer import Transaction
    from appliance.mail.clock import Clock
    from appliance.mail.ids import AccountId

    from .directory import Account, DirectoryTables

RECOVERY_CODES = 10
GROUPS, GROUP_CHARACTERS = 3, 4
"""59 bits of a recovery code."""
ITERATIONS = 20_000
"""Of PBKDF2-HMAC-SHA-256: the codes are random, so this only makes a stolen database useless."""
TYPED_CHARACTERS = 64
FREE = 5
"""Wrong codes before the next has to wait."""
PAUSE_S = (30.0, 900.0)
"""First and longest wait; it doubles. So about a hundred guesses a day at three of a million codes, by who knows the password already."""
THROTTLED = 512


class CodeThrottle:
    """Counts the codes of an account since the last right one; a source from which a code was right before has a count of its own, so
    that others who guess do not hold up the owner."""

    def __init__(self) -> None:
        self._counts: BoundedMap[tuple[int, float]] = BoundedMap(THROTTLED)
        self._familiar: BoundedMap[bool] = BoundedMap(THROTTLED)

    def take(self, account: int, source: bytes, now: float) -> float:
        """0 when a code may be checked, which counts as wrong until `right`; else how long to wait."""
        key = self._key(account, source)
        count, due = self._counts.get(key) or (0, now)
        if now < due:
            return due - now
        count += 1
        pause_s = 0.0 if count < FREE else min(PAUSE_S[1], PAUSE_S[0] * float(2 ** min(16, count - FREE)))
        self._counts.put(key, (count, now + pause_s))
        return 0.0

    def right(self, account: int, source: bytes) -> None:
        self._counts.put(self._key(account, source), (0, 0.0))
        self._familiar.put(hash((account, source)), True)

    def _key(self, account: int, source: bytes) -> int:
        pair = hash((account, source))
        return pair if self._familiar.get(pair) else hash((account, b""))


class SecondFactors:
    """The second factors of one server's accounts; they are in the snapshot `accounts.secrets`."""

    def __init__(self, accounts: Accounts, clock: "Clock") -> None:
        self._accounts = accounts
        self._clock = clock
        self._throttle = CodeThrottle()

    def of(self, account: "AccountId") -> SecondFactor | None:
        return self._accounts.secrets.second_factors.get(account)

    @property
    def clock_trusted(self) -> bool:
        """Can codes of an app be checked now?"""
        return self._clock.trusted()

    async def enable(self, account: "Account", secret: bytes, typed: str) -> tuple[str, ...]:
        """Switch it on; the recovery codes, which are shown this once. Raises SetupError for a wrong code or an untrusted clock."""
        if not self._clock.trusted():
            raise SetupError(Sentence("The clock of the server is not set yet, so codes cannot be checked."), Sentence("Try again later."))
        step = find_step(secret, _plain(typed), self._clock.wall_s())
        if step is None or len(secret) != SECRET_OCTETS:
            raise SetupError(Sentence("That is not the code that the app shows now."), Sentence("Check that the phone's time is right."))
        codes, salt, digests = await self._make_codes()
        made_at = int(self._clock.wall_s())

        def add(transaction: "Transaction", tables: "DirectoryTables") -> None:
            if account.id not in tables.accounts:
                raise SetupError(Sentence("There is no account %(address)s here.", address=account.address))
            if transaction.execute("SELECT 1 FROM second_factor WHERE account = ?", (account.id,)).fetchone():
                raise SetupError(Sentence("The second factor is on already."))
            row = (account.id, secret, salt, made_at, step)
            transaction.execute("INSERT INTO second_factor(account, secret, salt, made_at, last_step) VALUES (?, ?, ?, ?, ?)", row)
            _store_codes(transaction, account.id, digests)
            number = transaction.next_id("password")
            transaction.execute("UPDATE password SET id = ? WHERE account = ? AND label = ''", (number, account.id))

        await self._accounts.change(add)
        return codes

    async def remove(self, account: "Account") -> None:
        """Switch it off."""

        def remove(transaction: "Transaction", tables: "DirectoryTables") -> None:
            gone = transaction.execute("DELETE FROM second_factor WHERE account = ? RETURNING 1", (account.id,)).fetchone()
            if gone is None:
                raise SetupError(Sentence("This account has no second factor."))
            transaction.execute("DELETE FROM recovery_code WHERE account = ?", (account.id,))

        await self._accounts.change(remove)

    async def renew_codes(self, account: "Account") -> tuple[str, ...]:
        """New recovery codes in place of all there are."""
        codes, salt, digests = await self._make_codes()

        def renew(transaction: "Transaction", tables: "DirectoryTables") -> None:
            update = "UPDATE second_factor SET salt = ? WHERE account = ? RETURNING 1"
            if transaction.execute(update, (salt, account.id)).fetchone() is None:
                raise SetupError(Sentence("This account has no second factor."))
            _store_codes(transaction, account.id, digests)

        await self._accounts.change(renew)
        return codes

    async def use(self, account: "AccountId", typed: str, source: bytes) -> str:
        """Use a code of an account up, whose password was just right. "" when it was accepted, else why not, in a sentence.

        `source` as for the throttle of passwords. An account without a second factor needs no code.
        """
        factor = self.of(account)
        if factor is None:
            return ""
        plain = _plain(typed)
        if looks_like_code(plain) and not self._clock.trusted():
            return Sentence("The clock of the server is not set yet, so codes of the app cannot be checked. A recovery code works.")
        if wait_s := self._throttle.take(account, source, self._clock.mono_s()):
            return Sentence("Too many wrong codes: wait %(seconds)s seconds before the next.", seconds=f"{wait_s:.0f}")
        if not await (self._use_step(account, factor, plain) if looks_like_code(plain) else self._use_recovery(account, factor, plain)):
            return Sentence("That code is wrong, or it was used before.")
        self._throttle.right(account, source)
        return ""

    async def _use_step(self, account: "AccountId", factor: SecondFactor, code: str) -> bool:
        step = find_step(factor.secret, code, self._clock.wall_s(), factor.last_step)
        if step is None:
            return False
        update = "UPDATE second_factor SET last_step = ?1 WHERE account = ?2 AND secret = ?3 AND last_step < ?1 RETURNING 1"
        values = (step, account, factor.secret)
        return await self._accounts.change(lambda transaction, tables: transaction.execute(update, values).fetchone() is not None)

    async def _use_recovery(self, account: "AccountId", factor: SecondFactor, code: str) -> bool:
        digest = await self._accounts.passwords.in_thread(lambda: _hash(code, factor.salt))
        delete, values = "DELETE FROM recovery_code WHERE account = ? AND digest = ? RETURNING 1", (account, digest)
        return await self._accounts.change(lambda transaction, tables: transaction.execute(delete, values).fetchone() is not None)

    async def _make_codes(self) -> tuple[tuple[str, ...], bytes, list[bytes]]:
        codes = tuple(random_groups(GROUPS, GROUP_CHARACTERS) for _ in range(RECOVERY_CODES))
        salt = os.urandom(SALT_OCTETS)
        return codes, salt, await self._accounts.passwords.in_thread(lambda: [_hash(_plain(code), salt) for code in codes])


def new_secret() -> bytes:
    return os.urandom(SECRET_OCTETS)


def _plain(typed: str) -> str:
    """A code without what people put between its groups."""
    return typed[:TYPED_CHARACTERS].replace("-", "").replace(" ", "").lower()


def _hash(code: str, salt: bytes) -> bytes:
    return pbkdf2_hmac("sha256", code.encode("utf-8", "surrogatepass"), salt, ITERATIONS)


def _store_codes(transaction: "Transaction", account: "AccountId", digests: list[bytes]) -> None:
    transaction.execute("DELETE FROM recovery_code WHERE account = ?", (account,))
    for digest in digests:
        transaction.execute("INSERT INTO recovery_code(account, digest) VALUES (?, ?)", (account, digest))
