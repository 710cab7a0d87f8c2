"""The cost of the panel in the running server: memory, idle CPU, CPU per message, beside a server without it; and its serial traffic.

Ten LEDs on gpiozero's mock pins and a console on a pseudo-terminal whose far end reads. Both servers run side by side
and take messages in turns, so that other load on the machine affects both.
"""

import os
import pty
import select
import statistics
import threading
import time
import tty
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.runtime.clock import RealClock
from appliance.status.board import Board
from appliance.status.events import MessageAccepted
from appliance.status.journal import Journal
from tests.support.cable import Cable
from tests.support.server import Pillarbox, new_data, pillarbox
from tests.support.vt100 import Vt100Screen

from .clients import deliver
from .meters import Process

if TYPE_CHECKING:
    from .__main__ import Table

MB = 1024.0
PAIRS = 9
LATE_S = 12.0
PINS = range(4, 14)
CHANGES = 10
ROUNDS, EVENTS = 21, 5000
MESSAGE = b"From: bob@far.example\r\nTo: ada@home.example\r\nSubject: costs\r\n\r\n" + b"some words of a message\r\n" * 180


def _reader(end: int) -> None:
    try:
        while os.read(end, 4096):
            pass
    except OSError:  # closed: the bench is over
        return


def panel(table: "Table", work: Path, messages: int, rest_s: float) -> None:
    """All bars of the panel that need a whole server."""
    end, side = pty.openpty()
    tty.setraw(side)
    threading.Thread(target=_reader, args=(end,), daemon=True).start()
    leds = ", ".join(f'"pwm:{pin} all"' for pin in PINS)
    os.environ.update(GPIOZERO_PIN_FACTORY="mock", GPIOZERO_MOCK_PIN_CLASS="mockpwmpin")
    servers: list[Pillarbox] = []
    processes: list[Process] = []
    with ExitStack() as stack:
        for name, words in (("without", ""), ("with", f'leds = [{leds}]\nconsole = "{os.ttyname(side)}"')):
            settings = work / f"{name}.toml"
            settings.write_text(f"[panel]\n{words}\n[limits]\nconnections_per_address = 1000\n")
            servers.append(stack.enter_context(Pillarbox(new_data(work / name), "--settings", str(settings))))
            processes.append(Process(servers[-1].pid))
            deliver(servers[-1].ports["smtp"], [("ada@home.example", MESSAGE)] * 50, 1)  # all that it loads is there
        for process in processes:
            process.settle()
        bare, full = (process.memory_kb()["Pss"] / MB for process in processes)
        table.add("PSS without LEDs and console, MB", bare)
        table.add("the panel's PSS: ten LEDs, a console, MB", full - bare, most=8)
        ratios = []
        for pair in range(PAIRS):
            spent = [0.0, 0.0]
            for which in (0, 1) if pair % 2 else (1, 0):
                was = processes[which].cpu_s()
                deliver(servers[which].ports["smtp"], [("ada@home.example", MESSAGE)] * messages, 4)
                spent[which] = processes[which].cpu_s() - was
            ratios.append(spent[1] / spent[0])
        table.add(f"CPU a message with the panel to without, median of {PAIRS} pairs", statistics.median(ratios), most=1.03)
        for server in servers:
            pillarbox("account", "set", "ada@home.example", "--quota-mb", "1", data=server.data)  # it is full: all ten LEDs blink
        time.sleep(LATE_S)  # what both servers still do after their last messages
        before = [process.cpu_s() for process in processes]
        time.sleep(rest_s)
        used = [100 * (process.cpu_s() - was) / rest_s for process, was in zip(processes, before, strict=True)]
        table.add("the panel's CPU, ten LEDs blinking and a console, % of a core", used[1] - used[0], most=0.5)
    os.close(end)
    os.close(side)


class FarEnd:
    """A terminal at the cable that takes `octets_per_s` at most; counts octets."""

    def __init__(self, cable: Cable, octets_per_s: float = 1e9) -> None:
        self._cable, self._octets_per_s = cable, octets_per_s
        self.screen = Vt100Screen()
        self.began = 0.0
        """When the first octet came."""

    def until_quiet(self, quiet_s: float = 1.2, words: str = "") -> int:
        """Read until nothing more comes, or until the screen has the words; the octets."""
        before, wait_s = self.screen.seen, quiet_s if not words else 30.0
        while not (words and words in self.screen.text()) and select.select([self._cable.end], [], [], wait_s)[0]:
            self.began = self.began or time.monotonic()
            self.screen.feed(os.read(self._cable.end, 64))
            time.sleep(max(0.0, self.began + self.screen.seen / self._octets_per_s - time.monotonic()))
        return self.screen.seen - before


def console(table: "Table", work: Path) -> None:
    """Serial traffic of the running server at 9600 baud, and the octets of each change."""
    settings = work / "cable.toml"
    with closing(Cable()) as cable:
        settings.write_text(f'[panel]\nconsole = "{cable.device}"\nconsole_baud = 9600\n')
        with Pillarbox(new_data(work / "cable"), "--settings", str(settings)) as server:
            far = FarEnd(cable, octets_per_s=960)
            octets = far.until_quiet(words="9 Power")
            table.add("first screen at 960 octets a second, s", time.monotonic() - far.began, most=3)
            table.add("first screen, octets", octets, most=2400)
            far = FarEnd(cable)
            os.write(cable.end, b"\x0c")
            far.until_quiet()
            changes = []
            for _ in range(CHANGES):
                deliver(server.ports["smtp"], [("ada@home.example", MESSAGE)], 1)
                changes.append(far.until_quiet())
            table.add("a message came: octets on the first screen, at most", max(changes), most=400)
            whole = []
            for key in b"123456789?":
                os.write(cable.end, bytes((key,)))
                far.until_quiet()
                os.write(cable.end, b"\x0c")
                whole.append(far.until_quiet())
            table.add("full repaint of the largest screen, octets", max(whole), most=2400)


def publish(table: "Table") -> None:
    """What an event costs whoever announces it, the log among it."""
    clock = RealClock()
    with Path(os.devnull).open("wb") as nowhere:
        journal = Journal(clock, fd=nowhere.fileno())
        board = Board(clock, journal.note)
        event = MessageAccepted("smtp", "192.0.2.1", "friend@far.example", 1, 4000, 0.01, "K3F1")
        took = []
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            for _ in range(EVENTS):
                board.publish(event)
            took.append((time.perf_counter() - begun) / EVENTS)
            journal.flush()
    table.add("publish of an event, us", 1e6 * statistics.median(took), most=2)


def deaf(table: "Table", work: Path, messages: int) -> None:
    """A far end that never reads, and messages coming in all the while."""
    end, side = pty.openpty()
    tty.setraw(side)
    took = []
    for name, words in (("nobody", ""), ("deaf", f'console = "{os.ttyname(side)}"')):
        settings = work / f"{name}.toml"
        settings.write_text(f"[panel]\n{words}\n")
        with Pillarbox(new_data(work / name), "--settings", str(settings)) as server:
            deliver(server.ports["smtp"], [("ada@home.example", MESSAGE)] * 50, 1)
            began = time.monotonic()
            deliver(server.ports["smtp"], [("ada@home.example", MESSAGE)] * messages, 4)
            took.append(time.monotonic() - began)
    table.add(f"{messages} messages beside a console that never reads, s", took[1])
    table.add("and with no console, s", took[0])
    os.close(end)
    os.close(side)
