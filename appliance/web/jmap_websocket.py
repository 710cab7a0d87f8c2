"""JMAP over WebSocket: requests, responses and state changes on one connection (RFC 8887; framing: RFC 6455, by wsproto).

| message of the client                  | answer                                                                            |
|----------------------------------------|-----------------------------------------------------------------------------------|
| Request                                | Response, or RequestError, with its id as requestId                               |
| WebSocketPushEnable                    | StateChange now and then, of dataTypes; at once what changed since pushState      |
| WebSocketPushDisable                   | none any more                                                                     |
| no JSON object, or another @type       | RequestError notJSON, notRequest                                                  |
| binary; larger than a request may be   | closed: 1003, 1009                                                                |

Invariants: requests of one connection are carried out one after another, so responses come in their order; a frame is sent whole. A cookie
counts only with the Origin of this server, since a page elsewhere can open a WebSocket too; the subprotocol is `jmap`.
States: open → (nothing for PING_S: Ping sent; again nothing: closed) → closed, by either side. The connection ends when the server
drains (1001), when the password is gone (1008) or the session is signed out (1008).
"""

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, Protocol

import trio
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError, generate_accept_token

from appliance.accounts.push_subscriptions import Credentials
from appliance.mail.errors import PeerError, PeerSlow
from appliance.mail.ids import AccountId
from appliance.network.stream import Draining
from appliance.protocol.jmap.errors import RequestError
from appliance.protocol.jmap.request import JmapLimits, parse_json

from .message import HttpRefusal, HttpRequest, HttpResponse

if TYPE_CHECKING:
    from appliance.network.stream import Stream

SUBPROTOCOL = "jmap"
SOCKETS = 16
"""Of one account."""
PING_S = 120.0
SEND_S = 60.0
MOST_TYPES = 50
KEY_CHARACTERS = 24
GOING_AWAY, UNSUPPORTED, POLICY, TOO_BIG = 1001, 1003, 1008, 1009


class SocketPort(Protocol):
    """The JMAP service, as far as a WebSocket asks of it."""

    @property
    def limits(self) -> JmapLimits: ...
    async def api(self, octets: bytes, account: AccountId, credentials: Credentials | None = None) -> dict[str, Any]: ...
    def changes(self, account: AccountId, types: frozenset[str] | None, last: str) -> AsyncIterator[tuple[dict[str, Any], str]]: ...


def check_handshake(request: HttpRequest) -> str:
    """The client's key. Raises HttpRefusal (RFC 6455 §4.2.1, RFC 8887 §4.1)."""
    fields = request.fields
    upgrade = "websocket" in _words(fields.get("upgrade")) and "upgrade" in _words(fields.get("connection"))
    if not upgrade or fields.get("sec-websocket-version") != "13":
        raise HttpRefusal(426, "This address speaks WebSocket.", (("upgrade", "websocket"), ("sec-websocket-version", "13")))
    key = fields.get("sec-websocket-key")
    if len(key) != KEY_CHARACTERS or SUBPROTOCOL not in _words(fields.get("sec-websocket-protocol")):
        raise HttpRefusal(400, "The subprotocol of this WebSocket is jmap.")
    if "authorization" not in fields and fields.get("origin") != request.origin:
        raise HttpRefusal(403, "Another site sent this request.")
    return key


class JmapSockets:
    """All WebSockets of the server."""

    def __init__(self, jmap: SocketPort) -> None:
        self._jmap = jmap
        self._open: Counter[AccountId] = Counter()

    def accept(self, key: str, account: AccountId, is_live: Callable[[], bool], credentials: Credentials | None = None) -> HttpResponse:
        """101, and then the connection is the WebSocket's. Raises HttpRefusal."""
        if self._open[account] >= SOCKETS:
            raise HttpRefusal(429, "This account has too many WebSockets open.")

        async def upgrade(stream: "Stream", early: bytes) -> None:
            self._open[account] += 1
            try:
                await JmapSocket(self._jmap, account, stream, is_live, credentials).run(early)
            finally:
                self._open[account] -= 1
                if not self._open[account]:
                    del self._open[account]

        accepted = generate_accept_token(key.encode("ascii", "replace")).decode()
        fields = [
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-accept", accepted),
            ("sec-websocket-protocol", SUBPROTOCOL),
        ]
        return HttpResponse(101, fields=fields, upgrade=upgrade)


