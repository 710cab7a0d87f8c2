"""`pillarbox console` and `pillarbox panel`: the serial console's screens, and LEDs and button, on this terminal."""

import os
import sys
from pathlib import Path
from typing import Any

import trio

import appliance.panel.service as service
from appliance.control.client import NotRunning, RemoteControl
from appliance.database.migrations import refuse_before_release
from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence
from appliance.runtime.clock import RealClock
from appliance.runtime.identity import DATABASE

from .wording import in_words, words


def console(args: Any) -> int:
    """Live on a terminal, one screen as plain text anywhere else; the exit status."""
    live = sys.stdin.isatty() and sys.stdout.isatty()
    try:
        print(trio.run(_console, args.data, live), end="")
    except NotRunning as error:
        refuse_before_release(args.data / DATABASE)
        print(f"pillarbox: {in_words(error)}", file=sys.stderr)
        return 3
    return 0


async def _console(data: Path, live: bool) -> str:
    return await service.on_terminal(RemoteControl(data), live=live, language=words())


def panel(args: Any) -> int:
    """The simulator beside the running server, or the card; the exit status."""
    if args.card:
        path = Path(args.card)
        if path.suffix.lower() not in (".pdf", ".svg"):
            raise SetupError(Sentence("%(path)s is neither PDF nor SVG.", path=path), "Give a name that ends in .pdf or .svg.")
        try:
            service.write_led_card(path)
        except OSError as error:
            raise SetupError(
                Sentence("%(path)s cannot be written: %(strerror)s.", path=path, strerror=error.strerror), "Choose another place."
            ) from error
        print(words()("Written to %(path)s. Print it and tape it to the box.", path=path))
    elif args.simulate:
        try:
            trio.run(service.simulate_beside, RemoteControl(args.data), RealClock(), _log)
        except NotRunning as error:
            refuse_before_release(args.data / DATABASE)
            print(f"pillarbox: {in_words(error)}", file=sys.stderr)
            return 3
    else:
        raise SetupError("Nothing to do.", "Choose --simulate or --card FILE.")
    return 0


def _log(line: str) -> None:
    os.write(2, line.encode() + b"\n")
