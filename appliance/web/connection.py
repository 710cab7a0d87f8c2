"""The connection of one HTTP client: octets in, requests to the site, responses out.

The only file of this package that touches a stream. h11 does message framing; before it sees a head, `protocol/http/head` has
refused what two readers could understand differently. One h11 connection lives for one exchange.

| state    | waits for                                              | at most                    | then                          |
|----------|--------------------------------------------------------|----------------------------|-------------------------------|
| idle     | the first octet of a head                              | IDLE_S                     | closed without a word         |
| head     | the rest of the head                                   | HEAD_S in all              | 408, closed                   |
| body     | the handler asks for more of the body                  | BODY_S each, LEAST_RATE    | 408, closed                   |
| response | the client to read                                     | SEND_S for each chunk      | closed                        |
| lasting  | the next chunk of an event stream; the client to leave | -                          | closed                        |

Failures: a refused head gets a short 4xx or 501 and the connection closes; after an error the rest of what the client sends is
read and dropped for LINGER_S, so that a reset does not destroy the response on its way (RFC 9112 §9.6).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import h11
import trio

from appliance.mail.errors import MisuseError, PeerError, PeerGone, PeerSlow
from appliance.network.stream import Draining, Stream
from appliance.protocol.http.head import HEAD_OCTETS, HeadFault, blank_octets, next_head
from appliance.protocol.http.problem import phrase
from appliance.protocol.http.target import parse_host, parse_target

from .message import TEXT, HttpFields, HttpRefusal, HttpRequest, HttpResponse

if TYPE_CHECKING:
    from appliance.accounts.web_sessions import WebSession

Respond = Callable[[HttpRequest], Awaitable[HttpResponse]]
"""The site: never raises but for a peer's end and cancellation."""

IDLE_S = 75.0
"""A browser keeps a connection for about that long; opening a new one costs a TLS handshake."""
HEAD_S = 10.0
BODY_S = 30.0
LEAST_RATE = 512
"""Octets a second that a body must average after BODY_S: a client that trickles holds a place for ever."""
SEND_S = 60.0
LINGER_S = 2.0
LINGER_OCTETS = 256 * 2**10
EXCHANGES = 1000
"""Requests of one connection."""
UNREAD_OCTETS = 64 * 2**10
"""A body nobody read is dropped up to this size to keep the connection."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client may take; tests are in more of a hurry."""

    idle_s: float = IDLE_S
    head_s: float = HEAD_S
    body_s: float = BODY_S
    send_s: float = SEND_S


class HttpConnection:
    """One client's requests, one after another."""

    def __init__(self, stream: Stream, respond: Respond, patience: Patience) -> None:
        self._stream = stream
        self._respond = respond
        self._patience = patience
        self._octets = bytearray()

    async def run(self) -> None:
        """Until the client leaves, an error, or the server drains. Raises PeerError."""
        for left in range(EXCHANGES, 0, -1):
            head = await self._head()
            if head is None:
                return
            if isinstance(head, HeadFault):
                await self._refuse(head.status, head.reason)
                return
            exchange = HttpExchange(self._stream, self._patience, head, self._octets, last=left == 1)
            if not await exchange.run(self._respond):
                return
            self._octets = exchange.left

    async def _head(self) -> bytes | HeadFault | None:
        """The octets of the next head; None when there is none."""
        octets, deadline = self._octets, trio.current_time() + self._patience.head_s
        while True:
            if octets:
                del octets[: blank_octets(octets)]
            length = next_head(octets) if octets else None
            if isinstance(length, HeadFault):
                return length
            if length is not None:
                head = bytes(octets[:length])
                del octets[:length]
                return head
            wait_s = self._patience.idle_s if not octets else deadline - trio.current_time()
            idle = not octets
            try:
                more = await self._stream.receive(max(0.0, wait_s), HEAD_OCTETS)
            except PeerSlow:
                return None if idle else HeadFault(408, "the request took too long")
            if not more:
                return None
            if idle:
                deadline = trio.current_time() + self._patience.head_s
            octets += more

    async def _refuse(self, status: int, reason: str) -> None:
        await self._stream.send(_refusal(status, reason), self._patience.send_s)
        await linger(self._stream)


@dataclass(frozen=True, slots=True)
class _Sent:
    """What of a request still matters when its response is sent."""

    method: str
    session: "WebSession | None"


class RequestBody:
    """The body of the request under way; see `message.Body`."""

    def __init__(self, exchange: "HttpExchange", length: int | None) -> None:
        self._exchange = exchange
        self.length = length
        self.most_octets = 0
        """Set by the site when the route is known."""
        self._read_octets = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self.length is not None and self.length > self.most_octets:
            raise HttpRefusal(413)
        while chunk := await self._exchange.next_chunk():
            self._read_octets += len(chunk)
            if self._read_octets > self.most_octets:
                raise HttpRefusal(413)
            yield chunk

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self])


