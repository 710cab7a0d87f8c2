"""A network between a browser and a server that a test spoils: it swallows what it gets, or cuts answers off."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

CHUNK = 16_384


class Network:
    """Forwards the connections of `port` to another port. What is set holds for connections that are open, too.

    | set or done      | what happens                                                                |
    |------------------|-----------------------------------------------------------------------------|
    | `passing`        | cleared: nothing is forwarded, and nothing is closed                        |
    | `abandon()`      | so it is for the connections there are, for good; others are not concerned  |
    | `most_octets`    | a connection is closed once the server would have sent more by it           |
    """

    def __init__(self, to: int) -> None:
        self.most_octets: int | None = None
        self.connections = 0
        self.passing = threading.Event()
        self.passing.set()
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def abandon(self) -> None:
        self.passing.clear()
        self.passing = threading.Event()
        self.passing.set()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                server = socket.create_connection(("127.0.0.1", self._to))
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=self._forward, args=(source, target, self.passing, target is client), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, passing: threading.Event, from_server: bool) -> None:
        sent = 0
        with suppress(OSError):
            while octets := source.recv(CHUNK):
                passing.wait()
                sent += len(octets)
                if from_server and self.most_octets is not None and sent > self.most_octets:
                    break
                target.sendall(octets)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@contextmanager
def network(to: int) -> Iterator[Network]:
    one = Network(to)
    try:
        yield one
    finally:
        one.close()


def routed(page: "Page", address: str, handler: "Callable[[Route], Any]") -> None:
    """`page.route`, and the page's requests go that way: Chromium tells the page without waiting, and a key would come first."""
    page.route(address, handler)
    page.evaluate("() => new Promise(done => setTimeout(done))")
