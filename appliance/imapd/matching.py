"""Which messages of the selected mailbox match a search (RFC 9051 §6.4.4).

The query is compiled once. Keys about flags, dates, sizes, addresses and subject are decided by the row alone; only where they leave the
result open the message is read: first its header, then its body, chunk by chunk, stopping as soon as the result is known. Batches are
read and closed one after the other, so other sessions run between them, and memory is bounded by a batch and a chunk. Results are exact;
no index is used.

FROM, TO, CC, BCC and SUBJECT match the ENVELOPE, as RFC 9051 words them. BODY matches the decoded text of text and message parts,
TEXT all headers as well, those of parts included; neither matches images or octets between the parts.
"""

from array import array
from collections.abc import Callable, Generator, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any

from appliance.mail.date import parse_zoned
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.flags import KEYWORD_SHIFT
from appliance.mail.ids import Uid
from appliance.mail.limits import BATCH_ROWS
from appliance.mail.message_search import Facts, TextQuery
from appliance.mail.query import (
    And,
    ArrivedAt,
    BodyHas,
    ChangedSince,
    Dated,
    DateKind,
    Everything,
    FieldResembles,
    Flagged,
    HeaderHas,
    Identified,
    MessageIs,
    Not,
    Numbered,
    Or,
    Query,
    RecentFlag,
    Saved,
    Size,
    TextHas,
    ThreadIs,
    folded,
    leaves,
)
from appliance.protocol.imap.sequence import Ranges, contains, normal, places_of_numbers, places_of_uids
from appliance.store.body_readers import header_octets
from appliance.store.values import Want

from .batches import ENVELOPE, INTERNAL_AT, MESSAGE, OCTETS, SAVED_AT, SENT_AT, THREAD, read, spans
from .errors import CommandRefused
from .read_ahead import ReadAhead

if TYPE_CHECKING:
    from appliance.store.body_readers import StoredMessage
    from appliance.store.values import Row

    from .selected import Selected

DAY_S = 86_400
ZONE_S = 5 * DAY_S
"""More than any zone offset a message can have: +9999 is four days and four hours."""
ENVELOPE_FIELDS = ("from", "to", "cc", "bcc", "subject")

ROWS_AT_ONCE = 20_000
"""Rows scanned in one reading that tests them by SQL: 4 ms."""
RANGES_AT_ONCE = 8
"""Ranges of a set for which such a scan each is worth it."""

Test = Callable[[int, Any, Facts], "bool | None"]
"""(sequence number, row, facts) to True, False, or None: the message has to be read."""


EVERYTHING = Everything()


class Matches:
    """Result of a search: three parallel arrays, ascending. `missing` messages were expunged before they could be examined.

    `query` is what they were searched with.
    """

    __slots__ = ("missing", "modseqs", "numbers", "query", "uids")

    def __init__(self, query: Query = EVERYTHING) -> None:
        self.query = query
        self.missing = 0
        self.numbers = array("I")
        self.uids = array("I")
        self.modseqs = array("Q")

    def add(self, number: int, row: "Row") -> None:
        self.numbers.append(number)
        self.uids.append(row[0])
        self.modseqs.append(row[2])

    def at(self, places: "Sequence[int]", missing: int = 0) -> "Matches":
        """Those at the places, in that order; `missing` are added to those missing."""
        chosen = Matches(self.query)
        chosen.missing = self.missing + missing
        chosen.numbers = array("I", map(self.numbers.__getitem__, places))
        chosen.uids = array("I", map(self.uids.__getitem__, places))
        chosen.modseqs = array("Q", map(self.modseqs.__getitem__, places)) if self.modseqs else self.modseqs
        return chosen


