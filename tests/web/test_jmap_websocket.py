"""JMAP over WebSocket: requests in order, push beside them, and what closes the connection (RFC 8887)."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage

from appliance.protocol.http.target import parse_host, parse_target
from appliance.web import jmap_websocket
from appliance.web.jmap_websocket import JmapSocket, check_handshake
from appliance.web.message import HttpFields, HttpRefusal, HttpRequest
from tests.jmap.sending import ANN, USING, SendingServer, a_sending_server
from tests.support.streams import ClientStream, stream_pair


class Client:
    """The other end."""

    def __init__(self, stream: ClientStream) -> None:
        self.stream = stream
        self._frames = Connection(ConnectionType.CLIENT)
        self._events: list[Event] = []
        self.live = True

    async def send(self, message: Any) -> None:
        if isinstance(message, (dict, str)):
            message = TextMessage(data=message if isinstance(message, str) else json.dumps(message))
        await self.stream.send_all(self._frames.send(message))

    async def event(self) -> Event:
        with trio.fail_after(10):
            while not self._events:
                self._frames.receive_data(await self.stream.receive_some(65536) or None)
                self._events = list(self._frames.events())
        return self._events.pop(0)

    async def message(self) -> Any:
        text = ""
        while True:
            event = await self.event()
            assert isinstance(event, TextMessage), event
            text += event.data
            if event.message_finished:
                return json.loads(text)


@asynccontextmanager
async def connected(directory: Path) -> AsyncIterator[tuple[SendingServer, Client, trio.CancelScope]]:
    async with a_sending_server(directory) as server, trio.open_nursery() as nursery:
        stream, end = stream_pair("https")
        client = Client(end)
        nursery.start_soon(JmapSocket(server.service, ANN, stream, lambda: client.live).run, b"")
        yield server, client, nursery.cancel_scope
        nursery.cancel_scope.cancel()


def request(name: str, one: str, **arguments: Any) -> dict[str, Any]:
    return {"@type": "Request", "id": one, "using": USING, "methodCalls": [[name, {"accountId": "A1", **arguments}, "c"]]}


async def test_requests_are_answered_in_order_with_their_ids(tmp_path: Path) -> None:
    """RFC 8887 §4.3: Response and RequestError name the request."""
    async with connected(tmp_path) as (_, client, _scope):
        await client.send(request("Core/echo", "R1", hello=True))
        await client.send({**request("Core/echo", "R2"), "using": ["x"]})
        await client.send("[1, 2")
        await client.send({"@type": "Hello", "id": "R3"})
        first, second, third, fourth = [await client.message() for _ in range(4)]
        assert (first["@type"], first["requestId"]) == ("Response", "R1")
        assert first["methodResponses"] == [["Core/echo", {"accountId": "A1", "hello": True}, "c"]] and first["sessionState"]
        assert (second["@type"], second["requestId"]) == ("RequestError", "R2") and second["type"].endswith(":unknownCapability")
        assert third["type"].endswith(":notJSON") and "requestId" not in third
        assert fourth["type"].endswith(":notRequest") and fourth["requestId"] == "R3"
        await client.send(Ping(payload=b"x"))
        pong = await client.event()
        assert isinstance(pong, Pong) and bytes(pong.payload) == b"x"
        await client.send(CloseConnection(code=1000))
        assert isinstance(await client.event(), CloseConnection)


async def test_the_example_of_rfc_8887_section_4_4(tmp_path: Path) -> None:
    """After the handshake: push since a state, a call, a message that is no JSON, a new email, and the end."""
    async with connected(tmp_path) as (server, client, _scope):
        await client.send({"@type": "WebSocketPushEnable", "dataTypes": ["Mailbox", "Email"], "pushState": "aaa"})
        change = await client.message()
        assert change["@type"] == "StateChange" and change["changed"]["A1"].keys() == {"Mailbox", "Email"}
        call = ["Core/echo", {"hello": True, "high": 5}, "b3ff"]
        await client.send({"@type": "Request", "id": "R1", "using": ["urn:ietf:params:jmap:core"], "methodCalls": [call]})
        response = await client.message()
        assert (response["@type"], response["requestId"], response["methodResponses"]) == ("Response", "R1", [call])
        await client.send("The quick brown fox jumps over the lazy dog.")
        error = await client.message()
        assert (error["@type"], error["type"], error["status"]) == ("RequestError", "urn:ietf:params:jmap:error:notJSON", 400)
        assert error.get("requestId") is None and error["detail"]
        await server.draft()
        arrived = await client.message()
        assert "Email" in arrived["changed"]["A1"] and arrived["pushState"] != change["pushState"]
        await client.send(CloseConnection(code=1000))
        assert isinstance(await client.event(), CloseConnection)


async def test_push_of_the_types_asked_for_since_a_push_state(tmp_path: Path) -> None:
    """RFC 8887 §4.3.5."""
    async with connected(tmp_path) as (server, client, _scope):
        await client.send({"@type": "WebSocketPushEnable", "dataTypes": ["Email", "EmailSubmission"], "pushState": None})
        await client.send(request("Core/echo", "a"))
        await client.message()
        await trio.testing.wait_all_tasks_blocked()
        await server.draft()
        change = await client.message()
        assert change["@type"] == "StateChange" and change["changed"]["A1"].keys() == {"Email"}
        await client.send({"@type": "WebSocketPushDisable"})
        await client.send(request("Core/echo", "b"))
        await client.message()
        await server.draft()
        await client.send({"@type": "WebSocketPushEnable", "dataTypes": None, "pushState": change["pushState"]})
        again = await client.message()
        assert again["changed"]["A1"].keys() == {"Mailbox", "Thread", "Email", "EmailDelivery", "Quota"}
        await client.send({"@type": "WebSocketPushEnable", "dataTypes": "all", "id": "c"})
        assert (await client.message())["type"].endswith(":notRequest")


async def test_what_closes_the_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def code(client: Client, message: Any) -> int:
        await client.send(message)
        event = await client.event()
        assert isinstance(event, CloseConnection)
        return int(event.code)

    async with connected(tmp_path) as (server, client, _scope):
        server.service.limits = type(server.service.limits)(request_octets=100)
        assert await code(client, "x" * 200) == 1009
    async with connected(tmp_path) as (_, client, _scope):
        assert await code(client, BytesMessage(data=b"x")) == 1003
    async with connected(tmp_path) as (_, client, _scope):
        client.live = False
        assert await code(client, request("Core/echo", "a")) == 1008
    monkeypatch.setattr(jmap_websocket, "PING_S", 0.05)
    async with connected(tmp_path) as (_, client, _scope):
        assert isinstance(await client.event(), Ping)


def handshake(changed: dict[str, str]) -> HttpRequest:
    given = {
        "upgrade": "websocket", "connection": "keep-alive, Upgrade", "sec-websocket-version": "13", "origin": "https://mail.home.test",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-protocol": "jmap",
    }  # fmt: skip
    pairs = [(name.encode(), value.encode()) for name, value in (given | changed).items() if value]
    body: Any = None
    return HttpRequest("GET", parse_target("/jmap/ws"), parse_host("mail.home.test"), HttpFields(pairs), body)


def test_the_handshake_needs_the_subprotocol_and_with_a_cookie_our_origin() -> None:
    assert check_handshake(handshake({})) == "dGhlIHNhbXBsZSBub25jZQ=="
    assert check_handshake(handshake({"origin": "", "authorization": "Basic x"}))
    for status, changed in (
        (426, {"upgrade": ""}), (426, {"connection": "close"}), (400, {"sec-websocket-protocol": "chat"}),
        (400, {"sec-websocket-key": "x"}),
        (403, {"origin": "https://evil.example"}), (403, {"origin": "null"}), (403, {"origin": ""}),
    ):  # fmt: skip
        with pytest.raises(HttpRefusal) as refusal:
            check_handshake(handshake(changed))
        assert refusal.value.status == status, changed
