"""The one picture as a program beside the server gets it: asked for through the Controls port, again and again.

Stands in for the board of `pillarbox console`. While the server does not answer, the last picture stays, with a sentence
that says so.
"""

from dataclasses import fields, replace
from typing import Any

import trio

from appliance.control.requests import Status
from appliance.status.snapshot import (
    CertificateFacts,
    Condition,
    DelayFacts,
    DeliveryFacts,
    FoundFacts,
    HostFacts,
    ListenerFacts,
    LoginFacts,
    OutboundFacts,
    PartFacts,
    QueueFacts,
    RefusalFacts,
    SendingFacts,
    SessionFacts,
    Snapshot,
    StorageFacts,
)

from .ports import ControlPort

ASK_S = 1.0
SILENT = Condition("house-silent", "critical", "The server does not answer.", "It may be stopped; this picture is the last one.")
PARTS: tuple[tuple[str, type], ...] = (
    ("listeners", ListenerFacts), ("sessions", SessionFacts), ("deliveries", DeliveryFacts), ("refusals", RefusalFacts),
    ("sendings", SendingFacts), ("parts", PartFacts), ("conditions", Condition), ("logins", LoginFacts), ("queue", QueueFacts),
    ("line", OutboundFacts), ("storage", StorageFacts), ("certificate", CertificateFacts), ("box", HostFacts),
    ("found", FoundFacts), ("delays", DelayFacts),
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


class RemoteBoard:
    """Holds the last picture; `changed` fetches the next."""

    def __init__(self, controls: ControlPort, first: Snapshot) -> None:
        self._controls = controls
        self._picture = first

    @classmethod
    async def open(cls, controls: ControlPort) -> "RemoteBoard":
        """Raises what asking raises (SetupError), and TypeError when no server runs there."""
        return cls(controls, decode_snapshot((await controls.ask(Status())).facts))

    def snapshot(self) -> Snapshot:
        return self._picture

    async def changed(self, since: int) -> Snapshot:
        """The picture as soon as its version is another than `since` (a server that was started anew counts from 0)."""
        while True:
            await trio.sleep(ASK_S)
            try:
                picture = decode_snapshot((await self._controls.ask(Status())).facts)
            except Exception:  # the guard of a program that only watches: the server may be gone for a while
                others = (c for c in self._picture.conditions if c != SILENT)
                picture = replace(self._picture, version=-1, phase="silent", conditions=(SILENT, *others))
            before, self._picture = self._picture, picture
            if picture.version != since or before.version != since:
                return picture
