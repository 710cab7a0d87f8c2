"""JMAP requests that are too big, too deep or too many are refused by the limit's name; a large message costs little memory, and nobody
else waits meanwhile."""

import base64
import http.client
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.bench.meters import Process
from tests.journeys.talk import Reader
from tests.support.server import PASSWORD, Pillarbox, new_data, pillarbox

ADA = "ada@home.example"
USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]
LARGE = 6 * 2**20
"""Octets of a text, and of an attachment before it is encoded."""


class Client:
    def __init__(self, server: Pillarbox) -> None:
        trust = pillarbox("certificate", "export", data=server.data).stdout
        self.http = http.client.HTTPSConnection(
            "localhost", server.ports["https"], context=ssl.create_default_context(cadata=trust), timeout=120
        )

    def ask(self, *calls: list[Any] | str) -> tuple[int, Any]:
        """A call may be JSON already."""
        written = ", ".join(call if isinstance(call, str) else json.dumps(call) for call in calls)
        credentials = base64.b64encode(f"{ADA}:{PASSWORD}".encode()).decode()
        fields = {"Content-Type": "application/json", "Authorization": f"Basic {credentials}"}
        self.http.request("POST", "/jmap/api", f'{{"using": {json.dumps(USING)}, "methodCalls": [{written}]}}', fields)
        response = self.http.getresponse()
        return response.status, json.loads(response.read())

    def call(self, name: str, **arguments: Any) -> tuple[str, Any]:
        status, found = self.ask([name, {"accountId": "A1", **arguments}, "c"])
        assert status == 200, found
        answered, response, _ = found["methodResponses"][0]
        return answered, response


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pillarbox]:
    data = new_data(tmp_path_factory.mktemp("limits") / "data")
    with Pillarbox(data, protocols=("imap", "https")) as running:
        yield running


class Others:
    """An IMAP session that sends NOOP after NOOP; `count` of them were answered."""

    def __init__(self, port: int) -> None:
        self.count = 0
        self._reader = Reader(port, ADA)
        self._reader.ok(b"SELECT INBOX")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._reader.ok(b"NOOP")
            self.count += 1

    @contextmanager
    def busy(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()


def test_too_many_and_too_deep_is_refused_by_the_limits_name(server: Pillarbox) -> None:
    client = Client(server)
    for name, given in (("Email/get", "ids"), ("Thread/get", "ids"), ("Mailbox/get", "ids"), ("SearchSnippet/get", "emailIds")):
        answered, response = client.call(name, **{given: [f"M{number}" for number in range(1, 10_001)]})
        assert (answered, response["type"]) == ("error", "requestTooLarge") and "maxObjectsInGet" in response["description"], name
    answered, response = client.call("Email/set", destroy=[f"M{number}" for number in range(1, 10_001)])
    assert (answered, response["type"]) == ("error", "requestTooLarge") and "maxObjectsInSet" in response["description"]
    deep = '{"operator": "NOT", "conditions": [' * 1000 + "{}" + "]}" * 1000
    status, found = client.ask(f'["Email/query", {{"accountId": "A1", "filter": {deep}}}, "c"]')
    assert status == 400 and found["type"].endswith(":notJSON") and "nested deeper" in found["detail"]
    answered, response = client.call("Email/query", filter={"operator": "OR", "conditions": [{"text": "x"}] * 1000})
    assert (answered, response["type"]) == ("error", "unsupportedFilter") and "200 conditions" in response["description"]
    status, found = client.ask(*[["Core/echo", {}, str(number)] for number in range(17)])
    assert status == 400 and found["limit"] == "maxCallsInRequest"


def test_a_large_message_is_read_within_little_memory_and_beside_others(server: Pillarbox) -> None:
    line = b"x" * 70 + b"\r\n"
    attachment = base64.encodebytes(bytes(LARGE)).replace(b"\n", b"\r\n")
    parts = (
        b"\r\n" + line * (LARGE // len(line)),
        b"Content-Type: image/png\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\n" + attachment,
    )
    body = b"".join(b"--b\r\n%b\r\n" % part for part in parts) + b"--b--\r\n"
    Reader(server.ports["imap"], ADA).append("INBOX", [b"Subject: large\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + body])
    client, others, process = Client(server), Others(server.ports["imap"]), Process(server.pid)
    ids = client.call("Email/query")[1]["ids"]
    client.call("Email/get", ids=[])
    process.forget_peak()
    before = process.peak_kb()
    with others.busy():
        answered_before = others.count
        answered, response = client.call("Email/get", ids=ids, fetchAllBodyValues=True)
        answered_meanwhile = others.count - answered_before
    email = response["list"][0]
    assert answered == "Email/get" and email["attachments"][0]["size"] == LARGE
    value = email["bodyValues"]["1"]
    assert value["isTruncated"] and len(value["value"]) == 1_000_000
    assert process.peak_kb() - before < 10_000
    assert answered_meanwhile > 5
