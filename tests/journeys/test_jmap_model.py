"""A JMAP client that follows changes knows what is there, whatever IMAP, POP3, SMTP and JMAP do, across restarts and killed servers: in its
own account, and in what another shares with it while rights come and go.

Random but repeatable: the seed decides what is done. `PILLARBOX_MODEL_ROUNDS` and `PILLARBOX_MODEL_SEED` make it longer
(`make jmap-model`).
"""

import base64
import http.client
import json
import os
import random
import re
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.talk import RawConnection, Reader, Sender
from tests.support.server import PASSWORD, Pillarbox, new_data, pillarbox

ADA, BEN = "ada@home.example", "ben@home.example"
ROUNDS = int(os.environ.get("PILLARBOX_MODEL_ROUNDS", "10"))
SEED = int(os.environ.get("PILLARBOX_MODEL_SEED", "1"))
USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]
BOXES = ("INBOX", "Archive", "Drafts", "Trash")
FLAGS = (b"\\Seen", b"\\Flagged", b"Work", b"$Forwarded", b"\\Deleted")
SYSTEM = {"\\seen": "$seen", "\\flagged": "$flagged", "\\answered": "$answered", "\\draft": "$draft"}
QUERIES: tuple[dict[str, Any], ...] = (
    {"sort": [{"property": "receivedAt", "isAscending": False}]},
    {"filter": {"hasKeyword": "$flagged"}, "sort": [{"property": "size"}, {"property": "receivedAt"}]},
    {"filter": {"subject": "plan 1"}, "sort": [{"property": "receivedAt"}], "collapseThreads": True},
)
RIGHTS = (b"", b"l", b"lr", b"lrs", b"lri", b"lrswite", b"lrswite", b"lrswite")
"""What Ada gives Ben on a mailbox."""
MAX = 5
"""Changes taken at a time, so that states within a change are used."""


