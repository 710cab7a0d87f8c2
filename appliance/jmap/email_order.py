"""The messages a query is about, read from the account's rows, and their order (RFC 8621 §4.4.2).

All of it runs on a reader's thread.
"""

import json
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from appliance.mail.collation import casemap
from appliance.mail.date import parse_date
from appliance.mail.encoding import decode_words
from appliance.mail.ids import ModSeq
from appliance.mail.threads import base_subject
from appliance.protocol.imap.envelope_fields import ADDRESS_FIELDS, MessageEnvelope, parse_envelope
from appliance.protocol.jmap.arguments import Arguments
from appliance.protocol.jmap.window import Comparator, read_sort
from appliance.store.account_rows import AccountRow, account_rows, possible_rows, stored_envelopes, threads_of
from appliance.store.scope import Scope, scope_modseq
from appliance.store.search_found import Possible

from .email import SYSTEM_KEYWORDS
from .email_filter import EmailFilter, compile_filter

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
    connection: Any, scope: Scope, query: EmailQuery, possible: Possible | None
) -> tuple[ModSeq, list[AccountRow], dict[int, int]]:
    """The account's MODSEQ, the messages that may match, and the thread of each where it is needed. `possible`: by what the search index
    knew before."""
    modseq = scope_modseq(connection, scope)
    found = None
    if possible is not None and not query.needs_threads:
        found = possible_rows(connection, scope, spelled, possible)
    if found is None:
        found = account_rows(connection, scope, spelled, only=None if query.needs_threads else query.filter.mailbox)
    threads: dict[int, int] = {}
    if query.collapse or query.needs_threads:
        threads = threads_of(connection, found)
    if query.needs_threads:
        _add_thread_keywords(found, threads)
    return modseq, list(found.values()), threads


def spelled(names: frozenset[str]) -> frozenset[str]:
    """Names of flags as keywords."""
    return frozenset(SYSTEM_KEYWORDS.get(name, name).lower() for name in names)


def _add_thread_keywords(found: dict[int, AccountRow], threads: dict[int, int]) -> None:
    members: dict[int, list[frozenset[str]]] = {}
    for message, one in found.items():
        members.setdefault(threads[message], []).append(one.keywords)
    for message, one in found.items():
        one.thread_keywords = tuple(members[threads[message]])


def ordered(connection: Any, scope: Scope, query: EmailQuery, matched: list[AccountRow], threads: dict[int, int]) -> "array[int]":
    """In the order asked for, messages of one place by their ids; the first of each thread alone when they are collapsed."""
    matched.sort(key=lambda one: one.message, reverse=not query.sort[0].is_ascending)
    texts: dict[int, MessageEnvelope] = {}
    if any(one.name in ("from", "to", "subject", "sentAt") for one in query.sort):
        stored = stored_envelopes(connection, scope.account, [one.message for one in matched])
        texts = {number: parse_envelope(envelope) for number, envelope in stored.items()}
    for comparator in reversed(query.sort):
        matched.sort(key=_sort_key(comparator, texts), reverse=not comparator.is_ascending)
    if not query.collapse:
        return array("q", [one.message for one in matched])
    first: dict[int, int] = {}
    for one in matched:
        first.setdefault(threads[one.message], one.message)
    return array("q", first.values())


def _sort_key(comparator: Comparator, texts: dict[int, MessageEnvelope]) -> Callable[[AccountRow], Any]:
    name, keyword = comparator.name, comparator.keyword.lower()
    match name:
        case "receivedAt":
            return lambda one: one.internal_at
        case "size":
            return lambda one: one.octets
        case "hasKeyword":
            return lambda one: keyword in one.keywords
        case "allInThreadHaveKeyword":
            return lambda one: all(keyword in some for some in one.thread_keywords)
        case "someInThreadHaveKeyword":
            return lambda one: any(keyword in some for some in one.thread_keywords)
        case "sentAt":
            return lambda one: _sent_at(texts.get(one.message), one.internal_at)
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
