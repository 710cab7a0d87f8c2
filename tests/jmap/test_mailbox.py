"""Mailboxes by JMAP: properties, trees, changes beside those of IMAP, and what a set may not do (RFC 8621 §2)."""

from pathlib import Path
from typing import Any

import pytest

from appliance.jmap.mailbox_object import COUNTS
from appliance.mail.ids import Uid
from appliance.protocol.jmap.request import JmapLimits
from appliance.store.values import Mode

from .server import ANN, JmapClient, a_client

MESSAGE = b"From: a@b.example\r\nSubject: %b\r\nMessage-ID: <%b@b.example>\r\n%b\r\ntext\r\n"


def message(subject: bytes, name: bytes, *more: bytes) -> bytes:
    return MESSAGE % (subject, name, b"".join(more))


async def names(client: JmapClient) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in (await client.call("Mailbox/get"))["list"]}


async def test_the_mailboxes_of_a_new_account(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        found = await names(client)
        assert {name: one["role"] for name, one in found.items()} == {
            "INBOX": "inbox", "Archive": "archive", "Drafts": "drafts", "Junk": "junk", "Sent": "sent", "Trash": "trash",
        }  # fmt: skip
        inbox = found["INBOX"]
        assert inbox["parentId"] is None and inbox["isSubscribed"] and inbox["sortOrder"] == 1
        assert inbox["myRights"]["mayAddItems"] and not inbox["myRights"]["mayRename"] and found["Sent"]["myRights"]["mayDelete"]
        theirs = (await client.call("Mailbox/get", accountId="A2"))["list"][0]
        assert not theirs["myRights"]["mayAddItems"] and theirs["myRights"]["mayReadItems"]


async def test_counts_of_messages_and_threads(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        await client.append(message(b"plan", b"1"), flags=("\\Seen",))
        await client.append(message(b"Re: plan", b"2", b"References: <1@b.example>\r\n"), "Archive")
        await client.append(message(b"other", b"3"), flags=("\\Draft",))
        found = await names(client)
        assert [found["INBOX"][name] for name in COUNTS] == [2, 0, 2, 1]  # the seen one's thread is unread in the archive
        assert [found["Archive"][name] for name in COUNTS] == [1, 1, 1, 1]
        mailbox = await client.store.open(ANN, "Archive")
        await mailbox.set_flags([Uid(1)], Mode.ADD, ("\\Seen",))
        mailbox.close()
        found = await names(client)
        assert [found["INBOX"][name] for name in COUNTS] == [2, 0, 2, 0] and [found["Archive"][name] for name in COUNTS] == [1, 0, 1, 0]


async def test_what_is_only_in_the_trash_is_unread_there_alone(tmp_path: Path) -> None:
    """RFC 8621 §2: a thread with an unread message in the Trash and a read one in INBOX."""
    async with a_client(tmp_path) as client:
        await client.append(message(b"plan", b"1"), flags=("\\Seen",))
        await client.append(message(b"Re: plan", b"2", b"References: <1@b.example>\r\n"), "Trash")
        found = await names(client)
        assert found["Trash"]["unreadThreads"] == 1 and found["INBOX"]["unreadThreads"] == 0
        await client.append(message(b"Re: plan", b"3", b"References: <1@b.example>\r\n"), "Archive")
        trash = await client.store.open(ANN, "Trash")
        await trash.set_flags([Uid(1)], Mode.ADD, ("\\Seen",))
        trash.close()
        found = await names(client)
        assert [found[name]["unreadThreads"] for name in ("INBOX", "Archive", "Trash")] == [1, 1, 0]


async def test_a_message_that_is_seen_or_a_draft_in_any_mailbox_is_not_unread(tmp_path: Path) -> None:
    """RFC 8621 §2, §4.1.1: keywords are those of all its copies; in one mailbox twice it is one message."""
    async with a_client(tmp_path) as client:
        await client.append(message(b"plan", b"1"))
        inbox = await client.store.open(ANN, "INBOX")
        for name in ("Archive", "INBOX"):
            await inbox.copy([Uid(1)], name)
        assert [(await names(client))["INBOX"][name] for name in COUNTS] == [1, 1, 1, 1]
        state = (await client.call("Mailbox/get", ids=[]))["state"]
        archive = await client.store.open(ANN, "Archive")
        await archive.set_flags([Uid(1)], Mode.ADD, ("\\Draft",))
        inbox.close()
        archive.close()
        assert [(await names(client))["INBOX"][name] for name in COUNTS] == [1, 0, 1, 0]
        changes = await client.call("Mailbox/changes", sinceState=state)
        assert set(changes["updated"]) == {await client.mailbox_id("INBOX"), await client.mailbox_id("Archive")}, "INBOX counts anew, too"
        assert changes["updatedProperties"] == list(COUNTS)


async def test_get_takes_ids_and_properties_and_names_what_is_not_there(tmp_path: Path) -> None:
    async with a_client(tmp_path, JmapLimits(objects_in_get=3)) as client:
        inbox = await client.mailbox_id("INBOX")
        found = await client.call("Mailbox/get", ids=[inbox, "F999", "nonsense"], properties=["name"])
        assert found["list"] == [{"id": inbox, "name": "INBOX"}] and found["notFound"] == ["F999", "nonsense"]
        assert await client.error("Mailbox/get", ids=["F1", "F2", "F3", "F4"]) == "requestTooLarge"
        assert await client.error("Mailbox/get", properties=["colour"]) == "invalidArguments"
        assert await client.error("Mailbox/get", strange=1) == "invalidArguments"


async def test_a_tree_made_in_one_call_whatever_the_order(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        made = await client.call(
            "Mailbox/set",
            create={"c": {"name": "2024", "parentId": "#p", "isSubscribed": True}, "p": {"name": "Family"}, "x": {"name": "a/b"}},
        )
        assert set(made["created"]) == {"c", "p"} and made["notCreated"]["x"]["properties"] == ["name"]
        found = await names(client)
        assert found["2024"]["parentId"] == found["Family"]["id"] == made["created"]["p"]["id"]
        assert found["2024"]["isSubscribed"] and not found["Family"]["isSubscribed"]
        assert made["newState"] != made["oldState"] and (await client.call("Mailbox/get"))["state"] == made["newState"]


async def test_names_places_and_subscriptions_change(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        made = await client.call("Mailbox/set", create={"a": {"name": "A"}, "b": {"name": "B"}})
        a, b = made["created"]["a"]["id"], made["created"]["b"]["id"]
        done = await client.call("Mailbox/set", update={a: {"name": "Alpha", "parentId": b, "isSubscribed": True}})
        assert done["updated"] == {a: None}
        assert [info.name for info in await client.store.list(ANN) if info.name.startswith("B")] == ["B", "B/Alpha"]
        done = await client.call(
            "Mailbox/set",
            update={
                a: {"name": ""}, b: {"parentId": a}, await client.mailbox_id("INBOX"): {"name": "Post"}, "F999": {"name": "x"},
                await client.mailbox_id("Sent"): {"role": "trash"}, await client.mailbox_id("Junk"): {"totalEmails": 5},
            },
        )  # fmt: skip
        kinds = sorted(one["type"] for one in done["notUpdated"].values())
        assert kinds == ["forbidden", "forbidden", "invalidProperties", "invalidProperties", "invalidProperties", "notFound"]


async def test_a_whole_mailbox_is_a_patch_too(tmp_path: Path) -> None:
    """RFC 8620 §5.3, with its counts and rights as they are."""
    async with a_client(tmp_path) as client:
        await client.append(b"Subject: x\r\n\r\n", "Archive")
        (whole,) = (await client.call("Mailbox/get", ids=[await client.mailbox_id("Archive")]))["list"]
        one = whole["id"]
        assert whole["totalEmails"] == 1
        done = await client.call("Mailbox/set", update={one: {**whole, "name": "Kept"}})
        assert done["updated"] == {one: None} and (await client.call("Mailbox/get", ids=[one]))["list"] == [{**whole, "name": "Kept"}]
        wrong = {"totalEmails": 2, "myRights/mayDelete": False}
        refused = (await client.call("Mailbox/set", update={one: {**whole, **wrong, "name": "No"}}))["notUpdated"][one]
        assert refused["type"] == "invalidProperties" and set(wrong) <= set(refused["properties"])
        assert (await client.call("Mailbox/get", ids=[one]))["list"][0]["name"] == "Kept"


async def test_destroying_needs_an_empty_mailbox_or_consent(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        made = await client.call("Mailbox/set", create={"a": {"name": "A"}, "b": {"name": "B", "parentId": "#a"}})
        a, b = made["created"]["a"]["id"], made["created"]["b"]["id"]
        await client.append(message(b"x", b"1"), "A/B")
        done = await client.call("Mailbox/set", destroy=[a])
        assert done["notDestroyed"][a]["type"] == "mailboxHasChild"
        done = await client.call("Mailbox/set", destroy=[b])
        assert done["notDestroyed"][b]["type"] == "mailboxHasEmail"
        done = await client.call("Mailbox/set", destroy=[a, b], onDestroyRemoveEmails=True)
        assert done["destroyed"] == [b, a] and not [info for info in await client.store.list(ANN) if info.name.startswith("A/")]
        inbox = await client.mailbox_id("INBOX")
        assert (await client.call("Mailbox/set", destroy=[inbox]))["notDestroyed"][inbox]["type"] == "forbidden"


async def test_changes_of_any_protocol_are_told_once(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        start = (await client.call("Mailbox/get", ids=[]))["state"]
        inbox, archive = await client.mailbox_id("INBOX"), await client.mailbox_id("Archive")
        await client.append(message(b"x", b"1"))
        found = await client.call("Mailbox/changes", sinceState=start)
        assert (found["created"], found["updated"], found["destroyed"]) == ([], [inbox], []) and found["updatedProperties"] == list(COUNTS)
        await client.store.create(ANN, "New")
        await client.store.rename(ANN, "Archive", "Old")
        await client.store.delete(ANN, "Junk")
        later = await client.call("Mailbox/changes", sinceState=found["newState"])
        assert later["created"] == [await client.mailbox_id("New")] and later["updated"] == [archive] and len(later["destroyed"]) == 1
        assert later["updatedProperties"] is None
        again = await client.call("Mailbox/changes", sinceState=later["newState"])
        assert not again["created"] + again["updated"] + again["destroyed"] and again["newState"] == later["newState"]
        for wrong in ("", "x", "99999999", "-1", "1-"):
            assert await client.error("Mailbox/changes", sinceState=wrong) == "cannotCalculateChanges"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"sort": [{"property": "sortOrder"}]}, ["INBOX", "Drafts", "Sent", "Archive", "Junk", "Trash", "Box", "Box/Alpha", "Zoo"]),
        ({"filter": {"hasAnyRole": False}, "sort": [{"property": "name", "isAscending": False}]}, ["Zoo", "Box", "Box/Alpha"]),
        ({"filter": {"hasAnyRole": False}, "sort": [{"property": "name"}], "sortAsTree": True}, ["Box", "Box/Alpha", "Zoo"]),
        ({"filter": {"role": "sent"}}, ["Sent"]),
        ({"filter": {"name": "o", "hasAnyRole": False}, "sort": [{"property": "name"}]}, ["Box", "Zoo"]),
        ({"filter": {"operator": "NOT", "conditions": [{"parentId": None}]}}, ["Box/Alpha"]),
        ({"filter": {"name": "alpha"}, "filterAsTree": True}, []),
        ({"filter": {"isSubscribed": False}, "sort": [{"property": "name"}], "position": 1, "limit": 1}, ["Box"]),
    ],
)
async def test_query(tmp_path: Path, arguments: dict[str, Any], expected: list[str]) -> None:
    async with a_client(tmp_path) as client:
        await client.store.create(ANN, "Zoo")
        await client.store.create(ANN, "Box/Alpha")
        paths = {await client.mailbox_id(info.name): info.name for info in await client.store.list(ANN)}
        found = await client.call("Mailbox/query", calculateTotal=True, **arguments)
        assert [paths[one] for one in found["ids"]] == expected and found["total"] >= len(expected)
        same = await client.call("Mailbox/queryChanges", sinceQueryState=found["queryState"])
        assert same["removed"] == same["added"] == []
        await client.store.create(ANN, "More")
        assert await client.error("Mailbox/queryChanges", sinceQueryState=found["queryState"]) == "cannotCalculateChanges"


@pytest.mark.parametrize(
    ("condition", "kind"),
    [({"colour": 1}, "unsupportedFilter"), ({"name": 5}, "invalidArguments"), ({"operator": "XOR", "conditions": []}, "invalidArguments")],
)
async def test_wrong_filters(tmp_path: Path, condition: dict[str, Any], kind: str) -> None:
    async with a_client(tmp_path) as client:
        assert await client.error("Mailbox/query", filter=condition) == kind


async def test_a_state_that_is_not_the_present_one_refuses_the_set(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        assert await client.error("Mailbox/set", ifInState="0", create={"a": {"name": "A"}}) == "stateMismatch"
        assert await client.error("Mailbox/set", accountId="A2", create={"a": {"name": "A"}}) == "accountReadOnly"


async def test_what_is_marked_as_deleted_keeps_no_mailbox(tmp_path: Path) -> None:
    """RFC 8621 §4.1.1: such messages are not there."""
    async with a_client(tmp_path) as client:
        one = (await client.call("Mailbox/set", create={"made": {"name": "Old"}}))["created"]["made"]["id"]
        await client.append(message(b"x", b"1"), "Old", flags=("\\Deleted",))
        assert (await client.call("Mailbox/get", ids=[one]))["list"][0]["totalEmails"] == 0
        assert (await client.call("Mailbox/set", destroy=[one]))["destroyed"] == [one]
