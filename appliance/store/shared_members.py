"""Which messages came into a mailbox that others see, and which left it: what changes of shared mail are made of (RFC 8620 §5.2).

The owner's changes follow from rows and `departures`, whatever mailbox a message is in. Whoever sees some of the mailboxes needs each
coming and going, so these are kept as well, for mailboxes that somebody else has rights on. A message is in a mailbox as long as a row
without \\Deleted says so (RFC 8621 §4.1.1). Walking back from what is there now gives what was there:

    | at the state known | now   | since then it                                           |
    |--------------------|-------|---------------------------------------------------------|
    | not there          | there | was created: placed where it came last                  |
    | there              | there | was updated, when a row or a mailbox of it changed      |
    | there              | gone  | was destroyed: placed where it left first               |

One row for each change of a mailbox, the newest KEPT, empty for one of more than MOST messages. A state from before one that is not kept,
or from before the account could read what it reads now, leads nowhere.
"""

# ruff: noqa: S608 - conditions are words of ours, values are always parameters

import json
import sqlite3
from collections.abc import Sequence
from itertools import chain
from typing import Any
from zlib import crc32

from appliance.database.writer import Transaction
from appliance.mail.ids import MailboxId, ModSeq

from .change_runs import rows_since
from .messages import listed
from .scope import Scope, only_readable, readable
from .shared_sight import is_known_since, reads_since

KEPT = 1024
SLACK = 128
"""Dropped in batches of about so many."""

MOST = 500
"""Messages of one change: so many changes are told at once (RFC 8620 §5.2)."""

Member = tuple[int, int]
"""A message and its thread."""


def came(transaction: Transaction, mailbox: MailboxId, modseq: ModSeq, first: int, last: int) -> None:
    """Note messages that were just put in, at these UIDs."""
    members = members_at(transaction, mailbox, "uid BETWEEN ? AND ?", (first, last))
    keep(transaction, mailbox, modseq, came=members)


def members_at(transaction: Transaction, mailbox: MailboxId, condition: str, parameters: Sequence[int | str]) -> list[Member]:
    """Those of these messages that are in the mailbox, MOST and one more at most; none where nobody else sees it."""
    if not transaction.execute("SELECT 1 FROM mailbox_right WHERE mailbox = ? LIMIT 1", (mailbox,)).fetchone():
        return []
    rows: list[Member] = transaction.execute(
        "SELECT d.id, d.thread FROM message AS m JOIN message_data AS d ON d.id = m.message_data"
        f" WHERE m.mailbox = ? AND {condition} AND m.flags & 8 = 0 ORDER BY m.uid LIMIT ?",
        (mailbox, *parameters, MOST + 1),
    ).fetchall()
    return rows


def keep(transaction: Transaction, mailbox: MailboxId, modseq: ModSeq, *, came: Sequence[Member] = (), gone: Sequence[Member] = ()) -> None:
    """Note one change of a mailbox, if it is one."""
    if not came and not gone:
        return
    if max(len(came), len(gone)) > MOST:
        came = gone = ()
    transaction.execute("INSERT INTO shared_change VALUES (?, ?, ?, ?)", (mailbox, modseq, _packed(came), _packed(gone)))
    if crc32(b"%d" % modseq) % SLACK == 0:  # not modseq itself: changes of one mailbox may always have the odd ones
        transaction.execute(
            "DELETE FROM shared_change WHERE mailbox = ?1 AND modseq <="
            " (SELECT modseq FROM shared_change WHERE mailbox = ?1 ORDER BY modseq DESC LIMIT 1 OFFSET ?2)",
            (mailbox, KEPT),
        )


