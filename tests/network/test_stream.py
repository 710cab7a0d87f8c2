"""network/stream: deadlines, counts, draining and closing, on in-memory connections."""

import pytest
import trio

from appliance.mail.errors import AuthError, MisuseError, PeerGone, PeerSlow
from appliance.mail.limits import LOOK_S
from appliance.network.stream import CHUNK_OCTETS, Attention, Draining, Stream
from tests.support.streams import stream_pair


async def test_octets_pass_and_are_counted() -> None:
    stream, client = stream_pair()
    await stream.send(b"220 hello\r\n")
    assert await client.receive_some() == b"220 hello\r\n"
    await client.send_all(b"EHLO x\r\n")
    assert await stream.receive(5) == b"EHLO x\r\n"
    assert (stream.octets_in, stream.octets_out) == (8, 11)
    await client.send_eof()
    assert await stream.receive(5) == b""


async def test_a_silent_client_is_slow_and_can_still_get_a_reply(autojump_clock: trio.abc.Clock) -> None:
    stream, client = stream_pair()
    with pytest.raises(PeerSlow):
        await stream.receive(300)
    assert trio.current_time() >= 300
    await stream.send(b"421 too slow\r\n")
    assert await client.receive_some() == b"421 too slow\r\n"


async def test_a_client_that_closed_is_gone() -> None:
    stream, client = stream_pair()
    await client.aclose()
    with pytest.raises(PeerGone):
        await stream.send(b"x")
    with pytest.raises(PeerGone):
        await stream.send(b"y")
    await stream.aclose()


async def test_a_waiting_session_gets_draining() -> None:
    stream, client = stream_pair()

    async def drain() -> None:
        await trio.testing.wait_all_tasks_blocked()
        stream.drain()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(drain)
        with pytest.raises(Draining):
            await stream.receive(300)
    await stream.wait_draining()
    await client.send_all(b"NOOP\r\n")
    with pytest.raises(Draining):
        await stream.receive(1)
    await stream.send(b"421 closing\r\n")
    assert await client.receive_some() == b"421 closing\r\n"


async def test_a_message_in_transfer_is_finished_while_draining() -> None:
    stream, client = stream_pair()
    stream.uninterrupted = True

    async def drain() -> None:
        await trio.testing.wait_all_tasks_blocked()
        stream.drain()
        await trio.testing.wait_all_tasks_blocked()
        await client.send_all(b".\r\n")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(drain)
        assert await stream.receive(300) == b".\r\n"
    stream.uninterrupted = False
    with pytest.raises(Draining):
        await stream.receive(300)


async def test_wait_draining_wakes() -> None:
    stream, _client = stream_pair()
    woken = trio.Event()

    async def wait() -> None:
        await stream.wait_draining()
        woken.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        assert not woken.is_set()
        stream.drain()
    assert woken.is_set()


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [b""],
        [b"a", b"b"],
        [b"x" * 100_000],
        [b"a", b"x" * 100_000, b"b"],
        [b"x" * 9000, b"a", b"y" * 9000, b"b" * 3000, b"c" * 8191, b"z" * 70_000],
        [b"s" * 5000] * 40,
        [b"s" * 16384, b"t" * 16384, b")\r\n"],
    ],
)
async def test_parts_arrive_in_order_and_whole(parts: list[bytes]) -> None:
    stream, client = stream_pair()
    got = bytearray()

    async def read() -> None:
        async for chunk in client:
            got.extend(chunk)
        await client.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await stream.send_parts(parts)
        await stream.aclose()
    assert bytes(got) == b"".join(parts)
    assert stream.octets_out == len(got)


async def test_large_sends_take_views_of_any_kind() -> None:
    data = bytes(range(256)) * 1024
    for kind in (bytes, bytearray, memoryview):
        stream, client = stream_pair()
        got = bytearray()
        await stream.send(kind(data))
        assert len(data) > CHUNK_OCTETS
        while len(got) < len(data):
            got += await client.receive_some()
        assert got == data


