"""`python -m tests.support.console_program [DATA]`: the console on this terminal, of a running server or of a made-up one."""

import sys
from pathlib import Path

import trio

from appliance.control.client import RemoteControl
from appliance.panel.console import on_terminal
from appliance.panel.ports import ConsoleOptions
from appliance.panel.remote_board import RemoteBoard

from .console import ServerAnswers, busy_board, locked


async def made() -> None:
    await on_terminal(busy_board(), ServerAnswers(), ConsoleOptions(), locked())


async def real(data: Path) -> None:
    controls = RemoteControl(data)
    await on_terminal(await RemoteBoard.open(controls), controls, ConsoleOptions(), locked())


if __name__ == "__main__":
    if len(sys.argv) > 1:
        trio.run(real, Path(sys.argv[1]))
    else:
        trio.run(made)
