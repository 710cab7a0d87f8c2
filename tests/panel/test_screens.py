"""Each screen at 80 by 24 against its text in tests/panel/golden; PILLARBOX_GOLDEN=write writes them anew."""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.panel.dialogue import Dialogue
from appliance.panel.ports import ConsoleOptions
from appliance.panel.screens import NAMES, health, overview
from appliance.panel.screens_lists import ListGroup, ListItem, list_body, queue_groups
from appliance.panel.screens_text import BODY, HEIGHT, VT100, WIDTH, fit, screen_of, sized, wrap
from appliance.panel.terminal import FULL_OCTETS, Vt100
from appliance.status import events as e
from appliance.status.board import Board
from appliance.status.text import readable, zone
from tests.support.clock import HandClock
from tests.support.console import ServerAnswers, busy_board, locked, picture_after
from tests.support.vt100 import Vt100Screen

GOLDEN = Path(__file__).parent / "golden"


def compare(name: str, text: str) -> None:
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("PILLARBOX_GOLDEN") == "write":
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


async def screen_after(board: Board, *keys: str) -> tuple[str, int]:
    """The terminal's screen after keys, and the octets of its last picture from nothing."""
    dialogue = Dialogue(board, ServerAnswers(), ConsoleOptions(), locked(), touched=lambda: None)
    octets = Vt100().render(await picture_after(dialogue, *keys))
    screen = Vt100Screen()
    screen.feed(octets)
    return screen.text(), len(octets)


async def on_a_terminal(columns: int, rows: int, board: Board, answers: ServerAnswers, *keys: str) -> list[str]:
    """The lines of a larger terminal after keys."""
    dialogue = Dialogue(board, answers, ConsoleOptions(), locked(), touched=lambda: None)
    dialogue.screen = screen_of(columns, rows)
    octets = Vt100().render(await picture_after(dialogue, *keys))
    screen = Vt100Screen(columns, rows)
    screen.feed(octets)
    return screen.lines()


LONG = "mx.slow.example said: 450 4.2.0 greylisted, please come back in five minutes, and have a look at https://slow.example/why"


@pytest.mark.parametrize(("columns", "rows"), [(120, 40), (200, 60), (80, 30), (132, 24)])
async def test_a_larger_terminal_is_used(columns: int, rows: int) -> None:
    board, answers = busy_board(), ServerAnswers()
    board.publish(e.MessageDelayed("M7A9", "slow.example", 1, LONG, 900.0))
    for key in "123456789":
        lines = await on_a_terminal(columns, rows, board, answers, key)
        assert len(lines) == rows and lines[-1].startswith("1 Overview") and max(map(len, lines)) < columns
        assert lines[0].endswith("UTC") and len(lines[0]) == columns - 1
    lines = await on_a_terminal(columns, rows, board, answers, "8")
    assert len([row for row in lines if "session closed" in row]) == rows - 4, "the log fills the screen"
    everything = " ".join(" ".join(await on_a_terminal(columns, rows, board, answers, *"3", *["down"] * 8)).split())
    assert LONG in everything, "the selected line has its details"


async def test_reasons_are_not_cut_beside_empty_space() -> None:
    board, answers = busy_board(), ServerAnswers()
    board.publish(e.MessageDelayed("M7A9", "slow.example", 1, LONG, 900.0))
    lines = await on_a_terminal(120, 40, board, answers, "1")
    text = " ".join(" ".join(lines).split())
    assert LONG in text and "See which with `pillarbox queue list`." in text and "more: press h" not in text
    answers.rows[0]["recipients"][0] |= {"text": LONG, "text_parts": None, "reply": ""}
    assert LONG in " ".join(" ".join(await on_a_terminal(120, 40, board, answers, "2")).split())


async def test_fingerprints_break_between_octets(autojump_clock: object) -> None:
    print_ = ":".join(f"{n:02X}" for n in range(0xA0, 0xC0))
    for width in range(20, 140):
        for lead in ("", "  SHA-256      "):
            rows = wrap(lead + print_, width, indent="    ")
            assert all(re.fullmatch(r"(SHA-256 *)?(?:[0-9A-F]{2}:?)*", row.strip()) for row in rows), rows
            assert "".join(row.strip() for row in rows).replace("SHA-256", "").strip() == print_
            assert max(map(len, rows)) <= width
    assert wrap("x" * 50, 20) == ["x" * 20, "x" * 20, "x" * 10], "other words without a space break where the line ends"


async def test_health_lists_what_is_monitored_when_all_is_well() -> None:
    board = Board(HandClock())
    board.publish(e.ServerState("ready"))
    board.publish(e.AccountsState(1, ("home.example",)))
    text, _ = await screen_after(board, "1", "h")
    assert "All is well." in text
    for word in ("Storage", "Ports", "Certificate", "Network", "Queue", "Mailboxes", "Passwords", "Clock", "Console"):
        assert f"  {word} " in text


async def test_times_are_in_the_time_zone_of_the_host() -> None:
    class Kolkata(HandClock):
        def utc_offset_s(self) -> int:
            return 19_800

    board = busy_board(Kolkata())
    text, _ = await screen_after(board, "1")
    assert "Tue 01 Dec 05:40 UTC+5:30" in text and "05:38  failed" in text and "05:43" in text and "2026-12-01 05:40 UTC+5:30, set" in text
    for keys in ("2", "3", "4", "7"):
        text, _ = await screen_after(board, keys)
        assert " UTC\n" not in text and "UTC+5:30" in text
    assert "UTC+5:30" in readable(board.snapshot()) and " UTC\n" not in readable(board.snapshot())


