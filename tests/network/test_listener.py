"""network/listener on real sockets of the loopback: admission, the guard, shedding, descriptors, draining."""

import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import trio

from appliance.mail.errors import PeerGone, PillarboxError, SetupError
from appliance.network import listener as listener_file
from appliance.network.listener import ListenerOptions, Listeners
from appliance.network.sockets import Endpoint
from appliance.network.stream import Draining, Stream
from appliance.network.tls import ServerTls
from appliance.status.board import Board
from appliance.status.events import Event, ListenerDown, ListenerUp, SessionClosed, SessionFailed, SessionOpened, SessionRefused
from tests.support.certificates import TestCertificates, make_certificates
from tests.support.clock import HandClock
from tests.support.waiting import until

LOOPBACK = "127.0.0.1"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> TestCertificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


class Rig:
    """Listeners, with the events they published."""

    def __init__(
        self,
        handler: Callable[[Stream], Awaitable[None]],
        *protocols: str,
        options: ListenerOptions | None = None,
        made: TestCertificates | None = None,
        host: str = LOOPBACK,
        handed: Any = (),
    ) -> None:
        self.events: list[Event] = []
        self.logged: list[str] = []
        clock = HandClock()
        self.board = Board(clock, self.events.append)
        tls = ServerTls(made.server, made.server, clock=clock, board=self.board) if made else None
        names = protocols or (() if handed else ("smtp",))
        services = dict.fromkeys((*names, *(d.endpoint.protocol for d in handed)), handler)
        self.listeners = Listeners(
            [Endpoint(name, host, 0) for name in names],
            services, board=self.board, log=self.logged.append, tls=tls, options=options, handed=handed,
        )  # fmt: skip

    def events_of(self, kind: type) -> list[Any]:
        return [event for event in self.events if type(event) is kind]

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Rig"]:
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                await nursery.start(self.listeners.run)
                yield self
                nursery.cancel_scope.cancel()

    async def connect(self, protocol: str = "smtp", source: str = LOOPBACK) -> trio.SocketStream:
        plain = trio.socket.socket()
        await plain.bind((source, 0))
        await plain.connect((LOOPBACK, self.listeners.port(protocol)))
        return trio.SocketStream(plain)


async def line(client: trio.abc.ReceiveStream) -> bytes:
    got = b""
    with trio.fail_after(10):
        while not got.endswith(b"\n"):
            more = await client.receive_some()
            if not more:
                return got
            got += more
    return got


async def greet(stream: Stream) -> None:
    """A small server: greets, answers lines, signs in at LOGIN, fails at BOOM."""
    await stream.send(b"220 here\r\n")
    try:
        while data := await stream.receive(60):
            if data.startswith(b"LOGIN"):
                stream.who = "ada@example.test"
            if data.startswith(b"BOOM"):
                raise ZeroDivisionError("boom\nforged line")
            if data.startswith(b"GROUP"):
                raise ExceptionGroup("two", [PeerGone("left"), KeyError("lost")])
            if data.startswith(b"LEFT"):
                raise ExceptionGroup("one", [ExceptionGroup("inner", [PeerGone("left")])])
            await stream.send(b"250 ok\r\n")
    except Draining:
        await stream.send(b"421 closing\r\n")


async def test_a_session_from_greeting_to_end() -> None:
    async with Rig(greet).running() as rig:
        client = await rig.connect()
        assert await line(client) == b"220 here\r\n"
        await client.send_all(b"LOGIN\r\n")
        assert await line(client) == b"250 ok\r\n"
        assert rig.listeners.sessions == 1
        await client.aclose()
        await until(lambda: rig.events_of(SessionClosed))
        assert rig.listeners.sessions == 0
    (up,) = rig.events_of(ListenerUp)
    assert up.protocol == "smtp" and up.port > 0
    assert rig.events_of(SessionOpened) == [SessionOpened("smtp", LOOPBACK)]
    (closed,) = rig.events_of(SessionClosed)
    assert (closed.user, closed.octets_in, closed.octets_out, closed.reason) == ("ada@example.test", 7, 18, "")


