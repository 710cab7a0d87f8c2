"""How many messages and threads a mailbox has, and how many of them are unread, as JMAP counts (RFC 8621 §2).

    | count          | of a mailbox                                                                                   |
    |----------------|------------------------------------------------------------------------------------------------|
    | emails         | messages in it, each once                                                                      |
    | unread         | those of them that have neither $seen nor $draft, in whatever mailbox: keywords are those of all copies |
    | threads        | threads with a message in it                                                                   |
    | unread threads | those of them with an unread message, wherever; but what is only in the Trash counts for the Trash alone, |
    |                | and for the Trash nothing counts that is not in it                                              |

Copies with \\Deleted are not there (RFC 8621 §4.1.1), nor are those outside the `scope`. All rows of the mailboxes are read, so whoever
asks often keeps the answer until the account's MODSEQ changes.
"""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from appliance.mail.flags import DELETED, DRAFT, SEEN
from appliance.mail.ids import MailboxId

from .account_changes import Position, message_changes
from .messages import listed
from .scope import Scope, readable

QUERY = f"""
    WITH unread(message, thread, in_trash) AS MATERIALIZED (
        SELECT m.message_data, d.thread, b.special_use = '\\Trash'
        FROM mailbox AS b JOIN message AS m ON m.mailbox = b.id JOIN message_data AS d ON d.id = m.message_data
        WHERE b.id IN (SELECT value FROM json_each(?1)) AND b.unseen > 0 AND m.flags & {SEEN | DRAFT | DELETED:d} = 0
        AND NOT (m.message_data IN (SELECT message_data FROM shared_data) AND EXISTS (
            SELECT 1 FROM message AS o WHERE o.message_data = m.message_data AND o.flags & {DELETED:d} = 0
            AND o.flags & {SEEN | DRAFT:d} AND +o.mailbox IN (SELECT value FROM json_each(?1))))),
    trashed(thread) AS MATERIALIZED (SELECT DISTINCT thread FROM unread WHERE in_trash),
    elsewhere(thread) AS MATERIALIZED (SELECT DISTINCT thread FROM unread WHERE NOT in_trash)
    SELECT m.mailbox, count(DISTINCT m.message_data),
        count(DISTINCT CASE WHEN m.flags & {SEEN | DRAFT:d} = 0 AND m.message_data IN (SELECT message FROM unread) THEN m.message_data END),
        count(DISTINCT d.thread),
        count(DISTINCT CASE WHEN b.special_use = '\\Trash' THEN (CASE WHEN d.thread IN trashed THEN d.thread END)
            WHEN d.thread IN elsewhere THEN d.thread END)
    FROM mailbox AS b JOIN message AS m ON m.mailbox = b.id JOIN message_data AS d ON d.id = m.message_data
    WHERE b.id IN (SELECT value FROM json_each(?2)) AND m.flags & {DELETED:d} = 0 GROUP BY m.mailbox"""  # noqa: S608 - numbers of ours


class MailboxCounts(NamedTuple):
    """Of one mailbox; nothing of one that may not be read."""

    emails: int = 0
    unread: int = 0
    threads: int = 0
    unread_threads: int = 0


def mailbox_counts(connection: sqlite3.Connection, scope: Scope, mailboxes: Sequence[MailboxId]) -> dict[MailboxId, MailboxCounts]:
    """Of each of these mailboxes."""
    numbers = readable(connection, scope)
    allowed = set(numbers)
    wanted = listed([one for one in mailboxes if one in allowed])
    rows = connection.execute(QUERY, (listed(numbers), wanted)).fetchall()
    return dict.fromkeys(mailboxes, MailboxCounts()) | {MailboxId(mailbox): MailboxCounts(*counts) for mailbox, *counts in rows}


def recounted_since(connection: sqlite3.Connection, scope: Scope, since: Position) -> list[MailboxId]:
    """The mailboxes of which a count may be another than at that state: whose messages changed, or others of the same threads."""
    numbers = readable(connection, scope)
    changes = message_changes(connection, scope, since)
    if changes is None:
        return numbers
    touched = connection.execute(
        "SELECT id FROM mailbox WHERE id IN (SELECT value FROM json_each(?)) AND modseq > ?", (listed(numbers), since.modseq)
    )
    found = {number for (number,) in touched.fetchall()}
    threads = listed(list({change.thread for change in changes[1]}))
    near = connection.execute(
        "SELECT DISTINCT m.mailbox FROM (SELECT id FROM message_data WHERE thread IN (SELECT value FROM json_each(?1)) AND thread <> id"
        " UNION ALL SELECT id FROM message_data WHERE id IN (SELECT value FROM json_each(?1)) AND thread = id) AS d"
        " JOIN message AS m ON m.message_data = d.id",
        (threads,),
    )
    found |= {number for (number,) in near.fetchall()}
    return [number for number in numbers if number in found]
