"""Rate limits of new connections: token buckets by address and by subnet, in bounded memory.

A bucket is one number (the instant at which it would be full again: the generic cell rate algorithm). When the
table is full the source least recently seen is forgotten, so under a flood of addresses it errs towards serving.
"""

import socket
from collections.abc import Hashable

KEPT = 4096
"""Sources remembered, some 0.5 MB when full."""


class Buckets:
    """Each key has `burst` tokens at once and then `per_s` a second."""

    __slots__ = ("_full_at", "_interval_s", "_kept", "_slack_s")

    def __init__(self, per_s: float, burst: int, kept: int = KEPT) -> None:
        self._interval_s = 1.0 / per_s
        self._slack_s = (burst - 1) * self._interval_s
        self._kept = kept
        self._full_at: dict[Hashable, float] = {}

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: Hashable, now_s: float) -> bool:
        """Take one token; False when there is none. `now_s` on any clock that only rises."""
        full_at = max(self._full_at.pop(key, 0.0), now_s)
        allowed = full_at - now_s <= self._slack_s
        self._keep(key, full_at + self._interval_s if allowed else full_at)
        return allowed

    def reserve(self, key: Hashable, now_s: float, most_s: float) -> float:
        """Take the next token, of the future where there is none: in how many seconds it is there, `most_s` at most. So those who wait
        come one by one."""
        latest = now_s + self._slack_s + most_s
        full_at = min(max(self._full_at.pop(key, 0.0), now_s), latest)
        self._keep(key, full_at + self._interval_s)
        return max(0.0, full_at - now_s - self._slack_s)

    def _keep(self, key: Hashable, full_at: float) -> None:
        self._full_at[key] = full_at
        if len(self._full_at) > self._kept:
            del self._full_at[next(iter(self._full_at))]


def source_of(host: str) -> bytes:
    """What counts as one source: an IPv4 address, or the /64 of an IPv6 address (one household)."""
    packed = _packed(host)
    return packed if len(packed) == 4 else packed[:8]


def subnet_of(host: str) -> bytes:
    """The subnet: IPv4 /24, IPv6 /48; never equal to any `source_of`."""
    packed = _packed(host)
    return packed[:3] if len(packed) == 4 else packed[:6]


def is_loopback(host: str) -> bool:
    """A program on this host."""
    packed = _packed(host)
    return packed[:1] == b"\x7f" if len(packed) == 4 else packed == bytes(15) + b"\x01"


def _packed(host: str) -> bytes:
    try:
        return socket.inet_pton(socket.AF_INET, host)
    except OSError:
        pass
    try:
        packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    except OSError:
        return host.encode("utf-8", "replace")[:4].ljust(4, b"\0")  # no address at all: one bucket for all such
    return packed[12:] if packed[:12] == bytes(10) + b"\xff\xff" else packed
