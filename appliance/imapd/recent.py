"""Which messages are \\Recent to a session (RFC 3501 §2.3.2)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.store.values import Row
    from appliance.store.view import SequenceView

RECENT_RANGES = 32
"""Most separate ranges of \\Recent messages: \\Recent is a hint (RFC 9051 dropped it), not worth a growing list."""


class RecentUids:
    """UIDs that are \\Recent to this session (RFC 3501 §2.3.2), as claimed ranges; they may include UIDs of no message."""

    __slots__ = ("_ranges",)

    def __init__(self) -> None:
        self._ranges: list[range | frozenset[int]] = []

    def __contains__(self, uid: int) -> bool:
        return any(uid in some for some in self._ranges)

    def among(self, rows: "Sequence[Row]") -> bool | None:
        """Whether all of the ascending rows are recent (True) or none (False); None: each has to be checked."""
        if not self._ranges or not rows or rows[-1][0] < min(map(min, self._ranges)):
            return False
        first, last = rows[0][0], rows[-1][0]
        return True if any(isinstance(some, range) and first in some and last in some for some in self._ranges) else None

    def count(self, view: "SequenceView") -> int:
        """How many messages of the view are recent."""
        ranges = [some for some in self._ranges if isinstance(some, range)]
        others = [some for some in self._ranges if not isinstance(some, range)]
        counted = sum([len(view.between(some.start, some.stop - 1)) for some in ranges])
        return counted + sum([1 for some in others for uid in some if view.seq_of(uid)])

    def add(self, uids: "frozenset[int] | range") -> None:
        """Add UIDs claimed for this session; adjacent ranges are joined, and beyond RECENT_RANGES the oldest are dropped."""
        if not uids:
            return
        last = self._ranges[-1] if self._ranges else None
        if isinstance(last, range) and isinstance(uids, range) and last.stop == uids.start:
            self._ranges[-1] = range(last.start, uids.stop)
            return
        self._ranges.append(uids)
        del self._ranges[:-RECENT_RANGES]
