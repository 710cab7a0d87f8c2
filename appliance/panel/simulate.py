"""LEDs and the button for people without hardware: gpiozero's mock pins underneath, a line of the terminal on top.

The line keeps the last row (or rows, on a narrow terminal) to itself while the log scrolls above it (a scroll region, as every
VT100 has). The code paths are those of real pins: `fitting` opens the LEDs, `lights` plays them, `button` hears the keys through a
pin.

Keys: b presses the button, h holds it for three seconds, which closes the server. Beside a server that somebody else runs, h asks
first, and only y holds the button. Where the output is no terminal, or is too small, a line is written each time the LEDs change
their meaning; where the input is none, there is no button.

How it fails: a terminal that is gone ends the drawing, nothing else. Terminal and scroll region are put back at the
end, also when cancelled.
"""

import os
import select
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

import trio

from .button import HOLD_S, Actions
from .button import Clock as ButtonClock
from .button import run as hear
from .led_config import fit, from_thread, parse_leds
from .led_display import Clock, LedDisplay, Options
from .leds import ConnectedLed

if TYPE_CHECKING:
    from .ports import SnapshotSource

LEDS = ("pwm:18 all", "led:23 server", "led:24 trouble", "rgb:5,6,13 mail")
"""What stands on the table when the settings name no LED."""
BUTTON_PIN = 17
PRESS_S = 0.2
BRIGHTNESS = " .:oO@"
"""A LED from dark to lit, in signs that every terminal has."""
LEAST_ROWS = 5
KEYS = "b press, h hold"
SURE = "close the server? y/n"
LONGEST_MEANING = 11
"""Characters of the longest word a LED is said to mean."""


class ServerClock(Clock, ButtonClock, Protocol):
    """Both of what LEDs and button ask of the clock."""


def render(levels: Sequence[tuple[str, float, str]]) -> list[str]:
    """A few words for (what it is for, light 0 to 1, meaning) of each LED."""
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


async def run(
    board: "SnapshotSource",
    actions: Actions,
    options: Options,
    *,
    clock: ServerClock,
    say: Callable[[str], None],
    leds: Sequence[str] = (),
    asks_before_closing: bool = False,
    fd_in: int = 0,
    fd_out: int = 2,
    task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED,
) -> None:
    """Until cancelled; `actions.try_now` also shows the state once more. `lamps` as in the settings."""
    moved = [trio.Event()]
    factory = await trio.to_thread.run_sync(lambda: _table(lambda: moved[0].set()))
    words = [each for each in leds if not each.startswith("board:")] or LEDS
    wishes = parse_leds(words)
    labels = {wish.name: each.partition(" ")[2] or each for wish, each in zip(wishes, words, strict=True)}
    fitted: list[ConnectedLed] = []

    def open_leds() -> list[ConnectedLed]:
        fitted[:] = fit(wishes, from_thread(say), factory=factory)
        return fitted

    lights = LedDisplay(board, open_leds, options, clock=clock, say=say)

    async def try_now() -> None:
        lights.show()
        await actions.try_now()

    def line() -> list[str]:
        shown = dict(lights.shown())
        pins = {wish.name: [factory.pin(_number(pin)) for pin in wish.pins] for wish in wishes}
        return render([(labels[each.name], max(float(pin.state) for pin in pins[each.name]), shown.get(each.name, "")) for each in fitted])

    from .gpio import PinButton

    port = PinButton(BUTTON_PIN, factory=factory)
    widest = [f"(@) {name}: {'x' * LONGEST_MEANING}" for name in labels.values()]
    keys = [KEYS] if os.isatty(fd_in) else []
    question = SURE if asks_before_closing else ""

    def asked(open_question: bool) -> None:
        if keys:
            keys[0] = SURE if open_question else KEYS
        moved[0].set()

    with _screen(fd_out, [*widest, *(max(word, question, key=len) for word in keys)]) as draw:
        async with trio.open_nursery() as nursery:
            await nursery.start(lights.run)
            await nursery.start(lambda task_status: _hear(port, actions, try_now, clock, say, task_status))
            if os.isatty(fd_in):
                nursery.start_soon(_keys, fd_in, factory.pin(BUTTON_PIN), asked if asks_before_closing else None)
            task_status.started()
            told: tuple[Any, ...] = ()
            while True:
                with suppress(OSError):
                    if draw is not None:
                        draw([*line(), *keys])
                    elif lights.shown() != told and _ready(fd_out):
                        told = lights.shown()
                        os.write(fd_out, ("  ".join(line()) + "\n").encode())
                await moved[0].wait()
                moved[0] = trio.Event()


def _table(moved: Callable[[], None]) -> Any:
    """Mock pins that tell when one changes; slow, for gpiozero is loaded."""
    from gpiozero.pins.mock import MockFactory, MockPWMPin  # type: ignore[import-untyped]

    class ShownPin(MockPWMPin):  # type: ignore[misc]
        def _change_state(self, value: Any) -> bool:
            changed = bool(super()._change_state(value))
            self.states.clear()  # kept for tests by the mock, without end
            if changed and self.function == "output":
                moved()
            return changed

    return MockFactory(pin_class=ShownPin)


def _number(pin: str) -> int | str:
    return int(pin) if pin.isdigit() else pin


async def _hear(port: Any, actions: Actions, try_now: Any, clock: ButtonClock, say: Any, task_status: Any) -> None:
    whole = Actions(try_now, actions.shut_down, actions.password)
    await hear(port, whole, clock=clock, say=say, task_status=task_status)


async def _keys(fd: int, pin: Any, asked: Callable[[bool], None] | None) -> None:
    """The keys of the terminal move the button's pin; with `asked` h does so only after y, and `asked` is told of the question."""
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
                if asked is not None and (open_question or key == "h"):
                    key = "h" if open_question and key in "yY" else "?"
                    open_question = key == "?" and not open_question
                    asked(open_question)
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
        fence = f"{chr(10) * tall}\x1b7\x1b[1;{last - tall}r\x1b8{up}" if now != size else ""  # at first, and when the window changed
        if not _ready(fd):
            return  # the next change draws again
        size = now
        shown = in_rows(words, columns - 1)[:tall]
        shown = [""] * (tall - len(shown)) + shown
        rows = "".join(f"\x1b[{last - tall + 1 + at};1H\x1b[2K{row}" for at, row in enumerate(shown))
        os.write(fd, f"{fence}\x1b7{rows}\x1b8".encode())

    try:
        yield draw
    finally:
        with suppress(OSError):
            if _ready(fd):
                tall = len(in_rows(widest, max(1, size[0] - 1)))
                rows = "".join(f"\x1b[{max(1, size[1] - at)};1H\x1b[2K" for at in range(tall))
                os.write(fd, f"\x1b7\x1b[r{rows}\x1b8".encode())


def _ready(fd: int) -> bool:
    """The terminal takes octets now: nobody stopped it with ^S."""
    return bool(select.select((), (fd,), (), 0)[1])