class HttpExchange:
    """One request and its response. `last`: the connection closes after it. `left` afterwards: octets of the next request that came
    already."""

    def __init__(self, stream: Stream, patience: Patience, head: bytes, octets: bytearray, *, last: bool = False) -> None:
        self._last = last
        self._stream = stream
        self._patience = patience
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_OCTETS + 4)
        self._head = head
        self._early = octets
        self._begun = 0.0
        self._body_octets = 0
        self._ended = False
        """The whole body was read."""
        self._answering = False
        """The head of a response may be out."""
        self.left = bytearray()

    async def run(self, respond: Respond) -> bool:
        """True when the connection can be used for a further request. Raises PeerError."""
        try:
            self._h11.receive_data(self._head)
            event = self._h11.next_event()
            if self._early:
                self._h11.receive_data(bytes(self._early))
            assert isinstance(event, h11.Request)  # noqa: S101 - a whole head was fed
            request = self._request(event)
            del event
            self._head = b""
        except (h11.RemoteProtocolError, MisuseError, UnicodeDecodeError):
            return await self._give_up(400)
        self._begun = trio.current_time()
        self._stream.uninterrupted = True
        try:
            response = await respond(request)
            sent = _Sent(request.method, request.session)
            del request  # an event stream would hold 3 kB of it for days
            await self._send(sent, response)
        except Draining:
            raise
        except PeerSlow:
            if not self._answering:
                return await self._give_up(408)
            raise
        except h11.RemoteProtocolError:
            return await self._give_up(400)
        except Exception:
            if not self._answering:  # nothing of a response is out: say so, then the listener logs it
                with suppress(PeerError):
                    await self._stream.send(_refusal(500), self._patience.send_s)
            raise
        finally:
            self._stream.uninterrupted = False
        return not (response.upgrade or response.lasting) and await self._goes_on()

    def _request(self, event: h11.Request) -> HttpRequest:
        stream, target = self._stream, parse_target(event.target.decode("ascii"))
        pairs = [(bytes(name), bytes(value)) for name, value in event.headers]
        fields = HttpFields(pairs)
        length = None if "transfer-encoding" in fields else int(fields.get("content-length", "0"))
        return HttpRequest(
            method=event.method.decode("ascii"),
            target=target,
            host=parse_host(target.authority or fields.get("host", stream.local_host or "localhost")),
            fields=fields,
            body=RequestBody(self, length),
            peer=stream.peer_host,
            local=stream.local_host,
            secure=stream.secure,
            stream=stream,
        )

    # --- the body of the request ------------------------------------------------------------------

    async def next_chunk(self) -> bytes:
        """The next octets of the body; b"" at its end. Raises PeerError, h11.RemoteProtocolError."""
        while not self._ended:
            if self._h11.they_are_waiting_for_100_continue:
                go_on = h11.InformationalResponse(status_code=100, headers=[])
                await self._stream.send(self._h11.send(go_on) or b"", self._patience.send_s)
            event = self._h11.next_event()
            if event is h11.NEED_DATA:
                await self._receive()
            elif isinstance(event, h11.Data):
                return bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self._ended = True
            else:
                raise PeerGone("the client left in the middle of a request")
        return b""

    async def _receive(self) -> None:
        took_s = trio.current_time() - self._begun
        if took_s > self._patience.body_s and self._body_octets < LEAST_RATE * took_s:
            raise PeerSlow("the body of the request comes too slowly")
        octets = await self._stream.receive(self._patience.body_s)
        if not octets:
            raise PeerGone("the client left in the middle of a request")
        self._body_octets += len(octets)
        self._h11.receive_data(octets)

    # --- the response -----------------------------------------------------------------------------

    async def _send(self, request: "_Sent", response: HttpResponse) -> None:
        stream, body = self._stream, response.body
        if response.upgrade is not None or response.lasting:
            with self._bound_to(request.session):
                await (self._send_lasting(response, request) if response.lasting else self._send_upgrade(response))
            return
        fields = [("content-type", response.media_type), *response.fields]
        if isinstance(body, bytes):
            fields.append(("content-length", str(len(body))))
        elif response.length is not None:
            fields.append(("content-length", str(response.length)))
        if not await self._body_is_done() or stream.draining or self._last:
            fields.append(("connection", "close"))
        encoded = [(name.encode("ascii"), value.encode("latin-1")) for name, value in fields]
        if response.status in (204, 304):  # without a body (RFC 9110 §8.6, §15.3.5)
            encoded = [pair for pair in encoded if pair[0] not in (b"content-length", b"content-type")]
        head = self._h11.send(h11.Response(status_code=response.status, headers=encoded, reason=phrase(response.status).encode())) or b""
        self._answering = True
        bodiless = request.method == "HEAD" or response.status in (204, 304)
        if isinstance(body, bytes):
            parts = [head] if bodiless else [head, *self._data(body)]
            parts.append(self._h11.send(h11.EndOfMessage()) or b"")
            await self._send_parts(parts)
            return
        async with aclosing(body):  # type: ignore[type-var]
            await stream.send(head, self._patience.send_s)
            if not bodiless:
                async for chunk in body:
                    await self._send_parts(self._data(chunk))
        await self._send_parts([self._h11.send(h11.EndOfMessage()) or b""])

    def _data(self, octets: bytes) -> list[bytes]:
        return [bytes(one) for one in self._h11.send_with_data_passthrough(h11.Data(data=octets)) or []] if octets else []

    async def _send_parts(self, parts: list[bytes]) -> None:
        octets = b"".join(parts)
        if octets:
            await self._stream.send(octets, self._patience.send_s)

    async def _send_lasting(self, response: HttpResponse, request: "_Sent") -> None:
        """Send an event stream, which ends with the connection (RFC 9112 §6.3): it needs no framing, so nothing of h11 is held.

        Whatever the client sends or does not send meanwhile ends it, and the end of its session. Raises PeerGone, Draining.
        """
        body = response.body
        assert not isinstance(body, bytes)  # noqa: S101 - what lasts is iterated
        async with aclosing(body):  # type: ignore[type-var]
            await self._send_head(response.status, [("content-type", response.media_type), *response.fields, ("connection", "close")])
            response.fields.clear()
            del self._h11
            self._stream.uninterrupted = False
            if request.method != "HEAD":
                await _send_until_gone(self._stream, body, self._patience.send_s)

    async def _send_head(self, status: int, fields: list[tuple[str, str]]) -> None:
        lines = [f"HTTP/1.1 {status} {phrase(status)}", *(f"{name}: {value}" for name, value in fields), "", ""]
        self._answering = True
        await self._stream.send("\r\n".join(lines).encode("latin-1"), self._patience.send_s)

    @contextmanager
    def _bound_to(self, session: "WebSession | None") -> Iterator[None]:
        """Within, the stream ends with the session that asked for what is sent, and with its password."""
        stream = self._stream
        if session is None:
            yield
            return
        stream.login = stream.login or (session.account, session.password)
        with session.calls_at_its_end(stream.revoke):
            yield

    async def _send_upgrade(self, response: HttpResponse) -> None:
        """101, then the connection is the other protocol's until it returns (RFC 9110 §7.8)."""
        self._stream.uninterrupted = False
        await self._send_head(101, response.fields)
        assert response.upgrade is not None  # noqa: S101 - the caller looked
        await response.upgrade(self._stream, self._h11.trailing_data[0])

    # --- between two requests ---------------------------------------------------------------------

    async def _body_is_done(self) -> bool:
        """Is nothing of the body left that would have to be read first? A small rest is read and dropped."""
        dropped = 0
        while not self._ended:
            if self._h11.they_are_waiting_for_100_continue or dropped > UNREAD_OCTETS:
                return False
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError:
                return False
            if event is h11.NEED_DATA:
                return False
            if isinstance(event, h11.EndOfMessage):
                self._ended = True
            elif isinstance(event, h11.Data):
                dropped += len(event.data)
        return True

    async def _goes_on(self) -> bool:
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE and not self._stream.draining:
            self.left = bytearray(self._h11.trailing_data[0])
            return True
        if not self._ended:
            await linger(self._stream)
        return False

    async def _give_up(self, status: int) -> bool:
        """A short refusal outside of h11, whose state may be an error; the connection closes."""
        await self._stream.send(_refusal(status), self._patience.send_s)
        await linger(self._stream)
        return False


