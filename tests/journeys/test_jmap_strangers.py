"""JMAP asked oddly, over real sockets: the error that the RFC names, bounded, and nobody else waits (RFC 8620 §1, §3.6)."""

import base64
import http.client
import json
import os
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.bench.meters import Process
from tests.journeys.talk import Reader
from tests.support.server import PASSWORD, Pillarbox, new_data, on_terminal, pillarbox
from tests.support.wire import faults

ADA = "ada@home.example"
USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:submission"]
ECHO = json.dumps({"using": USING, "methodCalls": [["Core/echo", {"a": 1}, "c"]]}).encode()
DEEP = '{"operator":"NOT","conditions":[' * 1000 + "{}" + "]}" * 1000


def basic(password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{ADA}:{password}".encode()).decode()}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pillarbox]:
    data = new_data(tmp_path_factory.mktemp("strangers") / "data")
    with Pillarbox(data, protocols=("imap", "https")) as running:
        yield running
        assert not faults(running.log)


@pytest.fixture(scope="module")
def trust(server: Pillarbox) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=pillarbox("certificate", "export", data=server.data).stdout)


@pytest.fixture
def connection(server: Pillarbox, trust: ssl.SSLContext) -> Iterator[http.client.HTTPSConnection]:
    one = http.client.HTTPSConnection("localhost", server.ports["https"], context=trust, timeout=60)
    yield one
    one.close()


def asked(one: http.client.HTTPSConnection, method: str, path: str, body: bytes = b"", **fields: str) -> tuple[int, Any]:
    given = {"Authorization": basic()["Authorization"], **{name.replace("_", "-"): value for name, value in fields.items()}}
    one.request(method, path, body, given)
    response = one.getresponse()
    return response.status, json.loads(response.read())


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "notJSON"), (b"\xef\xbb\xbf" + ECHO, "notJSON"), (ECHO.decode().encode("utf-16"), "notJSON"), (ECHO + b"x", "notJSON"),
        (b'{"using":[],"using":[],"methodCalls":[]}', "notJSON"), (b"[" * 100_000, "notJSON"), (b'{"using":["\xff"]}', "notJSON"),
        (b'{"using":[],"methodCalls":[["Core/echo",{"a":"\\udc00"},"c"]]}', "notJSON"), (b'{"using":[1e999]}', "notJSON"),
        (b"[" + b"[]," * 300_000 + b"[]]", "notJSON"),
        (f'{{"using":[],"methodCalls":[["x",{{"filter":{DEEP}}},"c"]]}}'.encode(), "notJSON"),
        (b"null", "notRequest"), (b"[]", "notRequest"), (b'{"using":[5],"methodCalls":[]}', "notRequest"),
        (b'{"using":[],"methodCalls":[["x",{},5]]}', "notRequest"), (b'{"using":[],"methodCalls":[],"createdIds":{"a":""}}', "notRequest"),
        (b'{"using":["urn:x"],"methodCalls":[]}', "unknownCapability"),
        (b'{"using":[],"methodCalls":[' + b",".join([b'["x",{},"c"]'] * 17) + b"]}", "limit"),
    ],
    ids=lambda value: value[:24] if isinstance(value, bytes) else value,
)  # fmt: skip
def test_what_is_no_request(connection: http.client.HTTPSConnection, body: bytes, kind: str) -> None:
    status, found = asked(connection, "POST", "/jmap/api", body, Content_Type="application/json")
    assert (status, found["type"]) == (400, f"urn:ietf:params:jmap:error:{kind}")
    assert asked(connection, "POST", "/jmap/api", ECHO, Content_Type="application/json; charset=utf-8")[0] == 200


