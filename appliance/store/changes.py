"""What happened in a mailbox since a MODSEQ, and snapshots of its UIDs that all its sessions share.

One reading answers CONDSTORE, IDLE and NOOP alike (RFC 7162 §3.1). A snapshot is never changed: `advanced` makes the
next one from the last and the changes between, and from the rows when the runs of expunged UIDs do not reach back far enough.
Raises StoreError NO_MAILBOX when the mailbox is gone.
"""

import sqlite3
from array import array
from bisect import bisect_left
from dataclasses import dataclass

from appliance.mail.errors import StoreError, Trouble
from appliance.mail.flags import SEEN
from appliance.mail.ids import MailboxId, ModSeq, Uid

from .change_runs import rows_since
from .keywords import keywords_of
from .messages import numbers
from .values import Changes
from .view import without

UIDS_AT_ONCE = 4096
"""UIDs read in one window."""


@dataclass(slots=True)
class UidSnapshot:
    """A mailbox at one MODSEQ. `first_unseen` is 0 when all is seen."""

    modseq: ModSeq
    uid_next: Uid
    uids: "array[int]"
    first_unseen: int
    keywords: tuple[str, ...]


def changes_since(connection: sqlite3.Connection, mailbox: MailboxId, since: ModSeq) -> Changes:
    """All after `since`, ascending."""
    modseq, uid_next, horizon = _head(connection, mailbox)
    flags = rows_since(connection, mailbox, since, ("uid", "flags", "modseq"))
    if since < horizon:
        gone = holes(_uids(connection, mailbox), uid_next)
    else:
        uid_runs = connection.execute(
            "SELECT first_uid, last_uid FROM expunged WHERE mailbox = ? AND modseq > ?", (mailbox, since)
        ).fetchall()
        uid_runs.sort()
        gone = array("I", [uid for first, last in uid_runs for uid in range(first, last + 1)])
    return Changes(modseq, uid_next, flags, gone, keywords_of(connection, mailbox))  # type: ignore[arg-type]


def holes(uids: "array[int]", uid_next: int) -> "array[int]":
    """Every UID below `uid_next` that is not in `uids`; 4 octets each."""
    gone = array("I")
    before = 0
    for uid in uids:
        if uid > before + 1:
            gone.extend(range(before + 1, uid))
        before = uid
    gone.extend(range(before + 1, uid_next))
    return gone


def snapshot(connection: sqlite3.Connection, mailbox: MailboxId, base: UidSnapshot | None) -> UidSnapshot:
    """The mailbox as of this reading; `base` itself when nothing happened since.

    `base` comes from the event loop's thread and may be newer than this reading, whose transaction began before: then it is no base.
    """
    modseq, uid_next, horizon = _head(connection, mailbox)
    if base is not None and base.modseq > modseq:
        base = None
    if base is not None and base.modseq == modseq:
        return base
    if base is None or base.modseq < horizon:
        uids = _uids(connection, mailbox)
        return UidSnapshot(modseq, uid_next, uids, _first_unseen(connection, mailbox, 1), keywords_of(connection, mailbox))
    changes = changes_since(connection, mailbox, base.modseq)
    first_unseen = unseen_after(base, changes)
    return advanced(base, changes, _first_unseen(connection, mailbox, base.first_unseen) if first_unseen is None else first_unseen)


def advanced(base: UidSnapshot, changes: Changes, first_unseen: int) -> UidSnapshot:
    """`base` with the changes since then (or since earlier) applied."""
    uids = base.uids
    if changes.expunged:
        uids = without(uids, changes.expunged)
    at = bisect_left(changes.flags, (base.uid_next,))
    if at < len(changes.flags):
        uids = uids + array("I", [uid for uid, _, _ in changes.flags[at:]])
    return UidSnapshot(changes.modseq, changes.uid_next, uids, first_unseen, changes.keywords)


def unseen_after(base: UidSnapshot, changes: Changes) -> int | None:
    """The first unseen UID after the changes, None when the rows must be read."""
    first = base.first_unseen
    unseen = next((uid for uid, flags, _ in changes.flags if not flags & SEEN), 0)
    if unseen and (not first or unseen <= first):
        return unseen
    at = bisect_left(changes.flags, (first,))
    marked = at < len(changes.flags) and changes.flags[at][0] == first
    place = bisect_left(changes.expunged, first)
    if first and (marked or (place < len(changes.expunged) and changes.expunged[place] == first)):
        return None
    return first


def _head(connection: sqlite3.Connection, mailbox: MailboxId) -> tuple[ModSeq, Uid, ModSeq]:
    found: tuple[ModSeq, Uid, ModSeq] | None = connection.execute(
        "SELECT modseq, uid_next, expunged_horizon FROM mailbox WHERE id = ? AND selectable", (mailbox,)
    ).fetchone()
    if found is None:
        raise StoreError(Trouble.NO_MAILBOX)
    return found


def _uids(connection: sqlite3.Connection, mailbox: MailboxId) -> "array[int]":
    """All UIDs, ascending, a window at a time: at once, 100,000 of them would leave 3 MB of memory in pieces.

    Where no message was expunged SQLite's count says it all, and no UID becomes text: 100,000 cost 15 ms of CPU instead of 30.
    """
    uids, after = array("I"), 0
    while True:
        count, first, last = connection.execute(
            "SELECT count(*), min(uid), max(uid) FROM (SELECT uid FROM message WHERE mailbox = ? AND uid > ? ORDER BY uid LIMIT ?)",
            (mailbox, after, UIDS_AT_ONCE),
        ).fetchone()
        if not count:
            break
        if last - first == count - 1:
            uids.extend(range(first, last + 1))
        else:
            text = "SELECT group_concat(uid) FROM message WHERE mailbox = ? AND uid BETWEEN ? AND ?"
            uids.extend(sorted(numbers(connection.execute(text, (mailbox, first, last)).fetchone()[0])))
        after = last
    if len(uids) > UIDS_AT_ONCE:
        connection.execute("PRAGMA shrink_memory")  # the pages of a whole mailbox are not needed again soon
    return uids


def _first_unseen(connection: sqlite3.Connection, mailbox: MailboxId, start: int) -> int:
    if not connection.execute("SELECT unseen FROM mailbox WHERE id = ?", (mailbox,)).fetchone()[0]:
        return 0
    found = connection.execute(
        "SELECT uid FROM message WHERE mailbox = ? AND uid >= ? AND NOT flags & 1 ORDER BY uid LIMIT 1", (mailbox, start)
    ).fetchone()
    return found[0] if found else 0