class Jmap:
    """A client with one connection, opened again when the server was away. All it asks is about Ada's account, whoever `address` is."""

    def __init__(self, port: int, trust: str, address: str = ADA) -> None:
        self.port, self.address = port, address
        self.context = ssl.create_default_context(cadata=trust)
        self.connection: http.client.HTTPSConnection | None = None

    def call(self, name: str, **arguments: Any) -> Any:
        answered, found = self.try_call(name, **arguments)
        assert answered == name, found
        return found

    def try_call(self, name: str, **arguments: Any) -> tuple[str, Any]:
        body = json.dumps({"using": USING, "methodCalls": [[name, {"accountId": "A1", **arguments}, "c"]]})
        if self.connection is None:
            self.connection = http.client.HTTPSConnection("localhost", self.port, context=self.context, timeout=30)
        credentials = base64.b64encode(f"{self.address}:{PASSWORD}".encode()).decode()
        self.connection.request("POST", "/jmap/api", body, {"Content-Type": "application/json", "Authorization": f"Basic {credentials}"})
        response = self.connection.getresponse()
        octets = response.read()
        assert response.status == 200, octets
        answered, found, _ = json.loads(octets)["methodResponses"][0]
        return answered, found

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Follower:
    """What a client keeps: mailboxes, messages and threads by /changes, results of queries by /queryChanges."""

    def __init__(self, jmap: Jmap) -> None:
        self.jmap = jmap
        self.told = 0
        self.read_boxes()
        self.read_mail()

    def read_boxes(self) -> None:
        found = self.jmap.call("Mailbox/get", ids=None)
        self.box_state, self.boxes = found["state"], {one["id"]: one for one in found["list"]}

    def read_mail(self) -> None:
        self.state = self.jmap.call("Email/get", ids=[])["state"]
        self.thread_state = self.jmap.call("Thread/get", ids=[])["state"]
        self.emails: dict[str, Any] = {one["id"]: one for one in self.get(self.jmap.call("Email/query")["ids"])}
        threads = {one["threadId"] for one in self.emails.values()}
        self.threads = {one["id"]: one["emailIds"] for one in self.jmap.call("Thread/get", ids=list(threads))["list"]}
        self.results: list[list[str]] = [[] for _ in QUERIES]
        self.query_states = [""] * len(QUERIES)
        self._follow_queries()

    def get(self, ids: list[str]) -> list[Any]:
        properties = ["mailboxIds", "keywords", "threadId"]
        return list(self.jmap.call("Email/get", ids=ids, properties=properties)["list"]) if ids else []

    def follow(self) -> None:
        self._follow_boxes()
        self._follow_emails()
        self._follow_threads()
        self._follow_queries()

    def _follow_boxes(self) -> None:
        found = self.jmap.call("Mailbox/changes", sinceState=self.box_state)
        assert set(found["updated"]) <= self.boxes.keys() and self.boxes.keys().isdisjoint(found["created"])
        for one in found["destroyed"]:
            self.boxes.pop(one, None)
        for one in self.jmap.call("Mailbox/get", ids=found["created"])["list"]:
            self.boxes[one["id"]] = one
        properties = {"properties": found["updatedProperties"]} if found["updatedProperties"] else {}
        for one in self.jmap.call("Mailbox/get", ids=found["updated"], **properties)["list"]:
            self.boxes[one["id"]] |= one
        self.box_state = found["newState"]

    def _follow_emails(self) -> None:
        more = True
        while more:
            found = self.jmap.call("Email/changes", sinceState=self.state, maxChanges=MAX)
            assert found["oldState"] == self.state and len(found["created"] + found["updated"] + found["destroyed"]) <= MAX
            assert set(found["updated"]) <= self.emails.keys(), "updated, and never created"
            for one in found["destroyed"]:  # or it came and went between two states (RFC 8620 §5.2)
                self.emails.pop(one, None)
            for one in self.get([*found["created"], *found["updated"]]):
                self.emails[one["id"]] = one
            self.state, more = found["newState"], found["hasMoreChanges"]

    def _follow_threads(self) -> None:
        more = True
        while more:
            found = self.jmap.call("Thread/changes", sinceState=self.thread_state, maxChanges=MAX)
            for one in found["destroyed"]:
                self.threads.pop(one, None)
            changed = [*found["created"], *found["updated"]]
            for one in self.jmap.call("Thread/get", ids=changed)["list"] if changed else []:
                self.threads[one["id"]] = one["emailIds"]
            self.thread_state, more = found["newState"], found["hasMoreChanges"]

    def _follow_queries(self) -> None:
        for number, query in enumerate(QUERIES):
            self._follow_query(number, query)

    def _follow_query(self, number: int, query: dict[str, Any]) -> None:
        known = self.results[number]
        if self.query_states[number]:
            answered, found = self.jmap.try_call("Email/queryChanges", sinceQueryState=self.query_states[number], **query)
            if answered == "Email/queryChanges":
                known = [one for one in known if one not in set(found["removed"])]
                for added in found["added"]:
                    known.insert(added["index"], added["id"])
                self.results[number], self.query_states[number] = known, found["newQueryState"]
                self.told += 1
                return
            assert found["type"] == "cannotCalculateChanges", found
        found = self.jmap.call("Email/query", **query)
        self.results[number], self.query_states[number] = found["ids"], found["queryState"]

    def check(self) -> None:
        """What was followed is what is there."""
        assert self.boxes == {one["id"]: one for one in self.jmap.call("Mailbox/get", ids=None)["list"]}
        got = self.get(self.jmap.call("Email/query")["ids"])
        assert self.emails == {one["id"]: one for one in got}
        threads: dict[str, set[str]] = {}
        for one in got:
            threads.setdefault(one["threadId"], set()).add(one["id"])
        assert {thread: set(members) for thread, members in self.threads.items()} == threads
        for number, query in enumerate(QUERIES):
            assert self.results[number] == self.jmap.call("Email/query", **query)["ids"], query


class Viewer(Follower):
    """Ben, who follows what Ada shares with him: mailboxes by /changes, and mail as long as he reads the same mailboxes."""

    is_there = True
    followed = 0

    def follow(self) -> None:
        if self.jmap.try_call("Mailbox/get", ids=[])[1].get("type") == "accountNotFound":
            self.is_there = False
            return
        if not self.is_there:
            self.read_boxes()
        answered, found = self.jmap.try_call("Email/changes", sinceState=self.state)
        if self.is_there and answered == "Email/changes":
            self.followed += 1
            super().follow()
            return
        assert not self.is_there or found["type"] == "cannotCalculateChanges"
        self._follow_boxes()
        self.read_mail()
        self.is_there = True

    def check(self) -> None:
        if self.is_there:
            super().check()


def is_done(reader: Reader, command: bytes) -> bool:
    """False when it was refused."""
    try:
        reader.ok(command)
    except AssertionError:
        return False
    return True