@pytest.mark.parametrize(("word", "fault"), [(b"BOOM", "ZeroDivisionError"), (b"GROUP", "KeyError")])
async def test_a_fault_ends_its_own_session_only(word: bytes, fault: str) -> None:
    async with Rig(greet).running() as rig:
        bystander, victim = await rig.connect(), await rig.connect()
        await line(bystander), await line(victim)
        await victim.send_all(word + b"\r\n")
        assert await line(victim) == b""
        await victim.aclose()
        await bystander.send_all(b"NOOP\r\n")
        assert await line(bystander) == b"250 ok\r\n"
        await until(lambda: rig.events_of(SessionClosed))
        again = await rig.connect()
        assert await line(again) == b"220 here\r\n"
    (failed,) = rig.events_of(SessionFailed)
    assert fault in failed.fault
    assert any("test_listener.py" in text and "in greet" in text for text in rig.logged)
    assert rig.events_of(SessionClosed)[0].reason == "internal error"


async def test_a_peer_that_left_is_no_fault_even_in_groups() -> None:
    async with Rig(greet).running() as rig:
        client = await rig.connect()
        await line(client)
        await client.send_all(b"LEFT\r\n")
        await line(client)
        await client.aclose()
        await until(lambda: rig.events_of(SessionClosed))
    assert not rig.events_of(SessionFailed)
    assert rig.events_of(SessionClosed)[0].reason == "left"


async def test_a_fault_while_the_server_stops_stays_inside() -> None:
    async def stubborn(stream: Stream) -> None:
        await stream.send(b"220\r\n")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("in the middle of leaving")

    async with Rig(stubborn).running() as rig:
        client = await rig.connect()
        await line(client)
    assert rig.events_of(SessionFailed)


async def test_implicit_tls(made: TestCertificates) -> None:
    rig = Rig(greet, "imaps", made=made)
    async with rig.running():
        secure = trio.SSLStream(await rig.connect("imaps"), made.client(), server_hostname="localhost")
        assert await line(secure) == b"220 here\r\n"
        junk = await rig.connect("imaps")
        await junk.send_all(b"GET / HTTP/1.0\r\n\r\n")
        await line(junk)
        await junk.aclose()
        await until(lambda: rig.events_of(SessionClosed))
    assert not rig.events_of(SessionFailed)


async def test_a_client_that_never_starts_its_handshake_is_closed(made: TestCertificates) -> None:
    """No client is to be in time here, so the deadline may be short on a machine of any speed."""
    rig = Rig(greet, "imaps", made=made, options=ListenerOptions(handshake_s=0.2))
    async with rig.running():
        silent = await rig.connect("imaps")
        assert await silent.receive_some() == b""
        await silent.aclose()
        await until(lambda: rig.events_of(SessionClosed))
        assert "handshake" in rig.events_of(SessionClosed)[0].reason
    assert not rig.events_of(SessionFailed)


@pytest.mark.parametrize(
    ("protocol", "words"), [("smtp", b"421 "), ("submission", b"421 "), ("imap", b"* BYE "), ("pop3", b"-ERR "), ("imaps", b"")]
)
async def test_too_many_of_one_address_are_refused_with_a_reply(protocol: str, words: bytes, made: TestCertificates) -> None:
    rig = Rig(greet, protocol, made=made, options=ListenerOptions(connections_per_source=3))
    async with rig.running():
        kept = [await rig.connect(protocol) for _ in range(3)]
        await until(lambda: rig.listeners.sessions == 3)
        refused = await rig.connect(protocol)
        reply = await line(refused)
        assert reply.startswith(words) and (words or not reply)
        other = await rig.connect(protocol, "127.0.0.2")
        await until(lambda: rig.listeners.sessions == 4)
        await kept[0].aclose()
        await until(lambda: rig.listeners.sessions == 3)
        again = await rig.connect(protocol)
        await until(lambda: rig.listeners.sessions == 4)
        await trio.aclose_forcefully(again)
        await trio.aclose_forcefully(other)
    assert len(rig.events_of(SessionRefused)) == 1