async def matching(selected: "Selected", query: Query) -> Matches:
    """Search all messages the client knows. Raises StoreError, and CommandRefused for sequence numbers where there are none (RFC 9586).

    A keyword is matched by the bit it has in the read transaction of the row's batch.
    """
    if selected.uid_only and any(isinstance(leaf, Numbered) for leaf in leaves(query)):
        raise CommandRefused(b"UIDREQUIRED", "UIDONLY is enabled: a search names messages by UID")
    found = Matches(query)
    places = _places(selected, query)
    if isinstance(query, Everything | Identified | Numbered | Saved):
        for start, end in places:
            found.numbers.extend(range(start + 1, end + 1))
            found.uids.extend(selected.view.uids[start:end])
        return found
    all_leaves = leaves(query)
    if not selected.has_lazy_seen and await _matched_rows(selected, query, places, found):
        return found
    texts = [leaf for leaf in all_leaves if _reads_message(leaf)]
    want = Want.FLAGS
    for leaf in all_leaves:
        want |= _wants(leaf)
    if texts:
        want |= Want.BODY | Want.DATES
    names = selected.keywords
    test = _Compiler(selected, names).compile(query)
    nothing: Facts = {}
    for span in spans(places):
        batch = await read(selected, span, want)
        found.missing += batch.missing
        if batch.keywords is not None and batch.keywords != names:
            names = batch.keywords
            test = _Compiler(selected, names).compile(query)
        open_ones: list[tuple[int, Row]] = []
        results: dict[int, Row] = {}
        for number, row in zip(batch.numbers, batch.rows, strict=True):
            answer = test(number, row, nothing)
            if answer:
                results[number] = row
            elif answer is None:
                open_ones.append((number, row))
        if open_ones:
            found.missing += await _read_messages(selected, test, texts, open_ones, results)
        for number in sorted(results):
            found.add(number, results[number])
    return found


async def _matched_rows(selected: "Selected", query: Query, places: Ranges, found: Matches) -> bool:
    """Decide the query by flags, sizes and dates of the rows in the store's own scan, without MODSEQs; False when it needs more."""
    if len(places) > RANGES_AT_ONCE:
        return False
    terms = [term for term in query.terms if not isinstance(term, Identified | Numbered | Saved)] if isinstance(query, And) else [query]
    if isinstance(query, And) and len(query.terms) - len(terms) > 1:
        return False  # only one set is in `places`
    rest = And(tuple(terms))
    uids = selected.view.uids
    for place, stop in places:
        for start in range(place, stop, ROWS_AT_ONCE):
            end = min(stop, start + ROWS_AT_ONCE)
            answer = await selected.mailbox.uids_where(Uid(uids[start]), Uid(uids[end - 1]), rest)
            if answer is None:
                return False  # the first reading says so
            matched, there = answer
            wanted = frozenset(matched)
            found.numbers.extend(compress(range(start + 1, end + 1), map(wanted.__contains__, uids[start:end])))
            found.uids.extend(matched)
            found.missing += end - start - there
    return True


async def _read_messages(
    selected: "Selected", test: Test, texts: list[Query], open_ones: "list[tuple[int, Row]]", results: "dict[int, Row]"
) -> int:
    """Returns how many of the messages were expunged before they could be read; they do not match.

    The test runs on the reader's thread for all but large messages: nothing of the session changes while it waits for the answers.
    """
    text_query = TextQuery(texts)
    numbers = {row.uid: number for number, row in open_ones}
    rows = [row for _, row in open_ones]

    def examine(row: "Row", octets: bytes) -> bool:
        reading = _examination(text_query, test, numbers[row.uid], row, len(row.prefix) + header_octets(row.parts))
        try:
            offset, size = next(reading)
            while True:
                offset, size = reading.send(octets[offset : offset + size])
        except StopIteration as end:
            return bool(end.value)

    at = missing = 0
    while at < len(rows):
        for answer in await selected.mailbox.examine(rows[at : at + BATCH_ROWS], examine):
            row = rows[at]
            at += 1
            try:
                if await _examine_large(answer, text_query, test, numbers[row.uid], row) if not isinstance(answer, bool) else answer:
                    results[numbers[row.uid]] = row
            except StoreError as error:
                if error.trouble is not Trouble.GONE:
                    raise
                missing += 1
    return missing


