"""A terminal run by tmux: it runs the program, takes keys, and its screen is read."""

import itertools
import os
import subprocess
import time

from .needs import program
from .server import environment

BOUND_S = 30
NAMED = {"enter": "Enter", "up": "Up", "down": "Down", "left": "Left", "right": "Right", "esc": "Escape"}
_numbers = itertools.count()


class Tmux:
    """One terminal; ends with `close`."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self._words = [program("tmux"), "-L", f"pillarbox-{os.getpid()}-{next(_numbers)}", "-f", "/dev/null"]
        self._size = ("-x", str(columns), "-y", str(rows))

    def run(self, *words: str) -> str:
        about = {**environment(), "LC_ALL": "C"}
        return subprocess.run([*self._words, *words], capture_output=True, text=True, timeout=20, check=False, env=about).stdout

    def start(self, command: str) -> None:
        """Run a shell command in it."""
        self.run("new-session", "-d", *self._size, command)

    def keys(self, *keys: str) -> None:
        """Names of NAMED, tmux's own such as C-c, or text."""
        for key in keys:
            self.run("send-keys", *([NAMED[key]] if key in NAMED else [key] if key.startswith("C-") else ["-l", key]))

    def screen(self) -> str:
        return "\n".join(row.rstrip() for row in self.run("capture-pane", "-p").splitlines()) + "\n"

    def shows(self, text: str, *, within_s: float = BOUND_S) -> str:
        """Wait until the screen holds a text; the screen."""
        deadline = time.monotonic() + within_s
        while text not in (screen := self.screen()):
            assert time.monotonic() < deadline, f"{text!r} never came:\n{screen}"
            time.sleep(0.05)
        return screen

    def becomes(self, text: str) -> None:
        """Wait until the screen is exactly this."""
        deadline = time.monotonic() + BOUND_S
        while (screen := self.screen()) != text:
            assert time.monotonic() < deadline, f"it never became\n{text}\nbut\n{screen}"
            time.sleep(0.05)

    def close(self) -> None:
        self.run("kill-server")