async def test_forty_at_once_from_one_address_are_served() -> None:
    async with Rig(greet).running() as rig:
        clients = [await rig.connect() for _ in range(40)]
        assert [await line(client) for client in clients] == [b"220 here\r\n"] * 40


async def test_a_source_that_comes_too_often_waits() -> None:
    options = ListenerOptions(sources_per_s=0.01, source_burst=3, spare_loopback=False)
    async with Rig(greet, options=options).running() as rig:
        replies = []
        for _ in range(5):
            client = await rig.connect()
            replies.append((await line(client))[:3])
            await client.aclose()
        assert replies == [b"220"] * 3 + [b"421"] * 2
        assert (await line(await rig.connect(source="127.0.0.9")))[:3] == b"220"


async def test_a_full_server_sheds_idle_clients_and_keeps_authenticated_ones() -> None:
    async with Rig(greet, options=ListenerOptions(connections=3, shed_idle_s=1000.0)).running() as rig:
        account, slow, quick = [await rig.connect(source=f"127.0.0.{n}") for n in (1, 2, 3)]
        for client in (account, slow, quick):
            await line(client)
        await account.send_all(b"LOGIN\r\n")
        await line(account)
        refused = await rig.connect(source="127.0.0.4")
        assert (await line(refused)).startswith(b"421")  # none is idle yet
        rig.listeners.options = replace(rig.listeners.options, shed_idle_s=0.0)  # now all are, quick for longest
        await slow.send_all(b"x")  # a trickle is answered below, so it is progress; silence is not
        await line(slow)
        newcomer = await rig.connect(source="127.0.0.5")
        assert await line(newcomer) == b"220 here\r\n"
        assert await line(quick) == b"421 closing\r\n"
        await account.send_all(b"NOOP\r\n")
        assert await line(account) == b"250 ok\r\n"
        await quick.aclose()
        await until(lambda: rig.events_of(SessionClosed))
        assert rig.events_of(SessionClosed)[0].reason == "too many connections"


async def test_trickled_octets_do_not_keep_a_session() -> None:
    """Slowloris: an octet now and then, never a whole line."""

    read = 0

    async def lines(stream: Stream) -> None:
        nonlocal read
        await stream.send(b"220 here\r\n")
        got = b""
        try:
            while not got.endswith(b"\n"):
                got += await stream.receive(60)
                read += 1
        except Draining:
            await stream.send(b"421 closing\r\n")

    async with Rig(lines, options=ListenerOptions(connections=2, shed_idle_s=1000.0)).running() as rig:
        slow = [await rig.connect(source=f"127.0.1.{n}") for n in (1, 2)]
        for client in slow:
            await line(client)
        greeted = trio.current_time()
        for count in range(1, 11):
            for client in slow:
                await client.send_all(b"E")
            await until(lambda count=count: read >= 2 * count)  # type: ignore[misc]
        since_greeting_s = trio.current_time() - greeted  # not since an octet
        rig.listeners.options = replace(rig.listeners.options, shed_idle_s=since_greeting_s)
        assert await line(await rig.connect(source="127.0.1.9")) == b"220 here\r\n"