class World:
    """One server, and everything that can be done to Ada's mail."""

    def __init__(self, server: Pillarbox, trust: str, chance: random.Random, *, shared: bool = False) -> None:
        self.server, self.chance, self.made = server, chance, 0
        self.jmap, self.ben = (Jmap(server.ports["https"], trust, address) for address in (ADA, BEN))
        self.further = (self.rights, self.rights, self.viewer_set, self.viewer_imap) if shared else ()

    def message(self) -> bytes:
        self.made += 1
        reply = f"In-Reply-To: <m{self.chance.randrange(1, self.made)}@x>\r\n" if self.made > 1 and self.chance.random() < 0.4 else ""
        return f"Subject: plan {self.made}\r\nMessage-ID: <m{self.made}@x>\r\n{reply}\r\n{'x' * self.chance.randrange(50)}\r\n".encode()

    def act(self) -> None:
        self.chance.choice(
            (
                self.smtp,
                self.imap_append,
                self.imap_store,
                self.imap_move,
                self.imap_expunge,
                self.pop3,
                *[self.jmap_set] * 3,
                *self.further,
            )
        )()

    def smtp(self) -> None:
        with Sender(self.server.ports["smtp"]) as sender:
            assert sender.data(ADA, self.message()).startswith(b"250")  # type: ignore[attr-defined]

    def imap(self, name: str) -> tuple[Reader, list[bytes]]:
        reader = Reader(self.server.ports["imap"], ADA)
        reader.ok(b"SELECT %b" % name.encode())
        uids = [re.search(rb"UID (\d+)", line)[1] for line in reader.ok(b"UID FETCH 1:* (UID)") if b"UID" in line and b"FETCH" in line]  # type: ignore[index]
        return reader, uids

    def imap_append(self) -> None:
        with Reader(self.server.ports["imap"], ADA) as reader:
            reader.append(self.chance.choice(BOXES), [self.message() for _ in range(self.chance.randrange(1, 4))])  # type: ignore[attr-defined]

    def imap_store(self) -> None:
        reader, uids = self.imap(self.chance.choice(BOXES))
        if uids:
            some = b",".join(self.chance.sample(uids, min(len(uids), 3)))
            reader.ok(b"UID STORE %b %bFLAGS.SILENT (%b)" % (some, self.chance.choice((b"+", b"-")), self.chance.choice(FLAGS)))
        reader.__exit__()

    def imap_move(self) -> None:
        reader, uids = self.imap(self.chance.choice(BOXES))
        if uids:
            some = b",".join(self.chance.sample(uids, min(len(uids), 2)))
            reader.ok(b"UID %b %b %b" % (self.chance.choice((b"COPY", b"MOVE")), some, self.chance.choice(BOXES).encode()))
        reader.__exit__()

    def imap_expunge(self) -> None:
        reader, uids = self.imap(self.chance.choice(BOXES))
        if uids:
            one = self.chance.choice(uids)
            reader.ok(b"UID STORE %b +FLAGS.SILENT (\\Deleted)" % one)
            reader.ok(b"UID EXPUNGE %b" % one)
        reader.__exit__()

    def pop3(self) -> None:
        with RawConnection(self.server.ports["pop3"]) as one:
            one.line()
            for command in (b"USER " + ADA.encode(), b"PASS " + PASSWORD.encode()):
                one.send(command + b"\r\n")
                assert one.line().startswith(b"+OK")
            one.send(b"DELE 1\r\n")
            one.line()
            one.send(b"QUIT\r\n")
            one.line()

    def jmap_set(self) -> None:
        done = self.jmap.call("Email/set", **self.some_changes(self.jmap))
        assert done["notCreated"] is done["notUpdated"] is done["notDestroyed"] is None, done

    def some_changes(self, jmap: Jmap) -> dict[str, Any]:
        ids = jmap.call("Email/query")["ids"]
        boxes = [one["id"] for one in jmap.call("Mailbox/get", ids=None)["list"] if one["name"] in (*BOXES, "Inbox")] * 2
        arguments: dict[str, Any] = {"create": {}, "update": {}, "destroy": []}
        if not ids or self.chance.random() < 0.4:
            self.made += 1
            places = dict.fromkeys(self.chance.sample(boxes, self.chance.randrange(1, 3)), True)
            arguments["create"]["n"] = {"mailboxIds": places, "subject": f"plan {self.made}", "messageId": [f"m{self.made}@x"]}
        for one in self.chance.sample(ids, min(len(ids), 3)):
            match self.chance.randrange(4):
                case 0:
                    arguments["destroy"].append(one)
                case 1:
                    arguments["update"][one] = {"mailboxIds": dict.fromkeys(self.chance.sample(boxes, self.chance.randrange(1, 3)), True)}
                case 2:
                    arguments["update"][one] = {"keywords/$flagged": self.chance.choice((True, None)), "keywords/work": True}
                case _:
                    arguments["update"][one] = {"keywords": dict.fromkeys(self.chance.sample(("$seen", "a", "b", "$flagged"), 2), True)}
        return arguments

    def rights(self) -> None:
        with Reader(self.server.ports["imap"], ADA) as reader:
            box, rights = self.chance.choice(BOXES[1:]), self.chance.choice(RIGHTS)
            reader.ok(b'SETACL %b %b "%b"' % (box.encode(), BEN.encode(), rights))  # type: ignore[attr-defined]

    def viewer_set(self) -> None:
        """What Ben may not do is forbidden."""
        if self.ben.try_call("Mailbox/get", ids=[])[0] == "error":
            return
        answered, done = self.ben.try_call("Email/set", **self.some_changes(self.ben))
        if answered == "error":
            assert done["type"] == "accountReadOnly", done
            return
        refused = {one["type"] for name in ("notCreated", "notUpdated", "notDestroyed") for one in (done[name] or {}).values()}
        assert refused <= {"forbidden"}, done

    def viewer_imap(self) -> None:
        with Reader(self.server.ports["imap"], BEN) as reader:
            box = self.chance.choice(BOXES[1:]).encode()
            how, flag = self.chance.choice((b"+", b"-")), self.chance.choice(FLAGS)
            if is_done(reader, b"SELECT Shared/%b" % box):
                is_done(reader, b"UID STORE 1:* %bFLAGS.SILENT (%b)" % (how, flag))

    def seen_by_imap(self, address: str = ADA) -> dict[str, tuple[frozenset[str], frozenset[str]]]:
        """Mailboxes and keywords of each message: those of any copy without \\\\Deleted (RFC 8621 §4.1.1), by OBJECTID."""
        found: dict[str, tuple[set[str], set[str]]] = {}
        for box in BOXES if address == ADA else [f"Shared/{name}" for name in BOXES]:
            with Reader(self.server.ports["imap"], address) as reader:
                if address != ADA and not is_done(reader, b"EXAMINE %b" % box.encode()):
                    continue
                head = b" ".join(reader.ok(b"EXAMINE %b" % box.encode()))  # type: ignore[attr-defined]
                mailbox = re.search(rb"MAILBOXID \((\w+)\)", head)[1].decode()  # type: ignore[index]
                for line in reader.ok(b"UID FETCH 1:* (EMAILID FLAGS)"):  # type: ignore[attr-defined]
                    one, flags = re.search(rb"EMAILID \((\w+)\)", line), re.search(rb"FLAGS \(([^)]*)\)", line)
                    if one and flags and b"\\Deleted" not in flags[1]:
                        places, keywords = found.setdefault(one[1].decode(), (set(), set()))
                        places.add(mailbox)
                        keywords |= {SYSTEM.get(word, word) for word in flags[1].decode().lower().split()} - {"\\recent"}
        return {one: (frozenset(places), frozenset(keywords)) for one, (places, keywords) in found.items()}


