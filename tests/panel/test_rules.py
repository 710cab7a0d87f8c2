"""Snapshots of the server to meanings, in order of urgency."""

import pytest

from appliance.panel.remote_board import SILENT as SERVER_SILENT
from appliance.panel.rules import ALL, GROUPS, RULES, meanings_of, moments, shown_by
from appliance.status.board import Board
from appliance.status.conditions import ROWS
from appliance.status.events import (
    AccountsState,
    AttemptBegun,
    CertificateState,
    Event,
    ListenerDown,
    MessageAccepted,
    MessageSent,
    OutboundState,
    QueueState,
    SendingLimited,
    ServerState,
    StorageState,
    StorageTrouble,
)
from tests.support.clock import HandClock

MESSAGE = MessageAccepted("smtp", "192.0.2.1", "a@other.example", 1, 900, 0.1, "l1")
SENT = MessageSent("l2", "other.example", "mx.other.example", 1, 900, "TLSv1.3", 0.2)
SILENT = {"bodies-orphaned", "recovering", "updating", "password-guessing", "session-failed", "queue-delayed", "starting", "draining"}
"""Conditions no trouble LED is lit for: no action is needed, or the phase shows it."""


def board(*events: Event, trusted: bool = True) -> Board:
    made = Board(HandClock(trusted=trusted))
    for event in (ServerState("ready"), AccountsState(1, ("smith.example",)), *events):
        made.publish(event)
    return made


@pytest.mark.parametrize(
    ("events", "first"),
    [
        ((), "ready"),
        ((ServerState("recovering"),), "recovering"),
        ((ServerState("starting"),), "starting"),
        ((ServerState("draining"), StorageTrouble("full", "")), "stopping"),
        ((ServerState("stopped"), StorageTrouble("full", "")), "safe"),
        ((StorageTrouble("broken", "I/O error"),), "storage"),
        ((StorageTrouble("full", ""), QueueState(3, 0, 0, 1, 1, 9.0, 1.0)), "storage"),
        ((StorageState(10**8, 32 * 10**9, 0),), "storage"),
        ((ListenerDown("smtp", "::", 25, "in use"),), "broken"),
        ((QueueState(3, 0, 0, 1, 1, 90000.0, 60.0),), "stuck"),
        ((CertificateState(("smith.example",), 1_796_083_200 + 86400, "own"),), "certificate"),
        ((OutboundState("blocked", "none", "Messages cannot get out."),), "network"),
        ((SendingLimited("a@smith.example", limited=True),), "other"),
        ((AccountsState(0, ()),), "other"),
        ((QueueState(1, 0, 1, 0, 1, 1.0, None),), "sending"),
        ((QueueState(1, 0, 0, 0, 1, 1.0, 60.0),), "waiting"),
    ],
)
def test_the_most_urgent_meaning(events: tuple[Event, ...], first: str) -> None:
    assert meanings_of(board(*events).snapshot())[0] == first


def test_an_unset_clock_is_said() -> None:
    assert meanings_of(board(trusted=False).snapshot())[0] == "clock"


def test_moments() -> None:
    server = board()
    before = server.snapshot()
    assert moments(before, before) == ()
    server.publish(MESSAGE)
    after = server.snapshot()
    assert moments(before, after) == ("arrived",)
    server.publish(AttemptBegun("l2", "other.example"))
    server.publish(SENT)
    assert moments(after, server.snapshot()) == ("sending",)


def test_every_condition_that_matters_lights_a_led() -> None:
    """A new row of conditions needs a place in the rules, or in SILENT."""
    read_here = {key for rule in RULES for key in _keys(rule.holds)}
    for row in ROWS:
        assert row.key in read_here or row.key in SILENT, f"no LED says {row.key}"
    assert read_here - {row.key for row in ROWS} <= {SERVER_SILENT.key}


def _keys(holds: object) -> tuple[str, ...]:
    cells = getattr(holds, "__closure__", None) or ()
    return tuple(key for cell in cells if isinstance(cell.cell_contents, tuple) for key in cell.cell_contents)


def test_what_a_led_is_for() -> None:
    assert shown_by("all") == ALL
    assert shown_by("mail") == {"arrived", "sending", "waiting", "ready"}
    assert shown_by("trouble,safe") >= {"storage", "safe"}
    assert frozenset().union(*(shown_by(name) for name, _ in GROUPS)) == ALL
    with pytest.raises(ValueError, match="it can show all, server"):
        shown_by("nonsense")