async def _send_until_gone(stream: Stream, chunks: AsyncIterator[bytes], send_s: float) -> None:
    """Send chunks until they end or the client leaves. Raises PeerGone, Draining."""
    faults: list[PeerError] = []

    async def watch(scope: trio.CancelScope) -> None:
        try:
            if not await stream.receive(float("inf"), 1):
                faults.append(PeerGone("the client closed an event stream"))
        except PeerError as fault:
            faults.append(fault)
        scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch, nursery.cancel_scope)
        try:
            async for chunk in chunks:
                await stream.send(chunk, send_s)
        except PeerError as fault:
            faults.append(fault)
        nursery.cancel_scope.cancel()
    if faults:
        raise faults[0]


def _refusal(status: int, reason: str = "") -> bytes:
    """A whole response with a line of text, after which the connection closes."""
    text = f"{status} {phrase(status)}{reason and f': {reason}'}\n"
    head = f"HTTP/1.1 {status} {phrase(status)}\r\nContent-Type: {TEXT}\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
    return (head + text).encode()


async def linger(stream: Stream) -> None:
    """Drop what the client still sends, for a moment."""
    octets, deadline = 0, trio.current_time() + LINGER_S
    with suppress(PeerError):
        while octets < LINGER_OCTETS and (wait_s := deadline - trio.current_time()) > 0:
            more = await stream.receive(wait_s)
            if not more:
                return
            octets += len(more)
