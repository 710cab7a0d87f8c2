"""LEDs and button in a terminal: a real pty, gpiozero's mock pins, the same code as for real pins."""

import os
import pty
import re
import termios
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import trio

from appliance.panel.button import Actions
from appliance.panel.led_display import LedOptions
from appliance.panel.simulate import CONFIRM, KEYS, SimulatorOptions, in_rows, render, run
from appliance.runtime.clock import RealClock
from appliance.status.board import Board
from appliance.status.events import ServerState, StorageTrouble


class Server:
    def __init__(self) -> None:
        self.board = Board(RealClock())
        self.board.publish(ServerState("ready"))
        self.tried = trio.Event()
        self.closed, self.closings = trio.Event(), 0
        self.said: list[str] = []

    async def act(self) -> None:
        self.tried.set()

    async def close(self) -> None:
        self.closings += 1
        self.closed.set()

    def task(
        self, fd_in: int, fd_out: int, leds: tuple[str, ...] = ("led:4 server,ready", "pwm:5 trouble"), *, confirm_shutdown: bool = False
    ) -> Any:
        actions = Actions(self.act, self.close, self.act)
        simulator = SimulatorOptions(leds, confirm_shutdown, fd_in, fd_out)
        return partial(run, self.board, actions, LedOptions(), simulator, clock=RealClock(), log=self.said.append)


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """The user's end and the server's end."""
    near, far = pty.openpty()
    termios.tcsetwinsize(far, (24, 100))
    os.set_blocking(near, False)
    yield near, far
    os.close(near)
    os.close(far)


async def until(near: int, words: str) -> str:
    """What was received, once `words` are in it."""
    got = ""
    with trio.fail_after(10):
        while not re.search(words, got):
            await trio.lowlevel.wait_readable(near)
            got += os.read(near, 4096).decode()
    return got


async def test_in_a_terminal(terminal: tuple[int, int]) -> None:
    near, far = terminal
    server, former = Server(), termios.tcgetattr(far)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.task(far, far))
        first = await until(near, r"server,ready: ready")
        assert "\x1b[1;23r" in first
        assert "\x1b[24;1H\x1b[2K" in first
        assert "trouble: dark" in first
        server.board.publish(StorageTrouble("full", ""))
        await until(near, r"\(@\) trouble: storage")
        await until(near, r"\( \) trouble: storage")
        os.write(near, b"xb")
        with trio.fail_after(10):
            await server.tried.wait()
        nursery.cancel_scope.cancel()
    assert "\x1b[r" in await until(near, r"\x1b\[r")
    assert termios.tcgetattr(far) == former
    assert server.said == []


async def test_without_a_terminal_a_line_for_each_meaning() -> None:
    read, write = os.pipe()
    server = Server()
    async with trio.open_nursery() as nursery:
        await nursery.start(server.task(read, write))
        assert "server,ready: ready" in await until(read, "\n")
        server.board.publish(ServerState("starting"))
        line = await until(read, "\n")
        assert "server,ready: starting" in line
        assert "\x1b" not in line
        nursery.cancel_scope.cancel()
    os.close(read)
    os.close(write)


async def test_a_stopped_terminal_blocks_nothing(terminal: tuple[int, int]) -> None:
    near, far = terminal
    server = Server()
    async with trio.open_nursery() as nursery:
        await nursery.start(server.task(far, far))
        await until(near, "ready")
        os.set_blocking(far, False)
        with pytest.raises(BlockingIOError):
            while True:
                os.write(far, b"." * 4096)
        os.set_blocking(far, True)  # from now on a write without polling blocks forever
        with trio.fail_after(5):
            for phase in ("starting", "draining", "stopped"):
                server.board.publish(ServerState(phase))
                await trio.sleep(0.3)  # three snapshots of the display
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("levels", "line"),
    [
        ([], []),
        ([("server", 1.0, "ready")], ["(@) server: ready"]),
        ([("server", 0.0, ""), ("trouble", 0.05, "storage")], ["( ) server: dark", "(.) trouble: storage"]),
    ],
)
def test_the_words_of_leds(levels: list[tuple[str, float, str]], line: list[str]) -> None:
    assert render(levels) == line


def test_rows_cut_no_word_that_has_room() -> None:
    words = ["(@) all: certificate", "(@) server: recovering", "(@) trouble: certificate", "(@) mail: waiting", KEYS]
    for columns in (40, 60, 79, 100, 200):
        rows = in_rows(words, columns)
        assert "  ".join(rows).split() == "  ".join(words).split() and max(map(len, rows)) <= columns
    assert len(in_rows(words, 79)) == 2 and in_rows([], 79) == [] and in_rows(["x" * 90], 79) == ["x" * 79]


async def test_eighty_columns_show_every_led_and_the_keys() -> None:
    near, far = pty.openpty()
    termios.tcsetwinsize(far, (24, 80))
    os.set_blocking(near, False)
    server = Server()
    task = server.task(far, far, ())
    async with trio.open_nursery() as nursery:
        await nursery.start(task)
        shown = await until(near, r"all: ready(?s:.*)" + re.escape(KEYS))
        assert "\x1b[1;22r" in shown, "two rows are reserved"
        row = dict(re.findall(r"\x1b\[(23|24);1H\x1b\[2K([^\x1b]*)", shown))
        for word in ("all: ready", "server: dark", "trouble: dark", "mail: ready", KEYS):
            assert word in row["23"] + row["24"], row
        assert max(map(len, row.values())) < 80
        nursery.cancel_scope.cancel()
    os.close(near)
    os.close(far)


async def test_stopping_a_server_that_runs_elsewhere_is_confirmed(terminal: tuple[int, int]) -> None:
    near, far = terminal
    server = Server()
    async with trio.open_nursery() as nursery:
        await nursery.start(server.task(far, far, confirm_shutdown=True))
        for refusal in (b"n", b"b", b"h", b"x"):
            await until(near, re.escape(KEYS))
            os.write(near, b"h")
            await until(near, re.escape(CONFIRM))
            os.write(near, refusal)
        await until(near, re.escape(KEYS))
        os.write(near, b"y")  # no question is open
        os.write(near, b"hy")
        with trio.fail_after(10):
            await server.closed.wait()
        assert server.closings == 1 and not server.tried.is_set()
        nursery.cancel_scope.cancel()
