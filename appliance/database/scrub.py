"""Scrub: read the whole database once a day, slowly, so that a page that can no longer be read is found before it is needed.

Batches of rows through a reader, closed at once: no snapshot is held and nothing is written. What cannot be read is reported
by the readers (`Readers.damaged`); the scrub goes on with the next table.
"""

import sqlite3
from dataclasses import dataclass
from functools import partial
from typing import Any

import trio

from appliance.mail.errors import StoreError

from .database import Reads

ROWS = 256
LARGE_ROWS = 16
"""Of a table with octets in its rows: at most 1 MiB."""
OCTETS_A_S = 5e6
"""At most so many octets of rows are read in a second."""
AGAIN_S = 86400.0


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    key: tuple[str, ...]
    rows: int


async def scrub(database: Reads) -> None:
    """For ever: once at start, then daily."""
    while True:
        await scrub_once(database)
        await trio.sleep(AGAIN_S)


async def scrub_once(database: Reads) -> None:
    """Every row of every table, with all its octets."""
    try:
        tables = await database.read(_tables)
    except StoreError:
        return
    for table in tables:
        after: tuple[Any, ...] = ()
        while True:
            try:
                count, after, octets = await database.read(partial(_batch, table=table, after=after))
            except StoreError:
                break
            if count < table.rows:
                break
            await trio.sleep(octets / OCTETS_A_S)


def _tables(connection: sqlite3.Connection) -> list[_Table]:
    found = []
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'").fetchall()
    for name, sql in rows:
        columns = connection.execute("SELECT name, type, pk FROM pragma_table_info(?)", (name,)).fetchall()
        key = tuple(column for column, _, pk in sorted(columns, key=lambda row: row[2]) if pk)
        large = any(kind == "BLOB" for _, kind, _ in columns)
        found.append(_Table(name, key if "WITHOUT ROWID" in sql.upper() else ("rowid",), LARGE_ROWS if large else ROWS))
    return found


def _batch(connection: sqlite3.Connection, *, table: _Table, after: tuple[Any, ...]) -> tuple[int, tuple[Any, ...], int]:
    """How many rows were read, the key of the last, and their octets or so."""
    key = ", ".join(table.key)
    where = f" WHERE ({key}) > ({', '.join('?' * len(after))})" if after else ""
    rows = connection.execute(f"SELECT {key}, * FROM {table.name}{where} ORDER BY {key} LIMIT {table.rows:d}", after).fetchall()  # noqa: S608
    octets = sum(len(value) if isinstance(value, bytes | str) else 8 for row in rows for value in row)
    return len(rows), tuple(rows[-1][: len(table.key)]) if rows else (), octets
