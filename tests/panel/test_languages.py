"""The console in another language: every text of every screen comes out of the catalogue, and the German ones have room on 80 columns."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polib
import pytest

from appliance.languages.catalogues import Language, catalogue, in_ascii
from appliance.languages.translations import LANGUAGES
from appliance.panel.console import once
from appliance.panel.dialogue import Dialogue
from appliance.panel.ports import ConsoleOptions
from appliance.panel.screens import TABS
from appliance.panel.screens_text import VT100, WIDTH, Picture, Screen, screen_of
from appliance.panel.views import make_views
from appliance.status import events as e
from appliance.status.board import Board
from tests.panel.test_screens import SCREENS
from tests.support.catalogues import compile_checkout, foreign_characters, forget, left_in_english
from tests.support.clock import HandClock
from tests.support.console import ServerAnswers, busy_board, locked, picture_after

COLUMN = re.compile(r"^([^%]*?\S\s\s+)%\(")
"""The label of a sentence that has its value in a column."""
FOREIGN = re.compile(
    r"Nobody here has that address|try later|AB closed.*|maple-otter-seven|the address is in use|\bfriend\b"
    r"|v=spf1 mx -all|TLSv[\d.]+|AB:CD:EF"
    r"|\bM7A\d|\bK3F\d|[xy]?/?n\)|Ctrl-L|VT100|XON/XOFF|PuTTY|UTC|SHA|DNS|Enter|Esc\b|Up|Down|\b[a-z]\b|->"
)
"""What a screen of the tests shows that no catalogue has: what other servers said, names of keys, message ids."""


@pytest.fixture
def german() -> Iterator[Language]:
    compile_checkout()
    forget()
    yield catalogue("de")
    forget()


async def picture_in(board: Board, screen: Screen, *keys: str, utf8: bool = True) -> Picture:
    language = screen.language
    dialogue = Dialogue(board, ServerAnswers(), ConsoleOptions(language=lambda: language, utf8=utf8), locked(), touched=lambda: None)
    dialogue.screen = replace(screen, language=dialogue.screen.language)
    return await picture_after(dialogue, *keys)


def untranslated(picture: Picture) -> list[str]:
    return [row.text for row in picture.lines if left_in_english(FOREIGN.sub("", row.text))]


@pytest.mark.parametrize(("name", "keys"), SCREENS, ids=[name for name, _ in SCREENS])
async def test_every_text_comes_out_of_the_catalogue(name: str, keys: tuple[str, ...]) -> None:
    picture = await picture_in(busy_board(), screen_of(200, 70, foreign_characters()), *keys)
    answers = name in ("queue-history", "accounts-add", "password", "domain-records", "certificates")  # responses of the test's server
    if name == "logs":
        picture = picture._replace(lines=(picture.lines[0], *picture.lines[-3:]))
    assert not (found := untranslated(picture)) or (answers and len(found) <= 4), found


async def test_a_new_server_and_one_in_trouble_too() -> None:
    screen = screen_of(200, 70, foreign_characters())
    assert not untranslated(await picture_in(Board(HandClock(0.0, trusted=False)), screen, "1"))
    board = busy_board()
    board.publish(e.StorageTrouble("broken", "12"))
    board.publish(e.TaskCrashed("12", "34", 4.0))
    for key in ("1", "h"):
        assert not untranslated(await picture_in(board, screen, key))


@pytest.mark.parametrize(("name", "keys"), SCREENS, ids=[name for name, _ in SCREENS])
async def test_german_has_room_on_a_terminal_without_umlauts(name: str, keys: tuple[str, ...], german: Language) -> None:
    picture = await picture_in(busy_board(), replace(VT100, language=german), *keys, utf8=False)
    shown = "\n".join(row.text for row in picture.lines)
    assert shown.isascii(), [row.text for row in picture.lines if not row.text.isascii()]
    assert not picture.lines[-2].text.endswith("..") and not picture.lines[-1].text.endswith(".."), "the keys are all there"
    whole = await picture_in(busy_board(), screen_of(200, 24, german), *keys, utf8=False)
    assert all(len(row.text.rstrip()) <= WIDTH for row in whole.lines[-2:])


def test_labels_keep_their_columns(german: Language) -> None:
    """A sentence with spaces before its first value is a row of a table: a translation has the value at the same place."""
    rows = {entry.msgid: entry.msgstr for path in LANGUAGES.glob("de.po") for entry in polib.pofile(str(path)) if entry.occurrences}
    labels = {text: said for text, said in rows.items() if COLUMN.match(text) and len(COLUMN.match(text)[1]) < 20}  # type: ignore[index]
    assert len(labels) > 15
    for text, said in labels.items():
        width = len(COLUMN.match(text)[1])  # type: ignore[index]
        assert said[width - 1 : width] == " " and said[width : width + 1].strip(), (text, said)
    assert len(in_ascii(german)(TABS)) <= WIDTH
    assert len(make_views()) == len(re.findall(r"\d ", german(TABS)))


def test_through_a_pipe_it_is_german_as_well(german: Language) -> None:
    text = once(busy_board().snapshot(), german)
    assert "Wartend " in text and "Queue" not in text


def test_the_catalogue_is_not_loaded_for_english() -> None:
    forget()
    assert catalogue.cache_info().currsize == 0
    once(busy_board().snapshot(), catalogue("en"))
    assert Path(LANGUAGES).is_dir() and catalogue("en").tag == "en"
