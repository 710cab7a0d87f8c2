"""The board's own LEDs in /sys/class/leds: taken over from the kernel at the first level, given back as they were.

| state | what happens            | next  | written                                                       |
|-------|-------------------------|-------|---------------------------------------------------------------|
| idle  | first `set`             | taken | the former trigger is remembered, "none" to `trigger`         |
| taken | `set`                   | taken | 0 or the largest value to `brightness`                        |
| taken | `close`                 | idle  | the former trigger; the former brightness when it was "none"  |
| idle  | `close`                 | idle  | nothing                                                       |

`close` does not wait, so it also works in a task that is being cancelled. Only on and off are used: the kernel accepts 255
levels for LEDs that have two. The kernel keeps all of this in memory: nothing is written to storage.

Failure: OSError, mostly for missing permission. Known gaps: after a SIGKILL the LED stays as it was, and the
server then finds "none" as its trigger; the parameters of a "timer" or "pattern" trigger are not remembered.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .patterns import Colour

LEDS = Path("/sys/class/leds")
ALIASES = (("ACT", "led0"), ("PWR", "led1"))
"""Names of the SD card activity LED and of the power LED; led0 and led1 before Linux 6.1."""


def path_of(name: str, root: Path = LEDS) -> Path:
    """The folder of the LED `name`, under whichever of its names this kernel has it."""
    names = (name, *(other for names in ALIASES if name in names for other in names))
    return next((root / one for one in names if (root / one / "trigger").exists()), root / name)


def canonical_name(name: str) -> str:
    """One name for each LED of ALIASES."""
    return next((names[0] for names in ALIASES if name in names), name)


def default_leds(root: Path = LEDS) -> tuple[str, ...]:
    """The LEDs of this board to use when the settings name none, the better one first."""
    there = ([name for name in names if (root / name / "trigger").exists()] for names in ALIASES)
    return tuple(names[0] for names in there if names)


class BoardLed:
    """The LED `name`, or the same one under its other name in ALIASES; raises OSError when there is none, or it cannot be written."""

    dims = False

    def __init__(self, name: str, root: Path = LEDS) -> None:
        self._path = path_of(name, root)
        self._max = int(self._read("max_brightness") or 1)
        self._former: tuple[str, str] | None = None
        with (self._path / "trigger").open("r+"):
            pass  # missing permission shows here, before it is taken from the kernel

    def set(self, level: float, colour: "Colour") -> None:
        if self._former is None:
            self._former = (trigger_of(self._read("trigger")), self._read("brightness"))
            self._write("trigger", "none")
        self._write("brightness", str(self._max) if level > 0 else "0")

    def close(self) -> None:
        if self._former is None:
            return
        (trigger, brightness), self._former = self._former, None
        if trigger in ("", "none"):
            self._write("brightness", brightness)
        else:
            self._write("trigger", trigger)

    def _read(self, name: str) -> str:
        return (self._path / name).read_text().strip()

    def _write(self, name: str, value: str) -> None:
        (self._path / name).write_text(value + "\n")


def trigger_of(line: str) -> str:
    """The word in brackets of "none [mmc0] timer"; "" when there is none."""
    return line.partition("[")[2].partition("]")[0]
