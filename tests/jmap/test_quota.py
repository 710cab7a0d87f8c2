"""Quota: with and without a limit of octets, what changed since, filters (RFC 9425)."""

from pathlib import Path

import trio

from appliance.jmap.blob_facts import BLOB
from appliance.jmap.mailbox import MAIL
from appliance.jmap.method import CORE
from appliance.jmap.push_states import PushStates, StateWatch
from appliance.jmap.quota import QUOTA
from appliance.mail.limits import ACCOUNT_MESSAGES

from .server import ANN, a_client


async def test_what_is_used_and_what_changed(tmp_path: Path) -> None:
    async with a_client(tmp_path, quota=1000) as client:
        before = await client.call("Quota/get", ids=None)
        octets, messages = before["list"]
        assert octets == {
            "id": "octets", "resourceType": "octets", "used": 0, "hardLimit": 1000, "scope": "account", "name": "Storage",
            "types": ["Email"], "warnLimit": None, "softLimit": None, "description": octets["description"],
        }  # fmt: skip
        assert (messages["id"], messages["resourceType"], messages["hardLimit"]) == ("messages", "count", ACCOUNT_MESSAGES)
        assert (await client.call("Quota/changes", sinceState=before["state"]))["updated"] == []
        await client.append(b"Subject: x\r\n\r\n")
        await client.append(b"Subject: y\r\n\r\n")
        changes, got = await client.request(
            ["Quota/changes", {"accountId": "A1", "sinceState": before["state"], "maxChanges": 20}, "0"],
            ["Quota/get", {
                "accountId": "A1", "#ids": {"resultOf": "0", "name": "Quota/changes", "path": "/updated"},
                "#properties": {"resultOf": "0", "name": "Quota/changes", "path": "/updatedProperties"},
            }, "1"],
        )  # fmt: skip
        assert changes[1]["updated"] == ["octets", "messages"] and changes[1]["updatedProperties"] == ["used"]
        assert [one["id"] for one in got[1]["list"]] == ["octets", "messages"] and got[1]["list"][0]["used"] == 28
        assert await client.error("Quota/changes", sinceState="5") == "cannotCalculateChanges"


async def test_without_a_limit_there_is_no_quota_of_octets(tmp_path: Path) -> None:
    async with a_client(tmp_path, quota=1000) as client:
        state = (await client.call("Quota/get", ids=["octets"]))["state"]
    async with a_client(tmp_path) as client:
        found = await client.call("Quota/get", ids=["octets", "messages"], properties=["used"])
        assert found["list"] == [{"id": "messages", "used": 0}] and found["notFound"] == ["octets"]
        changes = await client.call("Quota/changes", sinceState=state)
        assert changes["destroyed"] == ["octets"] and changes["created"] == changes["updated"] == []


async def test_the_examples_of_section_6_and_types_the_client_did_not_ask_for(tmp_path: Path) -> None:
    """RFC 9425 §4: without the capability of mail there is no type it could count."""
    async with a_client(tmp_path, quota=1000) as client:
        call = ["Quota/get", {"accountId": "A1", "ids": None}, "0"]
        ((name, found, _),) = await client.request(call)
        assert name == "Quota/get" and [one["types"] for one in found["list"]] == [["Email"], ["Email"]]
        ((_, found, _),) = await client.request(call, using=[CORE, QUOTA])
        assert found["list"] == [] and found["notFound"] == []
        ((_, changes, _),) = await client.request(
            ["Quota/changes", {"accountId": "A1", "sinceState": found["state"], "maxChanges": 20}, "0"]
        )
        assert changes["created"] == ["octets", "messages"] and changes["updated"] == changes["destroyed"] == []
        lookup = ["Blob/lookup", {"accountId": "A1", "typeNames": ["Email"], "ids": ["not-a-blob"]}, "R1"]
        for using, answered in (([CORE, BLOB, MAIL], "Blob/lookup"), ([CORE, BLOB], "error")):
            ((name, found, _),) = await client.request(lookup, using=using)
            assert name == answered and (name != "error" or found["type"] == "unknownDataType")


async def test_queries(tmp_path: Path) -> None:
    async with a_client(tmp_path, quota=1000) as client:
        for given, ids in (
            (None, ["octets", "messages"]), ({"name": "stor"}, ["octets"]), ({"resourceType": "count"}, ["messages"]),
            ({"scope": "domain"}, []), ({"type": "Email"}, ["octets", "messages"]), ({"type": "Mail"}, []),
            ({"operator": "NOT", "conditions": [{"resourceType": "count"}]}, ["octets"]),
        ):  # fmt: skip
            found = await client.call("Quota/query", filter=given, calculateTotal=True)
            assert found["ids"] == ids and found["total"] == len(ids), given
        found = await client.call("Quota/query", sort=[{"property": "name", "isAscending": False}], position=1)
        assert found["ids"] == ["messages"] and found["position"] == 1
        assert await client.error("Quota/query", filter={"colour": "red"}) == "invalidArguments"
        assert await client.error("Quota/queryChanges", sinceQueryState="x") == "cannotCalculateChanges"


async def test_changes_are_pushed(tmp_path: Path) -> None:
    """RFC 9425 §6: the state that Quota/get has, of the rows as the commit left them."""
    async with a_client(tmp_path, quota=1000) as client:
        watch = StateWatch(PushStates(client.store, None), client.store, ANN, lambda: client.caller(ANN).accounts, {"Quota"})
        await watch.begin()
        for _ in range(3):
            placed = await client.append(b"Subject: x\r\n\r\n")
            with trio.fail_after(20):
                told = await watch.next()
            assert told == {"A1": {"Quota": (await client.call("Quota/get", ids=[]))["state"]}}
        await client.call("Email/set", update={f"M{placed.message}": {"keywords/$seen": True}})  # of which quotas know nothing
        await client.call("Email/set", destroy=[f"M{placed.message}"])
        with trio.fail_after(20):
            assert await watch.next() == {"A1": {"Quota": (await client.call("Quota/get", ids=[]))["state"]}}
        watch.close()
