"""The status board: events in, one snapshot out, and a wake-up for whoever waits for the next snapshot.

`publish` is synchronous: it never waits, never fails and never writes to storage. It belongs to trio's thread.
There are no queues: a slow reader misses snapshots in between, never the last one. Memory is bounded, see `board_state`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from appliance.mail.clock import Clock

from .board_state import BoardState
from .events import Event

if TYPE_CHECKING:
    from .snapshot import Snapshot

STALE_S = 1.0
"""A snapshot older than this is built anew, since some conditions depend on the time."""


class Board:
    """The one place where events are folded; `feed` gets every event after it was folded (the journal)."""

    def __init__(self, clock: Clock, feed: Callable[[Event], None] | None = None) -> None:
        self.clock = clock
        self.state = BoardState(clock)
        self._feed = feed
        self._moved: trio.Event | None = None
        self._snapshot: Snapshot | None = None
        self._built_mono = 0.0

    @property
    def version(self) -> int:
        """Rises with every event."""
        return self.state.version

    def publish(self, event: Event) -> None:
        """Fold one event and wake who waits; an event of an unknown kind only raises the version."""
        self.state.fold(event)
        self._wake()
        if self._feed is not None:
            self._feed(event)

    def touch(self) -> None:
        """Wake who waits: something that is not in the snapshot is new."""
        self.state.version += 1
        self._wake()

    def _wake(self) -> None:
        if self._moved is not None:
            self._moved.set()
            self._moved = None

    def snapshot(self) -> "Snapshot":
        """The snapshot of now; the same object until something happened or a second passed."""
        mono = self.clock.mono_s()
        if self._snapshot is None or self._snapshot.version != self.version or mono - self._built_mono > STALE_S:
            from .snapshot_builder import build_snapshot  # 0.4 MB with its dataclasses, which a server without readers saves

            self._snapshot = build_snapshot(self.state, mono)
            self._built_mono = mono
        return self._snapshot

    async def changed(self, since: int) -> "Snapshot":
        """Wait until the version is above `since`; the latest snapshot."""
        while self.version <= since:
            if self._moved is None:
                self._moved = trio.Event()
            await self._moved.wait()
        return self.snapshot()
