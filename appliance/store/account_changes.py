"""Changes of an account's messages, whatever mailboxes they are in: what JMAP's Email/changes and Thread/changes are made of.

A message is one identity (MessageId) with a row in each mailbox that holds it (RFC 8621 §4). Since a MODSEQ it was

    | created   | its first append is later                                                            |
    | updated   | it is older, and a row of it changed or was added, or it left one of its mailboxes   |
    | destroyed | it is older, and left its last mailbox; one that came and went since is nothing      |

Every MODSEQ of an account belongs to one commit's change, so (MODSEQ, MessageId) orders all changes.
"""

import sqlite3
from dataclasses import dataclass

from appliance.mail.ids import AccountId, MessageId, ModSeq

from . import departures
from .messages import listed
from .modseq import account_modseq


@dataclass(frozen=True, slots=True)
class MessageChange:
    """One message. `modseq`: of its latest change. `thread`: the identity of its thread's first message."""

    modseq: ModSeq
    message: MessageId
    thread: MessageId
    created: bool = False
    destroyed: bool = False


def message_changes(connection: sqlite3.Connection, account: AccountId, since: ModSeq) -> tuple[ModSeq, list[MessageChange]] | None:
    """The account's MODSEQ and what changed after `since`, ascending by (modseq, message); None when that is too long ago to know."""
    left = departures.since(connection, account, since)
    if left is None:
        return None
    latest = {int(message): int(modseq) for message, modseq in left.remaining.items()}
    mailboxes = connection.execute("SELECT id FROM mailbox WHERE account = ? AND modseq > ?", (account, since)).fetchall()
    for (mailbox,) in mailboxes:
        rows = connection.execute(
            "SELECT message_data, max(modseq) FROM message WHERE mailbox = ? AND modseq > ? GROUP BY message_data", (mailbox, since)
        )
        for message, modseq in rows.fetchall():
            latest[message] = max(modseq, latest.get(message, 0))
    found = connection.execute(
        "SELECT id, thread, created_modseq > ? FROM message_data WHERE id IN (SELECT value FROM json_each(?))",
        (since, listed(list(latest))),
    )
    changes = [
        MessageChange(ModSeq(latest[message]), MessageId(message), MessageId(thread), created=bool(new))
        for message, thread, new in found.fetchall()
    ]
    changes += [MessageChange(one.modseq, one.message, one.thread, destroyed=True) for one in left.gone if one.created_modseq <= since]
    changes.sort(key=lambda change: (change.modseq, change.message))
    return account_modseq(connection, account), changes
