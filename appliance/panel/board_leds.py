"""The board's own LEDs in /sys/class/leds: taken from the kernel at the first level, given back as they were.

| state | what happens            | next  | written                                                       |
|-------|-------------------------|-------|---------------------------------------------------------------|
| idle  | first `set`             | taken | the former trigger is remembered, "none" to `trigger`         |
| taken | `set`                   | taken | 0 or the largest value to `brightness`                        |
| taken | `close`                 | idle  | the former trigger; the former brightness when it was "none"  |
| idle  | `close`                 | idle  | nothing                                                       |

`close` does not wait, so it also works in a task that is being cancelled. These LEDs know on and off only: the
kernel takes 255 levels from LEDs that have two. The kernel keeps all of this in memory: no write reaches the card.

How it fails: OSError, mostly for want of permission. Known gaps: after a SIGKILL the LED stays as it was, and the
server then finds "none" as its trigger; the parameters of a "timer" or "pattern" trigger are not remembered.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .patterns import Colour

LEDS = Path("/sys/class/leds")
USUAL = (("ACT", "led0"), ("PWR", "led1"))
"""What boards call the LED that shows their card at work, and the one for their power; led0 and led1 before Linux 6.1."""


def place_of(name: str, root: Path = LEDS) -> Path:
    """The folder of the LED `name`, under whichever of its names this kernel has it."""
    names = (name, *(other for names in USUAL if name in names for other in names))
    return next((root / one for one in names if (root / one / "trigger").exists()), root / name)


def usual_name(name: str) -> str:
    """One name for each LED of USUAL."""
    return next((names[0] for names in USUAL if name in names), name)


def usual(root: Path = LEDS) -> tuple[str, ...]:
    """The LEDs of this board to use when nothing is set, the better one first."""
    there = ([name for name in names if (root / name / "trigger").exists()] for names in USUAL)
    return tuple(names[0] for names in there if names)


class BoardLed:
    """The LED `name`, or the same one under its other name in USUAL; raises OSError when there is none, or it cannot be written."""

    dims = False

    def __init__(self, name: str, root: Path = LEDS) -> None:
        self._place = place_of(name, root)
        self._most = int(self._read("max_brightness") or 1)
        self._former: tuple[str, str] | None = None
        with (self._place / "trigger").open("r+"):
            pass  # say at once that it may not be written, while it is the kernel's

    def set(self, level: float, colour: "Colour") -> None:
        if self._former is None:
            self._former = (trigger_of(self._read("trigger")), self._read("brightness"))
            self._write("trigger", "none")
        self._write("brightness", str(self._most) if level > 0 else "0")

    def close(self) -> None:
        if self._former is None:
            return
        (trigger, brightness), self._former = self._former, None
        if trigger in ("", "none"):
            self._write("brightness", brightness)
        else:
            self._write("trigger", trigger)

    def _read(self, name: str) -> str:
        return (self._place / name).read_text().strip()

    def _write(self, name: str, words: str) -> None:
        (self._place / name).write_text(words + "\n")


def trigger_of(line: str) -> str:
    """The word in brackets of "none [mmc0] timer"; "" when there is none."""
    return line.partition("[")[2].partition("]")[0]
