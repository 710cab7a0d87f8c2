"""Sending by JMAP with the running server: to another account and to another server, undone in time, and later across a crash."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.test_jmap import ADA, Client, basic
from tests.support.neighbours import Neighbours
from tests.support.server import PASSWORD, Pillarbox
from tests.support.wire import Imap

USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:submission"]
ME = basic(ADA, PASSWORD)
DRAFT = b"From: ada@home.example\r\nTo: bob@far.example\r\nCc: ben@home.example\r\nSubject: %b\r\n\r\nwords\r\n"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Neighbours]:
    with Neighbours(tmp_path) as world:
        protocols = ("smtp", "submission", "imap", "https")
        world.server = Pillarbox(world.data, "--settings", str(world.settings), protocols=protocols)
        yield world


class Sender:
    """Ada's client."""

    def __init__(self, world: Neighbours) -> None:
        self._world = world
        self._client = Client(world.server)
        self._identity = self.call("Identity/get")["list"][0]["id"]

    def call(self, name: str, **arguments: Any) -> Any:
        body = {"using": USING, "methodCalls": [[name, {"accountId": "A1", **arguments}, "c"]]}
        status, found, _ = self._client.ask("/jmap/api", body, ME)
        assert status == 200 and found["methodResponses"][0][0] == name, found
        return found["methodResponses"][0][1]

    def send(self, subject: bytes, **parameters: str) -> str:
        """Append a draft and send it; the submission's id. `parameters`: of mailFrom, and then to Bob alone."""
        before = set(self.call("Email/query")["ids"])
        message = DRAFT % subject
        with Imap(self._world.server.ports["imap"], ADA) as imap:
            imap.ok(b"APPEND Drafts {%d+}\r\n%b" % (len(message), message))
        (email,) = set(self.call("Email/query")["ids"]) - before
        new: dict[str, Any] = {"identityId": self._identity, "emailId": email}
        if parameters:
            new["envelope"] = {"mailFrom": {"email": ADA, "parameters": parameters}, "rcptTo": [{"email": "bob@far.example"}]}
        done = self.call("EmailSubmission/set", create={"s": new}, onSuccessUpdateEmail={"#s": {"keywords/$draft": None}})
        return str(done["created"]["s"]["id"])

    def submission(self, one: str) -> Any:
        return self.call("EmailSubmission/get", ids=[one])["list"][0]


def test_sent_undone_and_sent_later_across_a_crash(world: Neighbours) -> None:
    far = world.peer("far.example")
    with world.server:
        sender = Sender(world)
        one = sender.send(b"first")
        assert b"Subject: first" in world.arrived(far)[0].octets
        world.until(lambda: sender.submission(one)["deliveryStatus"]["bob@far.example"]["delivered"] == "unknown")
        found = sender.submission(one)
        assert found["undoStatus"] == "final" and found["deliveryStatus"]["ben@home.example"]["delivered"] == "yes"
        with Imap(world.server.ports["imap"], "ben@home.example", select="INBOX") as imap:
            assert any(b"Subject: first" in row for row in imap.ok(b"FETCH 1 BODY.PEEK[]"))
        undone = sender.send(b"second", HOLDFOR="60")
        assert sender.call("EmailSubmission/set", update={undone: {"undoStatus": "canceled"}})["updated"] == {undone: None}
        assert world.ask("queue", "list")["messages"] == []
        later = sender.send(b"third", HOLDFOR="1")
        world.server.kill()
        world.server.start()
        assert b"Subject: third" in world.arrived(far, 2)[1].octets
        world.until(lambda: sender.submission(later)["undoStatus"] == "final")
        assert sender.submission(undone)["undoStatus"] == "canceled" and len(far.messages) == 2
