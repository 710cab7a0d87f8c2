"""The LEDs of the settings, parsed and opened: "pwm:18", "led:17 trouble", "rgb:5,6,13 inverted", "board:ACT".

KIND:PINS, then in any order "inverted" (lit when the pin is low) and what the LED shows: "all", or groups and
meanings with commas between. Failures: a syntax error is a ValueError with a sentence, found when the settings are read;
an LED that cannot be opened is left out with a log line, and the others are opened.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import trio

from .board_leds import LEDS, BoardLed, canonical_name, default_leds
from .leds import ConnectedLed, Led, reason_of
from .rules import ALL, TROUBLE, shown_by

KINDS = ("led", "pwm", "rgb", "board")
MOST_LEDS = 32


@dataclass(frozen=True, slots=True)
class LedConfig:
    """One LED as the settings name it."""

    kind: str
    pins: tuple[str, ...]
    shows: frozenset[str] = ALL
    inverted: bool = False
    borrowed: bool = False
    """Given back whenever it has nothing to show."""

    @property
    def name(self) -> str:
        return f"The LED {self.kind}:{','.join(self.pins)}"


def parse_led(entry: str) -> LedConfig:
    """One LED; raises ValueError with a sentence."""
    place, *rest = entry.split() or [""]
    kind, _, pins = place.partition(":")
    names = tuple(pins.split(","))
    if kind not in KINDS or not all(names):
        raise ValueError(f"{entry!r} is not an LED; write led:PIN, pwm:PIN, rgb:RED,GREEN,BLUE or board:NAME.")
    if len(names) != (3 if kind == "rgb" else 1):
        raise ValueError(f"{entry!r}: rgb has three pins, every other LED one.")
    if kind == "board" and (names[0] in (".", "..") or "/" in names[0]):
        raise ValueError(f"{entry!r}: a name in /sys/class/leds, such as ACT.")
    shows = [word for word in rest if word != "inverted"]
    return LedConfig(kind, names, shown_by(",".join(shows)) if shows else ALL, "inverted" in rest)


def parse_leds(leds: Iterable[str], root: Path = LEDS) -> tuple[LedConfig, ...]:
    """All LEDs of the settings; when none is named the board's own: one for everything, and the power LED blinks when something needs you.

    Raises ValueError with a sentence.
    """
    configs = tuple(parse_led(entry) for entry in leds)
    if len(configs) > MOST_LEDS:
        raise ValueError(f"At most {MOST_LEDS} LEDs.")
    pins = [(config.kind == "board", canonical_name(pin) if config.kind == "board" else pin) for config in configs for pin in config.pins]
    if len(pins) != len(set(pins)):
        raise ValueError("Two LEDs have the same pin.")
    own = [LedConfig("board", (name,)) for name in default_leds(root)]
    return configs or (*own[:1], *(replace(spare, shows=shown_by(TROUBLE), borrowed=True) for spare in own[1:]))


def from_thread(log: Callable[[str], object]) -> Callable[[str], None]:
    """`log`, callable from one of trio's threads."""

    def log_from_thread(text: str) -> None:
        trio.from_thread.run_sync(log, text)

    return log_from_thread


def open_leds(configs: Iterable[LedConfig], log: Callable[[str], None], *, factory: Any = None, root: Path = LEDS) -> list[ConnectedLed]:
    """Open each LED; slow when gpiozero is loaded for it, so call it in a thread."""
    opened = []
    for config in configs:
        try:
            opened.append(ConnectedLed(config.name, _open(config, factory, root), config.shows, borrowed=config.borrowed))
        except Exception as fault:  # any driver may raise anything: an LED must never affect mail
            log(f"{config.name} cannot be used and is left out: {reason_of(fault)}.")
    return opened


def _open(config: LedConfig, factory: Any, root: Path) -> Led:
    if config.kind == "board":
        return BoardLed(config.pins[0], root)
    from .gpio import Coloured, Dimmed, Switched

    pins = [pin_of(name) for name in config.pins]
    if config.kind == "rgb":
        return Coloured((pins[0], pins[1], pins[2]), inverted=config.inverted, factory=factory)
    return (Dimmed if config.kind == "pwm" else Switched)(pins[0], inverted=config.inverted, factory=factory)


def pin_of(name: str) -> int | str:
    """A number, or a name gpiozero knows."""
    return int(name) if name.isascii() and name.isdigit() else name
