"""The messages a query is about, read from the account's rows, and their order (RFC 8621 §4.4.2).

All of it runs on a reader's thread. A column of a mailbox comes back in one row of SQLite: stepping row by row would pass the interpreter
lock back and forth.
"""

import json
import sqlite3
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.mail.collation import casemap
from appliance.mail.date import parse_date
from appliance.mail.encoding import decode_words
from appliance.mail.flags import DELETED
from appliance.mail.ids import AccountId, MailboxId, ModSeq
from appliance.mail.threads import base_subject
from appliance.protocol.imap.envelope_fields import ADDRESS_FIELDS, MessageEnvelope, parse_envelope
from appliance.protocol.jmap.arguments import Arguments
from appliance.protocol.jmap.window import Comparator, read_sort
from appliance.store.account_messages import flag_names
from appliance.store.keywords import keywords_of
from appliance.store.messages import listed, numbers
from appliance.store.modseq import account_modseq

from .email import SYSTEM_KEYWORDS
from .email_filter import Candidate, EmailFilter, compile_filter

SORTS = ("receivedAt", "size", "from", "to", "subject", "sentAt", "hasKeyword", "allInThreadHaveKeyword", "someInThreadHaveKeyword")
COLLATIONS = ("i;ascii-casemap", "i;unicode-casemap")
NEWEST_FIRST = (Comparator("receivedAt", is_ascending=False),)


@dataclass(frozen=True, slots=True)
class EmailQuery:
    """A query without its window. `text`: what makes two queries the same."""

    filter: EmailFilter
    sort: tuple[Comparator, ...]
    collapse: bool
    text: str

    @property
    def needs_threads(self) -> bool:
        """Do the keywords of whole threads matter?"""
        return self.filter.needs_threads or any("Thread" in one.name for one in self.sort)


def read_query(arguments: Arguments) -> EmailQuery:
    """Takes filter, sort and collapseThreads. Raises MethodError."""
    condition = arguments.object("filter")
    sort = read_sort(arguments, SORTS, COLLATIONS) or NEWEST_FIRST
    collapse = arguments.flag("collapseThreads")
    text = json.dumps([condition, [[one.name, one.is_ascending, one.keyword] for one in sort], collapse], sort_keys=True)
    return EmailQuery(compile_filter(condition), sort, collapse, text)


def read_candidates(
    connection: sqlite3.Connection, account: AccountId, query: EmailQuery
) -> tuple[ModSeq, list[Candidate], dict[int, int]]:
    """The account's MODSEQ, its messages, and the thread of each where it is needed."""
    modseq = account_modseq(connection, account)
    mailboxes = [number for (number,) in connection.execute("SELECT id FROM mailbox WHERE account = ?", (account,)).fetchall()]
    wanted = query.filter.mailbox
    only = [one for one in mailboxes if one == wanted] if wanted is not None else mailboxes
    whole = only != mailboxes and query.needs_threads
    found: dict[int, Candidate] = {}
    for mailbox in mailboxes if whole else only:
        _add_mailbox(connection, mailbox, found)
    if only != mailboxes and not whole:
        _add_other_copies(connection, found, only)
    threads: dict[int, int] = {}
    if query.collapse or query.needs_threads:
        threads = _threads(connection, list(found))
        _add_thread_keywords(found, threads)
    return modseq, list(found.values()), threads


def _add_mailbox(connection: sqlite3.Connection, mailbox: int, found: dict[int, Candidate]) -> None:
    columns = connection.execute(
        "SELECT group_concat(message_data), group_concat(flags), group_concat(internal_at), group_concat(octets) FROM message"
        " WHERE mailbox = ?",
        (mailbox,),
    ).fetchone()
    names = keywords_of(connection, MailboxId(mailbox))
    spelled: dict[int, frozenset[str]] = {}
    here = frozenset((mailbox,))
    for message, flags, at, octets in zip(*map(numbers, columns), strict=True):
        if flags not in spelled:
            spelled[flags] = _keywords(flags, names)
        known = found.get(message)
        if known is None:
            found[message] = Candidate(message, here, spelled[flags], at, octets)
        else:
            known.mailboxes |= here
            known.keywords |= spelled[flags]


