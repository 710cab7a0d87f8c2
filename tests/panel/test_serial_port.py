"""Real pyserial over a pty pair and over socat: first screen at 960 octets a second, XON/XOFF, unplugging, a peer that does not read."""

import os
import pty
import random
import select
import subprocess
import sys
import termios
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio
from serial import Serial

from appliance.control import requests as controls
from appliance.panel import console
from appliance.panel.ports import AccessGuard, ConsoleOptions
from appliance.panel.serial_port import SerialPort, open_serial
from appliance.status import events as e
from appliance.status.board import Board
from tests.support.console import UNLOCKED, ServerAnswers, busy_board, locked
from tests.support.figures import report_figure
from tests.support.needs import program
from tests.support.vt100 import Vt100Screen

BOUND_S = 20


@dataclass(slots=True)
class Cable:
    """`device` is the server's end; `far` the terminal's."""

    device: str
    far: str


@pytest.fixture
def socat(tmp_path: Path) -> Iterator[Cable]:
    """Two ptys with socat between them."""
    ends = [tmp_path / "server", tmp_path / "far"]
    words = [f"pty,rawer,link={end}" for end in ends]
    process = subprocess.Popen([program("socat"), *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + BOUND_S
    while not all(end.exists() for end in ends):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    yield Cable(str(ends[0]), str(ends[1]))
    process.terminate()
    process.wait(10)


class ServedConsole:
    """The task of the console on a device, in the nursery of the test."""

    def __init__(self, device: str, board: Board, access: AccessGuard | None = None, speed: int = 115_200) -> None:
        self.device, self.board, self.access, self.speed = device, board, access or locked(), speed
        self.server = ServerAnswers()
        self.said: list[str] = []
        self.moved = trio.Event()
        self.opened = 0

    async def opener(self) -> SerialPort:
        port = await open_serial(self.device, self.speed)
        self.opened += 1
        return port

    def log(self, text: str) -> None:
        self.said.append(text)
        self.moved.set()

    async def logged(self, words: str) -> None:
        """Wait until the last log line has these words."""
        while not self.said or words not in self.said[-1]:
            self.moved = trio.Event()
            await self.moved.wait()

    async def run(self) -> None:
        await console.run(self.opener, self.board, self.server, ConsoleOptions(octets_per_s=self.speed / 10), self.access, log=self.log)


async def reads(far: Serial, screen: Vt100Screen, text: str) -> None:
    """Feed the screen until it shows a text."""
    with trio.fail_after(BOUND_S):
        while text not in screen.text():
            await trio.lowlevel.wait_readable(far.fileno())
            screen.feed(os.read(far.fileno(), 4096))


async def test_first_screen_keys_and_changes_over_pyserial_and_socat(socat: Cable) -> None:
    server = ServedConsole(socat.device, busy_board(), UNLOCKED)
    screen = Vt100Screen()
    with Serial(socat.far, 115_200, timeout=0) as far:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.run)
            await reads(far, screen, "Queue     3 waiting, 1 held")
            server.board.publish(e.MessageAccepted("smtp", "192.0.2.1", "new@far.example", 1, 1000, 0.01, "N"))
            await reads(far, screen, "new@far.example")
            far.write(b"2")
            await reads(far, screen, "bob0@slow.example")
            far.write(b"\x1b[B")
            await reads(far, screen, "> 41 ")
            far.write(b"c")
            await reads(far, screen, "Cancel M7A1")
            far.write(b"y")
            await reads(far, screen, "is cancelled")
            nursery.cancel_scope.cancel()


async def test_at_9600_baud_the_first_screen_is_complete_within_3_seconds() -> None:
    """A pty has no baud rate: the terminal takes 960 octets a second, and says XOFF while it has a full buffer of 64."""
    main, side = pty.openpty()
    tty.setraw(main)
    server = ServedConsole(os.ttyname(side), busy_board(), speed=9600)
    screen = Vt100Screen()
    async with trio.open_nursery() as nursery:
        start = trio.current_time()
        nursery.start_soon(server.run)
        with trio.fail_after(BOUND_S):
            while "9 Power" not in screen.text():
                await trio.lowlevel.wait_readable(main)
                screen.feed(os.read(main, 64))
                due = start + screen.seen / 960
                if due > trio.current_time():
                    os.write(main, b"\x13")
                    await trio.sleep_until(due)
                    os.write(main, b"\x11")
        took = trio.current_time() - start
        report_figure("console, first screen at 960 octets a second", f"{took:.1f} s of 3 s, {screen.seen} octets")
        assert screen.seen / 960 <= 3
        assert took <= 3 * 2  # the machine is shared; the promise is in the octets
        nursery.cancel_scope.cancel()
    os.close(main)
    os.close(side)


async def test_xoff_stops_it_and_xon_brings_the_newest_picture() -> None:
    main, side = pty.openpty()
    tty.setraw(main)
    server = ServedConsole(os.ttyname(side), busy_board(), UNLOCKED)
    screen = Vt100Screen()
    with os.fdopen(main, "r+b", buffering=0) as wire:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.run)
            await read_wire(wire.fileno(), screen, "Queue     3 waiting")
            wire.write(b"\x13")
            seen = screen.seen
            for n in range(500):
                server.board.publish(e.MessageAccepted("smtp", "192.0.2.1", f"s{n}@far.example", 1, 1000, 0.01, f"N{n}"))
                if n % 100 == 0:
                    await trio.sleep(0.3)  # time for five pictures, if it did not keep still
            assert not select.select([wire], [], [], 0)[0] and screen.seen == seen
            wire.write(b"\x11")
            await read_wire(wire.fileno(), screen, "s499@far.example")
            nursery.cancel_scope.cancel()
    os.close(side)


