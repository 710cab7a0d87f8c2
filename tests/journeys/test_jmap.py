"""JMAP over https with the running server: session, methods, downloads, credentials, and IMAP beside it."""

import base64
import http.client
import json
import re
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request, TextMessage

from appliance.web.jmap import bearer
from tests.journeys.talk import Reader
from tests.support.server import PASSWORD, Pillarbox, new_data, on_terminal, pillarbox

ADA = "ada@home.example"
MAIL = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]
MESSAGE = b"""From: Bob <bob@x.example>\r
To: ada@home.example\r
Subject: plan\r
Content-Type: multipart/mixed; boundary=b\r
\r
--b\r
Content-Type: text/plain\r
\r
Hello Ada\r
--b\r
Content-Type: text/html; name="evil.html"\r
Content-Transfer-Encoding: base64\r
Content-Disposition: attachment; filename="evil.html"\r
\r
PGI+aGk8L2I+\r
--b--\r
"""


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


class Client:
    """Requests with fields of their own; nothing is remembered."""

    def __init__(self, server: Pillarbox) -> None:
        self.base = f"https://localhost:{server.ports['https']}"
        self.trust = ssl.create_default_context(cadata=pillarbox("certificate", "export", data=server.data).stdout)

    def ask(
        self, path: str, body: Any = None, credentials: str = "", *, stay: bool = False, **fields: str
    ) -> tuple[int, Any, dict[str, str]]:
        """Status, the body (JSON read), and the header fields in lower case. `stay`: no redirection is followed."""
        octets = json.dumps(body).encode() if body is not None and not isinstance(body, bytes) else body
        request = urllib.request.Request(self.base + path, octets)
        for name, value in fields.items():
            request.add_header(name.replace("_", "-"), value)
        if credentials:
            request.add_header("Authorization", credentials)
        if octets is not None and "Content_Type" not in fields:
            request.add_header("Content-Type", "application/json")
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=self.trust), *([Stay()] if stay else []))
        try:
            with opener.open(request, timeout=20) as response:
                status, found, headers = response.status, response.read(), response.headers
        except urllib.error.HTTPError as error:
            status, found, headers = error.code, error.read(), error.headers
        lower = {name.lower(): value for name, value in headers.items()}
        return status, json.loads(found) if "json" in lower.get("content-type", "") else found, lower

    def call(self, name: str, credentials: str, **arguments: Any) -> Any:
        status, found, _ = self.ask(
            "/jmap/api", {"using": MAIL, "methodCalls": [[name, {"accountId": "A1", **arguments}, "c"]]}, credentials
        )
        assert status == 200, found
        answered, response, _ = found["methodResponses"][0]
        assert answered == name, response
        return response


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def made(server: Pillarbox, label: str) -> str:
    """A new app password."""
    found = re.search(r"\b(?:[a-z0-9]{4}-){2,}[a-z0-9]{4}\b", on_terminal("app-password", "add", ADA, label, data=server.data))
    assert found
    return found[0]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pillarbox]:
    data = new_data(tmp_path_factory.mktemp("jmap") / "data")
    with Pillarbox(data, protocols=("smtp", "imap", "https")) as running:
        yield running


@pytest.fixture(scope="module")
def app_password(server: Pillarbox) -> str:
    return made(server, "phone")


def test_discovery_leads_to_the_session_object(server: Pillarbox) -> None:
    client = Client(server)
    status, found, _ = client.ask("/.well-known/jmap", credentials=basic(ADA, PASSWORD))
    assert status == 200 and found["username"] == ADA and found["primaryAccounts"]["urn:ietf:params:jmap:mail"] == "A1"
    assert found["apiUrl"].startswith("https://mail.home.example:") and "{blobId}" in found["downloadUrl"]


