"""What a search index is asked and what it answers: values, without I/O and without a protocol."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from appliance.mail.ids import AccountId
from appliance.mail.query import And, Or, Query


class Lookup(NamedTuple):
    """One needle to look up: in the text of the header, of the body, in some of ENVELOPE_FIELDS, or in any of these."""

    needle: str
    header: bool = False
    body: bool = False
    fields: tuple[str, ...] = ()


class Hits(NamedTuple):
    """Ids that may have the needle, and those of them that have it for certain."""

    candidates: frozenset[int]
    certain: frozenset[int]


class Possible(NamedTuple):
    """Messages that may match: `ids`, and whatever is in none of the ranges."""

    ids: frozenset[int]
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class TextHits:
    """What the index knows of some leaves of a query. `ranges` of ids are indexed; `hits` are None where it cannot tell."""

    ranges: tuple[tuple[int, int], ...]
    hits: Mapping[Query, Hits | None]

    def covers(self, message: int) -> bool:
        return any(first <= message <= last for first, last in self.ranges)

    def facts(self, message: int) -> dict[Query, bool]:
        """Leaves that are decided without reading the message."""
        if not self.covers(message):
            return {}
        known = [(leaf, hits) for leaf, hits in self.hits.items() if hits is not None]
        facts = {leaf: False for leaf, hits in known if message not in hits.candidates}
        facts.update((leaf, True) for leaf, hits in known if message in hits.certain)
        return facts

    def candidates(self, query: Query) -> frozenset[int] | None:
        """Of the indexed messages those that may match; None: all."""
        match query:
            case And(terms):
                some = [one for one in map(self.candidates, terms) if one is not None]
                return frozenset.intersection(*some) if some else None
            case Or(terms):
                each = [self.candidates(term) for term in terms]
                return None if None in each else frozenset[int]().union(*[one for one in each if one is not None])
        hits = self.hits.get(query)
        return hits.candidates if hits is not None else None

    def possible(self, query: Query) -> Possible | None:
        """The messages that may match, indexed or not; None: all."""
        found = self.candidates(query)
        return Possible(found, self.ranges) if found is not None else None

    def certain(self, query: Query) -> frozenset[int]:
        """Of the indexed messages those that match, whatever else is in them."""
        match query:
            case And(terms) if terms:
                return frozenset.intersection(*map(self.certain, terms))
            case Or(terms):
                return frozenset[int]().union(*map(self.certain, terms))
        hits = self.hits.get(query)
        return hits.certain if hits is not None else frozenset()


class TextIndex(Protocol):
    """What a store uses of its search index."""

    async def look_up(self, account: AccountId, leaves: Sequence[Query], lo: int, hi: int) -> TextHits:
        """Look the text leaves up for messages with ids from `lo` to `hi`. Never raises."""
        ...

    def scanned(self, account: AccountId, messages: int) -> None:
        """A search had to scan so many messages that are not indexed yet."""

    def forget(self, account: AccountId) -> None:
        """An account's mail was erased: its part of the index is erased at once."""
