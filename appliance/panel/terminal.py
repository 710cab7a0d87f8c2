"""A picture to a terminal's octets: only what changed, for a VT100 and compatible ones; plain lines for a terminal without commands.

Invariants: no control character ever comes from a picture's text (the last check, after the screens' own
cleaning). An ASCII terminal gets at most FULL_OCTETS for a picture from nothing, and never more than that for a change.
Used: cursor position, erase, SGR 1 and 7, scrolling regions with index and reverse index, all of them the VT100's own.
It cannot fail. Known gap: a terminal smaller than 80x24 on the serial line shows garbage until t is pressed there.
"""

from collections.abc import Sequence
from typing import Protocol

from .screens_text import BLANK, KEYS, NORMAL, SELECTED, STRONG, TICK, TITLE, VT100, Picture, Screen, TextLine

FULL_OCTETS = 2400
GAP = 6
"""Unchanged characters between two changed ones that are cheaper to send again than to jump over."""
SHIFTS = 8
"""Lines a list may move by and still be scrolled instead of sent again."""
SCROLL_OCTETS = 30
"""What scrolling costs about; it has to save more."""

_SGR = {TITLE: "7", KEYS: "7", SELECTED: "7", STRONG: "1", NORMAL: "", TICK: ""}
_TYPOGRAPHY = str.maketrans({"…": ".", "–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "\u00a0": " "})


class Terminal(Protocol):
    """Draws pictures on one terminal."""

    def render(self, picture: Picture) -> bytes:
        """The octets that turn what the terminal shows into `picture`; b"" when it shows it already."""
        ...

    def forget(self) -> None:
        """What the terminal shows is unknown: the next picture is sent whole."""
        ...

    def leave(self) -> bytes:
        """The terminal as it was found, on a line of its own."""
        ...


def _safe(text: str, columns: int, *, utf8: bool) -> str:
    """One column for each character, no control characters."""
    if text.isascii() and text.isprintable():
        return text[:columns]
    if utf8:
        from unicodedata import combining, east_asian_width

        def shown(c: str) -> str:
            if not c.isprintable() or combining(c):
                return "?"
            return c if c.isascii() or east_asian_width(c) not in "WF" else "?"

        return "".join(map(shown, text[:columns]))
    return "".join(c if " " <= c <= "~" else "?" for c in text.translate(_TYPOGRAPHY)[:columns])


def _safe_lines(picture: Picture, *, utf8: bool) -> list[TextLine]:
    lines = [TextLine(_safe(text, picture.size.columns, utf8=utf8), style) for text, style in picture.lines[: picture.size.rows]]
    return lines + [BLANK] * (picture.size.rows - len(lines))


def _at(row: int, column: int) -> str:
    return f"\x1b[{row + 1};{column + 1}H" if column else f"\x1b[{row + 1}H"


class Vt100:
    """Remembers what the terminal shows and sends the difference."""

    def __init__(self, *, utf8: bool = False) -> None:
        self._utf8 = utf8
        self._size: Screen = VT100
        self._shown: list[TextLine] | None = None
        self._cursor = (-1, -1)

    def forget(self) -> None:
        self._shown = None

    def leave(self) -> bytes:
        self._shown = None
        return b"\x1b[r\x1b[m" + _at(self._size.rows - 1, 0).encode() + b"\r\n"

    def render(self, picture: Picture) -> bytes:
        lines = _safe_lines(picture, utf8=self._utf8)
        self._size = picture.size
        cursor = picture.cursor or (picture.size.rows - 1, 0)
        if self._shown is None or len(self._shown) != len(lines):
            out = self._whole(lines)
        elif self._shown == lines:
            out = ""
        else:
            out = min(self._changes(self._shown, lines), self._whole(lines), key=len)
        if out or cursor != self._cursor:
            out += _at(*cursor)
        self._shown, self._cursor = lines, cursor
        return out.encode()

    def _whole(self, lines: Sequence[TextLine]) -> str:
        """Everything from nothing; also resets what line noise may have done to the character set and the margins."""
        return "\x0f\x1b(B\x1b[m\x1b[r\x1b[2J\x1b[H" + "\r\n".join(_styled(text.rstrip() if not _SGR[s] else text, s) for text, s in lines)

    def _changes(self, old: list[TextLine], new: list[TextLine]) -> str:
        out = []
        old = list(old)
        for _ in range(3):  # a screen has at most three lists
            scrolled = _scroll(old, new)
            if not scrolled:
                break
            out.append(scrolled)
        for row, (was, now) in enumerate(zip(old, new, strict=True)):
            if was != now:
                out.append(_row(row, was, now))
        return "".join(out)


def _styled(text: str, style: str) -> str:
    sgr = _SGR.get(style, "")
    return f"\x1b[{sgr}m{text}\x1b[m" if sgr and text else text


def _row(row: int, was: TextLine, now: TextLine) -> str:
    """One line's change."""
    a, b = was.text, now.text
    sgr = _SGR.get(now.style, "")
    if _SGR.get(was.style, "") != sgr or (sgr and len(a) != len(b)):
        return _at(row, 0) + _styled(b, now.style) + ("\x1b[K" if len(a) > len(b) else "")
    out = "".join(_at(row, start) + _styled(b[start:end], now.style) for start, end in _spans(a, b))
    if len(a) > len(b):
        out += ("" if out and _spans(a, b)[-1][1] == len(b) else _at(row, len(b))) + "\x1b[K"
    return out


def _spans(a: str, b: str) -> list[tuple[int, int]]:
    """Stretches of `b` that differ from `a`, near ones as one."""
    spans: list[tuple[int, int]] = []
    for at, character in enumerate(b):
        if (at < len(a) and a[at] == character) or (at >= len(a) and character == " " and not b[at:].strip()):
            continue
        if spans and at - spans[-1][1] < GAP:
            spans[-1] = (spans[-1][0], at + 1)
        else:
            spans.append((at, at + 1))
    return spans


def _scroll(old: list[TextLine], new: list[TextLine]) -> str:
    """A stretch of lines that only moved is scrolled by the terminal itself; `old` is changed to what it then shows."""
    best: tuple[int, int, int, int] | None = None  # octets saved, first, last, shift (down is positive)
    for shift in (*range(1, SHIFTS + 1), *range(-1, -SHIFTS - 1, -1)):
        row = max(0, shift)
        while row < len(new) + min(0, shift):
            first, saved = row, 0
            while row < len(new) + min(0, shift) and new[row] == old[row - shift]:
                saved += len(new[row].text) * (new[row] != old[row])
                row += 1
            if saved > SCROLL_OCTETS:
                top, bottom = (first - shift, row - 1) if shift > 0 else (first, row - 1 - shift)
                emptied = range(top, top + shift) if shift > 0 else range(bottom + shift + 1, bottom + 1)
                saved -= sum(len(new[at].text) for at in emptied if new[at] == old[at])
                if saved > SCROLL_OCTETS and (best is None or saved > best[0]):
                    best = (saved, top, bottom, shift)
            row += 1
    if best is None:
        return ""
    _, top, bottom, shift = best
    part = old[top : bottom + 1]
    empty = [BLANK] * abs(shift)
    old[top : bottom + 1] = empty + part[:-shift] if shift > 0 else part[-shift:] + empty
    move = _at(top, 0) + "\x1bM" * shift if shift > 0 else _at(bottom, 0) + "\x1bD" * -shift
    return f"\x1b[{top + 1};{bottom + 1}r{move}\x1b[r"


class PlainTerminal:
    """Lines one after another, for a terminal without commands: a new screen whole, then new lines only."""

    def __init__(self, *, utf8: bool = False) -> None:
        self._utf8 = utf8
        self._shown: list[TextLine] | None = None
        self._screen = ""
        self._open = ""
        """The text of the line being typed on; "" when it is empty."""

    def forget(self) -> None:
        self._shown = None

    def leave(self) -> bytes:
        self._shown = None
        return b"\r\n"

    def render(self, picture: Picture) -> bytes:
        lines = _safe_lines(picture, utf8=self._utf8)
        typed = lines[picture.cursor[0]].text if picture.cursor else ""
        if self._shown is None or self._screen != picture.screen:
            new = [text.rstrip() for text, _ in lines]
            while new and not new[-1]:
                new.pop()
        else:
            new = self._news(self._shown, lines)
        new = [text for text in new if not typed or text != typed.rstrip()]
        self._shown, self._screen = lines, picture.screen
        out = ""
        if new:
            out = ("\r\n" if self._open else "") + "\r\n".join(new) + "\r\n"
            self._open = ""
        return (out + self._typing(typed)).encode()

    def _typing(self, typed: str) -> str:
        """Echo: characters added or removed at the end of the open line, or another line."""
        before, self._open = self._open, typed
        if typed == before:
            return ""
        if before and typed.startswith(before):
            return typed[len(before) :]
        if typed and before.startswith(typed):
            return "\b \b" * (len(before) - len(typed))
        return ("\r\n" if before else "") + typed

    def _news(self, old: list[TextLine], new: list[TextLine]) -> list[str]:
        """Lines that were not there before; one that only moved, ticked or lost its selection is not new."""
        known = {line.text.lstrip("> ").rstrip() for line in old}
        marked = {line for line in old if line.style == SELECTED}
        return [
            text.rstrip()
            for text, style in new
            if text.strip()
            and style not in (TITLE, TICK)
            and (text.lstrip("> ").rstrip() not in known or (style == SELECTED and TextLine(text, style) not in marked))
        ]
