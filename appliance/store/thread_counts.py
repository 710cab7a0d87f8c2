"""How many threads a mailbox has, and how many of them are unread (RFC 8621 §2: totalThreads, unreadThreads).

A thread is unread when one of its messages, in whatever mailbox, is neither seen nor a draft. All rows of the mailboxes are read, so
whoever asks often keeps the answer until the account's MODSEQ changes.
"""

import sqlite3
from collections.abc import Sequence

from appliance.mail.flags import DELETED, DRAFT, SEEN
from appliance.mail.ids import AccountId, MailboxId

from .messages import listed
from .values import MailboxInfo

QUERY = f"""
    WITH unread(thread) AS MATERIALIZED (
        SELECT DISTINCT d.thread FROM mailbox AS b JOIN message AS m ON m.mailbox = b.id JOIN message_data AS d ON d.id = m.message_data
        WHERE b.account = ?1 AND b.unseen > 0 AND m.flags & {SEEN | DRAFT | DELETED:d} = 0)
    SELECT m.mailbox, count(DISTINCT d.thread), count(DISTINCT CASE WHEN d.thread IN unread THEN d.thread END)
    FROM message AS m JOIN message_data AS d ON d.id = m.message_data
    WHERE m.mailbox IN (SELECT value FROM json_each(?2)) AND m.flags & {DELETED:d} = 0 GROUP BY m.mailbox"""  # noqa: S608 - numbers of ours


def leave_out_deleted(connection: sqlite3.Connection, mailboxes: Sequence[MailboxInfo]) -> None:
    """Take messages with \\Deleted out of the counts: JMAP does not show them (RFC 8621 §4.1.1)."""
    for info in mailboxes:
        if info.deleted:
            info.messages -= info.deleted
        if info.deleted and info.unseen:
            unseen = f"SELECT count(*) FROM message WHERE mailbox = ? AND flags & {SEEN | DELETED:d} = 0"  # noqa: S608 - numbers of ours
            info.unseen = connection.execute(unseen, (info.id,)).fetchone()[0]


def thread_counts(connection: sqlite3.Connection, account: AccountId, mailboxes: Sequence[MailboxId]) -> dict[MailboxId, tuple[int, int]]:
    """(threads, unread threads) of each of these mailboxes."""
    rows = connection.execute(QUERY, (account, listed(mailboxes))).fetchall()
    return dict.fromkeys(mailboxes, (0, 0)) | {MailboxId(mailbox): (threads, unread) for mailbox, threads, unread in rows}
