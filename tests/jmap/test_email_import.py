"""Email/import and Email/copy: nothing is written twice, what stands in the original stays, and refusals (RFC 8621 §4.7, §4.8)."""

import json
from pathlib import Path
from typing import Any

from appliance.jmap.api import JmapApi
from appliance.jmap.mailbox import MAIL
from appliance.jmap.method import CORE, Caller, JmapAccount
from appliance.jmap.service import mail_methods
from appliance.mail.ids import Uid
from appliance.protocol.jmap.request import JmapLimits
from appliance.store.values import Placement

from .server import ANN, BEN, JmapClient, a_client

RECEIVED = (
    b"Received: from a by b; Tue, 1 Jul 2003 10:52:37 +0200\r\nReceived: from c by a; Mon, 30 Jun 2003 00:00:00 +0000\r\n"
    b"Subject: imported\r\nMessage-ID: <i@x>\r\n\r\nbody\r\n"
)


async def bodies(client: JmapClient) -> int:
    found: int = await client.store.database.read(
        lambda connection: connection.execute("SELECT count(*) FROM body WHERE refcount > 0").fetchone()[0]
    )
    return found


async def emails(client: JmapClient, *ids: str) -> list[dict[str, Any]]:
    wanted = ["subject", "keywords", "mailboxIds", "receivedAt", "size"]
    found: list[dict[str, Any]] = (await client.call("Email/get", ids=list(ids), properties=wanted))["list"]
    return found


