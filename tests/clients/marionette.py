"""Marionette, by which programs of Mozilla are driven: JSON with a length in front, over TCP. Just enough to run scripts with the
program's own rights. The protocol stands in the program's source, remote/marionette/packets.sys.mjs and message.sys.mjs."""

import json
import socket
import time
from typing import Any, Self

ANSWER_S = 300.0


class MarionetteError(Exception):
    """The program refused a command, or a script threw."""


class Marionette:
    """A session, made as soon as the program listens, `within_s` at most."""

    def __init__(self, port: int, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while True:
            try:
                self._socket = socket.create_connection(("127.0.0.1", port), ANSWER_S)
                break
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        self._held, self._id = b"", 0
        self._receive()  # its greeting
        self.command("WebDriver:NewSession", capabilities={"alwaysMatch": {"unhandledPromptBehavior": "ignore"}})
        self.command("Marionette:SetContext", value="chrome")
        self.command("WebDriver:SetTimeouts", script=int(ANSWER_S * 1000))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def command(self, name: str, **parameters: Any) -> Any:
        """Send a command; its result."""
        self._id += 1
        packet = json.dumps([0, self._id, name, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(packet), packet))
        kind, answered, error, result = self._receive()
        assert (kind, answered) == (1, self._id)
        if error:
            raise MarionetteError(f"{error['error']}: {error['message']}")
        return result

    def run(self, script: str, *values: Any) -> Any:
        """What an asynchronous function returns, whose body is `script`, for these `arguments`."""
        whole = (
            f"const whenDone = arguments[arguments.length - 1]; (async function() {{ {script} }}).apply(null, [...arguments].slice(0, -1))"
            ".then(value => whenDone([value, null]), error => whenDone([null, `${error}\\n${error.stack}`]));"
        )
        value, error = self.command("WebDriver:ExecuteAsyncScript", script=whole, args=list(values))["value"]
        if error:
            raise MarionetteError(error)
        return value

    def _receive(self) -> Any:
        while b":" not in self._held:
            self._held += self._more()
        length, _, self._held = self._held.partition(b":")
        while len(self._held) < int(length):
            self._held += self._more()
        packet, self._held = self._held[: int(length)], self._held[int(length) :]
        return json.loads(packet)

    def _more(self) -> bytes:
        octets = self._socket.recv(2**18)
        if not octets:
            raise MarionetteError("the program has ended")
        return octets
