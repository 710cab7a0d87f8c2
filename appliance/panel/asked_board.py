"""The one picture as a program beside the house gets it: asked for through the Controls port, again and again.

Stands in for the board of `pillarbox console`. While the house does not answer, the last picture stays, with a sentence
that says so.
"""

from dataclasses import fields, replace
from typing import Any

import trio

from appliance.status.controls import DescribeBox, ReadLog, ShutDown, Status
from appliance.status.snapshot import (
    CertificateFacts,
    Condition,
    DeliveryFacts,
    LineFacts,
    ListenerFacts,
    LoginFacts,
    PartFacts,
    QueueFacts,
    RefusalFacts,
    SendingFacts,
    SessionFacts,
    Snapshot,
    StorageFacts,
)

from .lent import Asked

ASK_S = 1.0
BOX_S = 10.0
"""How often the box's own figures are asked for."""
WATCHED_S = 5.0
"""The log is fetched for so long after somebody looked at it."""
SILENT = Condition("house-silent", "critical", "The house does not answer.", "It may be stopped; this picture is the last one.")
PARTS: tuple[tuple[str, type], ...] = (
    ("listeners", ListenerFacts), ("sessions", SessionFacts), ("deliveries", DeliveryFacts), ("refusals", RefusalFacts),
    ("sendings", SendingFacts), ("parts", PartFacts), ("conditions", Condition), ("logins", LoginFacts), ("queue", QueueFacts),
    ("line", LineFacts), ("storage", StorageFacts), ("certificate", CertificateFacts),
)  # fmt: skip


def decode_snapshot(facts: dict[str, Any]) -> Snapshot:
    """The inverse of `encode_snapshot`; what this version does not know is left out. Raises TypeError when something is missing."""
    kinds = dict(PARTS)
    return Snapshot(**{one.name: _decoded(kinds.get(one.name), facts[one.name]) for one in fields(Snapshot) if one.name in facts})


def _decoded(kind: type | None, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_decoded(kind, one) for one in value)
    if kind is not None and isinstance(value, dict):
        names = {one.name for one in fields(kind)}
        return kind(**{key: tuple(one) if isinstance(one, list) else one for key, one in value.items() if key in names})
    return value


class AskedBoard:
    """Holds the last picture; `changed` fetches the next."""

    def __init__(self, controls: Asked, first: Snapshot) -> None:
        self._controls = controls
        self._picture = first
        self._machine: dict[str, Any] = {}
        self._lines: tuple[str, ...] = ()
        self._box_mono = self._log_mono = float("-inf")
        self._stopping = False

    @classmethod
    async def open(cls, controls: Asked) -> "AskedBoard":
        """Raises what asking raises (SetupError), and TypeError when no house runs there."""
        board = cls(controls, decode_snapshot((await controls.ask(Status())).facts))
        await board._about()
        return board

    def machine(self) -> dict[str, Any]:
        """The fields of `screens.Machine`, some seconds old."""
        return self._machine

    def log(self) -> tuple[str, ...]:
        """The newest lines, a second old while somebody looks."""
        self._log_mono = trio.current_time()
        return self._lines

    def shut_down(self) -> None:
        """Told to the house with the next question."""
        self._stopping = True

    async def _about(self) -> None:
        """What is shown beside the picture."""
        if self._stopping:
            self._stopping = False
            await self._controls.ask(ShutDown())
        now = trio.current_time()
        if now - self._box_mono >= BOX_S:
            self._box_mono = now
            self._machine = (await self._controls.ask(DescribeBox())).facts
        if now - self._log_mono < WATCHED_S:
            self._lines = tuple((await self._controls.ask(ReadLog())).facts["lines"])

    def snapshot(self) -> Snapshot:
        return self._picture

    async def changed(self, since: int) -> Snapshot:
        """The picture as soon as its version is another than `since` (a house that was started anew counts from 0)."""
        while True:
            await trio.sleep(ASK_S)
            try:
                picture = decode_snapshot((await self._controls.ask(Status())).facts)
                await self._about()
            except Exception:  # the guard of a program that only watches: the house may be gone for a while
                picture = replace(self._picture, version=-1, conditions=(SILENT, *(c for c in self._picture.conditions if c != SILENT)))
            before, self._picture = self._picture, picture
            if picture.version != since or before.version != since:
                return picture
