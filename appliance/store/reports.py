"""Reports on messages that were sent: DSNs (RFC 3464) and MDNs (RFC 8098) that came for an account, found by the message they refer to.

A report names the message it is about in In-Reply-To or References, as this server's own do, or returns it or its header, as Postfix's do;
one that does neither is mail like any other. It may stand in a thread of its own (another subject), which is indexed by the first id it
refers to (`threads`).
"""

import sqlite3
from collections.abc import Sequence

from appliance.database.writer import Transaction
from appliance.mail.ids import AccountId, MailboxId, MessageId

from .messages import listed
from .threads import hash_of

REFERRED = """SELECT d.account, d.reference_ids FROM message AS m JOIN message_data AS d ON d.id = m.message_data
    WHERE m.mailbox = ? AND m.uid = ? AND d.reference_ids <> '' AND instr(upper(CAST(d.bodystructure AS TEXT)), '"REPORT"') > 0"""
CANDIDATES = """WITH near(thread) AS (SELECT ?1 UNION SELECT thread FROM message_data WHERE root_hash IN (?2, ?3) AND account = ?4)
    SELECT id, reference_ids FROM message_data WHERE thread IN near AND thread <> id AND account = ?4
    UNION SELECT id, reference_ids FROM message_data WHERE id IN near AND thread = id AND account = ?4 ORDER BY id"""


def reported_messages(transaction: Transaction, mailbox: MailboxId, uids: Sequence[int]) -> tuple[AccountId, list[MessageId]]:
    """The messages of the account to which a message that just came refers, if it is a report; none for several at once."""
    row = transaction.execute(REFERRED, (mailbox, uids[0])).fetchone() if len(uids) == 1 else None
    if row is None:
        return AccountId(0), []
    hashes = listed([hash_of(one.encode()) for one in row[1].split()])
    found = transaction.execute(
        "SELECT id FROM message_data WHERE message_id_hash IN (SELECT value FROM json_each(?)) AND account = ?", (hashes, row[0])
    )
    return AccountId(row[0]), [MessageId(number) for (number,) in found.fetchall()]


def referring_messages(connection: sqlite3.Connection, account: AccountId, message: MessageId) -> list[MessageId]:
    """Messages that refer to this one, oldest first: replies and reports."""
    row = connection.execute(
        "SELECT thread, message_id_hash, reference_ids FROM message_data WHERE id = ? AND account = ?", (message, account)
    ).fetchone()
    if row is None or row[1] is None:
        return []
    thread, own, references = row
    root = hash_of(references.split()[0].encode()) if references else own
    rows = connection.execute(CANDIDATES, (thread, own, root, account)).fetchall()
    return [MessageId(number) for number, text in rows if any(hash_of(one.encode()) == own for one in text.split())]
