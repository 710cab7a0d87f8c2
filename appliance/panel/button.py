"""The button: what a press means, as a state table, and the task that waits for it.

| state    | event                       | next     | action                                                      |
|----------|-----------------------------|----------|-------------------------------------------------------------|
| up       | pressed                     | down     |                                                             |
| down     | released before HOLD_S      | up       | `try_now`: the queue is flushed, the LEDs show the state    |
| down     | HOLD_S over                 | held     | `shut_down`: the server stops until "safe to unplug"        |
| held     | released                    | up       |                                                             |
| power-on | released before POWER_ON_S  | up       |                                                             |
| power-on | POWER_ON_S over             | held     | `password`: a one-time password on the serial console       |

It begins in power-on when the button is down as the server starts, else in up. A press or release counts once the
contact has rested for DEBOUNCE_S, and from the instant it began to rest; a shorter touch is a bounce. A button that
is stuck does its one action and then nothing more. A release in time that is processed late (a busy loop) counts as in time.

Stopping the server by mistake is worse than stopping it late. So a hold is only what was observed: while the button is down its
level is read every LOOK_S and once more before an action of a hold, and a pause of more than GAP_S between readings (a busy loop)
restarts the hold. A release whose edge was lost is seen by the next reading.

Failures: an action that raises is one log line; a pin that cannot be opened is the opener's business (`service`).
"""

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import trio

from .leds import reason_of
from .wakeup import Wakeup

DEBOUNCE_S = 0.03
HOLD_S = 3.0
POWER_ON_S = 10.0
LOOK_S = 0.1
GAP_S = 1.0
EDGES = 64
"""Edges queued for the task; a noisy wire loses its oldest, never its last."""

UP, DOWN, HELD, POWER_ON = "up", "down", "held", "power-on"
TRY_NOW, SHUT_DOWN, PASSWORD = "try_now", "shut_down", "password"


class ButtonPort(Protocol):
    @property
    def poll_s(self) -> float:
        """How often to read whether it is pressed; 0 where `listen` reports edges."""
        ...

    def pressed(self) -> bool: ...

    def listen(self, edge: Callable[[bool], None]) -> None:
        """`edge(pressed)` may be called from any thread."""
        ...

    def close(self) -> None: ...


class MonotonicClock(Protocol):
    def mono_s(self) -> float: ...


class ButtonStates:
    """The state table; instants are monotonic seconds. `wait_until` is when to call `time` next, None for not before an edge."""

    def __init__(self, *, pressed: bool, mono: float) -> None:
        self.state = POWER_ON if pressed else UP
        self._since = mono
        """When the state began."""
        self._missed_until = mono
        self._raw = self._level = pressed
        self._stable_since = mono

    @property
    def is_down(self) -> bool:
        """A hold is being measured: the level has to be read."""
        return self.state in (DOWN, POWER_ON)

    def missed(self, mono: float) -> None:
        """The level was not read until `mono`: no hold counts from before."""
        self._missed_until = mono

    def edge(self, pressed: bool, mono: float) -> list[str]:
        """The contact changed at `mono`; the actions to take."""
        actions = self._debounce(mono)
        if pressed != self._raw:
            self._raw, self._stable_since = pressed, mono
        return actions

    def time(self, mono: float) -> list[str]:
        """It is `mono`, and the contact is as the last edge said; the actions to take."""
        return self._debounce(mono) + ([] if self._raw != self._level else self._held(mono))

    def _debounce(self, mono: float) -> list[str]:
        """A level that has been stable for DEBOUNCE_S until `mono` counts."""
        if self._raw == self._level or mono < self._stable_since + DEBOUNCE_S:
            return []
        self._level = self._raw
        return self._pressed(self._stable_since) if self._level else self._released()

    @property
    def wait_until(self) -> float | None:
        if self._raw != self._level:
            return self._stable_since + DEBOUNCE_S
        if self.state in (DOWN, POWER_ON):
            return self._held_since + (HOLD_S if self.state == DOWN else POWER_ON_S)
        return None

    @property
    def _held_since(self) -> float:
        return max(self._since, self._missed_until)

    def _pressed(self, mono: float) -> list[str]:
        self.state, self._since = DOWN, mono
        return []

    def _released(self) -> list[str]:
        was, self.state = self.state, UP
        return [TRY_NOW] if was == DOWN else []

    def _held(self, mono: float) -> list[str]:
        """The action of a hold that lasted until `mono`."""
        if self.state == DOWN and mono >= self._held_since + HOLD_S:
            self.state = HELD
            return [SHUT_DOWN]
        if self.state == POWER_ON and mono >= self._held_since + POWER_ON_S:
            self.state = HELD
            return [PASSWORD]
        return []


@dataclass(frozen=True, slots=True)
class Actions:
    """What the server does; each may wait and may raise."""

    try_now: Callable[[], Awaitable[object]]
    shut_down: Callable[[], Awaitable[object]]
    password: Callable[[], Awaitable[object]]


async def run(
    port: ButtonPort,
    actions: Actions,
    *,
    clock: MonotonicClock,
    log: Callable[[str], None],
    task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED,
) -> None:
    """Until cancelled; `port` is closed at the end. An action that is still running is not started again."""
    token = trio.lowlevel.current_trio_token()
    edges: deque[tuple[bool, float]] = deque(maxlen=EDGES)
    wakeup = Wakeup()
    acting: set[str] = set()

    def edge(pressed: bool) -> None:  # in a thread of gpiozero's
        edges.append((pressed, clock.mono_s()))
        with suppress(trio.RunFinishedError):  # the event loop has ended
            token.run_sync_soon(wakeup.set, idempotent=True)

    async def act(name: str) -> None:
        try:
            await getattr(actions, name)()
        except Exception as fault:  # whatever the action raises: the next press must work
            log(f"The action of the button failed: {reason_of(fault)}.")
        finally:
            acting.discard(name)

    try:
        if not port.poll_s:
            port.listen(edge)
        looked = clock.mono_s()
        states = ButtonStates(pressed=port.pressed(), mono=looked)
        async with trio.open_nursery() as nursery:
            task_status.started()
            while True:
                until = states.wait_until
                wait_s = max(0.0, until - clock.mono_s()) if until is not None else float("inf")
                with trio.move_on_after(min(wait_s, port.poll_s or wait_s, LOOK_S if states.is_down else wait_s)):
                    await wakeup.wait()
                level, now = port.pressed(), clock.mono_s()
                found: list[str] = []
                while edges:
                    found += states.edge(*edges.popleft())
                if now - looked > GAP_S:
                    states.missed(now)
                looked = now
                if port.poll_s or states.is_down:
                    found += states.edge(level, now)
                found += states.time(now)
                for action in found:
                    if action not in acting:
                        acting.add(action)
                        nursery.start_soon(act, action)
    finally:
        port.close()
