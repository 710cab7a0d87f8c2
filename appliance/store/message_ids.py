"""Which message stands at which UID of a mailbox: two parallel arrays, so that candidates of the search index become UIDs.

An entry never changes, so the arrays are only added to; those of expunged messages stay until half of them are, and name nothing.
12 octets a message, for a mailbox that is open and was searched.
"""

import sqlite3
from array import array
from bisect import bisect_left
from itertools import compress
from operator import lt

from appliance.mail.ids import MailboxId, ModSeq

from .messages import numbers
from .search_found import TextHits

SEVERAL = 16
"""A bisection costs as much as looking at so many entries."""


class MessageIds:
    """Ascending UIDs with the message at each. Complete up to `modseq`."""

    __slots__ = ("_ascending", "highest", "ids", "lowest", "modseq", "uids")

    def __init__(self, modseq: ModSeq, uids: "array[int]", ids: "array[int]") -> None:
        self.modseq = modseq
        self.uids = uids
        self.ids = ids
        self.lowest = min(ids, default=0)
        self.highest = max(ids, default=0)
        self._ascending = all(map(lt, ids, ids[1:]))
        """Nothing was copied or moved here: an id is found by bisection."""

    def chosen(self, ids: frozenset[int]) -> list[int]:
        """The UIDs of those messages, ascending; there may be some that are gone."""
        if not ids:
            return []
        if self._ascending and len(ids) < len(self.ids) // SEVERAL:
            places = [(bisect_left(self.ids, message), message) for message in sorted(ids)]
            return [self.uids[at] for at, message in places if at < len(self.ids) and self.ids[at] == message]
        return list(compress(self.uids, map(ids.__contains__, self.ids)))

    def unindexed(self, found: TextHits) -> list[int]:
        """The UIDs of messages that the index does not cover."""
        if len(found.ranges) == 1 and found.ranges[0][0] <= self.lowest and self.highest <= found.ranges[0][1]:
            return []
        return [uid for uid, message in zip(self.uids, self.ids, strict=True) if not found.covers(message)]


def grown(connection: sqlite3.Connection, mailbox: MailboxId, known: MessageIds | None, modseq: ModSeq, messages: int) -> MessageIds:
    """The arrays with the mailbox's newer messages, begun anew when half of them are of no message; `modseq` is from before the read."""
    if known is not None and len(known.uids) > 2 * messages + 100:
        known = None
    after = known.uids[-1] if known is not None and known.uids else 0
    uids, ids = connection.execute(
        "SELECT group_concat(uid), group_concat(message_data) FROM message WHERE mailbox = ? AND uid > ?", (mailbox, after)
    ).fetchone()
    newer = sorted(zip(numbers(uids), numbers(ids), strict=True))
    if known is not None and not newer:
        known.modseq = modseq
        return known
    more = array("I", [one for one, _ in newer]), array("q", [one for _, one in newer])
    return MessageIds(modseq, *more) if known is None else MessageIds(modseq, known.uids + more[0], known.ids + more[1])
