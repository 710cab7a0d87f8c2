"""The panel as the server and its commands start it: LEDs, the button, the serial console, the simulator, the printed card.

Every function imports what it needs when it is called, so that a server without hardware loads nothing of it. The LEDs
start before the database opens and end last; button and console are tasks of the server. The settings have passed
`config/panel_rules`; a port or pin that cannot be used never affects mail.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from .board_leds import default_leds

if TYPE_CHECKING:
    from appliance.languages.catalogues import Language

    from .button import Actions
    from .led_display import LedDisplay
    from .ports import AdminSignIn, ControlPort, SnapshotSource
    from .simulate import ServerClock

    LogLine = Callable[[str], None]


LAST_S = 2.0
"""How long a console that does not read may delay the end of the server."""


def has_leds(leds: Sequence[str]) -> bool:
    """Whether there are LEDs, of the settings or of the board."""
    return bool(leds or default_leds())


def leds_task(
    board: "SnapshotSource", leds: Sequence[str], *, night: str, night_percent: int, clock: "ServerClock", log: "LogLine"
) -> "LedDisplay":
    """The task of the LEDs, to be run around everything else."""
    from .led_config import from_thread, open_leds, parse_leds
    from .led_display import LedDisplay, LedOptions, parse_night

    opener = partial(open_leds, parse_leds(leds), from_thread(log))
    return LedDisplay(board, opener, LedOptions(parse_night(night), night_percent / 100), clock=clock, log=log)


def actions_of(
    try_now: Callable[[], Awaitable[object]], shut_down: Callable[[], Awaitable[object]], password: Callable[[], Awaitable[object]]
) -> "Actions":
    """What the button does."""
    from .button import Actions

    return Actions(try_now, shut_down, password)


async def watch_button(
    pin: str,
    actions: "Actions",
    *,
    pull_up: bool,
    clock: "ServerClock",
    log: "LogLine",
    task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED,
) -> None:
    """The task of the button. Where the pin cannot be used a log line says so, and there is no button."""
    from .button import run
    from .led_config import pin_of
    from .leds import reason_of

    def opened() -> Any:
        from .gpio import PinButton

        return PinButton(pin_of(pin), pull_up=pull_up)

    try:
        port = await trio.to_thread.run_sync(opened)
    except Exception as fault:  # any driver may raise anything: a button must never affect mail
        log(f"The button at pin {pin} cannot be used and is left out: {reason_of(fault)}.")
        task_status.started()
        await trio.sleep_forever()
        return
    await run(port, actions, clock=clock, log=log, task_status=task_status)


async def console(
    device: str,
    baud: int,
    board: "SnapshotSource",
    control: "ControlPort",
    admin: "AdminSignIn | None",
    *,
    language: "Callable[[], Language]",
    log: "LogLine",
    task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED,
) -> None:
    """The task of the serial console; without an `admin` nobody has to sign in. Ten bits on the line carry an octet."""
    from .console import run
    from .ports import AccessGuard, ConsoleOptions
    from .serial_port import open_serial

    options = ConsoleOptions(octets_per_s=baud / 10, language=language)
    await run(lambda: open_serial(device, baud), board, control, options, AccessGuard(admin), log=log, task_status=task_status)


async def send_last_line(device: str, baud: int, text: str) -> None:
    """Send a last line to the console; whatever the port does, it takes no longer than LAST_S."""
    from .serial_port import open_serial

    octets = f"\r\n\r\n{text}\r\n".encode()
    with suppress(OSError, trio.BrokenResourceError), trio.move_on_after(LAST_S):
        async with await open_serial(device, baud) as port:
            await port.send_all(octets)
            await trio.sleep(10 * len(octets) / baud)  # closing discards what was not transmitted yet


async def on_terminal(control: "ControlPort", *, live: bool, language: "Language") -> str:
    """`pillarbox console` beside the running server; unless `live` the first screen as text, else "" when the user left.

    No password is required: whoever may send requests to the server may send all of them. Raises what requests raise.
    """
    from .console import on_terminal, once
    from .ports import AccessGuard, ConsoleOptions
    from .remote_board import RemoteBoard

    board = await RemoteBoard.open(control)
    if not live:
        return once(board.snapshot(), language)
    await on_terminal(board, control, ConsoleOptions(language=lambda: language), AccessGuard(None))
    return ""


async def simulated(
    board: "SnapshotSource",
    actions: "Actions",
    *,
    clock: "ServerClock",
    log: "LogLine",
    confirm_shutdown: bool = False,
    task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED,
) -> None:
    """LEDs and button in this terminal, on mock pins; until cancelled. `confirm_shutdown`: the server runs elsewhere."""
    from .led_display import LedOptions
    from .simulate import SimulatorOptions, run

    simulator = SimulatorOptions(confirm_shutdown=confirm_shutdown)
    await run(board, actions, LedOptions(), simulator, clock=clock, log=log, task_status=task_status)


async def simulate_beside(control: "ControlPort", clock: "ServerClock", log: "LogLine") -> None:
    """`pillarbox panel --simulate`: LEDs and button of the running server, its journal above them; until cancelled."""
    from appliance.control.requests import FlushQueue, ReadLog, ShutDown

    from .remote_board import RemoteBoard

    board = await RemoteBoard.open(control)

    async def password() -> None:
        log("A one-time password is for the serial console; here: pillarbox account password ADDRESS.")

    actions = actions_of(lambda: control.ask(FlushQueue()), lambda: control.ask(ShutDown()), password)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(simulated, board, actions, clock=clock, log=log, confirm_shutdown=True))
        count = 0
        while True:
            with suppress(Exception):  # the guard of a program that only watches: the LEDs show that the server is gone
                answer = (await control.ask(ReadLog(count))).facts
                count = answer["count"]
                for line in answer["lines"]:
                    log(line)
            await trio.sleep(1)


def write_led_card(path: Path) -> None:
    """The printed card of LED patterns as PDF, or as SVG where the name ends so. Raises OSError."""
    from . import led_card

    path.write_bytes(led_card.svg().encode() if path.suffix.lower() == ".svg" else led_card.pdf())
