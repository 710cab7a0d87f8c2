"""web/connection: framing, keep-alive, limits and hostile clients, on streams in memory and virtual time."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import h11
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from appliance.accounts.web_sessions import WebSession
from appliance.mail.errors import PeerError
from appliance.mail.ids import AccountId
from appliance.network.stream import Stream
from appliance.web.connection import UNREAD_OCTETS, HttpConnection, Patience
from appliance.web.message import HttpRefusal, HttpRequest, HttpResponse
from tests.support.streams import ClientStream, stream_pair

Respond = Callable[[HttpRequest], Awaitable[HttpResponse]]
MOST = 1000


async def echo(request: HttpRequest) -> HttpResponse:
    """Method, path and body, as the site would answer: with a limit, and refusals as responses."""
    request.body.most_octets = MOST  # type: ignore[attr-defined]
    try:
        body = b"" if request.path == "/unread" else await request.body.read()
    except HttpRefusal as refusal:
        return HttpResponse(refusal.status, b"refused", "text/plain")
    return HttpResponse(200, f"{request.method} {request.path} ".encode() + body, "text/plain")


@asynccontextmanager
async def connected(respond: Respond = echo) -> AsyncIterator[tuple[ClientStream, Stream]]:
    """A client of a running connection; at the end the connection has ended by itself."""
    server, client = stream_pair("https")

    async def serve() -> None:
        try:
            await HttpConnection(server, respond, Patience()).run()
        except PeerError:
            pass
        finally:
            await server.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        yield client, server
        await client.aclose()


class Client:
    """A correct client (h11), for the responses of one connection."""

    def __init__(self, stream: ClientStream) -> None:
        self.stream = stream
        self.h11 = h11.Connection(h11.CLIENT)

    async def ask(self, method: str, path: str, body: bytes = b"", **fields: str) -> tuple[int, dict[str, str], bytes]:
        headers = [("Host", "box.local"), *((name.replace("_", "-"), value) for name, value in fields.items())]
        if body:
            headers.append(("Content-Length", str(len(body))))
        out = (self.h11.send(h11.Request(method=method, target=path, headers=headers)) or b"") + (
            (self.h11.send(h11.Data(data=body)) or b"") if body else b""
        )
        await self.stream.send_all(out + (self.h11.send(h11.EndOfMessage()) or b""))
        return await self.answer()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        head: h11.Response | None = None
        body = b""
        while True:
            event = self.h11.next_event()
            if event is h11.NEED_DATA:
                self.h11.receive_data(await self.stream.receive_some(65536))
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert head is not None
                if self.h11.our_state is h11.DONE and self.h11.their_state is h11.DONE:
                    self.h11.start_next_cycle()
                return head.status_code, {name.decode(): value.decode() for name, value in head.headers}, body
            else:
                raise EOFError(event)


async def everything(client: ClientStream, octets: bytes) -> bytes:
    """All the server says to `octets` until it closes."""
    await client.send_all(octets)
    said = b""
    while True:
        try:
            more = await client.receive_some(65536)
        except trio.BrokenResourceError:
            return said
        if not more:
            return said
        said += more


async def test_requests_one_after_another() -> None:
    async with connected() as (stream, _):
        client = Client(stream)
        assert (await client.ask("GET", "/a"))[2] == b"GET /a "
        assert (await client.ask("POST", "/b", b"body"))[2] == b"POST /b body"
        status, fields, body = await client.ask("HEAD", "/c")
        assert (status, body, fields["content-length"]) == (200, b"", "8")
        assert (await client.ask("POST", "/unread", b"x" * 100))[0] == 200, "a small body nobody read is dropped"
        assert (await client.ask("GET", "/d", connection="close"))[1]["connection"] == "close"
        assert not await stream.receive_some(1)


async def test_a_response_without_content_says_nothing_of_any() -> None:
    async def nothing(request: HttpRequest) -> HttpResponse:
        return HttpResponse(204 if request.path == "/done" else 304)

    async with connected(nothing) as (stream, _):
        client = Client(stream)
        for path, expected in (("/done", 204), ("/same", 304)):
            status, fields, body = await client.ask("GET", path)
            assert (status, body) == (expected, b"") and not fields.keys() & {"content-type", "content-length", "transfer-encoding"}


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with connected() as (client, _):
        one = b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok"
        said = await everything(client, one + b"\r\n" + one.replace(b" /1 ", b" /2 ") + b"GET /3 HTTP/1.0\r\n\r\n")
        assert [said.find(word) > 0 for word in (b"POST /1 ok", b"POST /2 ok", b"GET /3 ")] == [True] * 3
        assert said.index(b"POST /1") < said.index(b"POST /2") < said.index(b"GET /3")


async def test_chunked_bodies_both_ways() -> None:
    async def chunks(request: HttpRequest) -> HttpResponse:
        request.body.most_octets = MOST  # type: ignore[attr-defined]
        whole = await request.body.read()

        async def parts() -> AsyncIterator[bytes]:
            yield whole
            yield b"!"

        return HttpResponse(200, parts(), "text/plain")

    async with connected(chunks) as (stream, _):
        await stream.send_all(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        client = Client(stream)
        client.h11.send(h11.Request(method="POST", target="/", headers=[("Host", "a"), ("Content-Length", "0")]))
        client.h11.send(h11.EndOfMessage())
        assert (await client.answer())[2] == b"abc!"


async def test_continue_is_sent_when_the_body_is_wanted_and_only_then(autojump_clock: MockClock) -> None:
    head = b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    async with connected() as (client, _):
        await client.send_all(head % b"/a")
        assert (await client.receive_some(1000)).startswith(b"HTTP/1.1 100 ")
        await client.send_all(b"ok")
        assert b"POST /a ok" in await client.receive_some(1000)
    async with connected() as (client, _):
        said = await everything(client, head.replace(b": 2", b": 5000") % b"/a")
        assert said.startswith(b"HTTP/1.1 413 ") and b"connection: close" in said and b" 100 " not in said


async def test_a_body_beyond_the_limit_is_refused_before_and_while_it_comes(autojump_clock: MockClock) -> None:
    async with connected() as (client, _):
        said = await everything(client, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001)
        assert said.startswith(b"HTTP/1.1 413 ")
    async with connected() as (client, _):
        said = await everything(
            client,
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"1f4\r\n"
            + b"x" * 500
            + b"\r\n"
            + b"1f5\r\n"
            + b"x" * 501
            + b"\r\n0\r\n\r\n",
        )
        assert said.startswith(b"HTTP/1.1 413 ")
    async with connected() as (client, _):
        large = UNREAD_OCTETS + 70_000
        said = await everything(
            client, b"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % large + b"x" * large + b"GET /2 HTTP/1.1\r\n\r\n"
        )
        assert said.count(b"HTTP/1.1") == 1 and b"connection: close" in said, "what follows an unread body is never a request"


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcXX0\r\n\r\n", 400),
        (b"GET /../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /%2e%2e/etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /%ff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET /" + b"a" * 9000, 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 40_000, 431),
    ],
)  # fmt: skip
async def test_hostile_requests_get_one_short_refusal(octets: bytes, status: int, autojump_clock: MockClock) -> None:
    async with connected() as (client, _):
        said = await everything(client, octets)
        assert said.startswith(b"HTTP/1.1 %d " % status) and said.count(b"HTTP/1.1") == 1 and len(said) < 300
        assert b"/etc/passwd" not in said


async def test_slow_clients_are_given_up(autojump_clock: MockClock) -> None:
    async with connected() as (client, _):
        begun = trio.current_time()
        await client.send_all(b"G")

        async def trickle() -> None:
            with pytest.raises((trio.BrokenResourceError, trio.ClosedResourceError)):
                while True:
                    await trio.sleep(1)
                    await client.send_all(b"E")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trickle)
            said = await client.receive_some(1000)
            assert said.startswith(b"HTTP/1.1 408 ") and trio.current_time() - begun < 12
            while await client.receive_some(1000):
                pass
            await client.aclose()


async def test_a_body_that_trickles_is_given_up(autojump_clock: MockClock) -> None:
    async with connected() as (client, _):
        await client.send_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n")
        said = b""

        async def listen() -> None:
            nonlocal said
            said = await client.receive_some(1000)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            for _ in range(60):
                await trio.sleep(1)
                if said:
                    break
                await client.send_all(b"x")
            nursery.cancel_scope.cancel()
        assert said.startswith(b"HTTP/1.1 408 ")


async def test_an_idle_connection_is_closed_without_a_word(autojump_clock: MockClock) -> None:
    async with connected() as (client, _):
        assert await client.receive_some(1000) == b"" and 60 < trio.current_time() < 100


async def test_an_event_stream_ends_when_its_client_leaves_and_when_the_server_drains(autojump_clock: MockClock) -> None:
    ended: list[str] = []

    async def stream(request: HttpRequest) -> HttpResponse:
        async def events() -> AsyncIterator[bytes]:
            try:
                yield b"data: 1\n\n"
                await trio.sleep_forever()
            finally:
                ended.append(request.path)

        return HttpResponse(200, events(), "text/event-stream", lasting=True)

    async with connected(stream) as (client, _):
        await client.send_all(b"GET /left HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"data: 1" in await client.receive_some(1000) + await client.receive_some(1000)
    assert ended == ["/left"]
    async with connected(stream) as (client, server):
        await client.send_all(b"GET /drained HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"data: 1" in await client.receive_some(1000) + await client.receive_some(1000)
        server.drain()
        assert await client.receive_some(1000) == b""
    assert ended == ["/left", "/drained"]


@pytest.mark.parametrize("upgraded", [False, True])
@pytest.mark.parametrize("late", [False, True])
async def test_what_lasts_ends_with_its_session(upgraded: bool, late: bool) -> None:
    """An event stream, and a connection that is another protocol's; `late`: the session ends before the first octet of the response."""
    session = WebSession(b"digest", AccountId(1), 1, 0, 0, "192.168.1.20", "")

    async def respond(request: HttpRequest) -> HttpResponse:
        async def events() -> AsyncIterator[bytes]:
            yield b"data: 1\n\n"
            await trio.sleep_forever()

        async def other(stream: Stream, early: bytes) -> None:
            await stream.receive(60)

        request.session = session
        if late:
            session.end()
        return HttpResponse(101, upgrade=other) if upgraded else HttpResponse(200, events(), "text/event-stream", lasting=True)

    async with connected(respond) as (client, server):
        await client.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        with trio.fail_after(10):
            if not late:
                await client.receive_some(1000)
                await trio.testing.wait_all_tasks_blocked()
                assert server.login == (1, 1)
                session.end()
            while await client.receive_some(1000):
                pass
        assert server.revoked
    assert not session._endings


async def test_a_connection_becomes_another_protocols() -> None:
    async def upgrade(request: HttpRequest) -> HttpResponse:
        async def other(stream: Stream, early: bytes) -> None:
            await stream.send(early + await stream.receive(5))

        return HttpResponse(101, fields=[("upgrade", "echo"), ("connection", "Upgrade")], upgrade=other)

    async with connected(upgrade) as (client, _):
        await client.send_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly")
        said = await client.receive_some(1000)
        assert said.startswith(b"HTTP/1.1 101 ")
        await client.send_all(b"late")
        assert await client.receive_some(1000) == b"earlylate"


async def test_a_fault_of_a_handler_is_a_500_and_the_listeners_to_log() -> None:
    async def broken(request: HttpRequest) -> HttpResponse:
        raise ZeroDivisionError

    server, client = stream_pair("https")
    await client.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    with pytest.raises(ZeroDivisionError):
        await HttpConnection(server, broken, Patience()).run()
    assert (await client.receive_some(1000)).startswith(b"HTTP/1.1 500 ")