@pytest.mark.parametrize("seed", [SEED])
def test_whoever_follows_changes_knows_what_is_there(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with Pillarbox(new_data(tmp_path / "data"), protocols=("smtp", "imap", "pop3", "https")) as server:
        world = World(server, pillarbox("certificate", "export", data=server.data).stdout, chance)
        followers = [Follower(world.jmap), Follower(world.jmap)]
        for round_number in range(ROUNDS):
            for _ in range(chance.randrange(1, 7)):
                world.act()
            if round_number % 5 == 4:
                world.jmap.close()
                server.kill() if chance.random() < 0.5 else server.stop()
                server.start()
            if round_number % 3 == 0:
                followers[1].follow()  # the other one is away for longer
            followers[0].follow()
            followers[0].check()
        followers[1].follow()
        followers[1].check()
        followed = {one: (frozenset(email["mailboxIds"]), frozenset(email["keywords"])) for one, email in followers[0].emails.items()}
        assert followed == world.seen_by_imap()
        assert followers[0].told > ROUNDS // 2
        world.jmap.close()


@pytest.mark.parametrize("seed", [SEED])
def test_whoever_follows_what_another_shares_knows_what_may_be_read(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with Pillarbox(new_data(tmp_path / "data", "ada", "ben"), protocols=("smtp", "imap", "pop3", "https")) as server:
        world = World(server, pillarbox("certificate", "export", data=server.data).stdout, chance, shared=True)
        with Reader(server.ports["imap"], ADA) as reader:
            for box in (b"Archive", b"Trash"):
                reader.ok(b"SETACL %b %b lrswite" % (box, BEN.encode()))  # type: ignore[attr-defined]
        viewers = [Viewer(world.ben), Viewer(world.ben)]
        for round_number in range(ROUNDS):
            for _ in range(chance.randrange(1, 5)):
                world.act()
            if round_number % 5 == 4:
                world.ben.close()
                world.jmap.close()
                server.kill() if chance.random() < 0.5 else server.stop()
                server.start()
            if round_number % 3 == 0:
                viewers[1].follow()
            viewers[0].follow()
            viewers[0].check()
        viewers[1].follow()
        viewers[1].check()
        if viewers[0].is_there:
            followed = {one: (frozenset(email["mailboxIds"]), frozenset(email["keywords"])) for one, email in viewers[0].emails.items()}
            listed = {one["id"] for one in viewers[0].boxes.values() if one["myRights"]["mayReadItems"]}
            by_imap = {one: (places & listed, words) for one, (places, words) in world.seen_by_imap(BEN).items() if places & listed}
            assert followed == by_imap
        assert viewers[0].followed > 2
        world.ben.close()
        world.jmap.close()
