"""When mailboxes of others came into an account's sight or went out of it, and since when their messages may be read; for JMAP's changes.

    | of another's mailbox                     | its row                                                      |
    |------------------------------------------|--------------------------------------------------------------|
    | never was in sight (no right l)          | none                                                         |
    | came into sight, or went out of it       | `listed` 1 or 0, `listed_modseq` of that                     |
    | l and r together were given, or taken    | `read_modseq` of that                                        |

MODSEQs are the owner's. What the account can read is another set of messages since the last `read_modseq`: earlier states of messages
lead nowhere (cannotCalculateChanges, RFC 8620 §5.2). Rows of mailboxes out of sight stay, the newest KEPT of an account.
"""

import sqlite3
from collections.abc import Mapping
from typing import NamedTuple

from appliance.database.writer import Transaction
from appliance.mail.ids import AccountId, MailboxId, ModSeq

from .messages import listed
from .modseq import next_modseq
from .scope import Scope, in_sight, scope_modseq
from .values import MailboxChanges

KEPT = 500
UPSERT = """INSERT INTO shared_sight(viewer, account, mailbox, listed, listed_modseq, read_modseq) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
    ON CONFLICT DO UPDATE SET listed_modseq = CASE WHEN listed <> ?4 THEN ?5 ELSE listed_modseq END, listed = ?4,
    read_modseq = CASE WHEN ?6 THEN ?5 ELSE read_modseq END"""


class Sight(NamedTuple):
    """How an account sees a mailbox of another that it may list."""

    owner: AccountId
    is_readable: bool


class SightChanges(NamedTuple):
    """Since a MODSEQ: which mailboxes in sight came into it, of which others the right to read changed, and which went out of sight."""

    came: frozenset[MailboxId]
    changed: frozenset[MailboxId]
    gone: tuple[MailboxId, ...]


def note(
    transaction: Transaction, viewer: AccountId, before: Mapping[MailboxId, Sight], after: Mapping[MailboxId, Sight]
) -> list[MailboxId]:
    """Keep what a change of rights or of mailboxes did to an account's sight; the mailboxes that came into it or went."""
    modseqs: dict[AccountId, ModSeq] = {}
    moved = []
    for mailbox in sorted({*before, *after}):
        old, new = before.get(mailbox), after.get(mailbox)
        if old == new:
            continue
        owner = (new or old or Sight(viewer, False)).owner
        if owner not in modseqs:
            modseqs[owner] = next_modseq(transaction, owner)
        reading = (old is not None and old.is_readable) != (new is not None and new.is_readable)
        transaction.execute(UPSERT, (viewer, owner, mailbox, int(new is not None), modseqs[owner], reading))
        if old is None or new is None:
            moved.append(mailbox)
    for owner in modseqs:
        _drop_oldest(transaction, Scope(owner, viewer))
    return moved


def _drop_oldest(transaction: Transaction, scope: Scope) -> None:
    last = transaction.execute(
        "SELECT listed_modseq FROM shared_sight WHERE viewer = ? AND account = ? AND NOT listed"
        " ORDER BY listed_modseq DESC LIMIT 1 OFFSET ?",
        (scope.viewer, scope.account, KEPT),
    ).fetchone()
    if last is not None:
        transaction.execute(
            "DELETE FROM shared_sight WHERE viewer = ? AND account = ? AND NOT listed AND listed_modseq <= ?",
            (scope.viewer, scope.account, last[0]),
        )


def is_known_since(connection: sqlite3.Connection, scope: Scope, since: ModSeq) -> bool:
    """Are all changes of sight after `since` kept?"""
    count, oldest = connection.execute(
        "SELECT count(*), min(listed_modseq) FROM shared_sight WHERE viewer = ? AND account = ? AND NOT listed",
        (scope.viewer, scope.account),
    ).fetchone()
    return bool(count < KEPT or since >= oldest)


def reads_since(connection: sqlite3.Connection, scope: Scope) -> ModSeq:
    """Since when the account may read the same mailboxes as now."""
    found = connection.execute(
        "SELECT coalesce(max(read_modseq), 0) FROM shared_sight WHERE viewer = ? AND account = ?", (scope.viewer, scope.account)
    ).fetchone()
    return ModSeq(found[0])


def sight_changes(connection: sqlite3.Connection, scope: Scope, since: ModSeq) -> SightChanges | None:
    """None when that is too long ago to know."""
    if not is_known_since(connection, scope, since):
        return None
    rows = connection.execute(
        "SELECT mailbox, listed, listed_modseq > ?3 FROM shared_sight WHERE viewer = ?1 AND account = ?2"
        " AND max(listed_modseq, read_modseq) > ?3 ORDER BY mailbox",
        (scope.viewer, scope.account, since),
    ).fetchall()
    came = frozenset(MailboxId(number) for number, listed, moved in rows if listed and moved)
    changed = frozenset(MailboxId(number) for number, listed, moved in rows if listed and not moved)
    return SightChanges(came, changed, tuple(MailboxId(number) for number, listed, moved in rows if not listed and moved))


def changed_since(connection: sqlite3.Connection, scope: Scope, since: ModSeq) -> MailboxChanges | None:
    """As `mailboxes.changed_since`, of what the viewer sees: what came into sight is created, what went out of it deleted."""
    changes = sight_changes(connection, scope, since)
    if changes is None:
        return None
    rows = connection.execute(
        "SELECT id FROM mailbox WHERE id IN (SELECT value FROM json_each(?)) AND changed_modseq > ? ORDER BY changed_modseq, id",
        (listed(list(in_sight(connection, scope))), since),
    ).fetchall()
    changed = dict.fromkeys([MailboxId(number) for (number,) in rows] + sorted(changes.changed))
    return MailboxChanges(
        scope_modseq(connection, scope), tuple(sorted(changes.came)), tuple(one for one in changed if one not in changes.came), changes.gone
    )


def forget(transaction: Transaction, account: AccountId) -> None:
    """An account is gone, as viewer and as owner."""
    transaction.execute("DELETE FROM shared_sight WHERE viewer = ?1 OR account = ?1", (account,))
