"""Push subscriptions: where a client wants changes told, and with which credentials it asked for that (RFC 8620 §7.2).

| a subscription ends                                            | when                                          |
|----------------------------------------------------------------|-----------------------------------------------|
| its password, session or account is gone, or its time is over  | before anything more is pushed (`end_stale`)  |
| the push service does not know it any more                     | at once (`end`)                               |
| nobody typed its code within VERIFY_S                          | when its place is needed, or at the next start |
| the server has another key than the one it was made for        | at the next start (RFC 9749 §5)               |

Invariants: all of them are in memory after `open`, at most PER_ACCOUNT for each account and PER_DEVICE for each of its devices; a row that
ends is deleted, with its URL and keys. Pushing writes nothing.
How it fails: StoreError.
"""

import json
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import trio

from appliance.database.database import AnyDatabase
from appliance.database.group import Transaction
from appliance.mail.clock import Clock
from appliance.mail.ids import AccountId

from .directory import Executes

PER_ACCOUNT = 16
PER_DEVICE = 2
VERIFY_S = 3600
CODE_OCTETS = 24
COLUMNS = "id, account, password, session, device, made_at, expires_at, verified, wanted, secrets"


class Credentials(NamedTuple):
    """What a client signed in with: the row of its password (0 for a session), or the digest of its session's secret."""

    password: int
    session: bytes = b""


class PushKeys(NamedTuple):
    """The client's public key (an uncompressed point of P-256) and its authentication secret (RFC 8291 §3.1)."""

    point: bytes
    secret: bytes


class PushWanted(NamedTuple):
    """What is pushed. `types` None: changes of all types. `deliveries`: of which messages that arrive, and what of them."""

    types: tuple[str, ...] | None = None
    deliveries: dict[str, Any] | None = None


@dataclass(slots=True)
class PushSubscription:
    """`expires_at`: UTC seconds, None for never. `server_key`: the public key of this server that the push service was told."""

    account: AccountId
    credentials: Credentials
    device: str
    url: str = field(repr=False)
    keys: PushKeys | None = field(repr=False)
    server_key: str = field(repr=False)
    wanted: PushWanted
    made_at: int
    expires_at: int | None = None
    code: str = field(default_factory=lambda: secrets.token_urlsafe(CODE_OCTETS), repr=False)
    verified: bool = False
    is_new: bool = True
    """The code has to be pushed; false after a restart."""
    id: int = 0


IsLive = Callable[[AccountId, Credentials], bool]


class TooManySubscriptions(Exception):
    """The account or the device has as many as it may."""


