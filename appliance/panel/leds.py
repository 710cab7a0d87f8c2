"""Playing patterns on LEDs: which LED shows what, and the next instant a level changes. Pure: the time is an argument.

All LEDs that show one meaning share one pattern, so ten blinking LEDs wake the server no more often than one. An LED
is set only when its level changes.

Failure: whatever an LED raises, it is left out from then on, and one log line says so.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from .patterns import BLACK, ON_LEVEL, PATTERNS, Colour, Pattern

GAMMA = 2.2
"""To the eye an LED is half as bright at a fifth of its light."""


class Led(Protocol):
    """One LED; may raise anything at any time. `dims` says whether it has more levels than on and off."""

    @property
    def dims(self) -> bool: ...

    def set(self, level: float, colour: Colour) -> None:
        """`level` 0 to 1 as the eye sees it; must not block."""
        ...

    def close(self) -> None:
        """Dark, or as it was before the server had it; an LED of the board's own may be set again afterwards."""
        ...


def duty_of(level: float) -> float:
    """The PWM duty cycle, 0 to 1, at which an LED looks so bright."""
    duty: float = min(max(level, 0.0), 1.0) ** GAMMA
    return duty


class ConnectedLed:
    """An LED with its name in log lines and the meanings it is for.

    A `borrowed` one is given back to the kernel whenever it has nothing to show; others are dark then.
    """

    __slots__ = ("_last", "borrowed", "led", "meaning", "name", "shows")

    def __init__(self, name: str, led: Led, shows: frozenset[str], *, borrowed: bool = False) -> None:
        self.name = name
        self.led = led
        self.shows = shows
        self.borrowed = borrowed
        self.meaning = ""
        """What it shows now; "" is dark."""
        self._last: tuple[float, Colour] | None = None

    def set(self, level: float, colour: Colour) -> None:
        if self._last != (level, colour):
            self.led.set(level, colour)
            self._last = (level, colour)

    def rest(self) -> None:
        """Nothing to show."""
        if not self.borrowed:
            self.set(0.0, BLACK)
        elif self._last is not None:
            self.led.close()
            self._last = None


class _Cursor:
    """One pattern being played."""

    __slots__ = ("begun", "index", "next_at", "pattern")

    def __init__(self, pattern: Pattern, now: float) -> None:
        self.pattern = pattern
        self.begun = now
        self.index = 0
        self.next_at = now + pattern.steps[0][1]

    def advance(self, now: float) -> bool:
        """Go to the step that `now` falls into; whether it is another one."""
        if now < self.next_at:
            return False
        steps = self.pattern.steps
        if now - self.next_at >= self.pattern.period_s:  # the host was suspended or too busy: restart the pattern
            self.begun, self.index, self.next_at = now, 0, now + steps[0][1]
            return True
        while self.next_at <= now:
            self.index = (self.index + 1) % len(steps)
            self.next_at += steps[self.index][1]
        return True


class Player:
    """Plays on `leds`; `show` sets the meanings that hold, `advance` moves on, `next_at` is when to call it again."""

    def __init__(self, leds: Sequence[ConnectedLed], log: Callable[[str], None], patterns: Iterable[Pattern] = PATTERNS) -> None:
        self.leds = list(leds)
        self._log = log
        self._patterns = {pattern.meaning: pattern for pattern in patterns}
        self._cursors: dict[str, _Cursor] = {}
        self._dim = 1.0
        self._night = False

    def show(self, held: Sequence[str], now: float, *, dim: float = 1.0) -> None:
        """Each LED shows the first of `held` it is for, `dim` times as bright; below 1 it is night."""
        self._dim, self._night = dim, dim < 1.0
        for connected in self.leds:
            connected.meaning = next((meaning for meaning in held if meaning in connected.shows), "")
        wanted = {connected.meaning for connected in self.leds if connected.meaning}
        self._cursors = {meaning: self._cursors.get(meaning) or _Cursor(self._patterns[meaning], now) for meaning in wanted}
        for cursor in self._cursors.values():
            cursor.advance(now)
        self._light(self.leds)

    def restart(self) -> None:
        """The next `show` plays every pattern from its beginning."""
        self._cursors = {}

    def advance(self, now: float) -> None:
        """Bring every LED to the level of this instant."""
        moved = [meaning for meaning, cursor in self._cursors.items() if cursor.advance(now)]
        if moved:
            self._light([connected for connected in self.leds if connected.meaning in moved])

    @property
    def next_at(self) -> float:
        """When a level changes next; infinite when all are dark."""
        return min((cursor.next_at for cursor in self._cursors.values()), default=math.inf)

    def whole_cycles_at(self, meaning: str, now: float, cycles: int) -> float:
        """The instant `cycles` full rounds of a pattern are over, counted from the end of the current one."""
        period_s = self._patterns[meaning].period_s
        cursor = self._cursors.get(meaning)
        if cursor is None:
            return now + cycles * period_s
        return cursor.begun + (math.ceil((now - cursor.begun) / period_s - 1e-6) + cycles) * period_s

    def _light(self, leds: Sequence[ConnectedLed]) -> None:
        for connected in tuple(leds):
            cursor = self._cursors.get(connected.meaning)
            try:
                if cursor is None:
                    connected.rest()
                else:
                    connected.set(self._level(connected, cursor), cursor.pattern.colour)
            except Exception as fault:  # any driver may raise anything: an LED must never affect mail
                self._log(f"{connected.name} failed and is left out: {reason_of(fault)}.")
                self.leds.remove(connected)
                close(connected, lambda text: None)

    def _level(self, connected: ConnectedLed, cursor: _Cursor) -> float:
        level = cursor.pattern.steps[cursor.index][0]
        if connected.led.dims:
            return level * self._dim
        if self._night and cursor.pattern.quiet:
            return 0.0
        return 1.0 if level >= ON_LEVEL else 0.0

    def close(self) -> None:
        """Every LED left is given back."""
        while self.leds:
            close(self.leds.pop(), self._log)


def reason_of(fault: BaseException) -> str:
    """The text of an exception without quotes around it or the full stop at its end; its class name when it has none."""
    return str(fault).strip(" '\"\n").rstrip(".!") or type(fault).__name__


def close(connected: ConnectedLed, log: Callable[[str], None]) -> None:
    """Give one LED back, whatever it raises."""
    try:
        connected.led.close()
    except Exception as fault:  # any driver may raise anything
        log(f"{connected.name} could not be given back: {reason_of(fault)}.")
