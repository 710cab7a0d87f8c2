"""One budget of octets for all messages being received: a message that finds none left waits, and is refused after a while.

A message draws in steps: FIRST on arrival, SMALL when it outgrows that, FULL when it goes to storage in blocks.
FULL may use the whole budget, the steps before only three quarters of it: so those that hold a full share and need
no more always go on, and waiting cannot lock up.

Fails with StoreError BUSY after RECEIVE_WAIT_S.
"""

import trio

from appliance.mail.errors import StoreError, Trouble
from appliance.mail.limits import RECEIVE_BUDGET_OCTETS, RECEIVE_WAIT_S

FIRST = 8 * 1024
SMALL = 80 * 1024
FULL = 832 * 1024
"""Four blocks held, as much in the connection's buffer, four blocks packed, and the compressor."""


class Budget:
    """Shared by the whole server; trio thread only."""

    def __init__(self, octets: int = RECEIVE_BUDGET_OCTETS, wait_s: float = RECEIVE_WAIT_S) -> None:
        self._octets = octets
        self._wait_s = wait_s
        self._used = 0
        self._waiting: list[tuple[int, int, trio.Event]] = []

    async def grow(self, have: int, want: int) -> None:
        """Raise one message's share from `have` to `want` octets."""
        more = want - have
        ceiling = self._octets if want >= FULL else self._octets * 3 // 4
        if self._used + more <= ceiling:
            self._used += more
            return
        entry = (more, ceiling, trio.Event())
        self._waiting.append(entry)
        with trio.move_on_after(self._wait_s):
            try:
                await entry[2].wait()
            except BaseException:
                if entry[2].is_set():
                    self.give(more)
                raise
            finally:
                if not entry[2].is_set():
                    self._waiting.remove(entry)
            return
        raise StoreError(Trouble.BUSY)

    def give(self, octets: int) -> None:
        """A share, or part of it, comes back; those that now fit go on, in the order they came."""
        self._used -= octets
        still = []
        for entry in self._waiting:
            more, ceiling, event = entry
            if self._used + more <= ceiling:
                self._used += more
                event.set()
            else:
                still.append(entry)
        self._waiting = still