@pytest.mark.parametrize(
    ("name", "arguments", "kind"),
    [
        ("Email/query", {"limit": 2**53}, "invalidArguments"), ("Email/query", {"limit": 10**400 // 10**380}, "invalidArguments"),
        ("Email/query", {"limit": 1.5}, "invalidArguments"), ("Email/query", {"position": -(2**60)}, "invalidArguments"),
        ("Email/query", {"limit": True}, "invalidArguments"), ("Email/query", {"filter": {"text": None}}, "invalidArguments"),
        ("Email/query", {"filter": []}, "invalidArguments"), ("Email/query", {"filter": {"operator": "X"}}, "invalidArguments"),
        ("Email/query", {"filter": {"operator": "OR", "conditions": [{"text": "abc"}] * 1000}}, "unsupportedFilter"),
        ("Email/query", {"sort": [{"property": "size"}] * 5000}, "unsupportedSort"),
        ("Email/get", {"ids": ["M" + "9" * 100_000]}, "invalidArguments"), ("Email/get", {"ids": [1, None]}, "invalidArguments"),
        ("Email/get", {"ids": [f"M{number}" for number in range(10_000)]}, "requestTooLarge"),
        ("Email/get", {"#ids": {"resultOf": "c", "name": "Email/get", "path": "/list"}}, "invalidResultReference"),
        ("Email/get", {"#ids": 5}, "invalidResultReference"), ("Email/changes", {"sinceState": "9" * 17}, "cannotCalculateChanges"),
        ("Email/set", {"create": {"a": 5}}, "invalidArguments"),
        ("Email/set", {"create": {f"k{number}": {} for number in range(501)}}, "requestTooLarge"),
        ("EmailSubmission/set", {"create": []}, "invalidArguments"),
        ("Nothing/get", {}, "unknownMethod"), ("Email/get", {"accountId": "A9", "ids": []}, "accountNotFound"),
    ],
)  # fmt: skip
def test_odd_arguments(connection: http.client.HTTPSConnection, name: str, arguments: dict[str, Any], kind: str) -> None:
    body = json.dumps({"using": USING, "methodCalls": [[name, {"accountId": "A1", **arguments}, "c"]]}).encode()
    status, found = asked(connection, "POST", "/jmap/api", body, Content_Type="application/json")
    ((answered, response, _),) = found["methodResponses"]
    assert status == 200 and (answered, response.get("type")) == ("error", kind)


@pytest.mark.parametrize(
    ("method", "path", "fields", "status"),
    [
        ("POST", "/jmap/api", {"Content_Type": "text/plain"}, 415), ("POST", "/jmap/api", {}, 415), ("GET", "/jmap/api", {}, 405),
        ("POST", "/jmap/upload/A9/", {}, 404), ("POST", "/jmap/upload/A1", {}, 404),
        ("POST", "/jmap/upload/A1/", {"Content_Length": "99999999"}, 413),
        ("GET", "/jmap/download/A1/U999/x", {}, 404), ("GET", "/jmap/download/A1/B99999999999999999999/x", {}, 404),
        ("GET", "/jmap/events?types=&closeafter=x&ping=abc", {}, 400), ("GET", "/jmap/ws", {}, 426),
        ("GET", "/jmap/session", {"Authorization": "Basic !!!"}, 401), ("GET", "/jmap/session", {"Authorization": "Basic \xff"}, 401),
    ],
)  # fmt: skip
def test_odd_addresses_and_fields(
    connection: http.client.HTTPSConnection, method: str, path: str, fields: dict[str, str], status: int
) -> None:
    found, problem = asked(connection, method, path, **fields)  # type: ignore[arg-type]
    assert found == problem["status"] == status


def test_a_connection_ends_with_the_password_it_shows(server: Pillarbox, connection: http.client.HTTPSConnection) -> None:
    word = next(one for one in on_terminal("app-password", "add", ADA, "old", data=server.data).split() if one.count("-") > 2)
    fields = {**basic(word), "Content_Type": "application/json"}
    assert [asked(connection, "POST", "/jmap/api", ECHO, **fields)[0] for _ in range(2)] == [200, 200]
    assert connection.sock is not None, "one connection"
    pillarbox("app-password", "remove", ADA, "old", data=server.data)
    assert connection.sock.recv(1) == b"", "it is closed"
    connection.close()
    assert asked(connection, "POST", "/jmap/api", ECHO, **fields)[0] == 401


def test_a_websocket_that_never_reads_takes_nothing_from_others(server: Pillarbox, trust: ssl.SSLContext) -> None:
    """RFC 8887: responses wait until the client takes them, and requests with them."""
    key = base64.b64encode(os.urandom(16)).decode()
    raw = socket.create_connection(("localhost", server.ports["https"]))
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    process = Process(server.pid)
    with trust.wrap_socket(raw, server_hostname="localhost") as deaf:
        deaf.sendall(
            f"GET /jmap/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: jmap\r\nAuthorization: {basic()['Authorization']}\r\n\r\n".encode()
        )
        assert deaf.recv(12) == b"HTTP/1.1 101"
        wanted = {"@type": "Request", "using": USING, "methodCalls": [["Core/echo", {"text": "x" * 30_000}, "c"]]}
        text = json.dumps(wanted).encode()
        frame = b"\x81\xfe" + len(text).to_bytes(2, "big") + bytes(4) + text
        before = process.memory_kb()["Pss"]
        deaf.settimeout(3)
        with pytest.raises(TimeoutError):
            for _ in range(2000):
                deaf.sendall(frame)
        others = Reader(server.ports["imap"], ADA)
        begun = time.monotonic()
        for _ in range(50):
            others.ok(b"NOOP")
        assert time.monotonic() - begun < 20
        assert process.memory_kb()["Pss"] - before < 8192
