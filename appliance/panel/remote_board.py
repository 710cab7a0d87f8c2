"""The board for a program beside the server (`pillarbox console`, `panel --simulate`): it polls the snapshot over `control`.

While the server does not answer, the last snapshot stays, with a condition that says so.
"""

from dataclasses import replace

import trio

from appliance.control.requests import Status
from appliance.status.snapshot import Condition, Snapshot
from appliance.status.text import decode_snapshot

from .ports import ControlPort

POLL_S = 1.0
SILENT = Condition(
    "server-silent", "critical", "The server does not answer.", "It may be stopped; what is shown here is the last known state."
)


class RemoteBoard:
    """Holds the last snapshot; `changed` fetches the next."""

    def __init__(self, control: ControlPort, first: Snapshot) -> None:
        self._control = control
        self._snapshot = first

    @classmethod
    async def open(cls, control: ControlPort) -> "RemoteBoard":
        """Raises what a request raises (SetupError), and TypeError when no server runs there."""
        return cls(control, decode_snapshot((await control.ask(Status())).facts))

    def snapshot(self) -> Snapshot:
        return self._snapshot

    async def changed(self, since: int) -> Snapshot:
        """The next snapshot with another version than `since` (a server that was restarted counts from 0)."""
        while True:
            await trio.sleep(POLL_S)
            try:
                snapshot = decode_snapshot((await self._control.ask(Status())).facts)
            except Exception:  # the guard of a program that only watches: the server may be gone for a while
                others = (c for c in self._snapshot.conditions if c.key != SILENT.key)
                snapshot = replace(self._snapshot, version=-1, phase="silent", conditions=(SILENT, *others))
            before, self._snapshot = self._snapshot, snapshot
            if snapshot.version != since or before.version != since:
                return snapshot
