"""iCalendar (RFC 5545 §3): components with their properties, as text; and the values of them that stand in a sentence.

What is no line of the grammar is left out, what never ends ends with the text. Linear in the text, nested DEPTH deep at most.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

DEPTH = 8
"""Calendar, event, alarm: three are enough for what is sent."""
TEXT_CHARACTERS = 300
_LINE = re.compile(r'([\w-]+)((?:;(?:"[^"]*"|[^":])*)?):(.*)')
_PARAMETER = re.compile(r';([\w-]+)=(?:"([^"]*)"|([^";]*))')
_INSTANT = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)\d\d(Z?))?")
_DURATION = re.compile(r"\+?P(?:(\d{1,4})W|(?:(\d{1,5})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:\d{1,8}S)?)?)")
_ESCAPE = re.compile(r"\\([nN,;\\])")


class Property(NamedTuple):
    """The value and the parameters (";CN=Ada;ROLE=CHAIR") as they stand there; all "" for one that is missing."""

    value: str
    parameters: str

    def parameter(self, name: str) -> str:
        return next((quoted or plain for key, quoted, plain in _PARAMETER.findall(self.parameters) if key.upper() == name), "")

    @property
    def text(self) -> str:
        """One line, shortened (§3.3.11)."""
        return " ".join(_ESCAPE.sub(lambda found: " " if found[1] in "nN" else found[1], self.value).split())[:TEXT_CHARACTERS]

    @property
    def address(self) -> str:
        """A calendar user (§3.3.3); behind an address that a service made up, EMAIL has the real one (RFC 7986 §6.2)."""
        return (self.parameter("EMAIL") or re.sub("(?i)^mailto:", "", self.value.strip()))[:TEXT_CHARACTERS]


class Instant(NamedTuple):
    """`zone` is "UTC", a TZID, or "" for the reader's own; a `whole` day has none."""

    wall: datetime
    zone: str
    whole: bool


MISSING = Property("", "")


@dataclass(slots=True)
class Component:
    """`name` in capitals, "" for the text as a whole."""

    name: str
    properties: dict[str, list[Property]] = field(default_factory=dict)
    parts: list["Component"] = field(default_factory=list)

    def first(self, name: str) -> Property:
        return self.properties.get(name, [MISSING])[0]

    def walk(self) -> Iterator["Component"]:
        yield self
        for part in self.parts:
            yield from part.walk()


def read_calendar(text: str) -> Component:
    """What stands outside any component belongs to the one returned."""
    holders = [Component("")]
    for line in re.sub(r"\r?\n[ \t]", "", text).replace("\r\n", "\n").split("\n"):
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        name, value = found[1].upper(), found[3]
        if name == "BEGIN":
            if len(holders) == DEPTH:
                break
            holders[-1].parts.append(Component(value.strip().upper()))
            holders.append(holders[-1].parts[-1])
        elif name == "END":
            if len(holders) > 1 and value.strip().upper() == holders[-1].name:
                holders.pop()
        else:
            holders[-1].properties.setdefault(name, []).append(Property(value, found[2]))
    return holders[0]


def read_instant(given: Property) -> Instant | None:
    """A date, or a date and time without its seconds (§3.3.4, §3.3.5); None for what no calendar has."""
    found = _INSTANT.fullmatch(given.value.strip())
    if found is None:
        return None
    try:
        wall = datetime(*map(int, (found[1], found[2], found[3], found[4] or 0, found[5] or 0)))  # type: ignore[arg-type] # noqa: DTZ001
    except ValueError:
        return None
    return Instant(wall, "" if found[4] is None else "UTC" if found[6] else given.parameter("TZID")[:60], found[4] is None)


def read_duration(value: str) -> timedelta | None:
    """In weeks or in days, hours and minutes (§3.3.6); None for one that is none or goes back."""
    found = _DURATION.fullmatch(value.strip().upper())
    if found is None:
        return None
    weeks, days, hours, minutes = (int(number or 0) for number in found.groups())
    return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes)