def _add_other_copies(connection: sqlite3.Connection, found: dict[int, Candidate], read: Sequence[int]) -> None:
    """Mailboxes and keywords of copies elsewhere: of the few messages that have some."""
    shared = connection.execute(
        "SELECT message_data, mailbox, flags FROM message WHERE message_data IN (SELECT message_data FROM shared_data)"
        " AND mailbox NOT IN (SELECT value FROM json_each(?))",
        (listed(read),),
    ).fetchall()
    names: dict[int, tuple[str, ...]] = {}
    for message, mailbox, flags in shared:
        known = found.get(message)
        if known is not None:
            if mailbox not in names:
                names[mailbox] = keywords_of(connection, MailboxId(mailbox))
            known.mailboxes |= {mailbox}
            known.keywords |= _keywords(flags, names[mailbox])


def _keywords(flags: int, names: Sequence[str]) -> frozenset[str]:
    return frozenset(SYSTEM_KEYWORDS.get(name, name).lower() for name in flag_names(flags & ~DELETED, names))


def _threads(connection: sqlite3.Connection, messages: Sequence[int]) -> dict[int, int]:
    """The thread of each message: by the index of those that did not begin one."""
    replies = connection.execute(
        "SELECT group_concat(id), group_concat(thread) FROM message_data INDEXED BY message_data_thread WHERE thread <> id"
    ).fetchone()
    known = dict(zip(*map(numbers, replies), strict=True))
    return {message: known.get(message, message) for message in messages}


def _add_thread_keywords(found: dict[int, Candidate], threads: dict[int, int]) -> None:
    members: dict[int, list[frozenset[str]]] = {}
    for message, one in found.items():
        members.setdefault(threads[message], []).append(one.keywords)
    for message, one in found.items():
        one.thread_keywords = tuple(members[threads[message]])


def ordered(
    connection: sqlite3.Connection, account: AccountId, query: EmailQuery, matched: list[Candidate], threads: dict[int, int]
) -> "array[int]":
    """In the order asked for, messages of one place by their ids; the first of each thread alone when they are collapsed."""
    matched.sort(key=lambda one: one.message, reverse=not query.sort[0].is_ascending)
    texts: dict[int, MessageEnvelope] = {}
    if any(one.name in ("from", "to", "subject", "sentAt") for one in query.sort):
        texts = _envelopes(connection, account, [one.message for one in matched])
    for comparator in reversed(query.sort):
        matched.sort(key=_sort_key(comparator, texts), reverse=not comparator.is_ascending)
    if not query.collapse:
        return array("q", [one.message for one in matched])
    first: dict[int, int] = {}
    for one in matched:
        first.setdefault(threads[one.message], one.message)
    return array("q", first.values())


def _envelopes(connection: sqlite3.Connection, account: AccountId, messages: Sequence[int]) -> dict[int, MessageEnvelope]:
    rows = connection.execute(
        "SELECT id, envelope FROM message_data WHERE id IN (SELECT value FROM json_each(?)) AND account = ?", (listed(messages), account)
    )
    return {number: parse_envelope(envelope) for number, envelope in rows.fetchall()}


def _sort_key(comparator: Comparator, texts: dict[int, MessageEnvelope]) -> Callable[[Candidate], Any]:
    name, keyword = comparator.name, comparator.keyword.lower()
    match name:
        case "receivedAt":
            return lambda one: one.received_at
        case "size":
            return lambda one: one.octets
        case "hasKeyword":
            return lambda one: keyword in one.keywords
        case "allInThreadHaveKeyword":
            return lambda one: all(keyword in some for some in one.thread_keywords)
        case "someInThreadHaveKeyword":
            return lambda one: any(keyword in some for some in one.thread_keywords)
        case "sentAt":
            return lambda one: _sent_at(texts.get(one.message), one.received_at)
        case "subject":
            return lambda one: base_subject((found.subject if (found := texts.get(one.message)) else None) or b"")
    place = ADDRESS_FIELDS.index(name)
    return lambda one: _first_address(texts.get(one.message), place)


def _sent_at(envelope: MessageEnvelope | None, received_at: int) -> int:
    found = parse_date(envelope.date) if envelope is not None and envelope.date else None
    return received_at if found is None else found


def _first_address(envelope: MessageEnvelope | None, place: int) -> str:
    """The name of the first address, its mailbox without one (RFC 8621 §4.4.2)."""
    for address in envelope.addresses[place] if envelope is not None else ():
        if address.host is not None:
            return casemap(decode_words(address.name) if address.name else f"{(address.mailbox or b'').decode('utf-8', 'replace')}")
    return ""
