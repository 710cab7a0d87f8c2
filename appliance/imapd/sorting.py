"""Messages found by a search, ordered by sort keys (RFC 5256 §3).

A key gives a number of each message: a date or size as it is, a text as its rank among the texts, compared by i;unicode-casemap. So
several keys are several stable sorts, the last key first, and messages that are equal stay in mailbox order. Numbers and ranks are cached
by the store, within its bounds. Sorting runs in steps; envelopes are read in batches.

Messages that were expunged after the search are left out and counted as `missing`.
"""

from array import array
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from appliance.mail.ordering import sorted_places
from appliance.protocol.imap.sequence import places_of_uids, ranges_of
from appliance.store.values import MISSING, Column, Want

from .batches import ENVELOPE, read, spans
from .matching import Matches
from .steps import in_steps

if TYPE_CHECKING:
    from appliance.protocol.imap.sort import SortCriterion

    from .selected import Selected

Values = Callable[["Selected", Matches], Awaitable["array[int]"]]


async def ordered(selected: "Selected", found: Matches, criteria: "tuple[SortCriterion, ...]") -> Matches:
    """The same messages in order. Raises StoreError."""
    columns = [(await criterion.key.values(selected, found), criterion.reverse) for criterion in criteria]
    places = [place for place in range(len(found.uids)) if all(column[place] != MISSING for column, _ in columns)]
    missing = len(found.uids) - len(places)
    for column, reverse in reversed(columns):
        places = await in_steps(sorted_places(column, places, reverse=reverse))
    return found.at(places, missing)


def numbers_of(column: Column) -> Values:
    """A sort key that is a column of the store."""

    async def values(selected: "Selected", found: Matches) -> "array[int]":
        return await selected.mailbox.column(column, found.uids)

    return values


def ranks_of(name: str, text_of: "Callable[[bytes], str]") -> Values:
    """A sort key that is a text of the stored ENVELOPE, mapped to what is compared; `name` is the cache's."""

    async def values(selected: "Selected", found: Matches) -> "array[int]":
        mailbox, uids = selected.mailbox, found.uids
        ranks = mailbox.ranks(name, uids)
        if ranks is None:
            generation = mailbox.generation
            ranks = _ranks(uids, await _texts(selected, uids, text_of))
            if MISSING not in ranks:
                mailbox.keep(name, uids, ranks, generation)
        return ranks

    return values


async def _texts(selected: "Selected", uids: "array[int]", text_of: "Callable[[bytes], str]") -> dict[int, str]:
    texts: dict[int, str] = {}
    for span in spans(places_of_uids(ranges_of(uids), selected.view.uids)):
        batch = await read(selected, span, Want.FACTS)
        rows: Sequence[Any] = batch.rows
        texts.update([(row[0], text_of(row[ENVELOPE])) for row in rows])
    return texts


def _ranks(uids: "array[int]", texts: dict[int, str]) -> "array[int]":
    rank = {text: number for number, text in enumerate(sorted(set(texts.values())))}
    return array("q", [rank[texts[uid]] if uid in texts else MISSING for uid in uids])
