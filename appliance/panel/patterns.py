"""The LED patterns: one row for each meaning, steps of level and seconds that are repeated.

Invariant: every meaning differs from every other by its pattern alone, on an LED that can only be on and off; colour
and brightness only help. Four families, so that there is little to remember:

| family                            | says                                                     |
|-----------------------------------|----------------------------------------------------------|
| mostly lit, with winks            | all is well; the number of winks says what is going on   |
| short flashes, counted            | something needs you now; the number says what            |
| one long flash, then short ones   | something should be looked at; the number says what      |
| blinking, growing, shrinking      | the server starts, updates or stops: leave the plug in   |

A short flash every 5 seconds says that the plug may be pulled. No pattern is constant: a constant LED is not driven by the server.
A wink goes down to a third where the LED can be dimmed, out where it cannot: level 0.5 is the border between off
and on. No pattern flashes faster than four times a second.
"""

from dataclasses import dataclass

Steps = tuple[tuple[float, float], ...]
"""(level 0 to 1, seconds), in their order."""
Colour = tuple[float, float, float]
"""Red, green, blue, each 0 to 1."""

WHITE: Colour = (1.0, 1.0, 1.0)
BLACK: Colour = (0.0, 0.0, 0.0)
GREEN: Colour = (0.0, 1.0, 0.2)
BLUE: Colour = (0.0, 0.3, 1.0)
CYAN: Colour = (0.0, 0.8, 1.0)
YELLOW: Colour = (1.0, 0.8, 0.0)
ORANGE: Colour = (1.0, 0.4, 0.0)
RED: Colour = (1.0, 0.0, 0.0)

ON_LEVEL = 0.5
"""From this level on an LED that cannot be dimmed is on."""
SHORT_S = 0.2
LONG_S = 1.0
GAP_S = 0.3
"""Dark between two flashes of one group."""
PAUSE_S = 1.8
"""Dark between groups: long enough to see where counting begins."""
WINK = ((0.3, 0.2),)


@dataclass(frozen=True, slots=True)
class Pattern:
    """`timing` describes it in words. A `quiet` one stays dark at night on LEDs that cannot be dimmed."""

    meaning: str
    steps: Steps
    timing: str
    colour: Colour
    quiet: bool = False

    @property
    def period_s(self) -> float:
        return sum(seconds for _, seconds in self.steps)


def flashes(*seconds: float, pause_s: float = PAUSE_S) -> Steps:
    """Flashes of these lengths with gaps between, then the pause."""
    steps: list[tuple[float, float]] = []
    for each in seconds:
        steps += [(1.0, each), (0.0, GAP_S)]
    return (*steps[:-1], (0.0, pause_s))


def winks(count: int, lit_s: float) -> Steps:
    """Lit, then so many short dips close together."""
    return ((1.0, lit_s), *WINK, *(((1.0, GAP_S), *WINK) * (count - 1)))


def short(count: int) -> Steps:
    return flashes(*(SHORT_S,) * count)


def long_and_short(count: int) -> Steps:
    return flashes(LONG_S, *(SHORT_S,) * count)


PATTERNS: tuple[Pattern, ...] = (
    Pattern("recovering", ((1.0, 0.2), (0.0, 0.2)), "blinks quickly and evenly", YELLOW),
    Pattern("starting", ((1.0, 1.0), (0.0, 1.0)), "blinks slowly and evenly", WHITE),
    Pattern("updating", flashes(0.2, 0.6, 1.4, pause_s=1.0), "three flashes, each longer", WHITE),
    Pattern("stopping", flashes(1.4, 0.6, 0.2, pause_s=1.0), "three flashes, each shorter", WHITE),
    Pattern("safe", ((1.0, 0.1), (0.0, 4.9)), "dark, a short flash every 5 seconds", BLUE),
    Pattern("storage", short(2), "2 short flashes", RED),
    Pattern("broken", short(3), "3 short flashes", RED),
    Pattern("stuck", short(4), "4 short flashes", RED),
    Pattern("certificate", long_and_short(1), "1 long flash, 1 short", ORANGE),
    Pattern("network", long_and_short(2), "1 long flash, 2 short", ORANGE),
    Pattern("clock", long_and_short(3), "1 long flash, 3 short", ORANGE),
    Pattern("other", long_and_short(4), "1 long flash, 4 short", ORANGE),
    Pattern("arrived", (*((1.0, 0.125), (0.0, 0.125)) * 4, (1.0, 1.0), (0.0, 0.125)), "flutters, then shines", CYAN, quiet=True),
    Pattern("sending", winks(3, 1.6), "lit, 3 winks", GREEN, quiet=True),
    Pattern("waiting", winks(2, 3.4), "lit, 2 winks", GREEN, quiet=True),
    Pattern("ready", winks(1, 4.8), "lit, 1 wink every 5 seconds", GREEN, quiet=True),
)