async def _examine_large(message: "StoredMessage", text_query: TextQuery, test: Test, number: int, row: "Row") -> bool:
    """The same on the event loop, chunk by chunk."""
    await message.open()
    ahead = ReadAhead(message)
    reading = _examination(text_query, test, number, row, message.header_octets)
    try:
        offset, size = next(reading)
        while True:
            offset, size = reading.send(await ahead.read(offset, size))
    except StopIteration as end:
        return bool(end.value)


def _examination(text_query: TextQuery, test: Test, number: int, row: "Row", header: int) -> "Generator[tuple[int, int], bytes, bool]":
    return text_query.matches(row.parts, len(row.prefix), header, lambda facts: test(number, row, facts), {})


def _places(selected: "Selected", query: Query) -> Ranges:
    """Where to search: a set that must hold narrows it; the rest of the query is evaluated there."""
    for term in query.terms if isinstance(query, And) else (query,):
        if isinstance(term, Identified):
            return places_of_uids(term.ranges, selected.view.uids)
        if isinstance(term, Numbered):
            return places_of_numbers(term.ranges, len(selected.view))
        if isinstance(term, Saved):
            return places_of_uids(tuple((uid, uid) for uid in selected.saved), selected.view.uids)
    return ((0, len(selected.view)),) if len(selected.view) else ()


def _reads_message(leaf: Query) -> bool:
    """A field that only has to exist may be empty, which ENVELOPE does not show."""
    return isinstance(leaf, BodyHas | TextHas) or (isinstance(leaf, HeaderHas) and (leaf.field not in ENVELOPE_FIELDS or not leaf.needle))


def _wants(leaf: Query) -> Want:
    if isinstance(leaf, HeaderHas | FieldResembles) or (isinstance(leaf, Dated) and leaf.clock is DateKind.SENT):
        return Want.FACTS | Want.DATES
    if isinstance(leaf, ThreadIs) or (isinstance(leaf, Dated) and leaf.clock is DateKind.SAVED):
        return Want.RARE
    return Want.DATES if isinstance(leaf, Dated | Size | ArrivedAt | MessageIs) else Want.FLAGS


class _Compiler:
    """A query to one Test, with a Test for each node."""

    __slots__ = ("_keywords", "_selected")

    def __init__(self, selected: "Selected", keywords: tuple[str, ...]) -> None:
        self._selected = selected
        self._keywords = keywords

    def compile(self, query: Query) -> Test:
        selected = self._selected
        match query:
            case And(terms):
                return _all([self.compile(term) for term in terms])
            case Or(terms):
                return _any([self.compile(term) for term in terms])
            case Not(term):
                return _negated(self.compile(term))
            case Everything():
                return lambda number, row, facts: True
            case Flagged(system, keyword):
                return self._flagged(system, keyword)
            case RecentFlag():
                return lambda number, row, facts: row[0] in selected.recent
            case Numbered(ranges):
                wanted = normal(ranges, len(selected.view))
                return lambda number, row, facts: contains(wanted, number)
            case Identified(ranges):
                uids = normal(ranges, selected.view.uids[-1] if len(selected.view) else 0)
                return lambda number, row, facts: contains(uids, row[0])
            case Saved():
                kept = frozenset(selected.saved)
                return lambda number, row, facts: row[0] in kept
            case Size(above, below):
                least, most = -1 if above is None else above, 2**63 if below is None else below
                return lambda number, row, facts: least < row[OCTETS] < most
            case Dated(DateKind.SENT, first, end):
                return _sent(first, end)
            case Dated(clock, first, end):
                return _dated(clock, first, end)
            case ArrivedAt(first_s, last_s):
                since, until = -(2**63) if first_s is None else first_s, 2**63 if last_s is None else last_s
                return lambda number, row, facts: since <= row[INTERNAL_AT] <= until
            case MessageIs(message):
                return lambda number, row, facts: row[MESSAGE] == message
            case ThreadIs(thread):
                return lambda number, row, facts: row[THREAD] == thread
            case ChangedSince(modseq):
                return lambda number, row, facts: row[2] >= modseq
            case FieldResembles(fields, words):
                from .envelope_texts import resembles

                return lambda number, row, facts: resembles(fields, words, row[ENVELOPE])
            case HeaderHas(field, needle) if field in ENVELOPE_FIELDS and needle:
                return _in_envelope(field, folded(needle))
            case _:
                return lambda number, row, facts: facts.get(query)

    def _flagged(self, system: int, keyword: str) -> Test:
        selected = self._selected
        bits = system
        if keyword:
            names = [name.lower() for name in self._keywords]
            if keyword not in names:
                return lambda number, row, facts: False
            bits = 1 << (KEYWORD_SHIFT + names.index(keyword))
        return lambda number, row, facts: selected.flags_of(row) & bits == bits


