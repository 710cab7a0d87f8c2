"""POP3 clients that lose their network: the next sign-in gets the maildrop within seconds, and nothing was deleted (RFC 1939 §3).

Clients sit in namespaces of their own; pulling a host's wire drops every packet of it, so the server hears nothing at all.
"""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio

from appliance.network.listener import Listeners
from appliance.network.sockets import Endpoint, ListeningSocket
from tests.pop3d.pop_client import PopClient
from tests.support.needs import missing
from tests.support.services import Components, some_components

from .internet import Host, Internet, inside, possible

LARGE = b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * 400_000
FREE_WITHIN_S = 15


@pytest.fixture(scope="module")
def hosts() -> Iterator[dict[str, Host]]:
    if why := possible():
        missing("the small Internet", why)
    with Internet() as internet:
        yield {name: internet.host(name) for name in ("server", "phone", "laptop")}


class World:
    """POP3 listening on the server's address, and clients that come from other hosts."""

    def __init__(self, hosts: dict[str, Host], components: Components, port: int, stack: AsyncExitStack) -> None:
        self.hosts, self.components, self.port, self._stack = hosts, components, port, stack

    async def client(self, host: str, family: str = "v4") -> PopClient:
        with inside(self.hosts[host].space):
            raw = socket.socket(socket.AF_INET6 if family == "v6" else socket.AF_INET)
        sock = trio.socket.from_stdlib_socket(raw)
        await sock.connect((getattr(self.hosts["server"], family), self.port))
        stream = trio.SocketStream(sock)
        self._stack.push_async_callback(trio.aclose_forcefully, stream)
        return PopClient(stream, FREE_WITHIN_S)

    async def messages(self) -> int:
        opened = await self.components.store.open(self.components.account(), "INBOX", read_only=True)
        try:
            return len(opened.uids)
        finally:
            opened.close()


@asynccontextmanager
async def a_world(hosts: dict[str, Host], place: Path) -> AsyncIterator[World]:
    for host in hosts.values():
        host.on()
    with inside(hosts["server"].space):
        listening = socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True, backlog=16)
    listening.setblocking(False)
    port = listening.getsockname()[1]
    async with some_components(place) as components, AsyncExitStack() as stack, trio.open_nursery() as nursery:
        for _ in range(3):
            await components.deliver(b"Subject: a\r\n\r\nb\r\n")
        await components.deliver(LARGE)
        listening_socket = ListeningSocket(Endpoint("pop3", "::", port), listening)
        listeners = Listeners(
            (),
            {"pop3": components.service("pop3").handle},
            board=components.family.board,
            log=lambda line: None,
            handed=(listening_socket,),  # type: ignore[arg-type]
        )
        await nursery.start(listeners.run)
        yield World(hosts, components, port, stack)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("family", ["v4", "v6"])
async def test_a_lost_client_releases_the_maildrop(hosts: dict[str, Host], tmp_path: Path, family: str) -> None:
    async with a_world(hosts, tmp_path) as world:
        phone = await world.client("phone", family)
        assert (await phone.sign_in()).startswith(b"+OK")
        for number in (1, 2):
            assert (await phone.command(b"DELE %d" % number)).startswith(b"+OK")
        world.hosts["phone"].off()
        begun = trio.current_time()
        laptop = await world.client("laptop", family)
        assert (await laptop.sign_in()).startswith(b"+OK Welcome, 4 messages")
        assert trio.current_time() - begun < FREE_WITHIN_S
        assert (await laptop.command(b"STAT")).startswith(b"+OK 4 ")
        assert (await laptop.command(b"QUIT")).startswith(b"+OK")
        assert await world.messages() == 4


async def test_a_client_lost_while_it_retrieves(hosts: dict[str, Host], tmp_path: Path) -> None:
    """Octets are on their way, so the kernel sends no keepalive: they are not acknowledged."""
    async with a_world(hosts, tmp_path) as world:
        phone = await world.client("phone")
        assert (await phone.sign_in()).startswith(b"+OK")
        assert (await phone.command(b"DELE 1")).startswith(b"+OK")
        world.hosts["phone"].off()
        await phone.stream.send_all(b"RETR 4\r\n")  # is never heard
        world.hosts["phone"].on()
        assert (await phone.line()).startswith(b"+OK")
        world.hosts["phone"].off()
        laptop = await world.client("laptop")
        assert (await laptop.sign_in()).startswith(b"+OK Welcome, 4 messages")
        assert await world.messages() == 4


async def test_a_client_that_is_there_keeps_it(hosts: dict[str, Host], tmp_path: Path) -> None:
    """Also one that says nothing, and one that has stopped reading in the middle of an answer."""
    async with a_world(hosts, tmp_path) as world:
        phone = await world.client("phone")
        assert (await phone.sign_in()).startswith(b"+OK")
        assert (await phone.command(b"DELE 1")).startswith(b"+OK")
        laptop = await world.client("laptop")
        begun = trio.current_time()
        assert await laptop.sign_in() == b"-ERR [IN-USE] Another session has this maildrop open."
        assert trio.current_time() - begun < 5  # two round sessions of a probe, no patience of seconds
        assert (await phone.command(b"RETR 4")).startswith(b"+OK")  # and reads no further
        await laptop.command(b"USER fred@example.org")
        assert (await laptop.command(b"PASS Blurdybloop-7")).startswith(b"-ERR [IN-USE]")
        await phone.body()
        assert (await phone.command(b"QUIT")) == b"+OK Goodbye, 1 deleted."
        await laptop.command(b"USER fred@example.org")
        assert (await laptop.command(b"PASS Blurdybloop-7")).startswith(b"+OK Welcome, 3 messages")
