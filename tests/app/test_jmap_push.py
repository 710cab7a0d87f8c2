"""A running server and its push subscriptions: they outlive a restart, are on the own page, and end with the password or session they were
made with."""

import base64
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.https_client import HttpsClient
from tests.support.push_phone import Phone, served_with_pushes
from tests.support.push_receiver import Receiver, checked_token
from tests.support.server import PASSWORD, Pillarbox, on_terminal, pillarbox
from tests.support.wire import Smtp

ADA = "ada@home.example"
JMAP = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]


@pytest.fixture(scope="module")
def phone() -> Phone:
    return Phone(Receiver())


@pytest.fixture(scope="module")
def server(phone: Phone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pillarbox]:
    with served_with_pushes(tmp_path_factory.mktemp("push"), phone, ("smtp", "https")) as one:
        yield one
    assert phone.posted.empty()


@pytest.fixture
def client(server: Pillarbox) -> Iterator[HttpsClient]:
    with HttpsClient(server.ports["https"], pillarbox("certificate", "export", data=server.data).stdout) as one:
        yield one


def call(client: HttpsClient, name: str, fields: dict[str, str], **arguments: Any) -> Any:
    body = json.dumps({"using": JMAP, "methodCalls": [[name, arguments, "c"]]})
    _, _, answer = client.ask("POST", "/jmap/api", body, content_type="application/json", **fields)
    ((answered, found, _),) = json.loads(answer)["methodResponses"]
    assert answered == name, found
    return found


def subscribe(client: HttpsClient, phone: Phone, fields: dict[str, str]) -> dict[str, str]:
    """A verified subscription, told how everything is; the header fields of the push that had the code."""
    new = {"deviceClientId": "phone", "url": "https://push.example/1", "keys": phone.receiver.keys, "types": ["Email"]}
    number = call(client, "PushSubscription/set", fields, create={"new": new})["created"]["new"]["id"]
    pushed, told = phone.next()
    code = json.loads(told)["verificationCode"]
    assert call(client, "PushSubscription/set", fields, update={number: {"verificationCode": code}})["updated"] == {number: None}
    assert json.loads(phone.next()[1])["@type"] == "StateChange"
    return pushed


def deliver(server: Pillarbox) -> None:
    with Smtp(server.ports["smtp"]) as smtp:
        smtp.begin(ADA.encode(), sender=b"mary@far.example")
        assert smtp.ask(b"Subject: x\r\n\r\nx\r\n.").startswith(b"250")


def ended(data: Path) -> bool:
    """No subscription is kept any more."""
    deadline = time.monotonic() + 60
    with closing(sqlite3.connect(data / "pillarbox.db")) as database:
        while database.execute("SELECT count(*) FROM push_subscription").fetchone() != (0,):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
    return True


def test_a_subscription_outlives_a_restart_and_ends_with_its_password(server: Pillarbox, client: HttpsClient, phone: Phone) -> None:
    password = json.loads(on_terminal("app-password", "add", ADA, "phone", "--json", data=server.data))["password"]
    fields = {"authorization": "Basic " + base64.b64encode(f"{ADA}:{password}".encode()).decode()}
    session = json.loads(client.ask("GET", "/jmap/session", **fields)[2])
    pushed = subscribe(client, phone, fields)
    checked_token(pushed["authorization"], session["capabilities"]["urn:ietf:params:jmap:webpush-vapid"]["applicationServerKey"])
    server.stop()
    server.start()
    before = json.loads(phone.next()[1])["changed"]
    deliver(server)
    after = json.loads(phone.next()[1])["changed"]
    assert before.keys() == after.keys() and before != after
    pillarbox("app-password", "remove", ADA, "phone", data=server.data)
    assert ended(server.data)
    deliver(server)


def test_one_of_a_browser_is_on_the_own_page_and_ends_there_or_with_its_session(
    server: Pillarbox, client: HttpsClient, phone: Phone
) -> None:
    client.sign_in(ADA, PASSWORD)
    fields = {"x-form-token": client.token}
    subscribe(client, phone, fields)
    page = client.ask("GET", "/own/", accept="text/html")[2].decode()
    number = page.partition('name="subscription" value="')[2].partition('"')[0]
    assert "push.example" in page and number
    assert client.post("/own/notifications/end", subscription=number)[0] == 303
    assert ended(server.data) and b"push.example" not in client.ask("GET", "/own/", accept="text/html")[2]
    subscribe(client, phone, {"x-form-token": client.token})
    assert client.post("/sign-out")[0] == 303
    assert ended(server.data)
    deliver(server)
