"""Whether a client's host still has its connection, on the loopback; lost hosts are in tests/peers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from socket import IPPROTO_TCP, SO_LINGER, SOL_SOCKET, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL
from struct import pack

import pytest
import trio

from appliance.network.liveness import answers
from tests.support.streams import stream_pair

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
        if not reads:
            with trio.move_on_after(0.2):
                await server.send_all(b"x" * 2**26)
        assert await answers(server.socket, 2.0)
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


async def test_what_is_no_tcp_counts_as_there() -> None:
    stream, client = stream_pair("pop3")
    assert await stream.still_there()
    await trio.aclose_forcefully(client)
    await stream.aclose()
    assert not await stream.still_there()
