"""What all screens share: the size of a screen, lines and pictures, wrapped and cut text, instants and sizes for people.

Everything foreign (addresses, reasons, replies) passes `clean` before it becomes a line: control characters are shown
escaped. Instants are the host's local time and shown as instants, not as "5 minutes ago": a picture stays the same while nothing
happens.

A serial line has 80 columns and 24 rows; a terminal of `pillarbox console` may have more. Screens get its size, and the language of who
looks, as an argument; `frame` in `screens` cuts and pads the lines to it. Where a sentence has spaces before its %(text)s, that is a
column: a translation has it at the same place (`tests/panel/test_languages`).
"""

import re
from dataclasses import dataclass
from time import gmtime, strftime
from typing import NamedTuple

from appliance.languages.catalogues import ENGLISH, Language
from appliance.status.journal import clean as escaped
from appliance.status.snapshot import Snapshot
from appliance.status.text import size

WIDTH = 79
"""Columns used of 80: writing the last one makes some terminals begin a new line."""
HEIGHT = 24
BODY = HEIGHT - 4
"""Lines between the title and the message; the last two show the keys."""
MOST = (200, 70)
"""Columns and rows that are used of a larger terminal."""
LONGEST = 4000
"""Characters of one foreign text that are looked at."""

NORMAL, TITLE, SELECTED, STRONG, TICK, KEYS = "", "title", "selected", "strong", "tick", "keys"
"""Styles of a line. TICK is normal text whose changes are not worth reporting (a clock)."""
BARS = (TITLE, SELECTED, KEYS)
"""Styles whose lines are filled up to the full width."""


@dataclass(frozen=True, slots=True)
class Screen:
    """Columns and rows that can be used, never less than a VT100's; and the language of who looks."""

    columns: int = WIDTH
    rows: int = HEIGHT
    language: Language = ENGLISH

    @property
    def room(self) -> int:
        """Rows between the title and the message; BODY on a VT100."""
        return self.rows - (HEIGHT - BODY)

    @property
    def extra_columns(self) -> int:
        """Columns beyond a VT100's."""
        return self.columns - WIDTH


def screen_of(columns: int, rows: int, language: Language = ENGLISH) -> Screen:
    """For a terminal of so many columns and rows; 0 for unknown."""
    return Screen(min(max(columns - 1, WIDTH), MOST[0]), min(max(rows, HEIGHT), MOST[1]), language)


VT100 = Screen()


class TextLine(NamedTuple):
    """One line of a screen, printable characters only."""

    text: str
    style: str = NORMAL


BLANK = TextLine("")


class Picture(NamedTuple):
    """As many lines as the terminal has rows. `screen` names what is shown; `cursor` is (row, column) from 0 where text is typed."""

    lines: tuple[TextLine, ...]
    screen: str
    cursor: tuple[int, int] | None = None
    size: Screen = VT100


def clean(text: str) -> str:
    """`text` without control characters, on one line."""
    return escaped(text[:LONGEST], LONGEST)


def fit(text: str, width: int) -> str:
    """`text` cleaned and cut to `width` characters; ".." says that it was cut."""
    text = clean(text)
    return text if len(text) <= width else text[: max(0, width - 2)] + ".."[:width]


def line(text: str, style: str = NORMAL) -> TextLine:
    """A line of any length."""
    return TextLine(clean(text), style)


def sized(one: TextLine, size: Screen) -> TextLine:
    """The line cut to the screen; the styles seen as bars are filled up to its width."""
    text = fit(one.text, size.columns)
    return TextLine(text.ljust(size.columns) if one.style in BARS else text.rstrip(), one.style)


PAIRS = re.compile("(?:[0-9A-Fa-f]{2}:){3}")
"""A fingerprint: octets as pairs of hex digits with colons between."""


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """`text` in lines of at most `width` characters, broken at spaces where there are any; line ends in it stay.

    A fingerprint is broken between octets only.
    """
    rows: list[str] = []
    for part in text[:LONGEST].splitlines() or [""]:
        left, lead = clean(part.expandtabs(4)).rstrip(), ""
        while True:
            fits = width - len(lead)
            if len(left) <= fits:
                rows.append(lead + left)
                break
            at = left.rfind(" ", 1, fits + 1)
            at = at if at > fits // 3 else _between_octets(left, fits)
            rows.append((lead + left[:at]).rstrip())
            left, lead = left[at:].lstrip(), indent
    return rows


def _between_octets(text: str, at: int) -> int:
    """Where to break text that has no space before `at`."""
    colon = text.rfind(":", 1, at)
    return colon + 1 if colon > 8 and PAIRS.fullmatch(text, colon - 8, colon + 1) else at


def columns(*cells: tuple[str, int]) -> str:
    """Cells of given widths, one space between; a width of 0 takes what is there."""
    return " ".join(fit(text, width).ljust(width) if width else clean(text) for text, width in cells)


def when(at: int, s: Snapshot) -> str:
    """ "14:03" in the host's time zone, or the day too when it is another one; "-" when there is none."""
    if not at:
        return "-"
    local, now = at + s.utc_offset_s, s.at + s.utc_offset_s
    return strftime("%H:%M" if local // 86_400 == now // 86_400 else "%m-%d %H:%M", gmtime(local))


def span(seconds: float, _: Language) -> str:
    """A length of time, coarse on purpose."""
    if seconds >= 86_400:
        return _.counted("%(number)s day", "%(number)s days", int(seconds // 86_400))
    if seconds >= 3600:
        return _.counted("%(number)s hour", "%(number)s hours", int(seconds // 3600))
    if seconds >= 60:
        return _.counted("%(number)s minute", "%(number)s minutes", int(seconds // 60))
    return _("a moment")


def octets_of(octets: int, _: Language) -> str:
    """A size in units of a thousand."""
    return size(octets).replace(".", _.decimal) if octets >= 1000 else _("%(number)s bytes", number=octets)
