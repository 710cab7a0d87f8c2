"""network/wire: bounded reads, sends that take what fits, and a close after which the last reply still arrives."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.lowlevel
import trio.testing

from appliance.mail.limits import MESSAGE_READ_OCTETS, READ_OCTETS
from appliance.network.wire import LINGER_OCTETS, TLS_CHUNK_OCTETS, Wire


@asynccontextmanager
async def a_wire() -> AsyncIterator[tuple[Wire, trio.SocketStream]]:
    """The server's end of a connection of the loopback, and the client's."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        client = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
        wire = Wire(await listener.accept())
        yield wire, client
        await trio.aclose_forcefully(client)
        await trio.aclose_forcefully(wire.below)


async def test_reads_are_bounded_and_can_be_made_smaller() -> None:
    async with a_wire() as (wire, client):
        await client.send_all(b"x" * (2 * READ_OCTETS))
        assert 0 < len(await wire.receive_some()) <= READ_OCTETS
        assert 0 < len(await wire.receive_some(10 * READ_OCTETS)) <= MESSAGE_READ_OCTETS
        await client.send_all(b"x" * READ_OCTETS)
        wire.read_octets = TLS_CHUNK_OCTETS
        assert 0 < len(await wire.receive_some(10 * READ_OCTETS)) <= TLS_CHUNK_OCTETS
        assert len(await wire.receive_some(7)) == 7


async def test_what_is_sent_at_once_is_what_the_socket_took() -> None:
    async with a_wire() as (wire, client):
        assert wire.send_now(b"hello") == 5 and await client.receive_some(10) == b"hello"
        taken = 0
        while more := wire.send_now(b"x" * 2**16):
            taken += more
        assert taken and wire.send_now(b"y") == 0, "a full socket is no error"
        read = 0
        while read < taken:
            read += len(await client.receive_some(2**20))
        await wire.wait_send_all_might_not_block()
        assert wire.send_now(b"y") == 1


async def test_what_is_no_socket_takes_nothing_at_once() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    wire = Wire(ours)
    assert wire.send_now(b"hello") == 0
    await wire.send_all(b"hello")
    assert await theirs.receive_some() == b"hello"


async def test_a_send_to_a_client_that_has_gone_raises() -> None:
    async with a_wire() as (wire, client):
        await client.aclose()
        with pytest.raises(OSError):
            while True:
                wire.send_now(b"x" * 2**16)
                await trio.lowlevel.checkpoint()


async def test_the_last_reply_arrives_although_the_client_goes_on_sending() -> None:
    """Closing with unread octets resets the connection, and the reset takes the reply with it (RFC 9293 §3.10.7.1)."""
    async with a_wire() as (wire, client):
        await client.send_all(b"x" * (LINGER_OCTETS // 2))
        await wire.send_all(b"554 goodbye\r\n")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wire.aclose)
            received = b""
            while more := await client.receive_some():
                received += more
            await client.aclose()
        assert received == b"554 goodbye\r\n"
        assert wire.below.socket.fileno() == -1  # type: ignore[attr-defined]


async def test_a_client_that_never_stops_is_not_read_for_ever() -> None:
    async with a_wire() as (wire, client), trio.open_nursery() as nursery:

        async def flood() -> None:
            try:
                while True:
                    await client.send_all(os.urandom(2**16))
            except trio.BrokenResourceError:
                pass

        nursery.start_soon(flood)
        with trio.fail_after(20):
            await wire.aclose()
        nursery.cancel_scope.cancel()


async def test_a_close_that_is_cancelled_closes_all_the_same() -> None:
    async with a_wire() as (wire, _):
        with trio.move_on_after(0.01) as scope:
            await wire.aclose()  # the client says nothing and stays
        assert scope.cancelled_caught and wire.below.socket.fileno() == -1  # type: ignore[attr-defined]
