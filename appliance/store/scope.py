"""The mail of an account as far as one account may see it: its owner all of it, everybody else what is shared with them (`sharing`).

    | another's mailbox, and the rights on it | what is there, for whoever reads by account (JMAP)               |
    |-----------------------------------------|------------------------------------------------------------------|
    | l and r                                 | the mailbox with its counts, and its messages                    |
    | l                                       | the mailbox alone                                                |
    | any others                              | nothing, as if neither the mailbox nor its messages existed      |

A message in several mailboxes is there with the copies that may be read, and with their flags alone. Rights are read in the reading or
transaction that needs them.
"""

# ruff: noqa: S608 - names of columns are words of ours, values are always parameters

import sqlite3
from typing import NamedTuple

from appliance.database.writer import Transaction
from appliance.mail.ids import AccountId, MailboxId, ModSeq
from appliance.mail.rights import ANYONE, Rights, parse_rights

from .messages import listed
from .modseq import account_modseq

Source = sqlite3.Connection | Transaction
READ: Rights = frozenset("lr")
IN_SIGHT = f"""SELECT r.mailbox, group_concat(r.rights, '') FROM mailbox_right AS r JOIN mailbox AS m ON m.id = r.mailbox
    LEFT JOIN account AS a ON a.id = m.account WHERE r.account IN (?, {ANYONE}) AND m.account = ? AND a.removed_at IS NULL
    GROUP BY r.mailbox"""
"""With the account's own rights and those of all accounts, written one behind the other."""


class Scope(NamedTuple):
    """Whose mail, and who looks."""

    account: AccountId
    viewer: AccountId

    @property
    def is_own(self) -> bool:
        return self.account == self.viewer


def own(account: AccountId) -> Scope:
    """All mail of an account."""
    return Scope(account, account)


class StateStep(NamedTuple):
    """What one commit did to the MODSEQ that the viewer has of the account: nothing else happened between the two."""

    before: ModSeq
    after: ModSeq


def in_sight(source: Source, scope: Scope) -> dict[MailboxId, Rights]:
    """The mailboxes of another that the viewer may list, with all rights on each."""
    rows = source.execute(IN_SIGHT, (scope.viewer, scope.account)).fetchall()
    return {MailboxId(number): rights for number, written in rows if "l" in (rights := parse_rights(written))}


def readable(source: Source, scope: Scope) -> list[MailboxId]:
    """The mailboxes whose messages are there."""
    if scope.is_own:
        rows = source.execute("SELECT id FROM mailbox WHERE account = ?", (scope.account,)).fetchall()
        return [MailboxId(number) for (number,) in rows]
    return [number for number, rights in in_sight(source, scope).items() if rights >= READ]


def only_readable(source: Source, scope: Scope, column: str = "mailbox") -> tuple[str, tuple[str, ...]]:
    """What a statement that finds messages by identity, or mailboxes, of the account has to ask besides, with its parameters; nothing of
    its owner."""
    if scope.is_own:
        return "", ()
    return f" AND +{column} IN (SELECT value FROM json_each(?))", (listed(readable(source, scope)),)


def scope_modseq(connection: Source, scope: Scope) -> ModSeq:
    """The MODSEQ of the last change the viewer could notice: of messages and mailboxes that are there, or of what is there at all."""
    if scope.is_own:
        return account_modseq(connection, scope.account)
    rights = in_sight(connection, scope)
    seen, read = listed(list(rights)), listed([number for number, some in rights.items() if some >= READ])
    found = connection.execute(
        """SELECT max((SELECT coalesce(max(changed_modseq), 0) FROM mailbox WHERE id IN (SELECT value FROM json_each(?1))),
            (SELECT coalesce(max(modseq), 0) FROM mailbox WHERE id IN (SELECT value FROM json_each(?2))),
            (SELECT coalesce(max(max(listed_modseq, read_modseq)), 0) FROM shared_sight WHERE viewer = ?3 AND account = ?4))""",
        (seen, read, scope.viewer, scope.account),
    ).fetchone()
    return ModSeq(found[0])


def arrivals(connection: sqlite3.Connection, scope: Scope) -> tuple[int, int]:
    """How many mailboxes may be read, and a number that rises with each message that comes into one of them."""
    condition, parameters = only_readable(connection, scope, "id")
    found: tuple[int, int] = connection.execute(
        f"SELECT count(*), coalesce(sum(uid_next), 0) FROM mailbox WHERE account = ?{condition}", (scope.account, *parameters)
    ).fetchone()
    return found