async def test_a_flood_leaves_a_real_client_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five hundred at once and a hundred slow ones from one address, all silent: another client is served in five seconds."""
    async with Rig(greet).running() as rig:
        flood: list[trio.SocketStream] = []

        async def come() -> None:
            flood.append(await rig.connect(source="127.0.2.1"))

        async with trio.open_nursery() as nursery:
            for _ in range(500):
                nursery.start_soon(come)
        with trio.fail_after(5):
            client = await rig.connect(source="127.0.2.2")
            assert await line(client) == b"220 here\r\n"
            await client.send_all(b"NOOP\r\n")
            assert await line(client) == b"250 ok\r\n"
        assert rig.listeners.sessions <= 60 + listener_file.SHED_AT_ONCE + 1
        for one in flood:
            await trio.aclose_forcefully(one)


@pytest.mark.parametrize("fault", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS])
async def test_out_of_descriptors_it_waits_and_serves_later(fault: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = type(trio.socket.socket()).accept
    calls = 0
    starved = True

    async def accept(self: Any) -> Any:
        nonlocal calls
        calls += 1
        if starved:
            await trio.lowlevel.checkpoint()
            raise OSError(fault, os.strerror(fault))
        return await real(self)

    monkeypatch.setattr(type(trio.socket.socket()), "accept", accept)
    async with Rig(greet).running() as rig:
        await trio.sleep(0.8)
        assert calls <= 8  # not a spin
        await until(lambda: calls >= 2)
        starved = False
        assert await line(await rig.connect()) == b"220 here\r\n"
    assert not rig.events_of(ListenerDown) or not rig.events_of(ListenerDown)[0].reason


async def test_a_broken_socket_is_announced_and_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    real = type(trio.socket.socket()).accept
    broken = [True]

    async def accept(self: Any) -> Any:
        if broken:
            broken.clear()
            raise OSError(errno.EINVAL, "broken")
        return await real(self)

    monkeypatch.setattr(type(trio.socket.socket()), "accept", accept)
    async with Rig(greet, options=ListenerOptions(reopen_s=(0.05, 1.0))).running() as rig:
        port = rig.listeners.port("smtp")
        await until(lambda: len(rig.events_of(ListenerUp)) == 2)
        assert rig.listeners.port("smtp") == port
        assert await line(await rig.connect()) == b"220 here\r\n"
        assert rig.events_of(ListenerDown)[0].reason == "broken"
        assert not rig.board.snapshot().listeners[0].reason


async def test_draining_signals_waits_and_cancels() -> None:
    async def stubborn(stream: Stream) -> None:
        if stream.protocol == "pop3":
            await stream.send(b"+OK here\r\n")
            await trio.sleep_forever()
        await greet(stream)

    rig = Rig(stubborn, "smtp", "pop3", options=ListenerOptions(drain_s=2))
    async with rig.running():
        polite, stuck = await rig.connect("smtp"), await rig.connect("pop3")
        await line(polite), await line(stuck)
        await until(lambda: rig.listeners.sessions == 2)
        port = rig.listeners.port("smtp")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rig.listeners.drain)
            rest = await line(polite)
            assert rest.endswith(b"421 closing\r\n")
            await polite.aclose()
            await until(lambda: rig.listeners.sessions == 1)
            with pytest.raises(OSError):
                await trio.open_tcp_stream(LOOPBACK, port)
        await until(lambda: rig.listeners.sessions == 0)
    assert {event.reason for event in rig.events_of(SessionClosed)} == {"", "server shutting down"}


async def test_run_returns_after_draining() -> None:
    rig = Rig(greet)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(rig.listeners.run)
            client = await rig.connect()
            await line(client)
            await rig.listeners.drain()
    assert rig.listeners.bound == [] and rig.board.snapshot().listeners == ()


def test_a_protocol_without_a_service_is_refused() -> None:
    board = Board(HandClock())
    with pytest.raises(SetupError, match="No service speaks imap"):
        Listeners([Endpoint("imap", LOOPBACK, 0)], {"smtp": greet}, board=board, log=print).bind()
    with pytest.raises(SetupError, match="needs a certificate"):
        Listeners([Endpoint("imaps", LOOPBACK, 0)], {"imaps": greet}, board=board, log=print).bind()


async def test_the_watchdog_notices_that_nobody_accepts() -> None:
    rig = Rig(greet)
    rig.listeners.bind()
    await rig.listeners.alive()
    async with await rig.connect() as waiting:
        await rig.listeners.alive()
        with pytest.raises(PillarboxError, match="none is accepted"):
            await rig.listeners.alive()
        async with rig.running():
            assert (await line(waiting)).startswith(b"220")
            for _ in range(3):
                await rig.listeners.alive()
