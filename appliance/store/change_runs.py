"""Which messages of a mailbox were added or changed with which MODSEQ, as runs of UIDs (table `changed`); for changes since a MODSEQ.

A run says where to look: a message belongs to the run that has its MODSEQ, and to no other. So a run may reach over messages that did
not change with it (gaps up to GAP), and changes of changed messages need no index over all of them: flags of 5,000 messages cost
one row here where the index cost 10,000 entries, and four times the CPU.
The newest KEPT runs of a mailbox stay. Whoever asks for changes since a MODSEQ from before the oldest of them, or for so many that the
runs cover more than there are messages, has all rows looked at: 20,000 cost 0.6 ms.
"""

# ruff: noqa: S608 - columns are words of ours, values are always parameters

import sqlite3
from collections.abc import Sequence
from zlib import crc32

from appliance.database.writer import Transaction
from appliance.mail.ids import MailboxId, ModSeq

from .messages import numbers

KEPT = 4096
"""Runs of a mailbox; 20 octets each."""
SLACK = 256
"""Dropped in batches of about so many."""
GAP = 64
"""Messages between two changed ones that are cheaper to look at (2 us) than a run of their own is to write."""


OF_RUNS = """changed AS c CROSS JOIN message AS m ON m.mailbox = c.mailbox AND m.uid BETWEEN c.first_uid AND c.last_uid
    AND m.modseq = c.modseq WHERE c.mailbox = ? AND c.modseq > ?"""
OF_ALL = "message AS m WHERE m.mailbox = ? AND m.modseq > ?"


def keep(transaction: Transaction, mailbox: MailboxId, modseq: ModSeq, uids: Sequence[int]) -> None:
    """Note that these messages, of ascending UIDs, got this MODSEQ."""
    for first, last in runs_over_gaps(uids):
        transaction.execute("INSERT INTO changed(mailbox, modseq, first_uid, last_uid) VALUES (?, ?, ?, ?)", (mailbox, modseq, first, last))
    if crc32(b"%d" % modseq) % SLACK == 0:  # not modseq itself: one mailbox may always have the odd ones
        transaction.execute(
            "DELETE FROM changed WHERE mailbox = ?1 AND modseq <="
            " (SELECT modseq FROM changed WHERE mailbox = ?1 ORDER BY modseq DESC LIMIT 1 OFFSET ?2)",
            (mailbox, KEPT),
        )


def runs_over_gaps(uids: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending UIDs as few runs (first, last)."""
    if uids[-1] - uids[0] < len(uids) + GAP:
        return [(uids[0], uids[-1])]
    found, first, before = [], uids[0], uids[0]
    for uid in uids:
        if uid > before + GAP:
            found.append((first, before))
            first = uid
        before = uid
    return [*found, (first, before)]


def rows_since(connection: sqlite3.Connection, mailbox: MailboxId, since: int, columns: Sequence[str]) -> list[tuple[int, ...]]:
    """These columns, all of integers, of the messages whose MODSEQ is above `since`, ascending by the first column."""
    oldest, covered, messages = connection.execute(
        """SELECT (SELECT modseq FROM changed WHERE mailbox = ?1 ORDER BY modseq LIMIT 1),
            (SELECT total(last_uid - first_uid + 1) FROM changed WHERE mailbox = ?1 AND modseq > ?2),
            (SELECT messages FROM mailbox WHERE id = ?1)""",
        (mailbox, since),
    ).fetchone()
    source = OF_RUNS if oldest is not None and oldest <= since and covered <= messages else OF_ALL
    texts = connection.execute(
        f"SELECT {', '.join([f'group_concat(m.{column})' for column in columns])} FROM {source}", (mailbox, since)
    ).fetchone()
    return sorted(zip(*map(numbers, texts), strict=True))
