"""Rebuild damaged indexes: an index holds nothing that its table does not.

Every index is walked from end to end (in order, its pages alone: 25 octets a message for the largest), and one that cannot
be is rebuilt from its table. Used by the writer's thread when a server starts and after a page could not be read.
Not found this way: an index page that is whole but old; `pillarbox check` compares indexes with tables.
"""

import sqlite3

from .connection import is_damage

# ruff: noqa: S608 - names of our own schema

FRESH = "pillarbox_fresh_index"


def mend_indexes(connection: sqlite3.Connection) -> list[str]:
    """The names of those that were rebuilt. Never raises sqlite3.Error: one whose table is damaged too stays as it is."""
    found = damaged_indexes(connection)
    return [name for name, table, where in found if _made_again(connection, name) or _replaced(connection, name, table, where)]


def damaged_indexes(connection: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """Name, table and condition (" WHERE ...") of each index that cannot be walked."""
    damaged = []
    try:
        rows = connection.execute("SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'index'").fetchall()
    except sqlite3.Error:
        return []
    for name, table, sql in rows:
        condition = sql.partition(" WHERE ")[2] if sql else ""
        where = f" WHERE {condition}" if condition else ""
        try:
            _walk(connection, name, table, where)
        except sqlite3.Error as error:
            if is_damage(error):
                damaged.append((name, table, where))
    return damaged


def _columns(connection: sqlite3.Connection, name: str) -> list[str]:
    return [row[0] for row in connection.execute("SELECT name FROM pragma_index_info(?) ORDER BY seqno", (name,))]


def _walk(connection: sqlite3.Connection, name: str, table: str, where: str) -> None:
    column = _columns(connection, name)[0]
    connection.execute(f"SELECT total(length({column})) FROM {table} INDEXED BY {name}{where}").fetchone()


def _made_again(connection: sqlite3.Connection, name: str) -> bool:
    try:
        connection.execute(f"REINDEX {name}")
    except sqlite3.Error:
        return False
    return True


def _replaced(connection: sqlite3.Connection, name: str, table: str, where: str) -> bool:
    """REINDEX empties the old pages first, and cannot where the upper ones are ruined: then a new index takes the old one's place in
    the schema (an index of a UNIQUE constraint has the same pages as any other). The old pages are lost to the file."""
    execute = connection.execute
    try:
        execute("PRAGMA writable_schema=ON")
        execute("BEGIN IMMEDIATE")
        execute(f"CREATE INDEX {FRESH} ON {table}({', '.join(_columns(connection, name))}){where}")
        execute(f"UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE name = '{FRESH}') WHERE name = ?", (name,))
        execute(f"DELETE FROM sqlite_master WHERE name = '{FRESH}'")
        execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            execute("ROLLBACK")
        return False
    finally:
        execute("PRAGMA writable_schema=RESET")
    return True
