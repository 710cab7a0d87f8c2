"""The task that drives the LEDs: reads the board, applies the rules, advances the patterns, sleeps in between.

It wakes when a level changes, when something happened in the server (four times a second at most, however much mail
comes), and every twenty seconds for what only time changes, such as the night. Without an LED it sleeps forever.

| it wakes because                    | it                                                                    |
|-------------------------------------|-----------------------------------------------------------------------|
| the board changed                   | takes a snapshot, applies the rules, waits LOOK_S before the next     |
| a level is due                      | advances the patterns                                                 |
| a momentary meaning or `show` ended | applies the rules again                                               |
| `show` was called                   | applies the rules again: every pattern restarts, bright also at night |
| it is cancelled                     | gives every LED back                                                  |

Failure: never because of an LED, see `leds` and `led_config`.
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
"""Shortest time between two snapshots."""
LOOK_AGAIN_S = 20.0
"""Longest time between two snapshots."""
MOMENT_CYCLES = 2
"""How many rounds of its pattern a momentary meaning is shown: some four seconds."""
SHOW_S = 10.0
"""How long the LEDs are bright, also at night, after a press of the button."""


class WallClock(Protocol):
    """As much of the server's clock as is needed to know the night."""

    def wall_s(self) -> float: ...

    def trusted(self) -> bool: ...

    def utc_offset_s(self) -> int: ...


@dataclass(frozen=True, slots=True)
class LedOptions:
    """`night` is its beginning and end in minutes after midnight, local time, None for never; `night_level` 0 to 1."""

    night: tuple[int, int] | None = None
    night_level: float = 0.25


def parse_night(text: str) -> tuple[int, int] | None:
    """ "22:00-06:30" in minutes after midnight; None for "". Raises ValueError with a sentence."""
    if not text:
        return None
    begin, _, end = text.partition("-")
    try:
        minutes = _minutes(begin), _minutes(end)
    except ValueError:
        raise ValueError(f"{text!r} is not a night; write it like 22:00-06:30.") from None
    return minutes if minutes[0] != minutes[1] else None


def _minutes(text: str) -> int:
    hour, _, minute = text.strip().partition(":")
    if not (int(hour) in range(24) and int(minute) in range(60)):
        raise ValueError(text)
    return int(hour) * 60 + int(minute)


def is_night(clock: WallClock, night: tuple[int, int] | None) -> bool:
    """Never while the clock is not set."""
    if night is None or not clock.trusted():
        return False
    now = int((clock.wall_s() + clock.utc_offset_s()) // 60) % 1440
    begin, end = night
    return begin <= now < end if begin < end else now >= begin or now < end


class LedDisplay:
    """`open_leds` is called in a thread each time the task starts; the LEDs it returns are closed when it ends."""

    def __init__(
        self,
        board: "SnapshotSource",
        open_leds: Callable[[], Sequence[ConnectedLed]],
        options: LedOptions,
        *,
        clock: WallClock,
        log: Callable[[str], None],
    ) -> None:
        self._board = board
        self._open = open_leds
        self._options = options
        self._clock = clock
        self._log = log
        self._wait: trio.CancelScope | None = None
        self._player = Player((), log)
        self._moments: dict[str, float] = {}
        self._bright_until = math.inf
        """The end of the show; infinite when there is none."""
        self._again = False
        self._looked = -math.inf
        self._seen: Snapshot | None = None

    async def run(self, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled."""
        connected = list(await trio.to_thread.run_sync(self._open))
        self._player = player = Player(connected, self._log)
        try:
            task_status.started()
            if not connected:
                await trio.sleep_forever()
            await self._play()
        finally:
            for led in connected:
                if led in player.leds:
                    close(led, self._log)

    def show(self) -> None:
        """Show the state once more, from the beginning and as bright as by day."""
        self._bright_until = trio.current_time() + SHOW_S
        self._player.restart()
        self._again = True
        if self._wait is not None:
            self._wait.cancel()

    def shown(self) -> tuple[tuple[str, str], ...]:
        """Each LED's name and the meaning it shows now, "" for dark."""
        return tuple((led.name, led.meaning) for led in self._player.leds)

    async def _play(self) -> None:
        snapshot = self._look()
        while True:
            resting = trio.current_time() < self._looked + LOOK_S
            deadline = min(self._player.next_at, self._ends_at(), self._looked + (LOOK_S if resting else LOOK_AGAIN_S))
            moved = False
            with trio.CancelScope(deadline=deadline) as self._wait:
                if resting:
                    await trio.sleep_forever()
                snapshot = await self._board.changed(snapshot.version)
                moved = True
            self._wait = None
            now = trio.current_time()
            if moved or self._again or now >= self._ends_at() or now >= self._looked + LOOK_AGAIN_S:
                snapshot = self._look()
            else:
                self._player.advance(now)

    def _look(self) -> "Snapshot":
        """Apply the rules to the snapshot of now, and to what happened since the one before."""
        snapshot, now = self._board.snapshot(), trio.current_time()
        self._looked, self._again = now, False
        self._moments = {meaning: until for meaning, until in self._moments.items() if until > now}
        for meaning in moments(self._seen or snapshot, snapshot):
            self._moments[meaning] = self._player.whole_cycles_at(meaning, now, MOMENT_CYCLES)
        self._seen = snapshot
        holding = meanings_of(snapshot)
        held = [rule.meaning for rule in RULES if rule.meaning in holding or rule.meaning in self._moments]
        if now >= self._bright_until:
            self._bright_until = math.inf
        self._player.show(held, now, dim=self._dim(now))
        return snapshot

    def _dim(self, now: float) -> float:
        if now < self._bright_until < math.inf or not is_night(self._clock, self._options.night):
            return 1.0
        return self._options.night_level

    def _ends_at(self) -> float:
        """When a momentary meaning, or the bright show, is over."""
        return min((*self._moments.values(), self._bright_until))
