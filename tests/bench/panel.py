"""What the panel costs the running house: memory, CPU at rest, and CPU a letter, beside a house without it.

Ten lamps on gpiozero's mock pins and a console on a pseudo-terminal whose far end reads. Both houses run side by side
and take letters in turns, so that whatever else the machine does meets both.
"""

import os
import pty
import statistics
import threading
import time
import tty
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.clients import deliver
from tests.bench.meters import Process
from tests.support.house import House, new_data

if TYPE_CHECKING:
    from tests.bench.__main__ import Table

MB = 1024.0
PAIRS = 9
LATE_S = 12.0
PINS = range(4, 14)
LETTER = b"From: bob@far.example\r\nTo: ada@home.example\r\nSubject: costs\r\n\r\n" + b"some words of a letter\r\n" * 180


def _reader(end: int) -> None:
    try:
        while os.read(end, 4096):
            pass
    except OSError:  # closed: the bench is over
        return


def panel(table: "Table", work: Path, letters: int, rest_s: float) -> None:
    """All bars of the panel that need a whole house."""
    end, side = pty.openpty()
    tty.setraw(side)
    threading.Thread(target=_reader, args=(end,), daemon=True).start()
    lamps = ", ".join(f'"pwm:{pin} all"' for pin in PINS)
    os.environ.update(GPIOZERO_PIN_FACTORY="mock", GPIOZERO_MOCK_PIN_CLASS="mockpwmpin")
    houses: list[House] = []
    processes: list[Process] = []
    with ExitStack() as stack:
        for name, words in (("without", ""), ("with", f'lamps = [{lamps}]\nconsole = "{os.ttyname(side)}"')):
            settings = work / f"{name}.toml"
            settings.write_text(f"[panel]\n{words}\n[limits]\nconnections_per_address = 1000\n")
            houses.append(stack.enter_context(House(new_data(work / name), "--settings", str(settings))))
            processes.append(Process(houses[-1].pid))
            deliver(houses[-1].ports["smtp"], [("ada@home.example", LETTER)] * 50, 1)  # all that it loads is there
        for process in processes:
            process.settle()
        bare, full = (process.memory_kb()["Pss"] / MB for process in processes)
        table.add("PSS without lamps and console, MB", bare)
        table.add("the panel's PSS: ten lamps, a console, MB", full - bare, most=8)
        time.sleep(LATE_S)  # what both houses still do after their first letters
        before = [process.cpu_s() for process in processes]
        time.sleep(rest_s)
        used = [100 * (process.cpu_s() - was) / rest_s for process, was in zip(processes, before, strict=True)]
        table.add("the panel's CPU, ten lamps and a console, % of a core", used[1] - used[0], most=0.5)
        ratios = []
        for pair in range(PAIRS):
            spent = [0.0, 0.0]
            for which in (0, 1) if pair % 2 else (1, 0):
                was = processes[which].cpu_s()
                deliver(houses[which].ports["smtp"], [("ada@home.example", LETTER)] * letters, 4)
                spent[which] = processes[which].cpu_s() - was
            ratios.append(spent[1] / spent[0])
        table.add(f"CPU a letter with the panel to without, median of {PAIRS} pairs", statistics.median(ratios), most=1.03)
    os.close(end)
    os.close(side)


def deaf(table: "Table", work: Path, letters: int) -> None:
    """A far end that never reads, and letters coming in all the while."""
    end, side = pty.openpty()
    tty.setraw(side)
    took = []
    for name, words in (("nobody", ""), ("deaf", f'console = "{os.ttyname(side)}"')):
        settings = work / f"{name}.toml"
        settings.write_text(f"[panel]\n{words}\n")
        with House(new_data(work / name), "--settings", str(settings)) as house:
            deliver(house.ports["smtp"], [("ada@home.example", LETTER)] * 50, 1)
            began = time.monotonic()
            deliver(house.ports["smtp"], [("ada@home.example", LETTER)] * letters, 4)
            took.append(time.monotonic() - began)
    table.add(f"{letters} letters beside a console that never reads, s", took[1])
    table.add("and with no console, s", took[0])
    os.close(end)
    os.close(side)
