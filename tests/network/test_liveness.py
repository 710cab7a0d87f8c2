"""Whether a client's host still has its connection, on the loopback; lost hosts are in tests/peers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from socket import IPPROTO_TCP, SO_LINGER, SOL_SOCKET, TCP_INFO, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL
from struct import pack

import pytest
import trio

from appliance.network.liveness import answers
from tests.support.streams import stream_pair
from tests.support.waiting import until

OPTIONS = (TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT)


@asynccontextmanager
async def a_pair() -> AsyncIterator[tuple[trio.SocketStream, trio.SocketStream]]:
    """The server's end and the client's."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        client = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
        server = await listener.accept()
        yield server, client
        await trio.aclose_forcefully(client)
        await trio.aclose_forcefully(server)


@pytest.mark.parametrize("reads", [True, False])
async def test_a_client_that_is_there(reads: bool) -> None:
    """Also one that has stopped reading: its host answers, or its window is closed and no probe of it is unanswered."""
    async with a_pair() as (server, client):
        before = [server.socket.getsockopt(IPPROTO_TCP, option) for option in OPTIONS]
        async with trio.open_nursery() as nursery:
            if not reads:
                nursery.start_soon(server.send_all, b"x" * 2**26)
                await until(lambda: window_probes(server))
            assert await answers(server.socket, 2.0, 10.0)
            nursery.cancel_scope.cancel()
        assert [server.socket.getsockopt(IPPROTO_TCP, option) for option in OPTIONS] == before
        if reads:
            await client.send_all(b"still")
            assert await server.receive_some() == b"still"


@pytest.mark.parametrize("how", ["goodbye", "reset", "closed here"])
async def test_a_client_that_has_gone(how: str) -> None:
    async with a_pair() as (server, client):
        if how == "reset":
            client.socket.setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))
        await (server if how == "closed here" else client).aclose()
        with trio.fail_after(5):
            assert not await answers(server.socket)


async def test_a_client_that_stopped_reading_long_ago_counts_as_gone() -> None:
    """The kernel asks a closed window ever more rarely, and a host that vanished after a long stall is silent like one that is there.
    Here the next probe is 1.6 s away or more: patience of 0.3 s is to it what STALLED_S is to a stall of a quarter minute."""
    async with a_pair() as (server, _), trio.open_nursery() as nursery:
        nursery.start_soon(server.send_all, b"x" * 2**26)
        await until(lambda: window_probes(server) >= 3)
        assert not await answers(server.socket, 0.1, 0.3)
        assert await answers(server.socket, 0.1, 10.0), "the next probe is acknowledged"
        nursery.cancel_scope.cancel()


def window_probes(stream: trio.SocketStream) -> int:
    """tcpi_backoff: how often the kernel has asked for the receive window since it closed; each interval is twice the last."""
    return int(stream.socket.getsockopt(IPPROTO_TCP, TCP_INFO, 8)[4])


async def test_what_is_no_tcp_counts_as_there() -> None:
    stream, client = stream_pair("pop3")
    assert await stream.still_there()
    await trio.aclose_forcefully(client)
    await stream.aclose()
    assert not await stream.still_there()
