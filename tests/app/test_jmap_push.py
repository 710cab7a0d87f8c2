"""A running server and its push subscriptions: they outlive a restart, and end with the password that was taken back."""

import base64
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.support.https_client import HttpsClient
from tests.support.push_phone import Phone, pushed_to
from tests.support.push_receiver import Receiver, checked_token
from tests.support.server import Pillarbox, new_data, on_terminal, pillarbox
from tests.support.wire import Smtp, faults

JMAP = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]


class JmapProgram:
    """A program that has an app password."""

    def __init__(self, client: HttpsClient, password: str) -> None:
        self._client = client
        self._credentials = "Basic " + base64.b64encode(f"ada@home.example:{password}".encode()).decode()

    def session(self) -> Any:
        return json.loads(self._client.ask("GET", "/jmap/session", authorization=self._credentials)[2])

    def call(self, name: str, **arguments: Any) -> Any:
        body = json.dumps({"using": JMAP, "methodCalls": [[name, arguments, "c"]]})
        _, _, answer = self._client.ask("POST", "/jmap/api", body, content_type="application/json", authorization=self._credentials)
        ((answered, found, _),) = json.loads(answer)["methodResponses"]
        assert answered == name, found
        return found


def deliver(server: Pillarbox, subject: str) -> None:
    with Smtp(server.ports["smtp"]) as smtp:
        smtp.begin(b"ada@home.example", sender=b"mary@far.example")
        assert smtp.ask(f"Subject: {subject}\r\n\r\nx\r\n.".encode()).startswith(b"250")


def rows(data: Path) -> int:
    with closing(sqlite3.connect(data / "pillarbox.db")) as database:
        (count,) = database.execute("SELECT count(*) FROM push_subscription").fetchone()
        return int(count)


def test_a_subscription_outlives_a_restart_and_ends_with_its_password(tmp_path: Path) -> None:
    phone, data = Phone(Receiver()), new_data(tmp_path / "data", "ada")
    password = json.loads(on_terminal("app-password", "add", "ada@home.example", "phone", "--json", data=data))["password"]
    with pushed_to(tmp_path, phone) as command, Pillarbox(data, protocols=("smtp", "https"), command=command) as server:
        authority = pillarbox("certificate", "export", data=data).stdout
        with HttpsClient(server.ports["https"], authority) as client:
            program = JmapProgram(client, password)
            key = program.session()["capabilities"]["urn:ietf:params:jmap:webpush-vapid"]["applicationServerKey"]
            new = {"deviceClientId": "phone", "url": "https://push.example/1", "keys": phone.receiver.keys, "types": ["Email"]}
            number = program.call("PushSubscription/set", create={"new": new})["created"]["new"]["id"]
            fields, told = phone.next()
            checked_token(fields["authorization"], key)
            code = json.loads(told)["verificationCode"]
            assert program.call("PushSubscription/set", update={number: {"verificationCode": code}})["updated"] == {number: None}
        assert json.loads(phone.next()[1])["@type"] == "StateChange"
        server.stop()
        server.start()
        before = json.loads(phone.next()[1])["changed"]
        deliver(server, "One")
        after = json.loads(phone.next()[1])["changed"]
        assert before.keys() == after.keys() and before != after
        pillarbox("app-password", "remove", "ada@home.example", "phone", data=data)
        deadline = time.monotonic() + 60
        while rows(data) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not rows(data)
        deliver(server, "Two")
        assert not faults(server.log)
    assert phone.posted.empty()