def test_credentials(server: Pillarbox, app_password: str) -> None:
    client = Client(server)
    for good in (basic(ADA, PASSWORD), basic(ADA, app_password), "Bearer " + bearer(ADA, app_password)):
        assert client.ask("/jmap/session", credentials=good)[0] == 200
    for wrong in (basic(ADA, "wrong"), "Bearer x", "Basic !!", "Digest x", "Basic " + base64.b64encode(b"\xff:\xff").decode()):
        status, found, fields = client.ask("/jmap/session", credentials=wrong)
        assert (status == 401 and "wrong" in found["detail"]) or "cannot be read" in found["detail"]
        assert fields["www-authenticate"].startswith("Basic")
    status, _, fields = client.ask("/jmap/api", {}, Origin="https://evil.example")
    assert status == 401 and "www-authenticate" not in fields


def test_a_message_by_smtp_is_read_changed_and_seen_by_imap(server: Pillarbox, app_password: str) -> None:
    client, me = Client(server), "Bearer " + bearer(ADA, app_password)
    state = client.call("Email/get", me, ids=[])["state"]
    imap = Reader(server.ports["imap"], ADA)
    imap.ok(b"SELECT INBOX")
    imap.append("INBOX", [MESSAGE])
    changes = client.call("Email/changes", me, sinceState=state)
    (one,) = changes["created"]
    found = client.call(
        "Email/get", me, ids=[one], properties=["subject", "attachments", "bodyValues", "blobId"], fetchTextBodyValues=True
    )["list"][0]
    assert found["subject"] == "plan" and found["bodyValues"]["1"]["value"] == "Hello Ada"
    client.call("Email/set", me, update={one: {"keywords/$flagged": True}})
    assert any(b"\\Flagged" in line for line in imap.ok(b"FETCH 1 (FLAGS)"))
    status, octets, fields = client.ask(f"/jmap/download/A1/{found['blobId']}/a%20%C3%BC.eml", credentials=me)
    assert status == 200 and octets == MESSAGE and fields["content-disposition"] == "attachment; filename*=UTF-8''a%20%C3%BC.eml"
    evil = found["attachments"][0]
    status, octets, fields = client.ask(f"/jmap/download/A1/{evil['blobId']}/evil.html?accept=text/html", credentials=me)
    assert (status, octets) == (200, b"<b>hi</b>") and fields["content-type"] == "application/octet-stream"
    assert fields["content-security-policy"].startswith("sandbox") and fields["x-content-type-options"] == "nosniff"
    for nothing in ("A1/B999", "A1/B1-9", "A2/B1", "A1/x"):
        assert client.ask(f"/jmap/download/{nothing}/x", credentials=me)[0] == 404


def test_requests_that_are_none_are_refused_with_the_error_s_type(server: Pillarbox, app_password: str) -> None:
    client, me = Client(server), "Bearer " + bearer(ADA, app_password)
    many = [["Core/echo", {}, "c"]] * 17
    wrong = (
        ([], "notRequest"),
        ({"using": ["x"], "methodCalls": []}, "unknownCapability"),
        ({"using": MAIL, "methodCalls": many}, "limit"),
    )
    for body, kind in wrong:
        status, found, fields = client.ask("/jmap/api", body, me)
        assert status == 400 and fields["content-type"] == "application/problem+json"
        assert found["type"] == f"urn:ietf:params:jmap:error:{kind}"


def test_an_event_stream_tells_of_imap(server: Pillarbox) -> None:
    client, me = Client(server), basic(ADA, PASSWORD)
    assert client.ask("/jmap/events")[0] == 401 and client.ask("/jmap/events?ping=x", credentials=me)[0] == 400
    request = urllib.request.Request(client.base + "/jmap/events?types=*&closeafter=state&ping=0")
    request.add_header("Authorization", me)
    with urllib.request.urlopen(request, context=client.trust, timeout=60) as stream:
        assert stream.headers["content-type"] == "text/event-stream" and stream.readline() == b":\n"
        Reader(server.ports["imap"], ADA).append("INBOX", [MESSAGE])
        data = next(line for line in iter(stream.readline, b"") if line.startswith(b"data: "))
        changed = json.loads(data[6:])["changed"]["A1"]
        assert changed["Email"] == client.call("Email/get", me, ids=[])["state"] and "EmailDelivery" in changed
        assert stream.read() == b"\n"


