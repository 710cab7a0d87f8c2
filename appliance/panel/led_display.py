"""The part of the server that plays the LEDs: looks at the board, lets the player play, sleeps in between.

One task. It wakes when a level changes, when something happened in the server (four times a second at most, however
much mail comes), and every twenty seconds for what only time changes, such as the night. Without a LED it sleeps
for good.

| it wakes because           | it                                                         |
|----------------------------|------------------------------------------------------------|
| the board moved            | looks, judges by the rules, rests LOOK_S before the next   |
| a level is due             | lets the player advance                                    |
| a moment or the show ended | judges the picture again                                   |
| `show` was called          | judges again: every pattern begins anew, bright also at night |
| it is cancelled            | gives every LED back                                      |

How it fails: not at all for a LED's sake, see `lamps` and `fitting`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import trio

from .leds import ConnectedLed, Player, close
from .rules import RULES, meanings_of, moments

if TYPE_CHECKING:
    from appliance.status.snapshot import Snapshot

    from .ports import SnapshotSource

LOOK_S = 0.25
"""Shortest time between two looks at the board."""
LOOK_AGAIN_S = 20.0
"""Longest time between two looks."""
MOMENT_CYCLES = 2
"""Rounds of its pattern that a momentary meaning is shown: some four seconds."""
SHOW_S = 10.0
"""How long the LEDs are bright, also at night, when the button asked."""


class Clock(Protocol):
    """What of the server's clock is needed to know the night."""

    def wall_s(self) -> float: ...

    def trusted(self) -> bool: ...

    def utc_offset_s(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Options:
    """`night` is its beginning and end in minutes after midnight, local time, None for never; `night_level` 0 to 1."""

    night: tuple[int, int] | None = None
    night_level: float = 0.25


def parse_night(words: str) -> tuple[int, int] | None:
    """ "22:00-06:30" in minutes after midnight; None for "". Raises ValueError with a sentence."""
    if not words:
        return None
    begin, _, end = words.partition("-")
    try:
        minutes = _minutes(begin), _minutes(end)
    except ValueError:
        raise ValueError(f"{words!r} is no night; one is written 22:00-06:30.") from None
    return minutes if minutes[0] != minutes[1] else None


def _minutes(words: str) -> int:
    hour, _, minute = words.strip().partition(":")
    if not (int(hour) in range(24) and int(minute) in range(60)):
        raise ValueError(words)
    return int(hour) * 60 + int(minute)


def is_night(clock: Clock, night: tuple[int, int] | None) -> bool:
    """Never while nobody knows what time it is."""
    if night is None or not clock.trusted():
        return False
    now = int((clock.wall_s() + clock.utc_offset_s()) // 60) % 1440
    begin, end = night
    return begin <= now < end if begin < end else now >= begin or now < end


class LedDisplay:
    """`open_lamps` is called in a thread each time the part starts; the LEDs it gives are closed when it ends."""

    def __init__(
        self,
        board: "SnapshotSource",
        open_leds: Callable[[], Sequence[ConnectedLed]],
        options: Options,
        *,
        clock: Clock,
        say: Callable[[str], None],
    ) -> None:
        self._board = board
        self._open = open_leds
        self._options = options
        self._clock = clock
        self._say = say
        self._wait: trio.CancelScope | None = None
        self._player = Player((), say)
        self._moments: dict[str, float] = {}
        self._bright_until = math.inf
        """The end of the show; infinite when there is none."""
        self._again = False
        self._looked = -math.inf
        self._seen: Snapshot | None = None

    async def run(self, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled."""
        fitted = list(await trio.to_thread.run_sync(self._open))
        self._player = player = Player(fitted, self._say)
        try:
            task_status.started()
            if not fitted:
                await trio.sleep_forever()
            await self._play()
        finally:
            for led in fitted:
                if led in player.leds:
                    close(led, self._say)

    def show(self) -> None:
        """Show the state once more, from the beginning and as bright as by day."""
        self._bright_until = trio.current_time() + SHOW_S
        self._player.begin_again()
        self._again = True
        if self._wait is not None:
            self._wait.cancel()

    def shown(self) -> tuple[tuple[str, str], ...]:
        """Each LED's name and the meaning it shows now, "" for dark."""
        return tuple((fitted.name, fitted.meaning) for fitted in self._player.leds)

    async def _play(self) -> None:
        picture = self._look()
        while True:
            resting = trio.current_time() < self._looked + LOOK_S
            deadline = min(self._player.next_at, self._ends_at(), self._looked + (LOOK_S if resting else LOOK_AGAIN_S))
            moved = False
            with trio.CancelScope(deadline=deadline) as self._wait:
                if resting:
                    await trio.sleep_forever()
                picture = await self._board.changed(picture.version)
                moved = True
            self._wait = None
            now = trio.current_time()
            if moved or self._again or now >= self._ends_at() or now >= self._looked + LOOK_AGAIN_S:
                picture = self._look()
            else:
                self._player.advance(now)

    def _look(self) -> "Snapshot":
        """Judge the picture of now, and what happened since the one before."""
        picture, now = self._board.snapshot(), trio.current_time()
        self._looked, self._again = now, False
        self._moments = {meaning: until for meaning, until in self._moments.items() if until > now}
        for meaning in moments(self._seen or picture, picture):
            self._moments[meaning] = self._player.whole_cycles_at(meaning, now, MOMENT_CYCLES)
        self._seen = picture
        holding = meanings_of(picture)
        held = [rule.meaning for rule in RULES if rule.meaning in holding or rule.meaning in self._moments]
        if now >= self._bright_until:
            self._bright_until = math.inf
        self._player.show(held, now, dim=self._dim(now))
        return picture

    def _dim(self, now: float) -> float:
        if now < self._bright_until < math.inf or not is_night(self._clock, self._options.night):
            return 1.0
        return self._options.night_level

    def _ends_at(self) -> float:
        """When a moment, or the show, is over."""
        return min((*self._moments.values(), self._bright_until))
