"""A search whose result is kept up to date for the client (RFC 5267 §4.3).

    | what happens               | what is sent                                                                    |
    |----------------------------|---------------------------------------------------------------------------------|
    | a message is expunged      | REMOVEFROM, before its EXPUNGE, so that its number is still right               |
    | flags change, one arrives  | ADDTO or REMOVEFROM, behind its FETCH or EXISTS, when it matches now or no more |
    | another's arrives, matches | FETCH of what UPDATE asked for, between EXISTS and ADDTO (RFC 5465 §7)          |

It is told by `Selected.sync` and knows the UIDs that the client knows as the result: ascending for a search, where the context position
is 0, in the requested order for SORT, where it is a place from 1. Sequence numbers and `$` in the query mean the messages they named when
the command was read (RFC 5267 §4.3). Only what changed is searched again. Memory: four octets a message of the result.
"""

from array import array
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from appliance.mail.query import And, Identified, Not, Numbered, Or, Query, Saved
from appliance.protocol.imap.sequence import encode_set, places_of_numbers, ranges_of

from .matching import Matches, matching
from .sorting import ordered
from .steps import Progress

if TYPE_CHECKING:
    from appliance.protocol.imap.sort import SortCriterion

    from .client import ImapClient
    from .selected import Selected


def resolved(query: Query, selected: "Selected") -> Query:
    """The query with UIDs for sequence numbers and `$`."""
    match query:
        case And(terms):
            return And(tuple([resolved(term, selected) for term in terms]))
        case Or(terms):
            return Or(tuple([resolved(term, selected) for term in terms]))
        case Not(term):
            return Not(resolved(term, selected))
        case Numbered(ranges):
            return _identified(selected.uids_at(places_of_numbers(ranges, len(selected.view))))
        case Saved():
            return _identified(sorted(selected.saved))
        case _:
            return query


def _identified(uids: Sequence[int]) -> Query:
    return Identified(ranges_of(uids)) if uids else Or(())


class SearchContext:
    """One context; `members` are the UIDs of its result as the client knows it."""

    __slots__ = ("_criteria", "_label", "_query", "_selected", "_uid", "fetch", "members", "tag")

    def __init__(
        self, selected: "Selected", tag: bytes, found: Matches, uid: bool, criteria: "tuple[SortCriterion, ...] | None" = None
    ) -> None:
        self._selected = selected
        self._query = resolved(found.query, selected)
        self._uid = uid
        self._criteria = criteria
        quoted = tag.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        self._label = b'* ESEARCH (TAG "%b")' % quoted
        self.tag = tag
        self.members = found.uids[:]
        self.fetch: Callable[[Sequence[int]], Awaitable[None]] | None = None
        """Sends FETCH of new messages; raises StoreError."""

    def use_uids(self) -> None:
        """See `client.Follower`."""
        self._uid = True

    async def expunging(self, client: "ImapClient", uids: Sequence[int]) -> None:
        """The EXPUNGE of these messages, ascending, is about to be sent."""
        await self._remove(client, self._members_among(uids))

    async def changed(self, client: "ImapClient", uids: Sequence[int], arrived: Sequence[int]) -> None:
        """See `client.Follower`."""
        found = await matching(self._selected, And((Identified(ranges_of(uids)), self._query)), Progress())
        matched = frozenset(found.uids)
        members = self._members_among(uids)
        await self._remove(client, [uid for uid in members if uid not in matched])
        before = frozenset(members)
        if self.fetch is not None and (new := [uid for uid in arrived if uid in matched and uid not in before]):
            await self.fetch(new)
        await self._add(client, [uid for uid in found.uids if uid not in before])

    def _members_among(self, uids: Sequence[int]) -> list[int]:
        if self._criteria is not None:
            members = frozenset(self.members)
            return [uid for uid in uids if uid in members]
        return [uid for uid in uids if self.members[(at := bisect_left(self.members, uid)) : at + 1] == array("I", (uid,))]

    async def _remove(self, client: "ImapClient", uids: list[int]) -> None:
        if not uids:
            return
        gone = frozenset(uids)
        if self._criteria is None:
            await self._send(client, b"REMOVEFROM", [(0, uids)])
        else:
            places = [place for place, uid in enumerate(self.members) if uid in gone][::-1]  # the last first: no place before it moves
            await self._send(client, b"REMOVEFROM", [(place + 1, [self.members[place]]) for place in places])
        self.members = array("I", [uid for uid in self.members if uid not in gone])

    async def _add(self, client: "ImapClient", uids: list[int]) -> None:
        if not uids:
            return
        if self._criteria is None:
            self.members = array("I", sorted([*self.members, *uids]))
            await self._send(client, b"ADDTO", [(0, uids)])
            return
        whole = Matches(self._query)
        whole.uids = array("I", sorted([*self.members, *uids]))
        whole.numbers = array("I", map(self._selected.view.seq_of, whole.uids))
        there = await ordered(self._selected, whole, self._criteria)
        self.members = there.uids
        added = frozenset(uids)
        pairs = [(place, [uid]) for place, uid in enumerate(there.uids, 1) if uid in added]
        if pairs:
            await self._send(client, b"ADDTO", pairs)

    async def _send(self, client: "ImapClient", word: bytes, pairs: list[tuple[int, list[int]]]) -> None:
        seq_of = self._selected.view.seq_of
        sets = [b"%d %b" % (place, encode_set(uids if self._uid else map(seq_of, uids))) for place, uids in pairs]
        await client.send(self._label, b" UID " if self._uid else b" ", word, b" (", b" ".join(sets), b")\r\n")
