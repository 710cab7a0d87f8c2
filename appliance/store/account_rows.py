"""All messages of an account as rows, one for each whatever mailboxes hold it: what a query over the account looks at.

A column of a mailbox comes back in one row of SQLite: stepping row by row would pass the interpreter lock back and forth. Everything
runs inside one reading. A few messages are looked up by their ids. Copies with \\Deleted are left out, as JMAP asks (RFC 8621 §4.1.1).
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from appliance.mail.flags import DELETED
from appliance.mail.ids import AccountId, MailboxId

from .account_messages import flag_names
from .keywords import keywords_of
from .messages import listed, numbers
from .scope import Scope, readable
from .search_found import Possible

FEW = 10_000
"""Messages that are looked up by their ids, at most."""
LAST_ID = 2**63 - 1

Spell = Callable[[frozenset[str]], frozenset[str]]
"""Names of flags, without \\Deleted, to the names the caller has for them."""


@dataclass(slots=True)
class AccountRow:
    """One message. `keywords`: those of any copy, as the caller spells them. `internal_at` (UTC seconds) and `octets` are of its first
    copy. What a caller finds out besides has a place too: `thread_keywords` of each message of its thread, and `has_attachment`."""

    message: int
    mailboxes: frozenset[int]
    keywords: frozenset[str]
    internal_at: int
    octets: int
    thread_keywords: tuple[frozenset[str], ...] = ()
    has_attachment: bool | None = None


def account_rows(connection: sqlite3.Connection, scope: Scope, spell: Spell, *, only: int | None = None) -> dict[int, AccountRow]:
    """The account's messages by id; with `only` those that this mailbox holds. 100,000 take some 0.2 s."""
    mailboxes = readable(connection, scope)
    chosen = [one for one in mailboxes if one == only] if only is not None else mailboxes
    found: dict[int, AccountRow] = {}
    for mailbox in chosen:
        _add_mailbox(connection, mailbox, spell, found)
    if chosen != mailboxes:
        _add_other_copies(connection, [one for one in mailboxes if one not in chosen], spell, found)
    return found


def account_rows_of(connection: sqlite3.Connection, scope: Scope, spell: Spell, messages: Iterable[int]) -> dict[int, AccountRow]:
    """Those of these messages that are there, by id: 10 us each."""
    found: dict[int, AccountRow] = {}
    rows = connection.execute(
        "SELECT message_data, mailbox, flags, internal_at, octets FROM message WHERE message_data IN (SELECT value FROM json_each(?))"
        " AND +mailbox IN (SELECT value FROM json_each(?)) AND flags & 8 = 0 ORDER BY mailbox, uid",
        (listed(list(messages)), listed(readable(connection, scope))),
    ).fetchall()
    names: dict[int, tuple[str, ...]] = {}
    spelled: dict[tuple[int, int], frozenset[str]] = {}
    for message, mailbox, flags, at, octets in rows:
        if mailbox not in names:
            names[mailbox] = keywords_of(connection, MailboxId(mailbox))
        if (mailbox, flags) not in spelled:
            spelled[mailbox, flags] = spell(flag_names(flags & ~DELETED, names[mailbox]))
        known = found.setdefault(message, AccountRow(message, frozenset(), frozenset(), at, octets))
        known.mailboxes |= {mailbox}
        known.keywords |= spelled[mailbox, flags]
    return found


def possible_rows(connection: sqlite3.Connection, scope: Scope, spell: Spell, possible: Possible) -> dict[int, AccountRow] | None:
    """The messages that may match; None where they are so many that all the account's are read as fast."""
    if len(possible.ids) > FEW:
        return None
    mailboxes = listed(readable(connection, scope))
    others: set[int] = set()
    for first, last in _between(possible.ranges):
        rows = connection.execute(
            "SELECT DISTINCT message_data FROM message WHERE message_data BETWEEN ? AND ?"
            " AND +mailbox IN (SELECT value FROM json_each(?)) LIMIT ?",
            (first, last, mailboxes, FEW + 1 - len(others)),
        ).fetchall()
        others.update([message for (message,) in rows])
        if len(others) > FEW:
            return None
    return account_rows_of(connection, scope, spell, possible.ids | others)


