"""The test's end of the wire to a running server's pins: presses the button, watches the LEDs. See `wired/wired_pins.py`."""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from .server import ROOT

WIRED = ROOT / "tests" / "support" / "wired"
SECONDS = 30.0
Reader = Callable[[Sequence[tuple[bool, float]]], list[str]]
"""From whole spans to every meaning whose pattern they could be."""


class PinWire:
    """One wire, plugged in anew by each start of the server; `seen` is (pin, level, monotonic seconds)."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[tuple[str, float, float]] = []
        self._moved = threading.Condition()
        self._far: socket.socket | None = None
        path = place / "wire.sock"
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        threading.Thread(target=self._serve, daemon=True).start()
        monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "wired")
        monkeypatch.setenv("PILLARBOX_WIRE", str(path))
        monkeypatch.setenv("PYTHONPATH", str(WIRED))
        self._monkeypatch = monkeypatch

    def hold_from_the_start(self, pin: str) -> None:
        """The next start of the server finds the pin pressed."""
        self._monkeypatch.setenv("PILLARBOX_WIRE_HELD", pin)

    def press(self, pin: str) -> None:
        self._drive(pin, 0)

    def release(self, pin: str) -> None:
        self._drive(pin, 1)

    def _drive(self, pin: str, level: int) -> None:
        with self._moved:
            assert self._moved.wait_for(lambda: self._far is not None, SECONDS), "no server opened a pin"
            assert self._far
            self._far.sendall(f"{pin} {level}\n".encode())

    def spans(self, pin: str, since: float) -> list[tuple[bool, float]]:
        """(lit, seconds) of an LED that knows on and off; whole spans only, the first begins after `since`."""
        with self._moved:
            edges = [(level >= 0.5, at) for name, level, at in self.seen if name == pin and at >= since]
        return [(lit, later - at) for (lit, at), (_, later) in pairwise(edges)]

    def shows(self, pin: str, read: Reader, meaning: str, since: float | None = None) -> None:
        """Wait until the last of what the LED does from now on can be this meaning, and nothing else.

        `since`: an earlier instant, at which it showed another meaning.
        """
        deadline = time.monotonic() + SECONDS
        since = time.monotonic() if since is None else since
        while not any(read(spans[first:]) == [meaning] for spans in (self.spans(pin, since),) for first in range(len(spans))):
            assert time.monotonic() < deadline, f"not {meaning}: {self.spans(pin, since)}"
            with self._moved:
                self._moved.wait(0.2)

    def close(self) -> None:
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                far, _ = self._listening.accept()
            except OSError:  # closed: the test is over
                return
            with self._moved:
                self._far = far
                self._moved.notify_all()
            with far.makefile() as lines:
                for line in lines:
                    pin, level, at = line.split()
                    with self._moved:
                        self.seen.append((pin, float(level), float(at)))
                        self._moved.notify_all()
