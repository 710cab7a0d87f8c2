"""A push service over HTTPS on the loopback: keeps what is posted to it, and answers as it is told."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import trio


@dataclass
class Posted:
    """One request."""

    target: str
    fields: dict[str, str]
    body: bytes


class PushService:
    """`answer` is the status line and fields of responses; None: it never answers."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answer: str | None = "201 Created"
        self.posted: list[Posted] = []
        self._news = trio.Event()
        self._hung_up = trio.Event()

    def hang_up(self) -> None:
        """Close what was not answered."""
        self._hung_up.set()

    async def serve(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            octets = b""
            while b"\r\n\r\n" not in octets:
                octets += await self._more(stream)
            head, _, body = octets.partition(b"\r\n\r\n")
            first, *lines = head.decode().split("\r\n")
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            while len(body) < int(fields["content-length"]):
                body += await self._more(stream)
            method, target, _ = first.split()
            assert method == "POST"
            self.posted.append(Posted(target, fields, body))
            self._news.set()
            self._news = trio.Event()
            if self.answer is None:
                await self._hung_up.wait()
                await stream.aclose()
                return
            await stream.send_all(f"HTTP/1.1 {self.answer}\r\nContent-Length: 0\r\n\r\n".encode())
        with suppress(trio.BrokenResourceError), trio.move_on_after(1):
            await stream.aclose()

    async def _more(self, stream: trio.SSLStream[trio.SocketStream]) -> bytes:
        octets = bytes(await stream.receive_some())
        if not octets:
            raise trio.ClosedResourceError
        return octets

    async def wait(self, count: int) -> list[Posted]:
        """The requests, once there are so many."""
        with trio.fail_after(30):
            while len(self.posted) < count:
                await self._news.wait()
        return self.posted


@asynccontextmanager
async def a_push_service(certificate: Path) -> AsyncIterator[PushService]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_ssl_over_tcp_listeners(0, context, host="127.0.0.1", https_compatible=True)
        service = PushService(listener.transport_listener.socket.getsockname()[1])  # type: ignore[attr-defined]
        nursery.start_soon(trio.serve_listeners, service.serve, [listener])
        yield service
        nursery.cancel_scope.cancel()