class PushSubscriptions:
    """All of them. `is_live`: are an account and the credentials still good?"""

    def __init__(self, database: AnyDatabase, clock: Clock, is_live: IsLive) -> None:
        self._database = database
        self._clock = clock
        self._is_live = is_live
        self._rows: dict[int, PushSubscription] = {}
        self._opening = trio.Lock()
        self._is_open = False
        self._changed = trio.Event()

    async def open(self) -> None:
        """Read what is stored, once."""
        async with self._opening:
            if not self._is_open:
                self._rows = {row.id: row for row in await self._database.read(_read)}
                self._is_open = True

    def all(self) -> list[PushSubscription]:
        return list(self._rows.values())

    def of(self, account: AccountId, credentials: Credentials | None = None) -> list[PushSubscription]:
        """The live ones of an account, those made with these credentials or all."""
        mine = (row for row in self._rows.values() if row.account == account and credentials in (None, row.credentials))
        return [row for row in mine if self.is_live(row)]

    def is_live(self, row: PushSubscription) -> bool:
        """May something be pushed to it, as far as we know?"""
        if self._rows.get(row.id) is not row or not self._is_live(row.account, row.credentials):
            return False
        return row.expires_at is None or self._clock.wall_s() < row.expires_at

    async def add(self, new: PushSubscription) -> None:
        """It is kept, and gets its id. Raises TooManySubscriptions."""
        await self.end_stale(new.account)

        def keep(transaction: Transaction) -> int:
            found = transaction.execute("SELECT device FROM push_subscription WHERE account = ?", (new.account,))
            devices = [device for (device,) in found.fetchall()]
            if len(devices) >= PER_ACCOUNT or devices.count(new.device) >= PER_DEVICE:
                raise TooManySubscriptions
            number: int = transaction.next_id("push_subscription")
            _insert(transaction, number, new)
            return number

        with trio.CancelScope(shield=True):  # a row without its subscription in memory would never end
            new.id = await self._database.write(keep)
            self._rows[new.id] = new
        self._tell()

    async def change(self, row: PushSubscription, *, verified: bool, wanted: PushWanted, expires_at: int | None) -> None:
        """What a client may change of it."""

        def keep(transaction: Transaction) -> None:
            statement = "UPDATE push_subscription SET verified = ?, wanted = ?, expires_at = ? WHERE id = ?"
            transaction.execute(statement, (verified, _encoded(wanted), expires_at, row.id))

        with trio.CancelScope(shield=True):
            await self._database.write(keep)
            row.verified, row.wanted, row.expires_at = verified, wanted, expires_at
        self._tell()

    async def end(self, rows: Iterable[PushSubscription]) -> None:
        """From now on nothing is pushed to them, and nothing of them is kept."""
        ended = [self._rows.pop(row.id) for row in rows if row.id in self._rows]
        if not ended:
            return

        def forget(transaction: Transaction) -> None:
            for row in ended:
                transaction.execute("DELETE FROM push_subscription WHERE id = ?", (row.id,))

        try:
            with trio.CancelScope(shield=True):  # whoever pushes to one that ends is cancelled
                await self._database.write(forget)
        finally:
            self._tell()

    async def end_stale(self, account: AccountId | None = None, server_key: str = "") -> None:
        """End those that are not live any more or were never verified; with `server_key` those made for another key."""
        now = self._clock.wall_s()

        def is_stale(row: PushSubscription) -> bool:
            late = not row.verified and self._clock.trusted() and now - row.made_at > VERIFY_S
            return late or not self.is_live(row) or server_key not in ("", row.server_key)

        await self.end([row for row in self._rows.values() if account in (None, row.account) and is_stale(row)])

    def look(self) -> None:
        """Something that decides over subscriptions changed: an account, a password, a session."""
        if self._rows:
            self._tell()

    async def changed(self) -> None:
        """Return once a subscription was added, changed or ended after this call."""
        await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


def _insert(transaction: Transaction, number: int, row: PushSubscription) -> None:
    keys = [key.hex() for key in row.keys] if row.keys is not None else None
    private = json.dumps([row.url, keys, row.code, row.server_key])
    transaction.execute(
        f"INSERT INTO push_subscription({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
        (number, row.account, *row.credentials, row.device, row.made_at, row.expires_at, row.verified, _encoded(row.wanted), private),
    )


def _encoded(wanted: PushWanted) -> str:
    return json.dumps(wanted, ensure_ascii=False)


def _read(reads: Executes) -> list[PushSubscription]:
    rows = reads.execute(f"SELECT {COLUMNS} FROM push_subscription")  # noqa: S608 - a constant
    return [_read_row(*row) for row in rows]


def _read_row(number: int, account: int, password: int, session: bytes, *rest: Any) -> PushSubscription:
    device, made_at, expires_at, verified, wanted, private = rest
    types, deliveries = json.loads(wanted)
    url, keys, code, server_key = json.loads(private)
    return PushSubscription(
        AccountId(account), Credentials(password, bytes(session)), device, url,
        PushKeys(*map(bytes.fromhex, keys)) if keys is not None else None, server_key,
        PushWanted(None if types is None else tuple(types), deliveries), made_at, expires_at, code, bool(verified), False, number,
    )  # fmt: skip
