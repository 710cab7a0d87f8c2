"""The user's end of a serial line, which is a pty."""

import os
import pty
import re
import select
import time
import tty

SECONDS = 20.0


class Cable:
    """A terminal on a serial line."""

    def __init__(self) -> None:
        self.end, self._side = pty.openpty()
        tty.setraw(self._side)
        self.device = os.ttyname(self._side)
        self.shown = b""

    def type(self, keys: str) -> None:
        self.shown = b""
        os.write(self.end, keys.encode())

    def until(self, words: str) -> str:
        """Read until `words` were shown; all since the last key."""
        self.match(re.escape(words))
        return self.shown.decode()

    def match(self, pattern: str) -> "re.Match[str]":
        """Read until the pattern was shown since the last key."""
        deadline = time.monotonic() + SECONDS
        while not (found := re.search(pattern, self.shown.decode(errors="replace"))):
            assert select.select([self.end], [], [], max(0.0, deadline - time.monotonic()))[0], f"{pattern!r} never came: {self.shown!r}"
            self.shown += os.read(self.end, 4096)
        return found

    def close(self) -> None:
        os.close(self.end)
        os.close(self._side)
