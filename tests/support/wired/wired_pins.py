"""A pin factory for gpiozero whose pins hang on a wire to the test: mock pins that another process presses and watches.

gpiozero finds it by its entry point (this folder on PYTHONPATH, GPIOZERO_PIN_FACTORY=wired), as it would find any board's.
On the socket PILLARBOX_WIRE, a line each: "GPIO17 0" or "GPIO17 1" drives an input pin; "GPIO18 1.0 12.345" tells what an
output pin turned to, and when (monotonic seconds). The pins named in PILLARBOX_WIRE_HELD are held low whatever pulls them up.
"""

import os
import socket
import threading
import time
from typing import Any

from gpiozero.pins.mock import MockFactory, MockPWMPin


class WiredPin(MockPWMPin):  # type: ignore[misc]
    def _set_pull(self, value: Any) -> None:
        super()._set_pull(value)
        if self.info.name in os.environ.get("PILLARBOX_WIRE_HELD", "").split():
            self._change_state(False)

    def _change_state(self, value: Any) -> bool:
        changed = bool(super()._change_state(value))
        self.states.clear()
        if changed and self.function == "output":
            self.factory.tell(f"{self.info.name} {float(value)} {time.monotonic()}\n")
        return changed


class WiredFactory(MockFactory):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__(pin_class=WiredPin)
        self._wire = socket.socket(socket.AF_UNIX)
        self._wire.connect(os.environ["PILLARBOX_WIRE"])
        threading.Thread(target=self._obey, daemon=True).start()

    def tell(self, line: str) -> None:
        self._wire.sendall(line.encode())

    def _obey(self) -> None:
        with self._wire.makefile() as lines:
            for line in lines:
                pin, level = line.split()
                (self.pin(pin).drive_high if level == "1" else self.pin(pin).drive_low)()
