"""LEDs and the button without hardware: gpiozero's mock pins below, a line of the terminal above.

The line keeps the last row (or rows, on a narrow terminal) to itself while the log scrolls above it (a scroll region, as every
VT100 has). The code paths are those of real pins: `led_config` opens the LEDs, `led_display` drives them, `button` reads the keys
through a pin.

Keys: b presses the button, h holds it for three seconds, which stops the server. With `confirm_shutdown` (the server runs
elsewhere) h asks first, and only y holds the button. Where the output is no terminal, or is too small, a line is written each
time the LEDs change their meaning; where the input is none, there is no button.

Failure: a terminal that is gone ends the drawing, nothing else. Terminal and scroll region are restored at the end, also
when cancelled.
"""

import os
import select
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import trio

from .button import HOLD_S, Actions, MonotonicClock
from .button import run as watch_button
from .led_config import from_thread, open_leds, parse_leds
from .led_display import LedDisplay, LedOptions, WallClock
from .leds import ConnectedLed
from .wakeup import Wakeup

if TYPE_CHECKING:
    from .ports import SnapshotSource

LEDS = ("pwm:18 all", "led:23 server", "led:24 trouble", "rgb:5,6,13 mail")
"""The LEDs when the settings name none."""
BUTTON_PIN = 17
PRESS_S = 0.2
BRIGHTNESS = " .:oO@"
"""An LED from dark to lit, in characters that every terminal has."""
LEAST_ROWS = 5
KEYS = "b press, h hold"
CONFIRM = "stop the server? y/n"
LONGEST_MEANING = 11
"""Characters of the longest meaning."""


class ServerClock(WallClock, MonotonicClock, Protocol):
    """What LEDs and button need of the clock."""


def render(levels: Sequence[tuple[str, float, str]]) -> list[str]:
    """A few words for (label, light 0 to 1, meaning) of each LED."""
    leds = []
    for name, light, meaning in levels:
        sign = BRIGHTNESS[min(len(BRIGHTNESS) - 1, round(max(light, 0.0) ** (1 / 2.2) * (len(BRIGHTNESS) - 1)))]
        leds.append(f"({sign}) {name}: {meaning or 'dark'}")
    return leds


def in_rows(words: Sequence[str], columns: int) -> list[str]:
    """The words two spaces apart, in as few rows of `columns` characters as hold them whole."""
    rows: list[str] = []
    for word in words:
        if rows and len(rows[-1]) + 2 + len(word) <= columns:
            rows[-1] += f"  {word}"
        else:
            rows.append(word[:columns])
    return rows


@dataclass(frozen=True, slots=True)
class SimulatorOptions:
    """`leds` as in the settings, LEDS when empty; `fd_in` and `fd_out` are the terminal."""

    leds: Sequence[str] = ()
    confirm_shutdown: bool = False
    fd_in: int = 0
    fd_out: int = 2


async def run(
    board: "SnapshotSource",
    actions: Actions,
    options: LedOptions,
    simulator: SimulatorOptions,
    *,
    clock: ServerClock,
    log: Callable[[str], None],
    task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED,
) -> None:
    """Until cancelled; `actions.try_now` also shows the state once more."""
    moved = Wakeup()  # a pin or the question changed
    factory = await trio.to_thread.run_sync(_mock_factory, moved.set)
    table = _LedTable(simulator.leds, factory)
    display = LedDisplay(board, partial(table.open, log), options, clock=clock, log=log)

    async def try_now() -> None:
        display.show()
        await actions.try_now()

    from .gpio import PinButton

    port = PinButton(BUTTON_PIN, factory=factory)
    pressed = Actions(try_now, actions.shut_down, actions.password)
    has_keys = os.isatty(simulator.fd_in)
    keys = [KEYS] if has_keys else []
    widest = max(KEYS, CONFIRM if simulator.confirm_shutdown else "", key=len)

    def ask(question: bool) -> None:
        keys[:] = [CONFIRM if question else KEYS]
        moved.set()

    with _screen(simulator.fd_out, [*table.widest(), *([widest] if has_keys else [])]) as draw:
        async with trio.open_nursery() as nursery:
            await nursery.start(display.run)
            await nursery.start(partial(watch_button, port, pressed, clock=clock, log=log))
            if has_keys:
                nursery.start_soon(_keys, simulator.fd_in, factory.pin(BUTTON_PIN), ask if simulator.confirm_shutdown else None)
            task_status.started()
            shown: tuple[Any, ...] = ()
            while True:
                with suppress(OSError):
                    if draw is not None:
                        draw([*table.words(display), *keys])
                    elif display.shown() != shown and _ready(simulator.fd_out):
                        shown = display.shown()
                        os.write(simulator.fd_out, ("  ".join(table.words(display)) + "\n").encode())
                await moved.wait()


