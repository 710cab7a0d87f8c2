"""Login checks: names and passwords, throttled, with an event for each outcome.

Order of a try: the same password being checked already? wait for that result -> known to be wrong? fail -> a try left in the
throttle's bucket? else wait, at most LOGIN_S, then fail unchecked -> remembered as right? else check the verifiers in a thread.
Invariants: known and unknown names take the same path, at the same cost, to the same answer; every failure is held for
FAILURE_S; a right password seen before costs microseconds; forty connections that start at once with one password cost
one check. A try of a client that disconnects meanwhile stays counted.
How it fails: None is a refusal; AppPasswordNeeded is one that may be told; AuthError when passwords cannot be
checked at all just now (a temporary fault).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from os import urandom
from typing import Protocol

import trio

from appliance.accounts.accounts import Accounts
from appliance.accounts.directory import Account, fold
from appliance.accounts.passwords import PasswordRow, salt_for
from appliance.accounts.throttle import Throttle, Try
from appliance.mail.clock import Clock
from appliance.mail.errors import AuthError
from appliance.mail.limits import LOGIN_NAME_OCTETS, LOGIN_S, PASSWORD_OCTETS
from appliance.network.ratelimit import source_of
from appliance.protocol.sasl.mechanism import ScramSecret
from appliance.status.events import Event, LoginFailed, LoginSucceeded

from .identity import AppPasswordNeeded, Identity

FAILURE_S = 2.0
"""How long a refusal is held: a user hardly notices, a program in a loop cannot spin."""
ASKS_FOR_CODES = ("https", "console")
"""Where the second factor is asked for after the password."""
SHOWN_CHARACTERS = 64
"""Characters of a tried name in events."""


class Publisher(Protocol):
    """Where events go: the Board."""

    def publish(self, event: Event) -> None: ...


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """Where a try comes from: an address without port, the protocol's name, the mechanism's. `known`: this connection signed in with
    that name before, so that success is no news; every request of JMAP signs in."""

    peer: str
    protocol: str
    mechanism: str
    known: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """The account a SCRAM exchange may be for: `rows[n]` is the password of key n; the keys beyond are decoys."""

    name: str
    account: Account | None
    rows: tuple[PasswordRow, ...]
    secret: ScramSecret = field(repr=False)


class Login:
    """Checks names and passwords for all servers; `failure_s` is how long refusals are held."""

    def __init__(self, accounts: Accounts, throttle: Throttle, board: Publisher, clock: Clock, *, failure_s: float = FAILURE_S) -> None:
        self._accounts = accounts
        self._throttle = throttle
        self._board = board
        self._clock = clock
        self._failure_s = failure_s
        self._remembered = accounts.remembered
        self._in_flight: dict[int, trio.Event] = {}
        self._try_returned = trio.Event()
        self._decoy_key = (urandom(32), urandom(32))

    # --- passwords -------------------------------------------------------------------------------

    async def check(self, name: str, password: str, *, peer: str, protocol: str, mechanism: str) -> Identity | None:
        """The identity, or None for a refusal. Throttled and published here. Raises AuthError."""
        return await self.check_password(name, password, LoginAttempt(peer, protocol, mechanism))

    async def check_password(self, name: str, password: str, attempt: LoginAttempt) -> Identity | None:
        """`check` with its circumstances as one value."""
        if not _possible(name, LOGIN_NAME_OCTETS) or not _possible(password, PASSWORD_OCTETS):
            await self._refuse(name, attempt)
            return None
        account, throttle_name = self._look_up(name)
        rows = self._accounts.secrets.rows.get(account.id, ()) if account else ()
        digest = self._throttle.digest(throttle_name, password, rows[-1].id if rows else 0)
        while (other := self._in_flight.get(digest)) is not None:
            await other.wait()
        if self._throttle.known_wrong(digest):
            await self._refuse(name, attempt)
            return None
        done = self._in_flight[digest] = trio.Event()
        try:
            row = await self._judge(self._throttle.start(throttle_name, source_of(attempt.peer)), account, rows, password, digest)
        finally:
            del self._in_flight[digest]
            done.set()
        if row is None or account is None:
            await self._refuse(name, attempt)
            return None
        identity = await self._identity(account, row, attempt)
        self.welcome(identity, attempt)
        return identity

    async def _judge(
        self, trying: Try, account: Account | None, rows: tuple[PasswordRow, ...], password: str, digest: int
    ) -> PasswordRow | None:
        """The password's row, when the try is admitted and the password fits."""
        if not await self._admitted(trying):
            return None
        row = self._remembered.find(rows, password)
        if row is None:
            salt = salt_for(self._accounts.secrets.salt_secret, account.address if account else "")
            try:
                row = await self._accounts.passwords.find(rows, password, salt)
            except AuthError:
                self._throttle.withdrawn(trying)
                raise
            if row is None:
                self._throttle.wrong(trying, self._clock.mono_s())
                self._throttle.remember_wrong(digest)
                return None
            self._remembered.keep(row, password)
            if self._accounts.passwords.outdated(row):
                await self._accounts.renew_verifiers(row, password)
        self._right(trying)
        return row

    # --- SCRAM -----------------------------------------------------------------------------------

    def candidate(self, name: str) -> Candidate:
        """What SCRAM goes on with. An unknown name's looks like an account's: same salt rule, as many keys to compare with."""
        account, _ = self._look_up(name)
        secrets = self._accounts.secrets
        for_all = self._accounts.passwords.scram_for_all
        rows = [row for row in (secrets.rows.get(account.id, ()) if account else ()) if row.verifiers.scram and (row.label or for_all)]
        salt, iterations = salt_for(secrets.salt_secret, name), self._accounts.passwords.scram_iterations
        keys: list[tuple[bytes, bytes]] = []
        chosen: list[PasswordRow] = []
        for row in reversed(rows):  # the newest decides the salt; all of an account's have one unless the server's secret was lost
            scram = row.verifiers.scram
            assert scram is not None  # noqa: S101 - chosen above
            if not chosen:
                salt, iterations = scram.salt, scram.iterations
            if (scram.salt, scram.iterations) == (salt, iterations):
                for pair in scram.pairs():
                    chosen.append(row)
                    keys.append(pair)
        stored = [[row.verifiers.scram for row in some if row.verifiers.scram] for some in secrets.rows.values()]
        most = max((sum(len(scram.pairs()) for scram in some) for some in stored), default=1)
        keys += [self._decoy_key] * (most - len(keys))
        return Candidate(name, account, tuple(chosen), ScramSecret(salt, iterations, tuple(keys)))

    async def check_proof(self, candidate: Candidate, verify: Callable[[], int | None], attempt: LoginAttempt) -> Identity | None:
        """Let the mechanism compare the proof when the try is admitted. `welcome` follows when the exchange succeeds."""
        _, throttle_name = self._look_up(candidate.name)
        trying = self._throttle.start(throttle_name, source_of(attempt.peer))
        if not await self._admitted(trying):
            await self._refuse(candidate.name, attempt)
            return None
        key = verify()
        if key is None or candidate.account is None or key >= len(candidate.rows):
            self._throttle.wrong(trying, self._clock.mono_s())
            await self._refuse(candidate.name, attempt)
            return None
        self._right(trying)
        return await self._identity(candidate.account, candidate.rows[key], attempt)

    # --- credentials that are no passwords --------------------------------------------------------

    async def check_credential(self, name: str, verify: Callable[[], Awaitable[str | None]], attempt: LoginAttempt) -> Identity | None:
        """Let a verifier check a credential when the try is admitted; it gives the login name the credential is for. `name` is what the
        client claims: another account's credential is refused. `welcome` follows when the exchange succeeds. Raises AuthError."""
        account, throttle_name = self._look_up(name)
        trying = self._throttle.start(throttle_name, source_of(attempt.peer))
        if not await self._admitted(trying):
            await self._refuse(name, attempt)
            return None
        try:
            verified_name = await verify()
        except AuthError:
            self._throttle.withdrawn(trying)
            raise
        verified = self._accounts.directory.find_login(verified_name) if verified_name else None
        if verified is None or verified.disabled or (name and account != verified):
            self._throttle.wrong(trying, self._clock.mono_s())
            await self._refuse(name, attempt)
            return None
        self._right(trying)
        return Identity(verified.id, verified.address)

    def welcome(self, identity: Identity, attempt: LoginAttempt) -> None:
        """Publish a successful login."""
        if attempt.known:
            return
        self._board.publish(LoginSucceeded(attempt.protocol, attempt.peer, identity.address, attempt.mechanism))

    # --- throttling ------------------------------------------------------------------------------

    async def _admitted(self, trying: Try) -> bool:
        """Wait for a try in the throttle's bucket; False when there was none within LOGIN_S."""
        give_up = self._clock.mono_s() + LOGIN_S
        while True:
            now = self._clock.mono_s()
            wait_s = self._throttle.wait_s(trying, now)
            if wait_s <= 0.0:
                break
            if now >= give_up:
                return False
            with trio.move_on_after(min(wait_s, give_up - now)):
                await self._try_returned.wait()
        slowed_s = self._throttle.admit(trying, now)
        if slowed_s > 0.0:
            await trio.sleep(slowed_s)
        return True

    def _right(self, trying: Try) -> None:
        """The try is returned to its bucket, and waiting tries look again."""
        self._throttle.right(trying)
        self._try_returned.set()
        self._try_returned = trio.Event()

    async def _refuse(self, name: str, attempt: LoginAttempt) -> None:
        shown = "".join(character if character.isprintable() else "?" for character in name[:SHOWN_CHARACTERS])
        self._board.publish(LoginFailed(attempt.protocol, attempt.peer, shown, attempt.mechanism))
        await trio.sleep(self._failure_s)

    # --- names -----------------------------------------------------------------------------------

    def _look_up(self, name: str) -> tuple[Account | None, str]:
        """The account, if any, and the name the throttle counts under: one for all spellings, of unknown names as well."""
        directory = self._accounts.directory
        account = directory.find_login(name)
        throttle_name = fold(account.address if account else name)
        if "@" not in throttle_name:
            throttle_name += "@" + next(iter(directory.domains()), "")
        return account, throttle_name

    async def _identity(self, account: Account, row: PasswordRow, attempt: LoginAttempt) -> Identity:
        """Whose password was right. Raises AppPasswordNeeded: with a second factor the account's own opens only what asks for a code."""
        if self._wants_code(row, attempt.protocol):
            await trio.sleep(self._failure_s)
            raise AppPasswordNeeded
        self._accounts.mark_used(row, attempt.peer, attempt.protocol)
        return Identity(account.id, account.address, row.label, row.id)

    def _wants_code(self, row: PasswordRow, protocol: str) -> bool:
        return not row.label and protocol not in ASKS_FOR_CODES and row.account in self._accounts.secrets.second_factors

    def goes_on(self, identity: Identity, *, peer: str, protocol: str) -> bool:
        """May a connection go on that signed in as this, and shows the same credentials again? Never throttled: it told no new ones.

        False once the password is gone or no longer enough, and when the account is disabled or has another address.
        """
        account = self._accounts.directory.account(identity.account)
        row = next((one for one in self._accounts.secrets.rows.get(identity.account, ()) if one.id == identity.password), None)
        if row is None or account is None or account.disabled or account.address != identity.address or self._wants_code(row, protocol):
            return False
        self._accounts.mark_used(row, peer, protocol)
        return True

    def is_current(self, identity: Identity) -> bool:
        """Is the password of this login still one of the account's? To be checked, without waiting, right before use."""
        return self._accounts.is_current(identity.account, identity.password)


def _possible(text: str, limit_octets: int) -> bool:
    return bool(text) and "\0" not in text and len(text) <= limit_octets and len(text.encode("utf-8", "surrogatepass")) <= limit_octets