async def test_tls_is_refused_where_there_is_none() -> None:
    stream, _client = stream_pair()
    assert not stream.can_start_tls
    assert (stream.secure, stream.tls_version, stream.tls_cipher, stream.channel_binding()) == (False, "", "", {})
    with pytest.raises(MisuseError):
        await stream.start_tls()


async def test_closing_is_bounded_and_quiet(autojump_clock: trio.abc.Clock) -> None:
    stream, client = stream_pair()
    await stream.send(b"* BYE\r\n")
    start = trio.current_time()
    await stream.aclose()
    assert trio.current_time() - start <= 2.1
    await stream.aclose()
    assert await client.receive_some() == b"* BYE\r\n"
    with pytest.raises(PeerGone):
        await stream.receive(1)
    with pytest.raises(PeerGone):
        await stream.send(b"x")


async def test_cancelled_receive_loses_nothing() -> None:
    stream, client = stream_pair()
    with trio.move_on_after(0):
        await stream.receive(10)
    await client.send_all(b"kept")
    assert await stream.receive(1) == b"kept"


async def test_a_socket_client_that_stops_reading_is_slow() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    client = await trio.open_tcp_stream("127.0.0.1", port)
    stream = Stream(await listeners[0].accept(), "imap")
    with trio.fail_after(20), pytest.raises(PeerSlow):
        for _ in range(1000):
            await stream.send(b"x" * 2**20, timeout_s=0.2)
    with pytest.raises(PeerGone):
        await stream.send(b"x")
    await trio.aclose_forcefully(client)
    await stream.aclose()
    await listeners[0].aclose()


async def test_the_last_reply_survives_unread_octets() -> None:
    """Closing with unread octets resets a TCP connection, and a reset may swallow the reply before it."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    client = await trio.open_tcp_stream("127.0.0.1", port)
    stream = Stream(await listeners[0].accept(), "smtp")
    await client.send_all(b"x" * 50_000)
    got = bytearray()

    async def read() -> None:
        await trio.sleep(0.05)
        async for chunk in client:
            got.extend(chunk)
        await client.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await stream.send(b"554 no\r\n")
        await stream.aclose()
    assert bytes(got) == b"554 no\r\n"
    await listeners[0].aclose()


async def test_closing_hurries_when_the_server_does(autojump_clock: trio.abc.Clock) -> None:
    stream, _client = stream_pair()
    stream.drain()
    start = trio.current_time()
    await stream.aclose()
    assert trio.current_time() - start <= 0.3


async def test_work_attended_gives_its_answer_or_its_fault() -> None:
    stream, _client = stream_pair()

    async def answer() -> int:
        await trio.lowlevel.checkpoint()
        return 7

    async def fault() -> int:
        raise AuthError("no passwords today")

    assert await stream.attend(answer) == 7
    with pytest.raises(AuthError):
        await stream.attend(fault)


async def test_work_attended_ends_with_the_server() -> None:
    stream, _client = stream_pair()
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            with pytest.raises(Draining):
                await stream.attend(trio.sleep_forever)

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        stream.drain()
    with pytest.raises(Draining):
        await stream.attend(trio.sleep_forever)


@pytest.mark.parametrize("unread", [b"", b"b NOOP\r\n"])
async def test_work_attended_ends_with_its_client(unread: bytes, autojump_clock: trio.abc.Clock) -> None:
    """Unread octets do not hide that the client closed."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    client = await trio.open_tcp_stream("127.0.0.1", listeners[0].socket.getsockname()[1])
    attention = Attention()
    stream = Stream(await listeners[0].accept(), "imap", attention=attention)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(attention.run)
        with trio.move_on_after(60) as patient:
            await stream.attend(trio.sleep_forever)
        assert patient.cancelled_caught, "a client that is there is waited for"
        if unread:
            await client.send_all(unread)
        await client.aclose()
        start = trio.current_time()
        with pytest.raises(PeerGone):
            await stream.attend(trio.sleep_forever)
        assert LOOK_S <= trio.current_time() - start <= 2 * LOOK_S + 0.1
        nursery.cancel_scope.cancel()
    await stream.aclose()
    await listeners[0].aclose()