class _LedTable:
    """The simulated LEDs: their settings, their pins, and what they show in words."""

    def __init__(self, leds: Sequence[str], factory: Any) -> None:
        words = [each for each in leds if not each.startswith("board:")] or LEDS
        self._factory = factory
        self._configs = parse_leds(words)
        self._labels = {config.name: each.partition(" ")[2] or each for config, each in zip(self._configs, words, strict=True)}
        self._connected: list[ConnectedLed] = []

    def open(self, log: Callable[[str], None]) -> list[ConnectedLed]:
        self._connected = open_leds(self._configs, from_thread(log), factory=self._factory)
        return self._connected

    def widest(self) -> list[str]:
        """The words at their longest."""
        return [f"(@) {label}: {'x' * LONGEST_MEANING}" for label in self._labels.values()]

    def words(self, display: LedDisplay) -> list[str]:
        meanings = dict(display.shown())
        pins = {config.name: [self._factory.pin(_number(pin)) for pin in config.pins] for config in self._configs}
        return render(
            [
                (self._labels[led.name], max(float(pin.state) for pin in pins[led.name]), meanings.get(led.name, ""))
                for led in self._connected
            ]
        )


def _mock_factory(moved: Callable[[], None]) -> Any:
    """Mock pins that call `moved` when one changes; slow, since gpiozero is loaded."""
    from gpiozero.pins.mock import MockFactory, MockPWMPin  # type: ignore[import-untyped]

    class ShownPin(MockPWMPin):  # type: ignore[misc]
        def _change_state(self, value: Any) -> bool:
            changed = bool(super()._change_state(value))
            self.states.clear()  # the mock keeps them for tests, without limit
            if changed and self.function == "output":
                moved()
            return changed

    return MockFactory(pin_class=ShownPin)


def _number(pin: str) -> int | str:
    return int(pin) if pin.isdigit() else pin


async def _keys(fd: int, pin: Any, ask: Callable[[bool], None] | None) -> None:
    """The keys of the terminal move the button's pin; with `ask` h does so only after y, and `ask` shows or ends the question."""
    import termios
    import tty

    former = termios.tcgetattr(fd)
    open_question = False
    try:
        tty.setcbreak(fd)
        while True:
            await trio.lowlevel.wait_readable(fd)
            keys = os.read(fd, 64)
            if not keys:
                return
            for key in keys.decode("ascii", "ignore"):
                if ask is not None and (open_question or key == "h"):
                    key = "h" if open_question and key in "yY" else "?"
                    open_question = key == "?" and not open_question
                    ask(open_question)
                if key in "bh":
                    pin.drive_low()
                    await trio.sleep(PRESS_S if key == "b" else HOLD_S + PRESS_S)
                    pin.drive_high()
                    await trio.sleep(PRESS_S)
    finally:
        with suppress(termios.error):
            termios.tcsetattr(fd, termios.TCSADRAIN, former)


@contextmanager
def _screen(fd: int, widest: Sequence[str]) -> Iterator[Callable[[Sequence[str]], None] | None]:
    """The last row for the LEDs, or as many as `widest` takes; None when `fd` is no terminal, or one of a few rows."""
    if not os.isatty(fd) or os.get_terminal_size(fd).lines < LEAST_ROWS:
        yield None
        return
    size = (0, 0)

    def draw(words: Sequence[str]) -> None:
        nonlocal size
        columns, last = now = os.get_terminal_size(fd)
        tall = min(len(in_rows(widest, columns - 1)), last - LEAST_ROWS + 1)
        up = "\x1b[A" * tall
        region = (
            f"{chr(10) * tall}\x1b7\x1b[1;{last - tall}r\x1b8{up}" if now != size else ""
        )  # at first, and when the terminal was resized
        if not _ready(fd):
            return  # the next change draws again
        size = now
        shown = in_rows(words, columns - 1)[:tall]
        shown = [""] * (tall - len(shown)) + shown
        rows = "".join(f"\x1b[{last - tall + 1 + at};1H\x1b[2K{row}" for at, row in enumerate(shown))
        os.write(fd, f"{region}\x1b7{rows}\x1b8".encode())

    try:
        yield draw
    finally:
        with suppress(OSError):
            if _ready(fd):
                tall = len(in_rows(widest, max(1, size[0] - 1)))
                rows = "".join(f"\x1b[{max(1, size[1] - at)};1H\x1b[2K" for at in range(tall))
                os.write(fd, f"\x1b7\x1b[r{rows}\x1b8".encode())


def _ready(fd: int) -> bool:
    """The terminal takes octets now: it was not stopped with ^S."""
    return bool(select.select((), (fd,), (), 0)[1])
