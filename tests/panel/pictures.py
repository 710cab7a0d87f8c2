"""Snapshots of the server, one for each meaning of the LEDs."""

from dataclasses import replace
from typing import Any

import trio

from appliance.status.board import Board
from appliance.status.events import AccountsState, ServerState
from appliance.status.snapshot import Condition, Snapshot
from tests.support.clock import HandClock


def calm() -> Snapshot:
    board = Board(HandClock())
    board.publish(ServerState("ready"))
    board.publish(AccountsState(1, ("smith.example",)))
    return board.snapshot()


def picture(meaning: str) -> Snapshot:
    """A snapshot in which this meaning is the most urgent; "arrived" is calm after `calm`, one message later."""
    phases = {"recovering": "recovering", "updating": "updating", "starting": "starting", "stopping": "draining", "safe": "stopped"}
    keys = {
        "storage": "storage-full", "broken": "task-down", "stuck": "queue-stuck", "certificate": "certificate-expired",
        "network": "outbound-blocked", "clock": "clock-not-set", "other": "no-accounts",
    }  # fmt: skip
    changes: dict[str, Any] = {}
    if meaning in phases:
        changes["phase"] = phases[meaning]
    if meaning in keys:
        changes["conditions"] = (Condition(keys[meaning], "warning", "So.", "Do."),)
    if meaning == "arrived":
        changes["messages_arrived"] = 1
    if meaning in ("sending", "waiting"):
        changes["queue"] = replace(calm().queue, waiting=1, trying=int(meaning == "sending"))
    return replace(calm(), **changes)


class Pictures:
    """A board with given snapshots."""

    def __init__(self, first: Snapshot) -> None:
        self._now = first
        self._moved = trio.Event()
        self.looks = 0

    def put(self, snapshot: Snapshot) -> None:
        self._now = replace(snapshot, version=self._now.version + 1)
        self._moved.set()
        self._moved = trio.Event()

    def snapshot(self) -> Snapshot:
        self.looks += 1
        return self._now

    async def changed(self, since: int) -> Snapshot:
        while self._now.version <= since:
            await self._moved.wait()
        return self.snapshot()
