"""Which messages of the selected mailbox match a search (RFC 9051 §6.4.4).

The query is compiled once. Keys about flags, dates, sizes, addresses and subject are decided by the row alone; only where they leave the
result open the message is read: first its header, then its body, chunk by chunk, stopping as soon as the result is known. Batches are
read and closed one after the other, so other sessions run between them, and memory is bounded by a batch and a chunk. Results are exact;
no index is used.

FROM, TO, CC, BCC and SUBJECT match the ENVELOPE, as RFC 9051 words them. BODY matches the decoded text of text and message parts,
TEXT all headers as well, those of parts included; neither matches images or octets between the parts.
"""

from array import array
from collections.abc import Collection, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any, cast

from appliance.mail.date import parse_zoned
from appliance.mail.flags import KEYWORD_SHIFT
from appliance.mail.ids import ModSeq, Uid
from appliance.mail.limits import BATCH_ROWS
from appliance.mail.message_search import Facts
from appliance.mail.query import (
    ENVELOPE_FIELDS,
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
from appliance.store.values import Row, Want

from .batches import ENVELOPE, INTERNAL_AT, MESSAGE, OCTETS, SAVED_AT, SENT_AT, THREAD, read, spans
from .errors import CommandRefused
from .examination import NOTHING, OpenOne, Test, examine_messages
from .steps import Progress

if TYPE_CHECKING:
    from appliance.store.message_ids import MessageIds
    from appliance.store.search_found import TextHits

    from .selected import Selected

DAY_S = 86_400
ZONE_S = 5 * DAY_S
"""More than any zone offset a message can have: +9999 is four days and four hours."""

ROWS_AT_ONCE = 20_000
"""Rows scanned in one reading that tests them by SQL: 4 ms."""
FEW = 1000
"""Candidates that are found in the view one by one, 1 us each."""
RANGES_AT_ONCE = 8
"""Ranges of a set for which such a scan each is worth it."""


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

    def add(self, number: int, row: Row) -> None:
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


async def matching(selected: "Selected", query: Query, progress: Progress) -> Matches:
    """Search all messages the client knows. Raises StoreError, and CommandRefused for sequence numbers where there are none (RFC 9586).

    `progress` counts the messages whose rows have been read, of those that have to be.
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
    run = _Run(selected, query, all_leaves, found)
    texts = [leaf for leaf in all_leaves if isinstance(leaf, HeaderHas | BodyHas | TextHas)]
    known = await selected.mailbox.look_up(texts) if texts else None
    if known is not None:
        run.index, ids = known
        candidates = run.index.candidates(query)
        if candidates is not None:
            await _search_candidates(run, ids, candidates, places, progress)
            return found
    progress.goal = sum([end - start for start, end in places])
    for span in spans(places):
        batch = await read(selected, span, run.want)
        found.missing += batch.missing
        run.named(batch.keywords)
        await run.examine(batch.numbers, batch.rows)
        run.finish()
        progress.done += sum([end - start for start, end in span])
    return found


class _Run:
    """One search: the query compiled, what the index knows of it, and the results of the batch at hand."""

    __slots__ = ("_found", "_names", "_query", "_results", "_selected", "_test", "_texts", "index", "query", "want")

    def __init__(self, selected: "Selected", query: Query, all_leaves: Sequence[Query], found: Matches) -> None:
        self.query = query
        self.index: TextHits | None = None
        self.want = Want.FLAGS
        for leaf in all_leaves:
            self.want |= _wants(leaf)
        self._texts = [leaf for leaf in all_leaves if _reads_message(leaf)]
        if self._texts:
            self.want |= Want.BODY | Want.DATES
        self._selected = selected
        self._names = selected.keywords
        self._test = _Compiler(selected, self._names).compile(query)
        self._found = found
        self._results: dict[int, Row] = {}

    @property
    def selected(self) -> "Selected":
        return self._selected

    def missed(self, messages: int) -> None:
        """Messages were expunged before they could be examined."""
        self._found.missing += messages

    def named(self, keywords: tuple[str, ...] | None) -> None:
        """The names of the next rows' keyword bits, None for those the client knows."""
        if keywords is not None and keywords != self._names:
            self._names = keywords
            self._test = _Compiler(self._selected, keywords).compile(self.query)

    async def examine(self, numbers: Sequence[int], rows: "Sequence[Row]") -> None:
        """Decide these rows, reading their messages where need be."""
        index, test = self.index, self._test
        open_ones: list[OpenOne] = []
        self._selected.note_read(max((row[2] for row in rows), default=0))
        for number, row in zip(numbers, rows, strict=True):
            facts: Facts = NOTHING if index is None else index.facts(cast("int", row[MESSAGE]))
            answer = test(number, row, facts)
            if answer:
                self._results[number] = row
            elif answer is None:
                open_ones.append(OpenOne(number, row, facts))
        if open_ones:
            matched, missing = await examine_messages(self._selected, test, self._texts, open_ones)
            self._results.update((one.number, one.row) for one in matched)
            self.missed(missing)

    def sure(self, number: int, uid: int) -> None:
        """A message that matches without its row having been read; its MODSEQ stays 0."""
        self._results[number] = Row(Uid(uid), 0, ModSeq(0))

    def finish(self) -> None:
        """The results so far, in order."""
        for number in sorted(self._results):
            self._found.add(number, self._results[number])
        self._results.clear()


async def _search_candidates(run: _Run, ids: "MessageIds", candidates: frozenset[int], places: Ranges, progress: Progress) -> None:
    """Search the candidates of the index, and the messages it does not hold: those it is sure of need only be there."""
    selected, index = run.selected, run.index
    assert index is not None  # noqa: S101 the caller has it
    uids = selected.view.uids
    unindexed = ids.unindexed(index)
    selected.mailbox.scanned(len(unindexed))
    wanted = set(ids.chosen(candidates)).union(unindexed)
    if len(wanted) < FEW:
        chosen = sorted([number - 1 for number in map(selected.view.seq_of, wanted) if number])
    else:
        chosen = list(compress(range(len(uids)), map(wanted.__contains__, uids)))
    if places != ((0, len(uids)),):
        closed = tuple((start, end - 1) for start, end in places)
        chosen = [place for place in chosen if contains(closed, place)]
    certain: set[int] = set()
    if not any(isinstance(leaf, ChangedSince) for leaf in leaves(run.query)):
        certain = set(ids.chosen(index.certain(run.query)))
    sure = [place for place in chosen if uids[place] in certain]
    if sure:
        existing = await _existing(selected, [uids[place] for place in sure])
        for place in sure:
            if uids[place] in existing:
                run.sure(place + 1, uids[place])
            else:
                run.missed(1)
        chosen = [place for place in chosen if uids[place] not in certain]
    progress.goal = len(chosen)
    for start in range(0, len(chosen), BATCH_ROWS):
        progress.done = start
        numbers = {uids[place]: place + 1 for place in chosen[start : start + BATCH_ROWS]}
        rows, names, _ = await selected.mailbox.rows_and_messages(list(numbers), run.want, 0, selected.view.modseq)
        run.missed(len(numbers) - len(rows))
        run.named(names)
        await run.examine([numbers[row.uid] for row in rows], rows)
    run.finish()


async def _existing(selected: "Selected", uids: Sequence[int]) -> Collection[int]:
    """Which of ascending UIDs of the view are still there; all, when nothing has happened that the client does not know."""
    if selected.mailbox.newest() == selected.view.modseq and not selected.view.gone:
        return frozenset(uids)
    there = await selected.mailbox.uids_where(Uid(uids[0]), Uid(uids[-1]), Everything())
    return frozenset(there[0]) if there is not None else frozenset()


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
            matched, there, as_of = answer
            selected.note_read(as_of)
            wanted = frozenset(matched) if len(matched) < end - start else None
            numbers = range(start + 1, end + 1)
            found.numbers.extend(numbers if wanted is None else compress(numbers, map(wanted.__contains__, uids[start:end])))
            found.uids.extend(matched)
            found.missing += end - start - there
    return True


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
