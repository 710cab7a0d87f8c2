"""The panel as the server and its commands start it: LEDs, the button, the serial console, the simulator, the card.

Every function loads what it needs when it is called, so that a box without hardware carries nothing of it. The LEDs
begin before the database opens and end last; button and console are parts of the server. The settings' words have passed
`wrong_words`; a port or pin that does not answer never disturbs mail.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from .board_leds import usual

if TYPE_CHECKING:
    from .button import Actions
    from .led_display import LedDisplay
    from .ports import AdminPasswordPort, ControlPort, SnapshotSource
    from .simulate import ServerClock

    Say = Callable[[str], None]


LAST_S = 2.0
"""What a far end that does not read may hold up the end of the server."""


def wrong_words(leds: Sequence[str], night: str, button: str) -> Iterator[tuple[str, str]]:
    """(the setting, a sentence) of every word in them that nobody understands."""
    from .led_config import is_pin, parse_leds
    from .led_display import parse_night

    try:
        wishes = parse_leds(leds)
    except ValueError as fault:
        yield "leds", str(fault)
    else:
        for pin in {pin for wish in wishes if wish.kind != "board" for pin in wish.pins}:
            if not is_pin(pin):
                yield "leds", f"There is no pin {pin!r}."
        if button and not is_pin(button):
            yield "button", f"There is no pin {button!r}."
        if button in {pin for wish in wishes if wish.kind != "board" for pin in wish.pins}:
            yield "button", f"The pin {button} is a LED's."
    try:
        parse_night(night)
    except ValueError as fault:
        yield "night", str(fault)


def has_leds(leds: Sequence[str]) -> bool:
    """Is there anything to light: LEDs of the settings, or one of the board's own?"""
    return bool(leds or usual())


def lights(
    board: "SnapshotSource", leds: Sequence[str], *, night: str, night_percent: int, clock: "ServerClock", say: "Say"
) -> "LedDisplay":
    """The LEDs' part, to be run around everything else."""
    from .led_config import fit, from_thread, parse_leds
    from .led_display import LedDisplay, Options, parse_night

    open_leds = partial(fit, parse_leds(leds), from_thread(say))
    return LedDisplay(board, open_leds, Options(parse_night(night), night_percent / 100), clock=clock, say=say)


def actions_of(
    try_now: Callable[[], Awaitable[object]], shut_down: Callable[[], Awaitable[object]], password: Callable[[], Awaitable[object]]
) -> "Actions":
    """What the button does."""
    from .button import Actions

    return Actions(try_now, shut_down, password)


async def hear_button(
    pin: str,
    actions: "Actions",
    *,
    pull_up: bool,
    clock: "ServerClock",
    say: "Say",
    task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED,
) -> None:
    """The button's part. A pin that cannot be used is said once, and there is no button then."""
    from .button import run
    from .led_config import pin_of
    from .leds import reason_of

    def opened() -> Any:
        from .gpio import PinButton

        return PinButton(pin_of(pin), pull_up=pull_up)

    try:
        port = await trio.to_thread.run_sync(opened)
    except Exception as fault:  # the guard around drivers of others: a button never disturbs mail
        say(f"The button at pin {pin} cannot be used and is left out: {reason_of(fault)}.")
        task_status.started()
        await trio.sleep_forever()
        return
    await run(port, actions, clock=clock, say=say, task_status=task_status)


async def console(
    device: str,
    baud: int,
    board: "SnapshotSource",
    controls: "ControlPort",
    admin: "AdminPasswordPort | None",
    *,
    say: "Say",
    task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED,
) -> None:
    """The serial console's part; without an `admin` nobody is asked for a password. Ten bits of the line carry an octet."""
    from .console import run
    from .ports import AccessGuard, Options
    from .serial_port import open_serial

    options = Options(octets_per_s=baud / 10)
    await run(lambda: open_serial(device, baud), board, controls, options, AccessGuard(admin), say=say, task_status=task_status)


async def last_words(device: str, baud: int, text: str) -> None:
    """A line for whoever is at the far end; whatever the port says to that, it does not take longer than LAST_S."""
    from .serial_port import open_serial

    octets = f"\r\n\r\n{text}\r\n".encode()
    with suppress(OSError, trio.BrokenResourceError), trio.move_on_after(LAST_S):
        async with await open_serial(device, baud) as port:
            await port.send_all(octets)
            await trio.sleep(10 * len(octets) / baud)  # closing throws away what the line has not carried yet


async def on_terminal(controls: "ControlPort", *, live: bool) -> str:
    """`pillarbox console` beside the running server; unless `live` the first screen as text, else "" when the person left.

    Raises what asking raises. Nobody is asked for a password: whoever may ask the server at all may do all of it.
    """
    from .console import on_terminal, once
    from .ports import AccessGuard, Options
    from .remote_board import RemoteBoard

    board = await RemoteBoard.open(controls)
    if not live:
        return once(board.snapshot())
    await on_terminal(board, controls, Options(), AccessGuard(None))
    return ""


async def simulated(
    board: "SnapshotSource",
    actions: "Actions",
    *,
    clock: "ServerClock",
    say: "Say",
    asks_before_closing: bool = False,
    task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED,
) -> None:
    """LEDs and button in this terminal, on mock pins; until cancelled. `asks_before_closing`: somebody else runs the server."""
    from .led_display import Options
    from .simulate import run

    await run(board, actions, Options(), clock=clock, say=say, asks_before_closing=asks_before_closing, task_status=task_status)


async def simulate_beside(controls: "ControlPort", clock: "ServerClock", say: "Say") -> None:
    """`pillarbox panel --simulate`: the running server's LEDs and button here, its log above them; until cancelled."""
    from appliance.control.requests import FlushQueue, ReadLog, ShutDown

    from .remote_board import RemoteBoard

    board = await RemoteBoard.open(controls)

    async def password() -> None:
        say("A one-time password is for the serial console of a box; here: pillarbox admin password.")

    actions = actions_of(lambda: controls.ask(FlushQueue()), lambda: controls.ask(ShutDown()), password)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(simulated, board, actions, clock=clock, say=say, asks_before_closing=True))
        said = 0
        while True:
            with suppress(Exception):  # the guard of a program that only watches: a server that is gone is the LEDs' to say
                log = (await controls.ask(ReadLog(said))).facts
                said = log["said"]
                for line in log["lines"]:
                    say(line)
            await trio.sleep(1)


def draw_card(path: Path) -> None:
    """The card of meanings as PDF, or as SVG where the name ends so. Raises OSError."""
    from . import card

    path.write_bytes(card.svg().encode() if path.suffix.lower() == ".svg" else card.pdf())
