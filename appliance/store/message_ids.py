"""Which message stands at which UID of a mailbox: two parallel arrays, so that candidates of the search index become UIDs.

An entry never changes, so the arrays are only added to; those of expunged messages stay until half of them are, and name nothing.
12 octets a message, for a mailbox that is open and was searched.
"""

import sqlite3
from array import array
from dataclasses import dataclass
from itertools import compress

from appliance.mail.ids import MailboxId, ModSeq

from .messages import numbers
from .search_found import TextHits


@dataclass(frozen=True, slots=True)
class MessageIds:
    """Ascending UIDs with the message at each. Complete up to `modseq`."""

    modseq: ModSeq
    uids: "array[int]"
    ids: "array[int]"

    def chosen(self, ids: frozenset[int]) -> list[int]:
        """The UIDs of those messages; there may be some that are gone."""
        return list(compress(self.uids, map(ids.__contains__, self.ids)))

    def unindexed(self, found: TextHits) -> list[int]:
        """The UIDs of messages that the index does not cover."""
        if not self.ids:
            return []
        if len(found.ranges) == 1:
            first, last = found.ranges[0]
            if first <= min(self.ids) and max(self.ids) <= last:
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
        return MessageIds(modseq, known.uids, known.ids)
    more = array("I", [one for one, _ in newer]), array("q", [one for _, one in newer])
    return MessageIds(modseq, *more) if known is None else MessageIds(modseq, known.uids + more[0], known.ids + more[1])
