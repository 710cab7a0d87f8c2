"""Email/query and Email/queryChanges (RFC 8621 §4.4, §4.5).

| step                              | where                                                                                     |
|-----------------------------------|-------------------------------------------------------------------------------------------|
| texts                             | the search index                                                                          |
| the account's rows, as AccountRows| a reader's thread; of what may have the texts, or of one mailbox where the filter names one|
| attachments                       | the stored BODYSTRUCTURE of what the rest of the filter leaves, in batches                |
| texts that the index leaves open  | read in batches, on a reader's thread                                                     |
| order, threads collapsed          | a reader's thread                                                                         |

The results of the last queries are kept (`query_results`) with the MODSEQ they are of: scrolling through a list of 100,000 reads it
once, an arrival is put into it, and queryChanges compares two of them. What is not kept any more is cannotCalculateChanges.
"""

from array import array
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from appliance.mail.ids import ModSeq, Uid
from appliance.mail.message_search import TextQuery
from appliance.mail.query import And, Query
from appliance.protocol.imap.shown_parts import has_attachment
from appliance.protocol.jmap.errors import MethodError
from appliance.protocol.jmap.request import JmapLimits
from appliance.protocol.jmap.window import query_changes, read_window
from appliance.store import loading
from appliance.store.account_changes import WHOLE, Position, message_changes
from appliance.store.account_messages import AccountMessage, account_messages
from appliance.store.account_rows import LAST_ID, AccountRow, stored_structures
from appliance.store.body_readers import StoredMessage, header_octets
from appliance.store.scope import Scope, scope_modseq
from appliance.store.search_found import TextHits
from appliance.store.store import Store
from appliance.store.values import Row

from .email_filter import EmailFilter, envelope_facts
from .email_order import EmailQuery, ordered, read_candidates, read_query
from .ids import encode_id, encode_state, parse_id, parse_state
from .mailbox import MAIL
from .method import Call, Method
from .query_results import QueryResults, can_be_updated, changed_rows, updated

MOST_IDS = 5000
"""In one response."""
BATCH = 256
BATCH_OCTETS = 2**20
STRUCTURES = 2000
"""In one reading: 10 ms, 50 where all have several parts."""