def _all(tests: list[Test]) -> Test:
    def test(number: int, row: Any, facts: Facts) -> bool | None:
        answer: bool | None = True
        for one in tests:
            found = one(number, row, facts)
            if found is False:
                return False
            if found is None:
                answer = None
        return answer

    return test


def _any(tests: list[Test]) -> Test:
    def test(number: int, row: Any, facts: Facts) -> bool | None:
        answer: bool | None = False
        for one in tests:
            found = one(number, row, facts)
            if found:
                return True
            if found is None:
                answer = None
        return answer

    return test


def _negated(inner: Test) -> Test:
    def test(number: int, row: Any, facts: Facts) -> bool | None:
        found = inner(number, row, facts)
        return None if found is None else not found

    return test


def _dated(clock: DateKind, first: int | None, end: int | None) -> Test:
    """By internal date, or by save date, of which the internal date takes the place where it is not known (RFC 8514 §4.3)."""
    start_s, end_s = -(2**63) if first is None else first * DAY_S, 2**63 if end is None else end * DAY_S
    if clock is DateKind.ARRIVED:
        return lambda number, row, facts: start_s <= row[INTERNAL_AT] < end_s
    return lambda number, row, facts: start_s <= (row[INTERNAL_AT] if row[SAVED_AT] is None else row[SAVED_AT]) < end_s


def _sent(first: int | None, end: int | None) -> Test:
    """The day as the Date field has it, zone disregarded; the instant in the row decides all but the days next to a bound."""
    from appliance.protocol.imap.envelope_fields import parse_envelope

    lo, hi = -(2**63) if first is None else first, 2**63 if end is None else end

    def test(number: int, row: Any, facts: Facts) -> bool:
        if row[SENT_AT] is None:
            return False
        early, late = (row[SENT_AT] - ZONE_S) // DAY_S, (row[SENT_AT] + ZONE_S) // DAY_S
        if late < lo or early >= hi:
            return False
        if lo <= early and late < hi:
            return True
        written = parse_zoned(parse_envelope(row[ENVELOPE]).date or b"")
        return written is not None and lo <= sum(written) // DAY_S < hi

    return test


def _in_envelope(field: str, needle: str) -> Test:
    """The address field or the subject contains the needle."""
    from appliance.mail.encoding import decode_words
    from appliance.protocol.imap.envelope_fields import ADDRESS_FIELDS, address_text, parse_envelope

    place = ADDRESS_FIELDS.index(field) if field in ADDRESS_FIELDS else -1
    word = needle.encode() if needle.isalnum() and needle.isascii() else b""

    def test(number: int, row: Any, facts: Facts) -> bool:
        wire: bytes = row[ENVELOPE]
        if word and wire.isascii() and b"=?" not in wire and word not in wire.lower():
            return False  # nine of ten messages: nothing is encoded, so the word would appear literally
        envelope = parse_envelope(wire)
        addresses = envelope.addresses[place] if place >= 0 else ()
        octets = address_text(addresses) if addresses else envelope.subject if place < 0 else None
        return octets is not None and needle in folded(decode_words(octets))

    return test
