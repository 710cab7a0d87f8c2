"""The access log: the last requests, in memory only, without anything secret: no query, no cookie, no values of a path.

A request counts by the pattern of its route; an address nobody serves is shown as "-".
"""

from collections import deque
from dataclasses import dataclass

KEPT = 200


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """`at` in UTC seconds; `took_ms` until the response began; `user`: the account's address, or ""."""

    at: int
    peer: str
    user: str
    method: str
    pattern: str
    status: int
    took_ms: float


class AccessLog:
    """The newest KEPT entries and how many requests there were of each class of status."""

    def __init__(self) -> None:
        self.entries: deque[AccessEntry] = deque(maxlen=KEPT)
        self.counts = [0] * 6
        """Requests by the first digit of their status."""

    def add(self, entry: AccessEntry) -> None:
        self.entries.append(entry)
        self.counts[entry.status // 100] += 1