class EmailQueryMethods:
    """The methods of one server."""

    def __init__(self, store: Store, limits: JmapLimits) -> None:
        self._store = store
        self._limits = limits
        self._results = QueryResults()

    def methods(self) -> tuple[Method, ...]:
        return (
            Method("Email/query", MAIL, self.query),
            Method("Email/queryChanges", MAIL, self.query_changes),
        )

    # --- methods ---------------------------------------------------------------------------------

    async def query(self, call: Call) -> dict[str, Any]:
        account = call.account()
        query, window = read_query(call.arguments), read_window(call.arguments)
        call.arguments.end()
        modseq, found = await self._run(account.scope, query)
        first, end = window.range_of(found, MOST_IDS, partial(parse_id, "M"))
        return {
            "accountId": account.id,
            "queryState": encode_state(modseq),
            "canCalculateChanges": True,
            "position": first,
            "ids": [encode_id("M", one) for one in found[first:end]],
            **({"total": len(found)} if window.calculate_total else {}),
            **({"limit": MOST_IDS} if window.limit is None or window.limit > MOST_IDS else {}),
        }

    async def query_changes(self, call: Call) -> dict[str, Any]:
        account = call.account()
        query = read_query(call.arguments)
        since = parse_state(call.arguments.text("sinceQueryState"))
        most, up_to = call.arguments.number("maxChanges"), call.arguments.optional_id("upToId")
        total = call.arguments.flag("calculateTotal")
        call.arguments.end()
        before = self._results.get((account.scope, query.text, since.modseq)) if since.message == WHOLE else None
        if before is None:
            raise MethodError("cannotCalculateChanges", "That result is not kept any more; query again.")
        modseq, found = await self._run(account.scope, query)
        changes = await self._store.database.read(
            lambda connection: message_changes(connection, account.scope, Position(since.modseq, WHOLE))
        )
        if changes is None or (query.needs_threads and modseq != since.modseq):
            raise MethodError("cannotCalculateChanges", "What changed since is not known; query again.")
        changed = frozenset(encode_id("M", change.message) for change in changes[1])
        old, new = [encode_id("M", one) for one in before], [encode_id("M", one) for one in found]
        if query.collapse:
            changed |= _of_changed_places(old, new)
        removed, added = query_changes(old, new, changed)
        if up_to is not None and up_to in new and not _mutable(query):
            added = [(index, one) for index, one in added if index <= new.index(up_to)]
        if most is not None and len(removed) + len(added) > most:
            raise MethodError("tooManyChanges", "Query again.")
        return {
            "accountId": account.id,
            "oldQueryState": encode_state(since.modseq),
            "newQueryState": encode_state(modseq),
            "removed": removed,
            "added": [{"id": one, "index": index} for index, one in added],
            **({"total": len(new)} if total else {}),
        }

    # --- running ---------------------------------------------------------------------------------

    async def _run(self, scope: Scope, query: EmailQuery) -> tuple[ModSeq, "array[int]"]:
        """The MODSEQ and the messages in order, from what is kept where nothing changed."""
        modseq = await self._store.database.read(lambda connection: scope_modseq(connection, scope))
        found = self._results.get((scope, query.text, modseq))
        if found is not None:
            return modseq, found
        brought = await self._brought_up_to_date(scope, query)
        if brought is not None:
            return brought
        hits = await self._look_up(scope, query.filter, 0, LAST_ID)
        possible = hits.possible(And(tuple(query.filter.needed))) if hits is not None else None
        modseq, candidates, threads = await self._store.database.read(
            lambda connection: read_candidates(connection, scope, query, possible)
        )
        matched = await self._matched(scope, query, candidates, hits)
        found = await self._store.database.read(lambda connection: ordered(connection, scope, query, matched, threads))
        self._results.keep((scope, query.text, modseq), found)
        return modseq, found

    async def _brought_up_to_date(self, scope: Scope, query: EmailQuery) -> "tuple[ModSeq, array[int]] | None":
        """The result of now from the last one kept; None where that cannot be, or is no less work."""
        last = self._results.latest(scope, query.text) if can_be_updated(query) else None
        if last is None:
            return None
        since, before = last
        changes = await self._store.database.read(lambda connection: changed_rows(connection, scope, query, since))
        if changes is None:
            return None
        modseq, changed, rows = changes
        hits = await self._look_up(scope, query.filter, min(changed, default=0), max(changed, default=0))
        matched = await self._matched(scope, query, rows, hits)
        found = await self._store.database.read(lambda connection: updated(connection, query, before, changed, matched))
        if found is None:
            return None
        self._results.keep((scope, query.text, modseq), found)
        return modseq, found

    async def _matched(self, scope: Scope, query: EmailQuery, candidates: list[AccountRow], hits: TextHits | None) -> list[AccountRow]:
        compiled, test = query.filter, query.filter.test
        if compiled.needs_structure:
            await self._read_structures(scope, [one for one in candidates if test(one, {}) is None])
        if not compiled.leaves:
            return [one for one in candidates if test(one, {})]
        matched: list[AccountRow] = []
        open_ones: list[tuple[AccountRow, dict[Query, bool]]] = []
        for one in candidates:
            facts = hits.facts(one.message) if hits is not None else {}
            answer = test(one, facts)
            if answer:
                matched.append(one)
            elif answer is None:
                open_ones.append((one, facts))
        if self._store.search_index is not None:
            unindexed = sum(hits is None or not hits.covers(one.message) for one, _ in open_ones)
            self._store.search_index.scanned(scope.account, unindexed)
        for start in range(0, len(open_ones), BATCH):
            matched += await self._examined(scope, compiled, open_ones[start : start + BATCH])
        return matched

    async def _look_up(self, scope: Scope, compiled: EmailFilter, lo: int, hi: int) -> TextHits | None:
        """What the search index knows of the messages with ids from `lo` to `hi`. It is asked first: what comes later is not in it."""
        index = self._store.search_index
        return await index.look_up(scope.account, compiled.leaves, lo, hi) if index is not None and compiled.leaves else None

    async def _read_structures(self, scope: Scope, some: list[AccountRow]) -> None:
        """Find out which have an attachment; a message that went meanwhile has none."""

        def read(connection: Any, rows: list[AccountRow]) -> None:
            structures = stored_structures(connection, scope.account, [one.message for one in rows])
            for one in rows:
                one.has_attachment = one.message in structures and has_attachment(structures[one.message])

        for start in range(0, len(some), STRUCTURES):
            await self._store.database.read(partial(read, rows=some[start : start + STRUCTURES]))

    async def _examined(self, scope: Scope, compiled: EmailFilter, some: list[tuple[AccountRow, dict[Query, bool]]]) -> list[AccountRow]:
        """Those of a batch that match, their text read."""
        text, test = TextQuery(compiled.leaves), compiled.test
        known = {one.message: (one, facts) for one, facts in some}
        messages = await self._store.database.read(lambda connection: account_messages(connection, scope, list(known)))
        matched, todo = [], []
        for number, message in messages.items():
            one, facts = known[number]
            facts |= envelope_facts(compiled.leaves, message.envelope)
            answer = test(one, facts)
            if answer:
                matched.append(one)
            elif answer is None:
                todo.append(message)

        def examine(row: Row, octets: bytes) -> bool:
            reading = _reading(row)
            return answered(reading, lambda offset, size: octets[offset : offset + size])

        def _reading(row: Row) -> Any:
            one, facts = known[row.message]
            return text.matches(row.parts, len(row.prefix), len(row.prefix) + header_octets(row.parts), lambda more: test(one, more), facts)

        rows = [row_of(message) for message in todo]
        while rows:
            answers = await self._store.database.read(
                lambda connection, rows=rows: loading.examined(connection, self._store.bodies, rows, BATCH_OCTETS, examine)  # type: ignore[misc]
            )
            for row, examined in zip(rows, answers, strict=False):
                if examined if isinstance(examined, bool) else await _examine_large(examined, _reading(row)):
                    matched.append(known[row.message][0])
            rows = rows[len(answers) :]
        return matched


