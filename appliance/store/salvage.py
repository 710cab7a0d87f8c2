"""Salvage: a mailbox's messages in the order of their UIDs, past what cannot be read; for export.

One ruined page of the database ends a query for hundreds of rows. Here a batch that cannot be read is read again row by
row; where not even the next UID can be found, the nearest one above that can be is searched for by halving: the rows
between are on the ruined page, and lost. A row of `message_data` that cannot be read costs a message its own prefix (Return-Path,
Received), not its body. Keywords and rows come from one reading. Indexes are used only where a table cannot be
read.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from appliance.database.database import Reads
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.flags import INBOX
from appliance.mail.ids import AccountId, BodyId, MailboxId

from .keywords import keywords_of

BATCH_ROWS = 100
HIGHEST = 2**32
WHOLE = "uid, flags, internal_at, body, prefix FROM message JOIN message_data ON message_data.id = message_data"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Salvaged:
    """A message's row; `keywords` are the mailbox's."""

    uid: int
    flags: int
    internal_at: int
    body: BodyId
    prefix: bytes
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SalvagedFolder:
    """A mailbox; `messages` as its row says, 0 where the row cannot be read."""

    id: MailboxId
    name: str
    messages: int


class Salvage:
    """One account's mail, read past damage. `damaged`: something could not be read so far."""

    def __init__(self, database: Reads) -> None:
        self._database = database
        self.damaged = False

    async def folders(self, account: AccountId) -> list[SalvagedFolder]:
        """The selectable mailboxes, by name, INBOX first; those whose rows cannot be read as the index of names has them.

        `damaged` afterwards: some may be missing.
        """
        found, number = [], 0
        while (row := await self._next(_mailbox_at, number)) is not None:
            mailbox, owner, name, selectable, messages = row
            if owner == account and selectable:
                found.append(SalvagedFolder(MailboxId(mailbox), name, messages))
            number = mailbox + 1
        if self.damaged:
            known = {folder.id for folder in found}
            rows = await self._tried(partial(_named, account=account))
            found += [SalvagedFolder(MailboxId(mailbox), name, 0) for mailbox, name in rows or () if mailbox not in known]
            self.damaged = rows is None
        return sorted(found, key=lambda folder: (folder.name != INBOX, folder.name))

    async def rows(self, mailbox: MailboxId) -> AsyncIterator[list[Salvaged]]:
        """All that can be read, in batches."""
        lo = 1
        while batch := await self._batch(mailbox, lo):
            yield batch
            lo = batch[-1].uid + 1

    async def has(self, mailbox: MailboxId, uid: int) -> bool:
        """Is the message still there?"""
        return await self._tried(partial(_bare, mailbox=mailbox, uid=uid)) is not None

    async def small_body(self, body: BodyId) -> bytes | None:
        """The stored octets of a body in the database whose row in `body` cannot be read; None when it is not there."""
        return await self._tried(partial(_stored, body=body))

    async def _batch(self, mailbox: MailboxId, lo: int) -> list[Salvaged]:
        try:
            return await self._database.read(partial(_batch, mailbox=mailbox, lo=lo))
        except StoreError as trouble:
            self._note(trouble)
        found: list[Salvaged] = []
        keywords = await self._tried(partial(_keywords, mailbox=mailbox)) or ()
        while len(found) < BATCH_ROWS and (row := await self._next(partial(_uid_at, mailbox), lo)) is not None:
            (uid,) = row
            for work in (_whole, _bare):
                one = await self._tried(partial(work, mailbox=mailbox, uid=uid))
                if one is not None:
                    found.append(_found(one, keywords))
                    break
            lo = uid + 1
        return found

    async def _tried(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        try:
            return await self._database.read(work)
        except StoreError as trouble:
            self._note(trouble)
            return None

    def _note(self, trouble: StoreError) -> None:
        if trouble.trouble is not Trouble.BROKEN:
            raise trouble
        self.damaged = True

    async def _next(self, at: Callable[[int, sqlite3.Connection], tuple[Any, ...] | None], lo: int) -> tuple[Any, ...] | None:
        """The first row that can be read with a key of `lo` or more. Some sixty readings at most."""
        try:
            return await self._database.read(partial(at, lo))
        except StoreError as trouble:
            self._note(trouble)
        unreadable, step = lo, 1
        while not await self._readable(at, lo + step):
            unreadable, step = lo + step, step * 2
            if unreadable > HIGHEST:
                return None
        readable = lo + step
        while readable - unreadable > 1:
            middle = (readable + unreadable) // 2
            if await self._readable(at, middle):
                readable = middle
            else:
                unreadable = middle
        return await self._tried(partial(at, readable))

    async def _readable(self, at: Callable[[int, sqlite3.Connection], object], key: int) -> bool:
        try:
            await self._database.read(partial(at, key))
        except StoreError as trouble:
            self._note(trouble)
            return False
        return True


def _found(row: tuple[Any, ...], keywords: tuple[str, ...]) -> Salvaged:
    uid, flags, internal_at, body, prefix = row
    return Salvaged(uid, flags, internal_at, body, prefix, keywords)


def _mailbox_at(number: int, connection: sqlite3.Connection) -> tuple[Any, ...] | None:
    sql = "SELECT id, account, name, selectable, messages FROM mailbox NOT INDEXED WHERE id >= ? ORDER BY id LIMIT 1"
    row: tuple[Any, ...] | None = connection.execute(sql, (number,)).fetchone()
    return row


def _named(connection: sqlite3.Connection, *, account: AccountId) -> list[tuple[int, str]]:
    """From the index of UNIQUE(account, name) alone."""
    return connection.execute("SELECT id, name FROM mailbox INDEXED BY sqlite_autoindex_mailbox_1 WHERE account = ?", (account,)).fetchall()


def _uid_at(mailbox: MailboxId, uid: int, connection: sqlite3.Connection) -> tuple[Any, ...] | None:
    sql = "SELECT uid FROM message WHERE mailbox = ? AND uid >= ? ORDER BY uid LIMIT 1"
    row: tuple[Any, ...] | None = connection.execute(sql, (mailbox, uid)).fetchone()
    return row


def _batch(connection: sqlite3.Connection, *, mailbox: MailboxId, lo: int) -> list[Salvaged]:
    sql = f"SELECT {WHOLE} WHERE mailbox = ? AND uid >= ? ORDER BY uid LIMIT ?"
    found = connection.execute(sql, (mailbox, lo, BATCH_ROWS)).fetchall()
    keywords = keywords_of(connection, mailbox)
    return [_found(row, keywords) for row in found]


def _stored(connection: sqlite3.Connection, *, body: BodyId) -> bytes | None:
    row: tuple[bytes] | None = connection.execute("SELECT data FROM body_data WHERE id = ?", (body,)).fetchone()
    return row[0] if row else None


def _keywords(connection: sqlite3.Connection, *, mailbox: MailboxId) -> tuple[str, ...]:
    return keywords_of(connection, mailbox)


def _whole(connection: sqlite3.Connection, *, mailbox: MailboxId, uid: int) -> tuple[Any, ...] | None:
    row: tuple[Any, ...] | None = connection.execute(f"SELECT {WHOLE} WHERE mailbox = ? AND uid = ?", (mailbox, uid)).fetchone()
    return row


def _bare(connection: sqlite3.Connection, *, mailbox: MailboxId, uid: int) -> tuple[Any, ...] | None:
    """Without what stands in `message_data`."""
    sql = "SELECT uid, flags, internal_at, body, x'' FROM message WHERE mailbox = ? AND uid = ?"
    row: tuple[Any, ...] | None = connection.execute(sql, (mailbox, uid)).fetchone()
    return row
