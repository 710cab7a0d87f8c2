"""The console on the user's terminal: raw while it runs, restored afterwards, however it ends."""

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator

import pytest

from tests.support.server import ROOT, environment
from tests.support.vt100 import Vt100Screen

BOUND_S = 30


class OnPty:
    def __init__(self, rows: int = 24, **more: str) -> None:
        self.main, self.side = pty.openpty()
        termios.tcsetwinsize(self.side, (rows, 80))
        self.before = termios.tcgetattr(self.side)
        self.flags = os.get_blocking(self.side)
        words = [sys.executable, "-m", "tests.support.console_program"]
        environ = {**environment(), "TERM": "vt100", "LC_ALL": "C", **more}
        self.process = subprocess.Popen(
            words, stdin=self.side, stdout=self.side, stderr=self.side, env=environ, cwd=ROOT, start_new_session=True
        )
        self.got = b""

    def until(self, text: bytes) -> bytes:
        deadline = time.monotonic() + BOUND_S
        while text not in self.got:
            assert select.select([self.main], [], [], max(0, deadline - time.monotonic()))[0], self.got
            self.got += os.read(self.main, 4096)
        return self.got

    def ends(self) -> int:
        while self.process.poll() is None:
            if select.select([self.main], [], [], 0.1)[0]:
                self.got += os.read(self.main, 4096)
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        os.close(self.main)
        os.close(self.side)


@pytest.fixture
def terminal() -> Iterator[OnPty]:
    one = OnPty()
    yield one
    one.close()


def as_it_was(one: OnPty) -> None:
    assert termios.tcgetattr(one.side) == one.before
    assert os.get_blocking(one.side) == one.flags


@pytest.mark.parametrize("end", [b"q", b"\x03", b"\x04", signal.SIGTERM, signal.SIGHUP], ids=str)
def test_the_terminal_is_as_it_was_after_any_end(terminal: OnPty, end: bytes | signal.Signals) -> None:
    screen = Vt100Screen()
    screen.feed(terminal.until(b"9 Power"))
    assert "Queue     3 waiting" in screen.text()
    assert not termios.tcgetattr(terminal.side)[3] & (termios.ECHO | termios.ICANON | termios.ISIG)
    if isinstance(end, bytes):
        os.write(terminal.main, end)
    else:
        terminal.process.send_signal(end)
    assert terminal.ends() == 0
    as_it_was(terminal)


def test_a_dumb_terminal_gets_plain_lines() -> None:
    one = OnPty(TERM="dumb")
    try:
        one.until(b"9 Power")
        assert b"\x1b" not in one.got
        os.write(one.main, b"2")
        one.until(b"bob0@slow.example")
        os.write(one.main, b"q")
        assert one.ends() == 0 and b"\x1b" not in one.got
        as_it_was(one)
    finally:
        one.close()


def test_a_window_too_small_for_the_screen_gets_plain_lines() -> None:
    small = OnPty(rows=20)
    try:
        small.until(b"9 Power")
        assert b"\x1b" not in small.got
        os.write(small.main, b"q")
        assert small.ends() == 0
    finally:
        small.close()


def test_a_window_of_another_size_is_redrawn(terminal: OnPty) -> None:
    terminal.until(b"9 Power")
    terminal.got = b""
    termios.tcsetwinsize(terminal.side, (40, 120))
    terminal.process.send_signal(signal.SIGWINCH)
    assert b"\x1b[2J" in terminal.until(b"9 Power")
    screen = Vt100Screen(120, 40)
    screen.feed(terminal.got[terminal.got.index(b"\x0f") :])
    assert screen.lines()[39].startswith("1 Overview") and len(screen.lines()[0]) == 119


def test_a_terminal_that_stopped_reading_can_be_left(terminal: OnPty) -> None:
    terminal.until(b"9 Power")
    os.write(terminal.main, b"\x13")
    for _ in range(50):
        os.write(terminal.main, b"\x0c1")
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.process.wait(BOUND_S) == 0
    as_it_was(terminal)