@pytest.mark.parametrize(("offset", "name"), [(0, "UTC"), (3600, "UTC+1"), (-12_600, "UTC-3:30"), (20_700, "UTC+5:45")])
def test_the_names_of_zones(offset: int, name: str) -> None:
    assert zone(offset) == name


SCREENS = [
    ("overview", ("1",)),
    ("queue", ("2", "down", "down")),
    ("queue-history", ("2", "enter")),
    ("queue-cancel", ("2", "c", *"open sesame", "enter")),
    ("mail", ("3",)),
    ("mail-refused", ("3", *["down"] * 11)),
    ("accounts", ("4", "down")),
    ("accounts-add", ("4", "a", *"open sesame", "enter", *"eve@home.example", "enter", "enter")),
    ("password", ("4", "p", *"open")),
    ("network", ("5",)),
    ("domain", ("6",)),
    ("domain-records", ("6", "enter")),
    ("certificates", ("7",)),
    ("logs", ("8", "up", "up", "right")),
    ("power", ("9",)),
    ("help", ("?",)),
    ("health", ("h",)),
]


@pytest.mark.parametrize(("name", "keys"), SCREENS, ids=[name for name, _ in SCREENS])
async def test_each_screen(name: str, keys: tuple[str, ...]) -> None:
    text, octets = await screen_after(busy_board(), *keys)
    compare(name, text)
    assert octets <= FULL_OCTETS


async def test_a_new_server_and_a_server_in_trouble() -> None:
    clock = HandClock(0.0, trusted=False)
    text, _ = await screen_after(Board(clock), "1")
    compare("overview-new", text)
    board = busy_board()
    board.publish(e.StorageTrouble("broken", "input/output error"))
    board.publish(e.TaskCrashed("queue", "OSError: no", 4.0))
    board.publish(e.MessageFailed("M1", "far.example", 1, "no"))
    text, _ = await screen_after(board, "1")
    compare("overview-trouble", text)


def test_there_is_a_golden_text_for_every_screen() -> None:
    assert len(NAMES) == 9
    assert {one.stem for one in GOLDEN.glob("*.txt")} == {name for name, _ in SCREENS} | {"overview-new", "overview-trouble"}


HOSTILE = "\x1b[2J\x1b]0;mine\x07\x9b2J\r\n\x08\u202ehidden\u2028"


async def test_nothing_foreign_reaches_the_terminal() -> None:
    board = busy_board()
    board.publish(e.MessageAccepted("smtp", HOSTILE, HOSTILE, 1, 1, 0.1, HOSTILE))
    board.publish(e.MessageRefused("smtp", HOSTILE, HOSTILE, HOSTILE, HOSTILE))
    board.publish(e.MessageSent(HOSTILE, HOSTILE, HOSTILE, 1, 1, HOSTILE, 1.0))
    board.publish(e.TaskCrashed(HOSTILE, HOSTILE, 1.0))
    board.publish(e.ListenerDown("smtp", HOSTILE, 25, HOSTILE))
    board.publish(e.AccountsState(1, (HOSTILE,)))
    board.publish(e.CertificateState((HOSTILE,), 1, HOSTILE))
    board.publish(e.OutboundState("open", HOSTILE, HOSTILE))
    board.publish(e.SendingLimited(HOSTILE, True))
    for keys in (("1",), ("h",), ("3",), ("3", "enter"), ("5",), ("7",)):
        text, _ = await screen_after(board, *keys)  # the test terminal fails on any control sequence that is not our own
        assert "mine\x07" not in text


@given(st.text(max_size=300), st.integers(1, 100))
def test_cut_and_wrapped_text_fits_and_is_printable(text: str, width: int) -> None:
    assert len(fit(text, width)) <= width and fit(text, width).isprintable()
    width = max(width, 10)
    rows = wrap(text, width, "  ")
    assert rows and all(len(row) <= width and row.isprintable() for row in rows)


def test_wrapping_loses_no_word() -> None:
    text = "The certificate ends in 9 days. " * 9
    assert " ".join(wrap(text, 40, "    ")).split() == text.split()


@given(st.lists(st.integers(0, 40), min_size=1, max_size=3), st.integers(0, 120))
def test_a_list_always_fits_and_shows_its_selected_line(sizes: list[int], selected: int) -> None:
    items = [tuple(ListItem(f"{at}.{n}", f"item {at}.{n}", "detail " * 60) for n in range(size)) for at, size in enumerate(sizes)]
    groups = [ListGroup(f"g{at}", some) for at, some in enumerate(items)]
    everything = [item for group in groups for item in group.items]
    rows = [sized(row, VT100) for row in list_body(groups, selected, VT100)]
    assert len(rows) <= BODY and all(len(row.text) <= WIDTH for row in rows)
    if selected < len(everything):
        assert any(row.text.startswith(f"> {everything[selected].text} ") for row in rows)


def test_facts_of_another_version_do_no_harm() -> None:
    s = busy_board().snapshot()
    assert queue_groups({}, s, VT100)[0].items == ()
    assert queue_groups({"messages": [{}]}, s, VT100)[0].items[0].key == ""


def test_many_conditions_are_counted_and_listed_by_one_key() -> None:
    s = busy_board().snapshot()
    many = replace(s, conditions=tuple(replace(s.conditions[0], key=str(n)) for n in range(9)))
    rows = health(many, VT100, 4)
    assert len(rows) <= 4 and "more" in rows[-1].text
    assert len(overview(many, VT100, "one-time password: x")) <= BODY < HEIGHT
