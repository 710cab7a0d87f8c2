"""Remote images over real sockets: what may be dialled, what is followed, and what counts as an image."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from ssl import create_default_context

import pytest
import trio
import trio.testing

from appliance.mail.errors import PeerError
from appliance.mail.ids import AccountId
from appliance.network.addresses import is_public
from appliance.network.public_dial import PublicDialer
from appliance.web.webmail.remote_images import FETCHES, IMAGE_OCTETS, PIECES, WAITING, ImageRefused, RemoteImages

ADA, MARY = AccountId(1), AccountId(2)
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40


def answer(body: bytes, *fields: str, status: str = "200 OK") -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields, "", "")).encode() + body


PAGES = {
    "/a.png": answer(PNG, "Content-Type: text/html", "Set-Cookie: a=b"),
    "/a.svg": answer(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "Content-Type: image/png"),
    "/short": answer(b"\x89PNG"),
    "/moved": answer(b"", "Location: /a.png", status="302 Found"),
    "/inside": answer(b"", "Location: http://10.0.0.1/a.png", status="302 Found"),
    "/port": answer(b"", "Location: http://image.example:22/a.png", status="302 Found"),
    "/file": answer(b"", "Location: file:///etc/passwd", status="302 Found"),
    "/loop": answer(b"", "Location: /loop", status="301 Moved"),
    "/large": answer(PNG + b"\0" * IMAGE_OCTETS),
    "/broken": b"SSH-2.0-x\r\n\r\n",
    "/crumbs": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n"
    + PNG[:8]
    + b"\r\n"
    + b"1\r\n\0\r\n" * (PIECES + 1)
    + b"0\r\n\r\n",
    "/hints": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20 + answer(PNG),
    "/gone": answer(PNG, status="404 Not Found"),
}


class Server:
    """Keeps the heads of requests."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.heads: list[str] = []

    async def serve(self, stream: trio.SocketStream) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += await stream.receive_some()
        self.heads.append(head.decode())
        if b"/slow" in head:
            await trio.sleep_forever()
        with suppress(trio.BrokenResourceError):
            await stream.send_all(PAGES[head.split()[1].decode().partition("?")[0]])
        await stream.aclose()


@asynccontextmanager
async def a_server() -> AsyncIterator[Server]:
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        server = Server(listener.socket.getsockname()[1])
        nursery.start_soon(trio.serve_listeners, server.serve, [listener])
        yield server
        nursery.cancel_scope.cancel()


async def nothing() -> tuple[str, ...]:
    return ()


def images(
    server: Server, *addresses: str, may_dial: Callable[[str], bool] = lambda one: one == "127.0.0.1" or is_public(one)
) -> RemoteImages:
    async def resolve(name: str) -> tuple[str, ...]:
        return addresses or ("127.0.0.1",)

    return RemoteImages(PublicDialer(resolve, nothing, create_default_context, may_dial=may_dial, ports={80: server.port}))


async def test_an_image_is_fetched_once_and_nothing_of_the_reader_is_sent() -> None:
    async with a_server() as server:
        fetcher = images(server)
        for _ in range(2):
            found = await fetcher.get(ADA, "http://image.example/a.png?id=1")
            assert (found.media_type, found.octets) == ("image/png", PNG)
        assert len(server.heads) == 1
        names = {line.partition(":")[0].lower() for line in server.heads[0].split("\r\n")[1:] if line}
        assert names == {"host", "user-agent", "accept", "connection"}
        assert (await fetcher.get(ADA, "http://image.example/moved")).octets == PNG


async def test_what_one_reader_has_looked_at_is_told_to_no_other() -> None:
    """An image that came at once would say that somebody here has opened the message."""
    async with a_server() as server:
        fetcher = images(server)
        for number, reader in enumerate((ADA, MARY, ADA, MARY)):
            await fetcher.get(reader, "http://image.example/a.png")
            assert len(server.heads) == min(number + 1, 2)


async def test_slow_images_of_one_reader_hold_up_nobody_else() -> None:
    async with a_server() as server, trio.open_nursery() as nursery:
        fetcher = images(server)
        for number in range(FETCHES + WAITING - 1):
            nursery.start_soon(fetcher.get, ADA, f"http://image.example/slow/{number}")
        await trio.testing.wait_all_tasks_blocked(0.05)
        with pytest.raises(ImageRefused, match="too many"):
            await fetcher.get(ADA, "http://image.example/a.png")
        assert (await fetcher.get(MARY, "http://image.example/a.png")).octets == PNG
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "path", ["/a.svg", "/short", "/inside", "/port", "/file", "/loop", "/large", "/broken", "/gone", "/crumbs", "/hints"]
)
async def test_what_is_no_image_or_leads_elsewhere_is_refused(path: str) -> None:
    async with a_server() as server:
        with pytest.raises(ImageRefused):
            await images(server).get(ADA, f"http://image.example{path}")


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/a.png", "http://10.1.2.3/a.png", "http://100.64.1.1/a.png", "http://169.254.169.254/", "http://0.0.0.0/a.png",
        "http://[::1]/a.png", "http://[::ffff:127.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://[fe80::1]/", "http://[fd00::1]/",
        "http://localhost/a.png", "http://printer/a.png", "http://name.example/a.png", "http://user:word@image.example/a.png",
        "ftp://image.example/a.png", "gopher://image.example/", "http://image.example:22/a.png", "http://image.example:99999/", "http:///a.png",
        "http://[fec0::1]/", "http://[::1", "http://ex\u00e4mple.example/", "http://2130706433/", "http://0x7f.1/",
    ],
)  # fmt: skip
async def test_only_public_addresses_are_dialled(address: str) -> None:
    async with a_server() as server:
        fetcher = images(server, "127.0.0.1", may_dial=is_public)
        with pytest.raises(ImageRefused):
            await fetcher.get(ADA, address)
        with pytest.raises(ImageRefused):
            await images(server, "93.184.216.34", "127.0.0.1", may_dial=is_public).get(ADA, "http://mixed.example/a.png")
        assert not server.heads


async def test_devices_beside_the_server_are_not_dialled_by_their_public_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    dialled = []

    async def no_dial(address: str, *rest: object, **more: object) -> None:
        dialled.append(address)
        raise PeerError("nobody there")

    monkeypatch.setattr("appliance.network.public_dial.dial", no_dial)

    async def own() -> tuple[str, ...]:
        return "192.168.1.2", "2a02:1210:5678:9a01::2", "fe80::1", "93.184.216.34"

    async def resolve(name: str) -> tuple[str, ...]:
        return ("93.184.216.34",) if name == "router.x.example" else (f"2a02:1210:5678:{name.partition('.')[0]}::1",)

    fetcher = RemoteImages(PublicDialer(resolve, own, create_default_context))
    for name in ("9a01.x.example", "9aff.x.example", "9b00.x.example", "router.x.example", "93.184.216.34"):
        with pytest.raises(ImageRefused):
            await fetcher.get(ADA, f"http://{name}/a.png")
    assert dialled == ["2a02:1210:5678:9b00::1"]
