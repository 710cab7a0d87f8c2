"""The words and measures all screens share: a line, a picture, cut and wrapped text, sizes and instants for people.

Everything foreign (addresses, reasons, replies) passes `clean` before it becomes a line: what a terminal would obey is
shown escaped. Instants are UTC and shown as instants, not as "5 minutes ago": a picture stays the same while nothing happens.
"""

from time import gmtime, strftime
from typing import NamedTuple

from appliance.status.journal import clean as escaped

WIDTH = 79
"""Columns used of 80: writing the last one makes some terminals begin a new line."""
HEIGHT = 24
BODY = HEIGHT - 4
"""Lines between the title and the message; the last two show the keys."""
LONGEST = 4000
"""Characters of one foreign text that are looked at."""

NORMAL, TITLE, SELECTED, STRONG, TICK, KEYS = "", "title", "selected", "strong", "tick", "keys"
"""Styles of a line. TICK is normal text whose changes nobody needs to be told of (a clock)."""


class Line(NamedTuple):
    """One line of a screen, at most WIDTH printable characters."""

    text: str
    style: str = NORMAL


BLANK = Line("")


class Picture(NamedTuple):
    """HEIGHT lines; `screen` names what is shown; `cursor` is (row, column) from 0 where typing goes, or None."""

    lines: tuple[Line, ...]
    screen: str
    cursor: tuple[int, int] | None = None


def clean(text: str) -> str:
    """`text` without anything a terminal would obey, on one line."""
    return escaped(text[:LONGEST], LONGEST)


def fit(text: str, width: int = WIDTH) -> str:
    """`text` cleaned and cut to `width` characters; ".." says that it was cut."""
    text = clean(text)
    return text if len(text) <= width else text[: max(0, width - 2)] + ".."[:width]


def line(text: str, style: str = NORMAL) -> Line:
    """A whole line; the styles seen as bars are filled up to the full width."""
    text = fit(text)
    return Line(text.ljust(WIDTH) if style in (TITLE, SELECTED, KEYS) else text.rstrip(), style)


def wrap(text: str, width: int = WIDTH, indent: str = "") -> list[str]:
    """`text` in lines of at most `width` characters, broken at spaces where there are any; line ends in it stay."""
    rows: list[str] = []
    for part in text[:LONGEST].splitlines() or [""]:
        left, lead = clean(part.expandtabs(4)).rstrip(), ""
        while True:
            room = width - len(lead)
            if len(left) <= room:
                rows.append(lead + left)
                break
            at = left.rfind(" ", 1, room + 1)
            at = at if at > room // 3 else room
            rows.append((lead + left[:at]).rstrip())
            left, lead = left[at:].lstrip(), indent
    return rows


def columns(*cells: tuple[str, int]) -> str:
    """Cells of given widths, one space between; a width of 0 takes what is there."""
    return " ".join(fit(text, width).ljust(width) if width else clean(text) for text, width in cells)


def when(at: int, now: int) -> str:
    """"14:03", or the day too when it is another one; "-" when there is none."""
    if not at:
        return "-"
    return strftime("%H:%M" if at // 86_400 == now // 86_400 else "%m-%d %H:%M", gmtime(at))


def span(seconds: float) -> str:
    """A length of time, coarse on purpose."""
    for unit_s, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= unit_s:
            count = int(seconds // unit_s)
            return f"{count} {name}{'s' * (count != 1)}"
    return "a moment"


def count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