async def read_wire(descriptor: int, screen: Vt100Screen, text: str) -> None:
    with trio.fail_after(BOUND_S):
        while text not in screen.text():
            await trio.lowlevel.wait_readable(descriptor)
            screen.feed(os.read(descriptor, 4096))


async def test_an_xoff_that_was_noise_is_undone_by_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.panel.serial_port.STUCK_S", 0.2)
    main, side = pty.openpty()
    tty.setraw(main)
    server = ServedConsole(os.ttyname(side), busy_board(), UNLOCKED)
    screen = Vt100Screen()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        await read_wire(main, screen, "Queue     3 waiting")
        os.write(main, b"\x13")
        os.write(main, b"5")
        await trio.sleep(0.5)
        with trio.fail_after(BOUND_S):
            while "Listener      address" not in screen.text():
                os.write(main, b"\x0c")
                with trio.move_on_after(0.3):
                    await trio.lowlevel.wait_readable(main)
                    screen.feed(os.read(main, 4096))
        nursery.cancel_scope.cancel()
    os.close(main)
    os.close(side)


async def test_unplugged_and_plugged_in_again(tmp_path: Path) -> None:
    device = tmp_path / "cable"
    server = ServedConsole(str(device), busy_board())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        for time_ in (1, 2, 3):
            main, side = pty.openpty()
            tty.setraw(main)
            device.symlink_to(os.ttyname(side))
            screen = Vt100Screen()
            await read_wire(main, screen, "Queue     3 waiting")
            os.write(main, b"2")
            await read_wire(main, screen, "bob0@slow.example")
            assert server.opened == time_
            device.unlink()
            os.close(side)
            os.close(main)  # hangs up the other side, as a pulled adapter does
            with trio.fail_after(BOUND_S):
                await server.logged("cannot be used")
        nursery.cancel_scope.cancel()
    assert len(server.said) <= 9, server.said


async def test_a_terminal_that_never_reads_blocks_nothing() -> None:
    """10,000 messages arrive; publishing them costs what it always costs, and the kernel's buffer gets no old pictures."""
    main, side = pty.openpty()
    tty.setraw(main)
    server = ServedConsole(os.ttyname(side), busy_board(), UNLOCKED)
    bare = busy_board()
    took: dict[str, list[float]] = {"with": [], "without": []}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        with trio.fail_after(BOUND_S):
            await trio.lowlevel.wait_readable(main)
        for _ in range(200):  # fill the line
            os.write(main, b"\x0c")
            await trio.sleep(0.002)
        for _ in range(10):
            for name, board in (("with", server.board), ("without", bare)):
                start = time.perf_counter()
                for n in range(1000):
                    board.publish(e.MessageAccepted("smtp", "192.0.2.1", f"s{n}@far.example", 1, 1000, 0.01, f"N{n}"))
                    if n % 10 == 0:
                        await trio.lowlevel.checkpoint()
                took[name].append(time.perf_counter() - start)
        figure = f"{min(took['with']) * 1e3:.1f} ms, {min(took['without']) * 1e3:.1f} ms without"
        report_figure("1,000 messages published beside a deaf serial port", figure)
        assert min(took["with"]) < 1.5 * min(took["without"]) + 0.005
        screen = Vt100Screen()
        await read_wire(main, screen, "s999@far.example")
        nursery.cancel_scope.cancel()
    os.close(main)
    os.close(side)