class Walk:
    """One message on the way back from now: `copies` in mailboxes that may be read, `last` change, `began` where it came last,
    `ended` where it left first."""

    __slots__ = ("began", "copies", "ended", "last", "now", "thread")

    def __init__(self) -> None:
        self.thread = self.now = self.copies = self.last = self.began = self.ended = 0

    def undo(self, modseq: int, *, came: bool) -> None:
        self.last = max(self.last, modseq)
        if came:
            self.copies -= 1
            if not self.copies and not self.began:
                self.began = modseq
        else:
            if not self.copies:
                self.ended = modseq
            self.copies += 1


def walks(connection: sqlite3.Connection, scope: Scope, since: tuple[int, int], after: int) -> dict[int, Walk] | None:
    """All messages that may have changed after `since` (a MODSEQ, and the last message of it that is known), with `copies` as of then;
    None when that is too long ago to know. `after`: the last MODSEQ of which all is known."""
    numbers = readable(connection, scope)
    known_since = max([reads_since(connection, scope), *(_kept_since(connection, one) for one in numbers)])
    if since[0] < known_since or not is_known_since(connection, scope, ModSeq(since[0])):
        return None
    mailboxes = listed(numbers)
    found: dict[int, Walk] = {}
    for message, modseq in chain.from_iterable(rows_since(connection, one, after, ("message_data", "modseq")) for one in numbers):
        if (modseq, message) > since:
            walk = found.setdefault(message, Walk())
            walk.last = max(walk.last, modseq)
    every = _events(connection, mailboxes, after)
    if every is None:
        return None
    events = [one for one in every if one[:2] > since]
    for _, message, _, thread in events:
        found.setdefault(message, Walk()).thread = thread
    _add_present(connection, scope, found)
    for modseq, message, is_coming, _ in events:
        found[message].undo(modseq, came=is_coming)
    return found


def _events(connection: sqlite3.Connection, mailboxes: str, after: int) -> list[tuple[int, int, bool, int]] | None:
    """(MODSEQ, message, did it come, thread), the latest first; of one change what left before what came, as it is undone. None when one
    is not kept."""
    rows = connection.execute(
        "SELECT modseq, came, gone FROM shared_change WHERE mailbox IN (SELECT value FROM json_each(?)) AND modseq > ?"
        " ORDER BY modseq DESC",
        (mailboxes, after),
    )
    found: list[tuple[int, int, bool, int]] = []
    for modseq, arrived, left in rows.fetchall():
        if arrived is None and left is None:
            return None
        found += [(modseq, message, False, thread) for message, thread in _unpacked(left)]
        found += [(modseq, message, True, thread) for message, thread in _unpacked(arrived)]
    return found


def _add_present(connection: sqlite3.Connection, scope: Scope, found: dict[int, Walk]) -> None:
    condition, parameters = only_readable(connection, scope, "m.mailbox")
    rows = connection.execute(
        "SELECT d.id, d.thread, count(*) FROM message AS m JOIN message_data AS d ON d.id = m.message_data"
        f" WHERE m.message_data IN (SELECT value FROM json_each(?)) AND m.flags & 8 = 0{condition} GROUP BY d.id",
        (listed(list(found)), *parameters),
    ).fetchall()
    for message, thread, copies in rows:
        walk = found[message]
        walk.thread, walk.copies, walk.now = thread, copies, copies


def _kept_since(connection: sqlite3.Connection, mailbox: MailboxId) -> int:
    """A state of a mailbox from which all changes are kept."""
    count, oldest = connection.execute("SELECT count(*), min(modseq) FROM shared_change WHERE mailbox = ?", (mailbox,)).fetchone()
    return oldest if count >= KEPT else 0


def forget_unshared(transaction: Transaction) -> None:
    """Of mailboxes that nobody else has rights on any more."""
    transaction.execute("DELETE FROM shared_change WHERE mailbox NOT IN (SELECT mailbox FROM mailbox_right)")


def _packed(members: Sequence[Member]) -> str | None:
    return json.dumps(members, separators=(",", ":")) if members else None


def _unpacked(text: str | None) -> list[Any]:
    found: list[Any] = json.loads(text) if text else []
    return found
