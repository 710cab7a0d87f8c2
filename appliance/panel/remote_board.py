"""The board for a program beside the server (`pillarbox console`, `panel --simulate`): it polls the snapshot over `control`.

While the server does not answer, the last snapshot stays, with a condition that says so. Conditions are said in the language of whoever
looks.
"""

from dataclasses import replace

import trio

from appliance.control.requests import Status
from appliance.languages.catalogues import ENGLISH, Language
from appliance.status.snapshot import Condition, Snapshot
from appliance.status.text import decode_snapshot

from .ports import ControlPort

POLL_S = 1.0
SILENT = Condition(
    "server-silent", "critical", "The server does not answer.", "It may be stopped; what is shown here is the last known state."
)


class RemoteBoard:
    """Holds the last snapshot; `changed` fetches the next."""

    def __init__(self, control: ControlPort, first: Snapshot, language: Language = ENGLISH) -> None:
        self._control = control
        self._language = language
        self._snapshot = worded(first, language)

    @classmethod
    async def open(cls, control: ControlPort, language: Language = ENGLISH) -> "RemoteBoard":
        """Raises what a request raises (SetupError), and TypeError when no server runs there."""
        return cls(control, decode_snapshot((await control.ask(Status())).facts), language)

    def snapshot(self) -> Snapshot:
        return self._snapshot

    async def changed(self, since: int) -> Snapshot:
        """The next snapshot with another version than `since` (a server that was restarted counts from 0)."""
        while True:
            await trio.sleep(POLL_S)
            try:
                snapshot = worded(decode_snapshot((await self._control.ask(Status())).facts), self._language)
            except Exception:  # the guard of a program that only watches: the server may be gone for a while
                others = (c for c in self._snapshot.conditions if c.key != SILENT.key)
                silent = _said(SILENT, self._language)
                snapshot = replace(self._snapshot, version=-1, phase="silent", conditions=(silent, *others))
            before, self._snapshot = self._snapshot, snapshot
            if snapshot.version != since or before.version != since:
                return snapshot


def worded(snapshot: Snapshot, language: Language) -> Snapshot:
    """The snapshot with its conditions, and how mail leaves, in another language."""
    if language is ENGLISH:
        return snapshot
    outbound = replace(snapshot.outbound, sentence=language(snapshot.outbound.sentence))
    return replace(snapshot, conditions=tuple(_said(one, language) for one in snapshot.conditions), outbound=outbound)


def _said(one: Condition, _: Language) -> Condition:
    return replace(one, sentence=_(one.sentence), remedy=_(one.remedy))
