"""Message rows: UID, flags, dates, sizes and the wire forms ready to send, read in batches.

Every function runs inside one reading and closes what it opened. Sets of UIDs go to SQLite as one parameter and long
answers come back in one row: a statement that is stepped row by row passes the interpreter lock back and forth each time.
"""

# ruff: noqa: S608 - conditions and columns are words of ours, values are always parameters

import sqlite3
from collections.abc import Sequence
from typing import Any

from appliance.database.writer import Transaction
from appliance.mail.ids import MailboxId, ModSeq, Uid

from .values import Row, Want
from .view import runs

WHERE = "mailbox = ? AND uid BETWEEN ? AND ? ORDER BY uid LIMIT ?"
EMPTY = Row(Uid(0), 0, ModSeq(0))


def flag_rows(connection: sqlite3.Connection, mailbox: MailboxId, lo: int, hi: int, limit: int) -> list[tuple[Uid, int, ModSeq]]:
    """(uid, flags, modseq): 20,000 cost 10 ms in batches of 500."""
    return connection.execute("SELECT uid, flags, modseq FROM message WHERE " + WHERE, (mailbox, lo, hi, limit)).fetchall()


def flags_between(connection: sqlite3.Connection, mailbox: MailboxId, lo: int, hi: int, as_of: ModSeq) -> list[int] | None:
    """The flags of all messages with lo <= uid <= hi, ascending; None when the mailbox changed after `as_of`. A message costs 0.22 us, its
    row 0.65."""
    head = connection.execute("SELECT modseq FROM mailbox WHERE id = ?", (mailbox,)).fetchone()
    if head is None or head[0] > as_of:
        return None
    ascending = "SELECT flags FROM message WHERE mailbox = ? AND uid BETWEEN ? AND ? ORDER BY uid"
    return numbers(connection.execute(f"SELECT group_concat(flags) FROM ({ascending})", (mailbox, lo, hi)).fetchone()[0])


def raw_rows(connection: sqlite3.Connection, mailbox: MailboxId, lo: int, hi: int, want: Want, limit: int) -> list[tuple[Any, ...]]:
    """The first fields of Rows, as far as `want` reaches, as plain tuples."""
    return connection.execute(f"{columns(want)[0]} WHERE {WHERE}", (mailbox, lo, hi, limit)).fetchall()


def newest_of(connection: sqlite3.Connection, mailbox: MailboxId, rows: Sequence[tuple[Any, ...]], as_of: ModSeq) -> ModSeq:
    """The highest MODSEQ of the rows, `as_of` when none is above it: mostly nothing is, and the mailbox's row says so."""
    head = connection.execute("SELECT modseq FROM mailbox WHERE id = ?", (mailbox,)).fetchone()
    if head is not None and head[0] <= as_of:
        return as_of
    return max([row[2] for row in rows], default=as_of)


def batch(connection: sqlite3.Connection, mailbox: MailboxId, lo: int, hi: int, want: Want, limit: int) -> list[Row]:
    """Up to `limit` rows with lo <= uid <= hi, ascending."""
    return filled(raw_rows(connection, mailbox, lo, hi, want, limit), columns(want)[1])


def some(connection: sqlite3.Connection, mailbox: MailboxId, uids: Sequence[int], want: Want) -> list[Row]:
    """The rows of these UIDs that are there, ascending."""
    condition, parameters = among(uids)
    select, rest = columns(want)
    return filled(connection.execute(f"{select} WHERE mailbox = ? AND {condition} ORDER BY uid", (mailbox, *parameters)).fetchall(), rest)


def filled(rows: list[tuple[Any, ...]], rest: tuple[Any, ...]) -> list[Row]:
    make = tuple.__new__  # what Row._make does, without its checks
    return [make(Row, row + rest) for row in rows]


def columns(want: Want) -> tuple[str, tuple[Any, ...]]:
    """SELECT and FROM that read a Row's first fields in order, and what its others are filled with."""
    facts, body, rare = Want.FACTS in want, Want.BODY in want, Want.RARE in want
    if not facts and not body and not rare:
        selected, count = ("uid, flags, modseq, internal_at, octets, message_data", 6) if Want.DATES in want else ("uid, flags, modseq", 3)
        return f"SELECT {selected} FROM message", EMPTY[count:]
    selected = "uid, flags, modseq, internal_at, octets, message_data, "
    selected += ("envelope, bodystructure" if facts else "x'', x''") + ", sent_at, described_by"
    if body or rare:
        selected += ", prefix, body, parts" if body else ", x'', 0, x''"
    if rare:
        selected += ", thread, internal_at + saved_after_s, preview"
    return (
        f"SELECT {selected} FROM message JOIN message_data ON message_data.id = message_data",
        EMPTY[16 if rare else 13 if body else 10 :],
    )


def among(uids: Sequence[int]) -> tuple[str, tuple[int | str, ...]]:
    """A condition on `uid` and its parameters for a set of UIDs in any order: one run of numbers, or a list in one parameter."""
    if not uids:
        return "uid IS NULL", ()
    ascending = sorted(set(uids))
    if len(runs(ascending)) == 1:
        return "uid BETWEEN ? AND ?", (ascending[0], ascending[-1])
    return "uid IN (SELECT value FROM json_each(?))", (listed(ascending),)


def listed(numbers: Sequence[int]) -> str:
    """Numbers as one JSON parameter."""
    return f"[{','.join(map(str, numbers))}]"


def numbers(text: str | None) -> list[int]:
    """What `group_concat` made of a column of integers."""
    return list(map(int, text.split(","))) if text else []


def uids_where(transaction: Transaction, mailbox: MailboxId, condition: str, parameters: Sequence[int | str] = ()) -> list[int]:
    """Ascending UIDs of a mailbox's messages that meet a condition, in one step."""
    found = transaction.execute(f"SELECT group_concat(uid) FROM message WHERE mailbox = ? AND {condition}", (mailbox, *parameters))
    return sorted(numbers(found.fetchone()[0]))