class JmapSocket:
    """One client's WebSocket."""

    def __init__(
        self, jmap: SocketPort, account: AccountId, stream: "Stream", is_live: Callable[[], bool], credentials: Credentials | None = None
    ) -> None:
        self._jmap = jmap
        self._account = account
        self._credentials = credentials
        self._stream = stream
        self._is_live = is_live
        self._frames = Connection(ConnectionType.SERVER)
        self._sending = trio.Lock()
        self._text: list[str] = []
        self._characters = 0
        self._push: trio.CancelScope | None = None

    async def run(self, early: bytes) -> None:
        """Until either side closes. Raises PeerError."""
        fault: PeerError | None = None
        async with trio.open_nursery() as nursery:
            try:
                await self._serve(early, nursery)
            except Draining:
                await self._close(POLICY if self._stream.revoked else GOING_AWAY)
            except PeerError as error:  # a nursery would wrap it in a group
                fault = error
            nursery.cancel_scope.cancel()
        if fault is not None:
            raise fault

    async def _serve(self, early: bytes, nursery: trio.Nursery) -> None:
        octets, pinged = early, False
        while True:
            try:
                self._frames.receive_data(octets)
                for event in self._frames.events():
                    if not await self._take(event, nursery):
                        return
            except RemoteProtocolError as error:
                await self._send(error.event_hint or CloseConnection(code=1002))
                return
            try:
                octets = await self._stream.receive(PING_S)
            except PeerSlow:
                if pinged:
                    raise
                pinged, octets = True, b""
                await self._send(Ping())
                continue
            if not octets:
                return
            pinged = False

    async def _take(self, event: Event, nursery: trio.Nursery) -> bool:
        """False when the connection is over."""
        match event:
            case TextMessage():
                self._text.append(event.data)
                self._characters += len(event.data)
                if self._characters > self._jmap.limits.request_octets:
                    return await self._close(TOO_BIG)
                if event.message_finished:
                    text, self._text, self._characters = "".join(self._text), [], 0
                    if not self._is_live():
                        return await self._close(POLICY)
                    await self._answer(text.encode("utf-8", "replace"), nursery)
            case BytesMessage():
                return await self._close(UNSUPPORTED)
            case CloseConnection():
                await self._send(event.response())
                return False
            case Ping():
                await self._send(event.response())
        return True

    async def _answer(self, octets: bytes, nursery: trio.Nursery) -> None:
        wanted: Any = {}
        try:
            wanted = parse_json(octets)
            await self._carry_out(wanted, octets, nursery)
        except RequestError as error:
            await self._say({"@type": "RequestError", **error.document}, wanted)

    async def _carry_out(self, wanted: Any, octets: bytes, nursery: trio.Nursery) -> None:
        """Raises RequestError."""
        kind = wanted.get("@type") if isinstance(wanted, dict) else None
        if kind == "Request":
            await self._say({"@type": "Response", **await self._jmap.api(octets, self._account, self._credentials)}, wanted)
        elif kind == "WebSocketPushEnable":
            self._enable(wanted, nursery)
        elif kind == "WebSocketPushDisable":
            self._disable()
        else:
            raise RequestError("notRequest", "A message is a Request, WebSocketPushEnable or WebSocketPushDisable.")

    # --- push ------------------------------------------------------------------------------------

    def _enable(self, wanted: dict[str, Any], nursery: trio.Nursery) -> None:
        types, last = wanted.get("dataTypes"), wanted.get("pushState")
        known = types is None or (isinstance(types, list) and len(types) <= MOST_TYPES and all(isinstance(one, str) for one in types))
        if not known or not (last is None or isinstance(last, str)):
            raise RequestError("notRequest", "dataTypes is a list of names or null, pushState a text.")
        self._disable()
        self._push = trio.CancelScope()
        nursery.start_soon(self._tell, None if types is None else frozenset(types), last or "", self._push)

    def _disable(self) -> None:
        if self._push is not None:
            self._push.cancel()
            self._push = None

    async def _tell(self, types: frozenset[str] | None, last: str, scope: trio.CancelScope) -> None:
        with scope, suppress(PeerError):  # the reader meets the same end
            async with aclosing(self._jmap.changes(self._account, types, last)) as changes:  # type: ignore[type-var]
                async for changed, state in changes:
                    if not self._is_live():
                        await self._close(POLICY)
                        return
                    with trio.CancelScope(shield=True):  # half a frame would be the end of the connection
                        await self._send(TextMessage(data=json.dumps({**changed, "pushState": state})))

    # --- sending ---------------------------------------------------------------------------------

    async def _say(self, message: dict[str, Any], wanted: Any) -> None:
        if isinstance(wanted, dict) and isinstance(wanted.get("id"), str):
            message["requestId"] = wanted["id"]
        await self._send(TextMessage(data=json.dumps(message, ensure_ascii=False, separators=(",", ":"))))

    async def _send(self, event: Event) -> None:
        async with self._sending:
            try:
                octets = self._frames.send(event)
            except LocalProtocolError:  # it is closed already
                return
            await self._stream.send(octets, SEND_S)

    async def _close(self, code: int) -> bool:
        with suppress(PeerError):
            await self._send(CloseConnection(code=code))
        return False


def _words(value: str) -> list[str]:
    return [word.strip().lower() for word in value.split(",")]
