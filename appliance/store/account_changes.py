"""Changes of an account's messages, whatever mailboxes they are in: what JMAP's Email/changes and Thread/changes are made of.

A message is one identity (MessageId) with a row in each mailbox that holds it (RFC 8621 §4). Since a MODSEQ it was

    | created   | its first append is later                                                            |
    | updated   | it is older, and a row of it changed or was added, or it left one of its mailboxes   |
    | destroyed | it is older, and left its last mailbox; one that came and went since is nothing      |

Whoever sees some of an account's mailboxes alone (`scope`) gets the same of what is there for them (`shared_members`).
A message whose every copy has \\Deleted is destroyed for JMAP (RFC 8621 §4.1.1), and created anew when that flag is taken off
(`flag_changes`). Every MODSEQ of an account belongs to one commit's change, so (MODSEQ, MessageId) orders all changes.
"""

import sqlite3
from dataclasses import dataclass
from typing import NamedTuple

from appliance.mail.ids import MessageId, ModSeq

from . import departures, shared_members
from .change_runs import rows_since
from .messages import listed
from .modseq import account_modseq
from .scope import Scope, scope_modseq

CREATED, UPDATED, DESTROYED = "created", "updated", "destroyed"


class Position(NamedTuple):
    """A place in the order of changes: all up to this message of this MODSEQ are known. With `WHOLE` all of the MODSEQ."""

    modseq: ModSeq
    message: MessageId

    @property
    def whole(self) -> ModSeq:
        """The last MODSEQ of which all changes are known."""
        return self.modseq if self.message == WHOLE else ModSeq(self.modseq - 1)


WHOLE = MessageId(2**63 - 1)


@dataclass(frozen=True, slots=True)
class MessageChange:
    """One message. `modseq`: of its latest change. `thread`: the identity of its thread's first message."""

    modseq: ModSeq
    message: MessageId
    thread: MessageId
    created_modseq: ModSeq
    destroyed: bool = False

    def place(self, since: Position) -> Position:
        """Where the change stands for one who knows all up to `since`. A new message stands where it was created: whoever goes on from
        there knows it, and hears of its later changes as updates."""
        made = Position(self.created_modseq, self.message)
        return made if made > since and not self.destroyed else Position(self.modseq, self.message)

    def kind(self, since: Position) -> str:
        """What the change is for one who knows all up to `since`: see above; "" when it came and went since."""
        new = (self.created_modseq, self.message) > since
        if self.destroyed:
            return "" if new else DESTROYED
        return CREATED if new else UPDATED


def message_changes(connection: sqlite3.Connection, scope: Scope, since: Position) -> tuple[ModSeq, list[MessageChange]] | None:
    """The account's MODSEQ and what changed after `since`, ascending by place; None when that is too long ago to know."""
    if not scope.is_own:
        return _shared_changes(connection, scope, since)
    account = scope.account
    after = since.whole
    left = departures.since(connection, account, after)
    if left is None:
        return None
    latest = {int(message): int(modseq) for message, modseq in left.remaining.items()}
    for (mailbox,) in connection.execute("SELECT id FROM mailbox WHERE account = ? AND modseq > ?", (account, after)).fetchall():
        for message, modseq in rows_since(connection, mailbox, after, ("message_data", "modseq")):
            latest[message] = max(modseq, latest.get(message, 0))
    found = connection.execute(
        "SELECT id, thread, created_modseq, NOT EXISTS (SELECT 1 FROM message WHERE message_data = id AND flags & 8 = 0)"
        " FROM message_data WHERE id IN (SELECT value FROM json_each(?))",
        (listed(list(latest)),),
    )
    changes = [
        MessageChange(ModSeq(latest[message]), MessageId(message), MessageId(thread), ModSeq(made), destroyed=bool(hidden))
        for message, thread, made, hidden in found.fetchall()
    ]
    changes += [MessageChange(one.modseq, one.message, one.thread, one.created_modseq, destroyed=True) for one in left.gone]
    changes.sort(key=lambda change: change.place(since))
    return account_modseq(connection, account), [change for change in changes if change.place(since) > since and change.kind(since)]


def _shared_changes(connection: sqlite3.Connection, scope: Scope, since: Position) -> tuple[ModSeq, list[MessageChange]] | None:
    walks = shared_members.walks(connection, scope, since, since.whole)
    if walks is None:
        return None
    changes = []
    for message, walk in walks.items():
        if walk.now or walk.copies:
            made = ModSeq(walk.began if not walk.copies else 0)
            modseq = ModSeq(walk.last if walk.now else walk.ended)
            changes.append(MessageChange(modseq, MessageId(message), MessageId(walk.thread), made, destroyed=not walk.now))
    changes.sort(key=lambda change: change.place(since))
    return scope_modseq(connection, scope), changes
