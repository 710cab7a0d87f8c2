"""How many messages and threads a mailbox has, and how many of them are unread, as JMAP counts (RFC 8621 §2).

    | count          | of a mailbox                                                                                   |
    |----------------|------------------------------------------------------------------------------------------------|
    | emails         | messages in it, each once                                                                      |
    | unread         | those of them that have neither $seen nor $draft, in whatever mailbox: keywords are those of all copies |
    | threads        | threads with a message in it                                                                   |
    | unread threads | those of them with an unread message, wherever; but what is only in the Trash counts for the Trash alone, |
    |                | and for the Trash nothing counts that is not in it                                              |

Copies with \\Deleted are not there (RFC 8621 §4.1.1), nor are those outside the `scope`.
"""

# ruff: noqa: S608 - flags are numbers of ours, values are always parameters

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from appliance.mail.flags import DELETED, DRAFT, SEEN, TRASH
from appliance.mail.ids import MailboxId, MessageId, ModSeq

from .account_changes import WHOLE, Position, message_changes
from .id_set import IdSet
from .messages import listed
from .scope import Scope, readable, scope_modseq

ROWS = f"""SELECT m.mailbox, m.message_data, d.thread, m.flags & {SEEN | DRAFT:d} = 0
    AND NOT (m.message_data IN (SELECT message_data FROM shared_data) AND EXISTS (
        SELECT 1 FROM message AS o WHERE o.message_data = m.message_data AND o.flags & {DELETED:d} = 0
        AND o.flags & {SEEN | DRAFT:d} AND +o.mailbox IN (SELECT value FROM json_each(?1))))"""
OF_ALL = f"""{ROWS} FROM message AS m JOIN message_data AS d ON d.id = m.message_data
    WHERE m.mailbox IN (SELECT value FROM json_each(?1)) AND m.flags & {DELETED:d} = 0"""
OF_THREADS = f"""{ROWS} FROM (SELECT id, thread FROM message_data WHERE thread IN (SELECT value FROM json_each(?2)) AND thread <> id
        UNION ALL SELECT id, thread FROM message_data WHERE id IN (SELECT value FROM json_each(?2)) AND thread = id) AS d
    JOIN message AS m ON m.message_data = d.id
    WHERE +m.mailbox IN (SELECT value FROM json_each(?1)) AND m.flags & {DELETED:d} = 0"""
"""Which thread a message that began it belongs to is not in the index of threads: it is its own."""
MOST_CHANGES = 5000
"""Above, counting all anew costs less."""


class MailboxCounts(NamedTuple):
    """Of one mailbox; nothing of one that may not be read."""

    emails: int = 0
    unread: int = 0
    threads: int = 0
    unread_threads: int = 0


class _Members:
    """What of a mailbox is counted."""

    __slots__ = ("messages", "threads", "unread")

    def __init__(self) -> None:
        self.messages, self.unread, self.threads = IdSet(), IdSet(), IdSet()


class ScopeCounts:
    """The counts of what one account sees of another's mail, or of its own, at a state (`modseq`); nothing at first.

    What is counted is kept as sets of identities, so that a change costs what it touched and not what there is: marking one of 20,000
    messages read takes 0.2 ms where counting them takes 60. Work of a reader's thread, one at a time.
    """

    def __init__(self) -> None:
        self.modseq = ModSeq(0)
        self._is_trash: dict[MailboxId, bool] = {}
        self._members: dict[MailboxId, _Members] = {}
        self._trashed, self._elsewhere = IdSet(), IdSet()
        """Threads with an unread message in the Trash, and with one in any other mailbox."""

    def by_mailbox(self) -> dict[MailboxId, MailboxCounts]:
        """Of those that may be read."""
        found = {}
        for mailbox, members in self._members.items():
            unread_threads = members.threads & (self._trashed if self._is_trash[mailbox] else self._elsewhere)
            found[mailbox] = MailboxCounts(len(members.messages), len(members.unread), len(members.threads), len(unread_threads))
        return found

    def bring_up_to_date(self, connection: sqlite3.Connection, scope: Scope) -> None:
        """To the state of this snapshot."""
        now = scope_modseq(connection, scope)
        if now != self.modseq:
            self._follow(connection, scope, now)

    def _follow(self, connection: sqlite3.Connection, scope: Scope, now: ModSeq) -> None:
        since, self.modseq = self.modseq, ModSeq(0)  # after an error all is counted anew
        numbers = listed(readable(connection, scope))
        rows = connection.execute("SELECT id, special_use = ? FROM mailbox WHERE id IN (SELECT value FROM json_each(?))", (TRASH, numbers))
        is_trash = {MailboxId(mailbox): bool(trash) for mailbox, trash in rows.fetchall()}
        found = message_changes(connection, scope, Position(since, WHOLE)) if since and is_trash == self._is_trash else None
        if found is None or len(found[1]) > MOST_CHANGES:
            self._is_trash = is_trash
            self._members = {mailbox: _Members() for mailbox in is_trash}
            self._trashed, self._elsewhere = IdSet(), IdSet()
            self._count(connection.execute(OF_ALL, (numbers,)))
        else:
            threads = {change.thread for change in found[1]}
            self._forget({change.message for change in found[1]}, threads)
            self._count(connection.execute(OF_THREADS, (numbers, listed(list(threads)))))
        self.modseq = now

    def _forget(self, messages: set[MessageId], threads: set[MessageId]) -> None:
        for members in self._members.values():
            for message in messages:
                members.messages.discard(message)
                members.unread.discard(message)
            for thread in threads:
                members.threads.discard(thread)
        for thread in threads:
            self._trashed.discard(thread)
            self._elsewhere.discard(thread)

    def _count(self, rows: Iterable[tuple[MailboxId, int, int, int]]) -> None:
        for mailbox, message, thread, unread in rows:
            members = self._members[mailbox]
            members.messages.add(message)
            members.threads.add(thread)
            if unread:
                members.unread.add(message)
                (self._trashed if self._is_trash[mailbox] else self._elsewhere).add(thread)


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
