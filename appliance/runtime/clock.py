"""The real clock behind the Clock port, and whether it can be trusted. The only file that reads the wall clock.

A board without a real-time clock starts in 1970, or at the instant systemd last saved, and is right only after network time
synchronisation. So the clock is trusted when it is past BUILT_AT and one of these holds:
- systemd-timesyncd synchronised (it leaves a file), or
- the kernel set the time from a clock chip at boot (`hctosys`), or
- timesyncd is not installed: a container, or a machine whose owner chose another time service.
The kernel's state (adjtimex) is not used: it needs ctypes, and it is "not synchronised" for ever in containers
and virtual machines whose host keeps the time. Known gap: a board without a clock chip that runs chrony is trusted from BUILT_AT on.
"""

import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from appliance.status.board import Board
from appliance.status.events import ClockState

BUILT_AT = 1_793_491_200
"""1 November 2026: no clock that is right can be before this."""
LOOK_S = 2.0
"""How often the conditions are checked until the clock is trusted."""
WATCH_S = 30.0
"""How often the wall clock is compared with the monotonic one afterwards."""
STEP_S = 2.0
"""A difference below this is slewing, not a step."""


class RealClock:
    """Wall and monotonic time of this machine. Tests pass the root of /run and /sys, and both clocks."""

    def __init__(self, root: Path = Path("/"), wall: Callable[[], float] = time.time, mono: Callable[[], float] = time.monotonic) -> None:
        self._root = root
        self._wall = wall
        self._mono = mono
        self._trusted = False
        self._checked_mono = float("-inf")
        self._chip: bool | None = None

    def wall_s(self) -> float:
        return self._wall()

    def mono_s(self) -> float:
        return self._mono()

    def trusted(self) -> bool:
        """True once the conditions hold, and from then on unless the clock falls back before BUILT_AT."""
        if self._trusted:
            return True
        now = self._mono()
        if now - self._checked_mono >= LOOK_S:
            self._checked_mono = now
            self._trusted = self._conditions_hold()
        return self._trusted

    def utc_offset_s(self) -> int:
        return time.localtime(self._wall()).tm_gmtoff

    def distrust(self) -> None:
        """Start over: the wall clock fell back before BUILT_AT."""
        self._trusted = False

    def _conditions_hold(self) -> bool:
        if self._wall() < BUILT_AT:
            return False
        keeper = self._root / "run/systemd/timesync"
        return not keeper.exists() or (keeper / "synchronized").exists() or self._has_chip()

    def _has_chip(self) -> bool:
        if self._chip is None:
            try:
                self._chip = (self._root / "sys/class/rtc/rtc0/hctosys").read_text().strip() == "1"
            except OSError:
                self._chip = False
        return self._chip


async def watch(clock: RealClock, board: Board, clock_set: Callable[[], Awaitable[object]]) -> None:
    """Publish when the clock becomes trusted and when it is stepped, for ever, and call `clock_set` after each; writes nothing."""
    trusted = clock.trusted()
    board.publish(ClockState(trusted))
    offset_s = clock.wall_s() - clock.mono_s()
    while True:
        await trio.sleep(WATCH_S if trusted else LOOK_S)
        now_s = clock.wall_s() - clock.mono_s()
        step_s = now_s - offset_s
        offset_s = now_s
        if clock.wall_s() < BUILT_AT:
            clock.distrust()
        was, trusted = trusted, clock.trusted()
        if abs(step_s) >= STEP_S or trusted != was:
            board.publish(ClockState(trusted, step_s if abs(step_s) >= STEP_S else 0.0))
            await clock_set()
