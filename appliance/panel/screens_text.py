"""The words and measures all screens share: a line, a picture, cut and wrapped text, sizes and instants for people.

Everything foreign (addresses, reasons, replies) passes `clean` before it becomes a line: what a terminal would obey is
shown escaped. Instants are the box's local time and shown as instants, not as "5 minutes ago": a picture stays the same while nothing
happens.

A serial line has 80 columns and 24 rows; a terminal of its own may have more. Its size is the `Screen` of the context: each far
end sets its own for its tasks, and the screens ask `wide`, `tall` and `room` instead of being handed it through every call.
"""

import re
from contextvars import ContextVar
from dataclasses import dataclass
from time import gmtime, strftime
from typing import NamedTuple

from appliance.status.journal import clean as escaped
from appliance.status.snapshot import Snapshot

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
"""Styles of a line. TICK is normal text whose changes nobody needs to be told of (a clock)."""


@dataclass(slots=True)
class Screen:
    """Columns and rows that can be used; never less than a VT100's."""

    columns: int = WIDTH
    rows: int = HEIGHT

    def resize(self, columns: int, rows: int) -> None:
        """To a terminal of so many columns and rows; 0 for unknown."""
        self.columns = min(max(columns - 1, WIDTH), MOST[0])
        self.rows = min(max(rows, HEIGHT), MOST[1])


VT100 = Screen()
SCREEN: ContextVar[Screen] = ContextVar("screen", default=VT100)


def wide() -> int:
    """Columns of this far end."""
    return SCREEN.get().columns


def tall() -> int:
    """Its rows."""
    return SCREEN.get().rows


def room() -> int:
    """Rows between the title and the message; BODY on a VT100."""
    return tall() - (HEIGHT - BODY)


class TextLine(NamedTuple):
    """One line of a screen, at most `wide` printable characters."""

    text: str
    style: str = NORMAL


BLANK = TextLine("")


class Picture(NamedTuple):
    """As many lines as the far end is tall; `screen` names what is shown; `cursor` is (row, column) from 0 where typing goes, or None."""

    lines: tuple[TextLine, ...]
    screen: str
    cursor: tuple[int, int] | None = None


def clean(text: str) -> str:
    """`text` without anything a terminal would obey, on one line."""
    return escaped(text[:LONGEST], LONGEST)


def fit(text: str, width: int = 0) -> str:
    """`text` cleaned and cut to `width` characters (0: the whole line); ".." says that it was cut."""
    text, width = clean(text), width or wide()
    return text if len(text) <= width else text[: max(0, width - 2)] + ".."[:width]


def line(text: str, style: str = NORMAL) -> TextLine:
    """A whole line; the styles seen as bars are filled up to the full width."""
    text = fit(text)
    return TextLine(text.ljust(wide()) if style in (TITLE, SELECTED, KEYS) else text.rstrip(), style)


PAIRS = re.compile("(?:[0-9A-Fa-f]{2}:){3}")
"""A fingerprint: octets as pairs of hex digits with colons between."""


def wrap(text: str, width: int = 0, indent: str = "") -> list[str]:
    """`text` in lines of at most `width` characters (0: whole lines), broken at spaces where there are any; line ends in it stay.

    A fingerprint is broken between octets only.
    """
    rows: list[str] = []
    width = width or wide()
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
    """ "14:03" as the box's clock shows it, or the day too when it is another one; "-" when there is none."""
    if not at:
        return "-"
    local, now = at + s.utc_offset_s, s.at + s.utc_offset_s
    return strftime("%H:%M" if local // 86_400 == now // 86_400 else "%m-%d %H:%M", gmtime(local))


def span(seconds: float) -> str:
    """A length of time, coarse on purpose."""
    for unit_s, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= unit_s:
            count = int(seconds // unit_s)
            return f"{count} {name}{'s' * (count != 1)}"
    return "a moment"


def count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