def test_a_sign_in_is_logged_once_for_each_connection(server: Pillarbox) -> None:
    client = Client(server)
    connection = http.client.HTTPSConnection("localhost", server.ports["https"], context=client.trust, timeout=20)

    def logged() -> int:
        return server.log.read_text().count("signed in protocol=jmap")

    before = logged()
    for _ in range(3):
        connection.request("GET", "/jmap/session", headers={"Authorization": basic(ADA, PASSWORD)})
        assert connection.getresponse().read()
    assert logged() - before == 1
    connection.request("GET", "/jmap/session", headers={"Authorization": basic(ADA, "wrong")})
    assert connection.getresponse().status == 401


def test_a_removed_app_password_is_refused_at_once(server: Pillarbox) -> None:
    client = Client(server)
    word = made(server, "old")
    assert client.ask("/jmap/session", credentials=basic(ADA, word))[0] == 200
    pillarbox("app-password", "remove", ADA, "old", data=server.data)
    assert client.ask("/jmap/session", credentials=basic(ADA, word))[0] == 401


def test_pages_elsewhere_may_read_answers_to_bearer_tokens_only(server: Pillarbox) -> None:
    client, allow = Client(server), "access-control-allow-origin"
    assert client.ask("/jmap/session", credentials="Bearer " + bearer(ADA, PASSWORD), Origin="https://x.example")[2][allow] == "*"
    assert client.ask("/jmap/session", credentials="Bearer x", Origin="https://x.example")[2][allow] == "*"
    assert allow not in client.ask("/jmap/session", credentials=basic(ADA, PASSWORD), Origin="https://x.example")[2]
    preflight = urllib.request.Request(client.base + "/jmap/upload/A1/", method="OPTIONS", headers={"Origin": "https://x.example"})
    with urllib.request.urlopen(preflight, context=client.trust, timeout=60) as response:
        assert response.status == 204 and "authorization" in response.headers["access-control-allow-headers"]


def test_a_websocket_answers_and_tells_of_imap(server: Pillarbox) -> None:
    """RFC 8887 over TLS, with the keys of the session object."""
    client, me = Client(server), basic(ADA, PASSWORD)
    found = client.ask("/jmap/session", credentials=me)[1]["capabilities"]["urn:ietf:params:jmap:websocket"]
    assert found["url"].startswith("wss://mail.home.example:") and found["url"].endswith("/jmap/ws") and found["supportsPush"]
    assert client.ask("/jmap/ws", credentials=me)[0] == 426 and client.ask("/jmap/ws")[0] == 401
    raw = socket.create_connection(("127.0.0.1", server.ports["https"]), timeout=60)
    with client.trust.wrap_socket(raw, server_hostname="localhost") as tls:
        web = WSConnection(ConnectionType.CLIENT)
        fields = [("authorization", me.encode())]
        host = f"localhost:{server.ports['https']}"
        tls.sendall(web.send(Request(host=host, target="/jmap/ws", subprotocols=["jmap"], extra_headers=fields)))

        def receive() -> Any:
            while True:
                web.receive_data(tls.recv(65536) or None)
                for event in web.events():
                    if isinstance(event, AcceptConnection):
                        return event.subprotocol
                    if isinstance(event, TextMessage):
                        return json.loads(event.data)

        assert receive() == "jmap"
        echo = {"@type": "Request", "id": "R1", "using": MAIL, "methodCalls": [["Core/echo", {"a": 1}, "c"]]}
        tls.sendall(web.send(TextMessage(data=json.dumps({"@type": "WebSocketPushEnable", "dataTypes": ["EmailDelivery"]}))))
        tls.sendall(web.send(TextMessage(data=json.dumps(echo))))
        assert receive()["methodResponses"] == [["Core/echo", {"a": 1}, "c"]]
        Reader(server.ports["imap"], ADA).append("INBOX", [MESSAGE])
        assert receive()["changed"]["A1"].keys() == {"EmailDelivery"}
