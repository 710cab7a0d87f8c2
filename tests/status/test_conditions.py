"""status/conditions: each row shows when its facts hold, alone, and goes when they end."""

from collections.abc import Callable

import pytest

from appliance.status import events as e
from appliance.status.board import Board
from appliance.status.conditions import ROWS
from tests.support.clock import HandClock

NOW = int(HandClock().wall_s())
GB = 10**9
DAY_S = 86400


def guess(board: Board) -> None:
    for n in range(40):
        board.publish(e.LoginFailed("imap", f"192.0.2.{n % 3}", "ada", "PLAIN"))


def publish(event: e.Event) -> Callable[[Board], None]:
    return lambda board: board.publish(event)


CASES: tuple[tuple[str, Callable[[Board], None], str], ...] = (
    ("storage-broken", publish(e.StorageTrouble("broken", "EIO")), "EIO"),
    ("storage-full", publish(e.StorageTrouble("full", "")), "put off"),
    ("storage-full", publish(e.StorageState(10**6, 32 * GB, 0)), "put off"),
    ("listener-down", publish(e.ListenerDown("imaps", "::", 993, "in use")), "imaps port 993"),
    ("certificate-over", publish(e.CertificateState(("x",), NOW - 5, "own")), "ended"),
    ("certificate-ending", publish(e.CertificateState(("x",), NOW + 5 * DAY_S, "own")), "5 days"),
    ("certificate-trouble", publish(e.CertificateTrouble("no such file")), "no such file"),
    ("part-down", publish(e.PartCrashed("control", "KeyError", 3.0)), "control"),
    ("storage-low", publish(e.StorageState(GB, 32 * GB, 0)), "1.0 GB of 32.0 GB"),
    ("storage-wearing", publish(e.StorageState(20 * GB, 32 * GB, 0, worn_percent=90)), "90 %"),
    ("no-network", publish(e.BoxState("box", (), 1, None, 0)), "no address"),
    ("line-closed", publish(e.LineState("blocked", "none", "Port 25 is blocked and no relay is set.")), "Port 25 is blocked"),
    ("queue-stuck", publish(e.QueueState(3, 1, 0, 2, 3, 90_000.0, 60.0)), "2 letters need you"),
    ("sending-limited", publish(e.SendingLimited("ada@home.example", True)), "ada@home.example"),
    ("guessing", guess, "40 wrong ones in ten minutes, from 3"),
    ("bodies-aside", publish(e.BodiesAside(3)), "3 message bodies are not in the database"),
    ("session-faults", publish(e.SessionFailed("imap", "p", "", "KeyError")), "1 session"),
    ("no-people", publish(e.PeopleState(0, ())), "No people"),
    ("recovering", publish(e.HouseState("recovering")), "Power was lost"),
    ("updating", publish(e.HouseState("updating")), "new version"),
    ("starting", publish(e.HouseState("starting")), "starting"),
    ("draining", publish(e.HouseState("draining")), "closing"),
)


def board_in_order() -> tuple[Board, HandClock]:
    clock = HandClock()
    board = Board(clock)
    board.publish(e.HouseState("ready"))
    board.publish(e.PeopleState(1, ("home.example",)))
    board.publish(e.StorageState(20 * GB, 32 * GB, 0))
    board.publish(e.CertificateState(("box.local",), NOW + 300 * DAY_S, "house"))
    board.publish(e.ListenerUp("imaps", "::", 993))
    return board, clock


def test_all_is_well() -> None:
    board, _clock = board_in_order()
    assert board.snapshot().conditions == () and board.snapshot().severity == ""


@pytest.mark.parametrize(("key", "happen", "words"), CASES, ids=[f"{n}-{key}" for n, (key, _, _) in enumerate(CASES)])
def test_a_row_shows_alone(key: str, happen: Callable[[Board], None], words: str) -> None:
    board, _clock = board_in_order()
    happen(board)
    (only,) = board.snapshot().conditions
    assert only.key == key and words in only.sentence and only.sentence.endswith(".") and only.remedy.endswith(".")


def test_the_clock_not_set_is_a_notice_and_hides_dates() -> None:
    board, clock = board_in_order()
    clock.is_trusted = False
    board.publish(e.CertificateState(("x",), NOW - 5, "own"))
    (only,) = board.snapshot().conditions
    assert only.key == "clock"


def test_every_row_has_a_case() -> None:
    assert {row.key for row in ROWS} == {key for key, _, _ in CASES} | {"clock"}
    assert len({row.key for row in ROWS}) == len(ROWS)
    order = [row.severity for row in ROWS]
    assert order == sorted(order, key=["critical", "warning", "notice"].index)


def test_the_severity_is_the_worst() -> None:
    board, _clock = board_in_order()
    board.publish(e.PeopleState(0, ()))
    assert board.snapshot().severity == "notice"
    board.publish(e.CertificateTrouble("x"))
    assert board.snapshot().severity == "warning"
    board.publish(e.StorageTrouble("broken", ""))
    assert board.snapshot().severity == "critical"


def test_guessing_ends_by_itself() -> None:
    board, clock = board_in_order()
    guess(board)
    assert board.snapshot().conditions
    clock.forward(601)
    assert not board.snapshot().conditions