async def test_closing_a_stopped_line_does_not_wait() -> None:
    main, side = pty.openpty()
    tty.setraw(main)
    port = await open_serial(os.ttyname(side))
    os.write(main, b"\x13")
    await trio.sleep(0.05)
    with trio.move_on_after(0.2):
        await port.send_all(b"x" * 100_000)
    with trio.fail_after(2):
        await port.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await port.send_all(b"x")
    os.close(main)
    os.close(side)


async def test_what_was_sent_before_closing_can_still_be_read() -> None:
    main, side = pty.openpty()
    tty.setraw(main)
    async with await open_serial(os.ttyname(side)) as port:
        await port.send_all(b"The last line.")
    assert select.select([main], [], [], 0)[0] and os.read(main, 100) == b"The last line."
    os.close(main)
    os.close(side)


async def test_the_device_is_opened_exclusively_and_at_its_speed() -> None:
    main, side = pty.openpty()
    async with await open_serial(os.ttyname(side), 9600) as port:
        mode = termios.tcgetattr(side)
        assert mode[4] == mode[5] == termios.B9600 and mode[0] & termios.IXON and mode[0] & termios.IXOFF
        assert port.dcd() is None
        with pytest.raises(OSError, match="lock"):
            await open_serial(os.ttyname(side))
        threads = threading.active_count()
        with trio.move_on_after(0.1):
            await port.receive_some(10)
        assert threading.active_count() == threads
    with pytest.raises(OSError):
        await open_serial("/dev/there-is-no-such-port")
    with pytest.raises(OSError, match="baud"):
        await open_serial(os.ttyname(side), -5)
    os.close(main)
    os.close(side)


def test_without_a_device_nothing_of_pyserial_is_loaded() -> None:
    code = (
        "import sys, appliance.panel.console, appliance.panel.serial_port, appliance.panel.remote_board;"
        "print(*[m for m in sys.modules if m.split('.')[0] in ('serial', 'gpiozero')])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


async def test_noise_on_the_line_leaves_a_console_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random octets and keys, XOFF among them, for PILLARBOX_NOISE_S seconds (3; ten minutes by hand); then a user comes."""
    monkeypatch.setattr("appliance.panel.serial_port.STUCK_S", 0.3)
    seconds = float(os.environ.get("PILLARBOX_NOISE_S", "3"))
    main, side = pty.openpty()
    tty.setraw(main)
    server = ServedConsole(os.ttyname(side), busy_board())
    rng = random.Random(11)
    os.set_blocking(main, False)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        turns, until = 0, trio.current_time() + seconds
        while trio.current_time() < until:
            keys = rng.choice((rng.randbytes(rng.randrange(1, 200)), b"2c", b"y", b"\x1b[A", b"4a", b"\r", b"9s", b"3\r", b"\x13"))
            with suppress(BlockingIOError):
                os.write(main, keys)
            if rng.random() < 0.8:
                with suppress(BlockingIOError):
                    os.read(main, 4096)
            server.board.publish(e.MessageAccepted("smtp", "192.0.2.1", "s@far.example", 1, 1000, 0.01, "N"))
            turns += 1
            await trio.sleep(0.002)
        assert turns > seconds * 20
        screen: Vt100Screen | None = None
        with trio.fail_after(BOUND_S):
            while screen is None or "Queue     3 waiting" not in screen.text():
                screen = None
                with suppress(BlockingIOError):
                    os.write(main, b"\x11\x1b\x1b\x1bq1")
                    await trio.sleep(0.2)
                    while os.read(main, 65536):
                        pass
                with suppress(BlockingIOError):
                    os.write(main, b"\x0c")
                    await trio.sleep(0.2)
                    screen = Vt100Screen()
                    screen.feed(os.read(main, 65536))
        assert [one for one in server.server.changes() if not isinstance(one, controls.ExportCertificate)] == []
        assert server.opened == 1
        nursery.cancel_scope.cancel()
    os.close(main)
    os.close(side)