# --- reading messages ----------------------------------------------------------------------------------


def row_of(message: AccountMessage) -> Row:
    return Row(
        Uid(0), 0, ModSeq(0), octets=message.octets, message=message.id, prefix=message.prefix, body=message.body, parts=message.parts
    )


def answered(reading: Any, read: Callable[[int, int], bytes]) -> bool:
    try:
        offset, size = next(reading)
        while True:
            offset, size = reading.send(read(offset, size))
    except StopIteration as end:
        return bool(end.value)


async def _examine_large(message: StoredMessage, reading: Any) -> bool:
    """On the event loop, chunk by chunk."""
    await message.open()
    try:
        offset, size = next(reading)
        while True:
            chunks = []
            while size > 0 and (chunk := await message.read(offset, size)):
                chunks.append(chunk)
                offset, size = offset + len(chunk), size - len(chunk)
            offset, size = reading.send(b"".join(chunks))
    except StopIteration as end:
        return bool(end.value)


# --- changes ------------------------------------------------------------------------------------------


def _mutable(query: EmailQuery) -> bool:
    """May the place of a message change while it is in the results? Then `upToId` is passed over (RFC 8620 §5.6)."""
    return "eyword" in query.text or query.collapse


def _of_changed_places(old: Sequence[str], new: Sequence[str]) -> frozenset[str]:
    """Ids in both whose order among each other differs: a collapsed thread shows another message, or stands elsewhere."""
    there = frozenset(new)
    common = [one for one in old if one in there]
    known = frozenset(common)
    return frozenset(one for one, other in zip(common, [one for one in new if one in known], strict=True) if one != other)