def _between(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The ids that are in none of the ranges, as ranges."""
    start = 0
    for first, last in sorted(ranges):
        if start < first:
            yield start, first - 1
        start = max(start, last + 1)
    yield start, LAST_ID


def _add_mailbox(connection: sqlite3.Connection, mailbox: int, spell: Spell, found: dict[int, AccountRow]) -> None:
    columns = connection.execute(
        "SELECT group_concat(message_data), group_concat(flags), group_concat(internal_at), group_concat(octets) FROM message"
        " WHERE mailbox = ? AND flags & 8 = 0",
        (mailbox,),
    ).fetchone()
    names = keywords_of(connection, MailboxId(mailbox))
    spelled: dict[int, frozenset[str]] = {}
    here = frozenset((mailbox,))
    for message, flags, at, octets in zip(*map(numbers, columns), strict=True):
        if flags not in spelled:
            spelled[flags] = spell(flag_names(flags & ~DELETED, names))
        known = found.get(message)
        if known is None:
            found[message] = AccountRow(message, here, spelled[flags], at, octets)
        else:
            known.mailboxes |= here
            known.keywords |= spelled[flags]


def _add_other_copies(connection: sqlite3.Connection, others: Sequence[int], spell: Spell, found: dict[int, AccountRow]) -> None:
    """Mailboxes and keywords of copies elsewhere: of the few messages that have some."""
    shared = connection.execute(
        "SELECT message_data, mailbox, flags FROM message WHERE message_data IN (SELECT message_data FROM shared_data)"
        " AND +mailbox IN (SELECT value FROM json_each(?)) AND flags & 8 = 0",
        (listed(others),),
    ).fetchall()
    names: dict[int, tuple[str, ...]] = {}
    for message, mailbox, flags in shared:
        known = found.get(message)
        if known is not None:
            if mailbox not in names:
                names[mailbox] = keywords_of(connection, MailboxId(mailbox))
            known.mailboxes |= {mailbox}
            known.keywords |= spell(flag_names(flags & ~DELETED, names[mailbox]))


def threads_of(connection: sqlite3.Connection, messages: Iterable[int]) -> dict[int, int]:
    """The thread of each message; of many by the index of those that did not begin one."""
    wanted = list(messages)
    if len(wanted) <= FEW:
        return dict(
            connection.execute(
                "SELECT id, thread FROM message_data WHERE id IN (SELECT value FROM json_each(?))", (listed(wanted),)
            ).fetchall()
        )
    replies = connection.execute(
        "SELECT group_concat(id), group_concat(thread) FROM message_data INDEXED BY message_data_thread WHERE thread <> id"
    ).fetchone()
    known = dict(zip(*map(numbers, replies), strict=True))
    return {message: known.get(message, message) for message in wanted}


def stored_envelopes(connection: sqlite3.Connection, account: AccountId, messages: Sequence[int]) -> dict[int, bytes]:
    """ENVELOPE of each of these messages, in wire form."""
    return _stored(connection, account, messages, "envelope")


def stored_structures(connection: sqlite3.Connection, account: AccountId, messages: Sequence[int]) -> dict[int, bytes]:
    """BODYSTRUCTURE of each of these messages, in wire form."""
    return _stored(connection, account, messages, "bodystructure")


def _stored(connection: sqlite3.Connection, account: AccountId, messages: Sequence[int], column: str) -> dict[int, bytes]:
    return dict(
        connection.execute(
            f"SELECT id, {column} FROM message_data WHERE id IN (SELECT value FROM json_each(?)) AND account = ?",  # noqa: S608 - a word of ours
            (listed(messages), account),
        ).fetchall()
    )
