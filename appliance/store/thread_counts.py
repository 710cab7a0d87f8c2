"""How many threads a mailbox has, and how many of them are unread (RFC 8621 §2: totalThreads, unreadThreads).

A thread is unread when one of its messages, in whatever mailbox, is neither seen nor a draft. All rows of the mailboxes are read, so
whoever asks often keeps the answer until the account's MODSEQ changes.
"""

import sqlite3
from collections.abc import Sequence

from appliance.mail.flags import DRAFT, SEEN
from appliance.mail.ids import AccountId, MailboxId

from .messages import listed

QUERY = f"""
    WITH unread(thread) AS MATERIALIZED (
        SELECT DISTINCT d.thread FROM mailbox AS b JOIN message AS m ON m.mailbox = b.id JOIN message_data AS d ON d.id = m.message_data
        WHERE b.account = ?1 AND b.unseen > 0 AND m.flags & {SEEN | DRAFT:d} = 0)
    SELECT m.mailbox, count(DISTINCT d.thread), count(DISTINCT CASE WHEN d.thread IN unread THEN d.thread END)
    FROM message AS m JOIN message_data AS d ON d.id = m.message_data
    WHERE m.mailbox IN (SELECT value FROM json_each(?2)) GROUP BY m.mailbox"""  # noqa: S608 - numbers of ours


def thread_counts(connection: sqlite3.Connection, account: AccountId, mailboxes: Sequence[MailboxId]) -> dict[MailboxId, tuple[int, int]]:
    """(threads, unread threads) of each of these mailboxes."""
    rows = connection.execute(QUERY, (account, listed(mailboxes))).fetchall()
    return dict.fromkeys(mailboxes, (0, 0)) | {MailboxId(mailbox): (threads, unread) for mailbox, threads, unread in rows}
