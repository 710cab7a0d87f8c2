"""The remote board has the server's snapshot; when the server is gone it keeps the last one, with a condition."""

import json

import trio
from trio.testing import MockClock

from appliance.control.requests import Request, Response
from appliance.languages.catalogues import Language
from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence
from appliance.panel.remote_board import SILENT, RemoteBoard
from appliance.status import events as e
from appliance.status.board import Board
from appliance.status.text import decode_snapshot, encode_snapshot
from tests.support.console import busy_board


def test_a_snapshot_survives_json() -> None:
    snapshot = busy_board().snapshot()
    plain = json.loads(json.dumps(encode_snapshot(snapshot)))
    assert decode_snapshot(plain) == snapshot
    assert decode_snapshot({**plain, "running": True, "of_tomorrow": 1}) == snapshot


class OverTheSocket:
    """The responses of a server as they come over the local socket."""

    def __init__(self, board: Board) -> None:
        self.board, self.there = board, True
        self.asked = 0

    async def ask(self, request: Request) -> Response:
        self.asked += 1
        if not self.there:
            raise SetupError("No Pillarbox is running.", "Start it.")
        return Response("", {"running": True, **json.loads(json.dumps(encode_snapshot(self.board.snapshot())))})


async def test_conditions_can_be_said_in_the_language_of_whoever_looks(autojump_clock: MockClock) -> None:
    far = OverTheSocket(busy_board())
    far.board.publish(e.ListenerDown("imaps", "::", 993, "in use"))
    shouting = Language("xx", lambda text: text.upper().replace("%(PROTOCOL)S", "%(protocol)s"), lambda one, many, n: many)
    seen = await RemoteBoard.open(far)
    down = next(one for one in seen.snapshot().conditions if one.key == "listener-down")
    assert shouting(down.remedy) == "ANOTHER PROGRAM MAY HOLD THE PORT; IT IS TRIED AGAIN AUTOMATICALLY."
    assert isinstance(down.sentence, Sentence)
    far.there = False
    assert shouting((await seen.changed(seen.snapshot().version)).conditions[0].sentence) == "THE SERVER DOES NOT ANSWER."


async def test_changes_are_seen_and_the_end_too(autojump_clock: MockClock) -> None:
    far = OverTheSocket(busy_board())
    asked = await RemoteBoard.open(far)
    assert asked.snapshot() == far.board.snapshot()
    version = asked.snapshot().version
    with trio.move_on_after(10) as waited:
        await asked.changed(version)
    assert waited.cancelled_caught and far.asked <= 12
    far.board.publish(e.MessageAccepted("smtp", "192.0.2.1", "new@far.example", 1, 1000, 0.01, "N"))
    assert (await asked.changed(version)).arrivals[0].sender == "new@far.example"
    far.there = False
    gone = await asked.changed(version + 1)
    assert gone.conditions[0] == SILENT and gone.arrivals[0].sender == "new@far.example"
    with trio.move_on_after(10) as waited:
        await asked.changed(gone.version)
    assert waited.cancelled_caught
    assert asked.snapshot().conditions.count(SILENT) == 1
    far.there, far.board = True, Board(far.board.clock)  # restarted: counts from 0
    assert SILENT not in (await asked.changed(gone.version)).conditions
