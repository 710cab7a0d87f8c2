"""Pictures to octets: the terminal always shows the picture, in few octets, and obeys nothing that was in a text."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.panel.screens_text import BLANK, HEIGHT, KEYS, SELECTED, STRONG, TICK, TITLE, VT100, WIDTH, Picture, TextLine, line, sized
from appliance.panel.terminal import FULL_OCTETS, PlainTerminal, Vt100
from tests.support.vt100 import Vt100Screen


def picture(*texts: str, screen: str = "one", cursor: tuple[int, int] | None = None) -> Picture:
    return Picture(tuple(sized(line(text), VT100) for text in texts) + (BLANK,) * (HEIGHT - len(texts)), screen, cursor)


def shown(terminal: Vt100, screen: Vt100Screen, wanted: Picture) -> int:
    octets = terminal.render(wanted)
    screen.feed(octets)
    assert screen.lines() == [one.text.rstrip() for one in wanted.lines]
    for row, one in enumerate(wanted.lines):
        bar = {TITLE: "7", KEYS: "7", SELECTED: "7", STRONG: "1"}.get(one.style, "")
        assert {screen.bars[row][at] for at, c in enumerate(one.text) if c != " "} <= {bar}
    assert (screen.row, screen.column) == (wanted.cursor or (HEIGHT - 1, 0))
    return len(octets)


STYLES = st.sampled_from(["", TITLE, SELECTED, STRONG, TICK, KEYS])
LINES = st.builds(line, st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=90), STYLES)
SOME = st.lists(st.one_of(st.just(BLANK), LINES), min_size=HEIGHT, max_size=HEIGHT).map(tuple)


@given(st.lists(SOME, min_size=1, max_size=4), st.integers(0, 10**6))
def test_after_any_change_the_terminal_shows_the_picture(pictures: list[tuple[TextLine, ...]], seed: int) -> None:
    terminal, screen, rng = Vt100(), Vt100Screen(), random.Random(seed)
    for lines in pictures:
        shown(terminal, screen, Picture(lines, "x"))
        moved = list(lines)
        for _ in range(3):  # lists that move, as they do on the screens
            first, last, by = rng.randrange(0, 22), rng.randrange(3, 24), rng.choice((1, 2, 3))
            part = moved[first:last]
            if len(part) > by:
                moved[first:last] = [line(f"new {rng.random()}")] * by + part[:-by] if rng.random() < 0.5 else part[by:] + [BLANK] * by
            assert shown(terminal, screen, Picture(tuple(moved), "x", (22, 5))) <= FULL_OCTETS


def test_nothing_changed_nothing_sent() -> None:
    terminal = Vt100()
    one = picture("a", "b")
    assert terminal.render(one)
    assert terminal.render(one) == b""
    terminal.forget()
    assert terminal.render(one)


def test_a_full_screen_of_bars_keeps_to_the_bound() -> None:
    for style in ("", TITLE, STRONG):
        full = Picture((line("x" * 200, style),) * HEIGHT, "x", (22, 70))
        assert len(Vt100().render(full)) <= FULL_OCTETS


def test_a_list_that_moves_by_one_is_scrolled() -> None:
    terminal, screen = Vt100(), Vt100Screen()
    rows = [f"12:{n:02d} message {n} from somebody@far.example to ada@home.example, 12 kB" for n in range(40)]
    shown(terminal, screen, picture("title", *rows[10:30], "", "", "keys"))
    assert shown(terminal, screen, picture("title", *rows[9:29], "", "", "keys")) < 120
    assert shown(terminal, screen, picture("title", *rows[11:31], "", "", "keys")) < 220


def test_a_few_characters_cost_a_few_octets() -> None:
    terminal, screen = Vt100(), Vt100Screen()
    shown(terminal, screen, picture("Queue  3 waiting, 1 held", "x" * 70))
    assert shown(terminal, screen, picture("Queue  4 waiting, 1 held", "x" * 70)) < 20


HOSTILE = "\x1b[2Jgone\x07\x9b31m\r\n\x00\x7f‮é漢"


@pytest.mark.parametrize("utf8", [False, True])
@pytest.mark.parametrize("kind", [Vt100, PlainTerminal])
def test_no_text_commands_the_terminal(kind: type[Vt100] | type[PlainTerminal], utf8: bool) -> None:
    """Even a line that nobody cleaned."""
    raw = Picture((TextLine(HOSTILE), TextLine("\x1b]0;title\x07", TITLE), *[BLANK] * 22), "x")
    out = kind(utf8=utf8).render(raw).decode()
    assert "\x1b[2Jgone" not in out and "\x07" not in out and "\x9b" not in out and "\u202e" not in out and "\x1b]" not in out
    assert ("é" in out) == utf8
    assert "漢" not in out


@given(st.text())
def test_no_text_at_all_commands_an_ascii_terminal(text: str) -> None:
    cleaned = sized(line(text), VT100)
    assert len(cleaned.text) <= WIDTH and cleaned.text.isprintable()
    Vt100Screen().feed(Vt100().render(Picture((cleaned, TextLine(text)), "x")))
    assert b"\x1b" not in PlainTerminal().render(Picture((cleaned, TextLine(text)), "x"))


def test_plain_lines_report_what_is_new_once() -> None:
    plain = PlainTerminal()
    clock = TextLine("Clock 12:00", TICK)
    first = Picture((line("title", TITLE), line("a"), clock, line("> b", SELECTED), line("  c")), "one")
    assert plain.render(first) == b"title\r\na\r\nClock 12:00\r\n> b\r\n  c\r\n"
    assert plain.render(first) == b""
    ticked = first._replace(lines=(line("title 2", TITLE), line("a"), TextLine("Clock 12:01", TICK), line("> b", SELECTED), line("  c")))
    assert plain.render(ticked) == b""
    moved = first._replace(lines=(*first.lines[:3], line("  b"), line("> c", SELECTED)))
    assert plain.render(moved) == b"> c\r\n"
    more = first._replace(lines=(*first.lines[:2], line("new"), line("> b", SELECTED)))
    assert plain.render(more) == b"new\r\n> b\r\n"
    assert plain.render(more._replace(screen="two")).startswith(b"title\r\na\r\nnew\r\n")


def test_plain_lines_echo_what_is_typed() -> None:
    plain = PlainTerminal()
    base = ("head",)
    assert plain.render(picture(*base)) == b"head\r\n"

    def typing(text: str) -> bytes:
        return plain.render(picture(*base, text, cursor=(1, len(text))))

    assert typing("Name: ") == b"Name:"
    assert typing("Name: a") == b" a"
    assert typing("Name: ab") == b"b"
    assert typing("Name: a") == b"\b \b"
    assert plain.render(picture(*base, "Done.")) == b"\r\nDone.\r\n"
