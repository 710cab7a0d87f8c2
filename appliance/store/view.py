"""One session's numbered view of a mailbox: message sequence numbers over ascending UIDs (RFC 9051 §2.3.1.2).

A number that was sent stays until the session sends EXPUNGE: `apply` takes in what happened, `expunge` gives the numbers
to send. The UIDs are the store's shared array until they differ from it; then the view has its own copy and gives it
back through `share`. Pure: no I/O, never fails.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from appliance.mail.ids import ModSeq, Uid

from .values import Changes


class SequenceView:
    """Sequence number n is `uids[n - 1]`. `modseq` is how far the view knows, `uid_next` which UIDs are new to it."""

    __slots__ = ("_own", "gone", "modseq", "uid_next", "uids")

    def __init__(self, uids: "array[int]", modseq: ModSeq, uid_next: int) -> None:
        self.uids = uids
        self.modseq = modseq
        self.uid_next = uid_next
        self.gone: set[int] = set()
        """UIDs no longer in the mailbox whose EXPUNGE has not been sent."""
        self._own = False

    def __len__(self) -> int:
        return len(self.uids)

    def seq_of(self, uid: int) -> int:
        """The message's number, 0 when it is not in the view."""
        at = bisect_left(self.uids, uid)
        return at + 1 if at < len(self.uids) and self.uids[at] == uid else 0

    def uid_of(self, seq: int) -> Uid:
        """Raises IndexError outside 1..len."""
        if seq < 1:
            raise IndexError(seq)
        return Uid(self.uids[seq - 1])

    def between(self, lo: int, hi: int) -> "array[int]":
        """The view's UIDs with lo <= uid <= hi."""
        return self.uids[bisect_left(self.uids, lo) : bisect_left(self.uids, hi + 1)]

    def apply(self, changes: Changes) -> list[tuple[Uid, int, ModSeq]]:
        """Take in all that happened since `modseq`; the flag changes of messages in the view, new ones included."""
        if changes.modseq <= self.modseq:
            return []
        old = self.uid_next
        fresh = [row[0] for row in changes.flags[bisect_left(changes.flags, (old,)) :]]
        if fresh:
            if not self._own:
                self.uids, self._own = self.uids[:], True
            self.uids.extend(fresh)
        self.gone.update(uid for uid in changes.expunged if uid < old and self.seq_of(uid))
        self.modseq, self.uid_next = changes.modseq, changes.uid_next
        return changes.flags

    def expunge(self) -> list[int]:
        """The numbers to send, in their order: each counts as if those before it had left. The view forgets them."""
        if not self.gone:
            return []
        numbers = [self.seq_of(uid) - before for before, uid in enumerate(sorted(self.gone))]
        self.uids, self._own = without(self.uids, self.gone), True
        self.gone = set()
        return numbers

    def share(self, uids: "array[int]", modseq: ModSeq) -> None:
        """Give up the view's own copy for the shared array of the same instant."""
        if self._own and not self.gone and modseq == self.modseq and len(uids) == len(self.uids):
            self.uids, self._own = uids, False


FEW = 32
"""Removing one by one costs a move of the array's tail each, under 1 µs at 20,000; a filter costs 0.6 ms at once."""


def without(uids: "array[int]", gone: "Iterable[int]") -> "array[int]":
    """A new ascending array less `gone`, whether or not they are in it."""
    removed = gone if isinstance(gone, (set, frozenset)) else set(gone)
    if len(removed) > FEW:
        return array("I", [uid for uid in uids if uid not in removed])
    rest = uids[:]
    for uid in removed:
        at = bisect_left(rest, uid)
        if at < len(rest) and rest[at] == uid:
            del rest[at]
    return rest


def runs(uids: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending UIDs as runs of consecutive numbers (first, last)."""
    result: list[tuple[int, int]] = []
    if not uids:
        return result
    first = last = uids[0]
    if uids[-1] - first == len(uids) - 1:
        return [(first, uids[-1])]
    for uid in uids:
        if uid > last + 1:
            result.append((first, last))
            first = uid
        last = uid
    result.append((first, last))
    return result
