"""Each screen at 80 by 24 against its text in tests/panel/golden; PILLARBOX_GOLDEN=write writes them anew."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from appliance.panel.dialogue import Dialogue
from appliance.panel.lent import Options
from appliance.panel.screens import NAMES, health, overview
from appliance.panel.screens_lists import Group, Item, list_body, queue_groups
from appliance.panel.screens_text import BODY, HEIGHT, WIDTH, fit, wrap
from appliance.panel.terminal import FULL_OCTETS, Vt100
from appliance.status import events as e
from appliance.status.board import Board
from tests.support.clock import HandClock
from tests.support.console import HouseAnswers, busy_board, locked
from tests.support.vt100 import Vt100Screen

GOLDEN = Path(__file__).parent / "golden"


def compare(name: str, text: str) -> None:
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("PILLARBOX_GOLDEN") == "write":
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


async def screen_after(board: Board, *keys: str) -> tuple[str, int]:
    """The far end's screen after keys, and the octets of its last picture from nothing."""
    dialogue = Dialogue(board, HouseAnswers(), Options(), locked(), touched=lambda: None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(dialogue.work)
        for key in keys:
            dialogue.press(key)
            dialogue.picture()
            await wait_all_tasks_blocked()
            dialogue.seen(dialogue.question)
        octets = Vt100().render(dialogue.picture())
        nursery.cancel_scope.cancel()
    screen = Vt100Screen()
    screen.feed(octets)
    return screen.text(), len(octets)


SCREENS = [
    ("overview", ("1",)),
    ("queue", ("2", "down", "down")),
    ("queue-timeline", ("2", "enter")),
    ("queue-cancel", ("2", "c", *"open sesame", "enter")),
    ("letters", ("3",)),
    ("letters-refused", ("3", *["down"] * 11)),
    ("people", ("4", "down")),
    ("people-add", ("4", "a", *"open sesame", "enter", *"eve@home.example", "enter", "enter")),
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


async def test_a_new_house_and_a_house_in_trouble() -> None:
    clock = HandClock(0.0, trusted=False)
    text, _ = await screen_after(Board(clock), "1")
    compare("overview-new", text)
    board = busy_board()
    board.publish(e.StorageTrouble("broken", "input/output error"))
    board.publish(e.PartCrashed("queue", "OSError: no", 4.0))
    board.publish(e.LetterFailed("M1", "far.example", 1, "no"))
    text, _ = await screen_after(board, "1")
    compare("overview-trouble", text)


def test_there_is_a_golden_text_for_every_screen() -> None:
    assert len(NAMES) == 9
    assert {one.stem for one in GOLDEN.glob("*.txt")} == {name for name, _ in SCREENS} | {"overview-new", "overview-trouble"}


HOSTILE = "\x1b[2J\x1b]0;mine\x07\x9b2J\r\n\x08\u202ehidden\u2028"


async def test_nothing_foreign_reaches_the_terminal() -> None:
    board = busy_board()
    board.publish(e.LetterAccepted("smtp", HOSTILE, HOSTILE, 1, 1, 0.1, HOSTILE))
    board.publish(e.LetterRefused("smtp", HOSTILE, HOSTILE, HOSTILE, HOSTILE))
    board.publish(e.LetterSent(HOSTILE, HOSTILE, HOSTILE, 1, 1, HOSTILE, 1.0))
    board.publish(e.PartCrashed(HOSTILE, HOSTILE, 1.0))
    board.publish(e.ListenerDown("smtp", HOSTILE, 25, HOSTILE))
    board.publish(e.PeopleState(1, (HOSTILE,)))
    board.publish(e.CertificateState((HOSTILE,), 1, HOSTILE))
    board.publish(e.LineState("open", HOSTILE, HOSTILE))
    board.publish(e.SendingLimited(HOSTILE, True))
    for keys in (("1",), ("h",), ("3",), ("3", "enter"), ("5",), ("7",)):
        text, _ = await screen_after(board, *keys)  # the interpreter fails on anything a terminal obeys beyond our own
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
def test_a_list_always_fits_and_shows_its_chosen_line(sizes: list[int], selected: int) -> None:
    items = [tuple(Item(f"{at}.{n}", f"item {at}.{n}", "detail " * 60) for n in range(size)) for at, size in enumerate(sizes)]
    groups = [Group(f"g{at}", some) for at, some in enumerate(items)]
    everything = [item for group in groups for item in group.items]
    rows = list_body(groups, selected)
    assert len(rows) <= BODY and all(len(row.text) <= WIDTH for row in rows)
    if selected < len(everything):
        assert any(row.text.startswith(f"> {everything[selected].text} ") for row in rows)


def test_facts_of_another_version_do_no_harm() -> None:
    s = busy_board().snapshot()
    assert queue_groups({}, s)[0].items == ()
    assert queue_groups({"letters": [{}]}, s)[0].items[0].key == ""


def test_many_conditions_are_counted_and_told_by_one_key() -> None:
    s = busy_board().snapshot()
    many = replace(s, conditions=tuple(replace(s.conditions[0], key=str(n)) for n in range(9)))
    rows = health(many, 4)
    assert len(rows) <= 4 and "more" in rows[-1].text
    assert len(overview(many, "one-time admin password: x")) <= BODY < HEIGHT