async def test_an_upload_becomes_a_message_without_being_written_again(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        blob, inbox, archive = await client.upload(RECEIVED), await client.mailbox_id("INBOX"), await client.mailbox_id("Archive")
        before = await bodies(client)
        done = await client.call(
            "Email/import",
            emails={
                "a": {"blobId": blob, "mailboxIds": {inbox: True, archive: True}, "keywords": {"$seen": True, "x": True}},
                "b": {"blobId": blob, "mailboxIds": {inbox: True}, "receivedAt": "2026-01-02T03:04:05Z"},
            },
        )
        a, b = done["created"]["a"], done["created"]["b"]
        assert done["notCreated"] is None and done["oldState"] != done["newState"] and a["id"] != b["id"]
        assert await bodies(client) == before and await client.octets(a["blobId"]) == RECEIVED and a["size"] == len(RECEIVED)
        assert await emails(client, a["id"], b["id"]) == [
            {"id": a["id"], "subject": "imported", "keywords": {"$seen": True, "x": True}, "mailboxIds": {inbox: True, archive: True},
             "receivedAt": "2003-07-01T08:52:37Z", "size": len(RECEIVED)},
            {"id": b["id"], "subject": "imported", "keywords": {}, "mailboxIds": {inbox: True}, "receivedAt": "2026-01-02T03:04:05Z",
             "size": len(RECEIVED)},
        ]  # fmt: skip
        changes = await client.call("Email/changes", sinceState=done["oldState"])
        assert sorted(changes["created"]) == sorted([a["id"], b["id"]])


async def test_a_stored_message_and_an_attached_one_are_imported(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        outer = b"Subject: outer\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n"
        placed = await client.append(outer + RECEIVED + b"--o--\r\n")
        with_prefix = (await client.append(b"Subject: x\r\n\r\ny")).message
        inbox = await client.mailbox_id("INBOX")
        async with client.store.receive(2**20) as incoming:
            await incoming.write(b"Subject: prefixed\r\n\r\n")
            place = Placement(await client.mailbox("INBOX"), b"Return-Path: <>\r\n", (), 5)
            prefixed = (await client.store.file(await incoming.finish(), [place]))[0]
        done = await client.call("Email/import", emails={
            name: {"blobId": blob, "mailboxIds": {inbox: True}}
            for name, blob in (("a", f"B{placed.message}-1"), ("b", f"B{prefixed.message}"), ("c", f"B{with_prefix}"))
        })  # fmt: skip
        assert (await client.octets(done["created"]["a"]["blobId"])).strip() == RECEIVED.strip()
        assert await client.octets(done["created"]["b"]["blobId"]) == b"Return-Path: <>\r\nSubject: prefixed\r\n\r\n"
        assert done["created"]["b"]["size"] == 38


async def test_imports_that_are_refused(tmp_path: Path) -> None:
    async with a_client(tmp_path, quota=100) as client:
        inbox, mine = {await client.mailbox_id("INBOX"): True}, await client.upload(RECEIVED)
        refused: dict[str, tuple[dict[str, Any], str]] = {
            "none": ({"mailboxIds": inbox}, "invalidProperties"), "type": ({"mailboxIds": inbox, "blobId": 5}, "invalidProperties"),
            "unknown": ({"mailboxIds": inbox, "blobId": "U99"}, "invalidProperties"),
            "other": ({"mailboxIds": inbox, "blobId": await client.upload(RECEIVED, account=BEN)}, "invalidProperties"),
            "mailbox": ({"blobId": mine, "mailboxIds": {}}, "invalidProperties"),
            "keyword": ({"blobId": mine, "mailboxIds": inbox, "keywords": {"a b": True}}, "invalidProperties"),
            "subject": ({"blobId": mine, "mailboxIds": inbox, "subject": "x"}, "invalidProperties"),
            "text": ({"blobId": await client.upload(b"just text"), "mailboxIds": inbox}, "invalidEmail"),
            "quota": ({"blobId": mine, "mailboxIds": inbox}, "overQuota"),
        }  # fmt: skip
        done = await client.call("Email/import", emails={name: given for name, (given, _) in refused.items()})
        assert {name: error["type"] for name, error in done["notCreated"].items()} == {name: kind for name, (_, kind) in refused.items()}
        assert done["created"] is None and done["oldState"] == done["newState"]
        assert await client.error("Email/import", emails={}, ifInState="0") == "stateMismatch"
        assert await client.error("Email/import", emails={"a": 5}) == "invalidArguments"


def two_accounts(client: JmapClient) -> tuple[JmapApi, Caller]:
    """Ann, who may write in Ben's account too."""
    limits = JmapLimits()
    methods = mail_methods(client.store, limits)
    api = JmapApi(methods, {MAIL: {}}, limits=limits, report=lambda name, fault: client.faults.append(f"{name} {fault!r}"))
    return api, Caller(ANN, "ann@home.test", (JmapAccount("A1", ANN, "ann@home.test"), JmapAccount("A2", BEN, "ben@home.test", False)))


async def copy(client: JmapClient, **arguments: Any) -> list[list[Any]]:
    api, caller = two_accounts(client)
    call = ["Email/copy", {"fromAccountId": "A1", "accountId": "A2", **arguments}, "c"]
    answer = await api.handle(json.dumps({"using": [CORE, MAIL], "methodCalls": [call]}).encode(), caller)
    assert not client.faults
    found: list[list[Any]] = answer["methodResponses"]
    return found


async def test_a_copy_into_another_account_keeps_keywords_and_date_and_may_destroy_the_original(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        placed = await client.append(RECEIVED, flags=("Work", "\\Seen"), at=1_600_000_000)
        one, theirs = f"M{placed.message}", f"F{await client.mailbox('INBOX', BEN)}"
        before = await bodies(client)
        wanted = {"k": {"id": one, "mailboxIds": {theirs: True}}, "n": {"id": "M99", "mailboxIds": {theirs: True}}}
        ((name, done, _),) = await copy(client, create=wanted)
        assert name == "Email/copy" and done["fromAccountId"] == "A1" and done["notCreated"]["n"]["type"] == "notFound"
        assert await bodies(client) == before
        mailbox = await client.store.open(BEN, "INBOX")
        (row,) = await mailbox.flag_rows(Uid(1), Uid(99))
        assert row[1] & 1 and [message.prefix for _, message in await mailbox.open_batch(Uid(1), Uid(1), 1)] == [b""]
        mailbox.close()
        again = {"k": {"id": one, "mailboxIds": {theirs: True}, "keywords": {}}}
        first, second = await copy(client, create=again, onSuccessDestroyOriginal=True)
        assert first[1]["created"]["k"]["size"] == len(RECEIVED) and second[0] == "Email/set" and second[1]["destroyed"] == [one]
        assert first[2] == second[2] == "c", "as in RFC 8620 §5.4: both answer the one call, each of its account"
        assert (first[1]["fromAccountId"], first[1]["accountId"], second[1]["accountId"]) == ("A1", "A2", "A1")
        assert first[1]["oldState"] != first[1]["newState"] and second[1]["oldState"] != second[1]["newState"]
        assert await emails(client, one) == []


async def test_copies_that_are_refused(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        one = f"M{(await client.append(RECEIVED)).message}"
        theirs = {f"F{await client.mailbox('INBOX', BEN)}": True}
        mine = {await client.mailbox_id("INBOX"): True}
        ((_, done, _),) = await copy(client, create={
            "a": {"id": one, "mailboxIds": mine}, "b": {"id": one}, "c": {"id": one, "mailboxIds": theirs, "subject": "x"},
            "d": {"mailboxIds": theirs},
        }, onSuccessDestroyOriginal=True)  # fmt: skip
        assert {name: error["type"] for name, error in done["notCreated"].items()} == {
            "a": "notFound", "b": "invalidProperties", "c": "invalidProperties", "d": "notFound",
        }  # fmt: skip
        for arguments, kind in (
            ({"accountId": "A1"}, "invalidArguments"), ({"fromAccountId": "A9"}, "fromAccountNotFound"),
            ({"ifInState": "0"}, "stateMismatch"),
            ({"ifFromInState": "0"}, "stateMismatch"), ({"accountId": "A9"}, "accountNotFound"),
        ):  # fmt: skip
            assert (await copy(client, create={}, **arguments))[0][1]["type"] == kind
        _, second = await copy(
            client, create={"k": {"id": one, "mailboxIds": theirs}}, onSuccessDestroyOriginal=True, destroyFromIfInState="0"
        )
        assert second[:2] == ["error", {"type": "stateMismatch", "description": "Something changed meanwhile."}]
        assert len(await emails(client, one)) == 1
