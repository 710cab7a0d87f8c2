"""Email/set: keywords and mailboxes by value and by patch, destruction, and what each refusal is called (RFC 8621 §4.6)."""

from pathlib import Path
from typing import Any

import pytest
import trio

from .server import JmapClient, a_client


async def state_of(client: JmapClient, one: str) -> dict[str, Any]:
    found = await client.call("Email/get", ids=[one], properties=["keywords", "mailboxIds"])
    return found["list"][0] if found["list"] else {}


async def test_keywords_by_patch_and_by_value(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        one = f"M{(await client.append(b'Subject: x', flags=('Work',))).message}"
        done = await client.call("Email/set", update={one: {"keywords/$seen": True, "keywords/later": True}})
        assert done["updated"] == {one: None} and done["newState"] != done["oldState"]
        assert (await state_of(client, one))["keywords"] == {"work": True, "$seen": True, "later": True}
        await client.call("Email/set", update={one: {"keywords/WORK".lower(): None, "keywords/$flagged": True}})
        assert (await state_of(client, one))["keywords"] == {"$seen": True, "$flagged": True, "later": True}
        await client.call("Email/set", update={one: {"keywords": {"$Draft": True}}})
        assert (await state_of(client, one))["keywords"] == {"$draft": True}
        flags = (await client.store.database.read(lambda connection: connection.execute("SELECT flags FROM message").fetchone()))[0]
        assert flags == 16


async def test_mailboxes_by_patch_by_value_and_by_creation_id(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        inbox, archive = await client.mailbox_id("INBOX"), await client.mailbox_id("Archive")
        one = f"M{(await client.append(b'Subject: x')).message}"
        await client.call("Email/set", update={one: {f"mailboxIds/{archive}": True}})
        assert (await state_of(client, one))["mailboxIds"] == {inbox: True, archive: True}
        await client.call("Email/set", update={one: {f"mailboxIds/{inbox}": None}})
        assert (await state_of(client, one))["mailboxIds"] == {archive: True}
        made, moved = await client.request(
            ["Mailbox/set", {"accountId": "A1", "create": {"new": {"name": "New"}}}, "a"],
            ["Email/set", {"accountId": "A1", "update": {one: {"mailboxIds": {"#new": True}, "keywords/$seen": True}}}, "b"],
        )
        assert moved[1]["updated"] == {one: None}
        assert await state_of(client, one) == {
            "id": one, "keywords": {"$seen": True}, "mailboxIds": {made[1]["created"]["new"]["id"]: True},
        }  # fmt: skip


async def test_destroy(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        one = f"M{(await client.append(b'Subject: x', 'INBOX', 'Archive')).message}"
        done = await client.call("Email/set", destroy=[one, "M999", "T1"])
        assert done["destroyed"] == [one] and {kind["type"] for kind in done["notDestroyed"].values()} == {"notFound"}
        assert await state_of(client, one) == {}
        changes = await client.call("Email/changes", sinceState=done["oldState"])
        assert changes["destroyed"] == [one]


async def test_what_others_do_meanwhile_is_not_between_the_states_of_an_answer(tmp_path: Path) -> None:
    """RFC 8620 §5.3: who was at the old state and has the answer is at the new one, and would never learn of the message."""
    async with a_client(tmp_path) as client:
        ids = [f"M{(await client.append(b'Subject: x')).message}" for _ in range(20)]
        state = (await client.call("Email/get", ids=[]))["state"]
        answers: list[dict[str, Any]] = []

        async def star(*calls: list[str]) -> None:
            for some in calls:
                answers.append(await client.call("Email/set", update={one: {"keywords/$flagged": True} for one in some}))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(star, ids[:8])
            nursery.start_soon(star, *([one] for one in ids[8:]))
            for at in range(20):
                await client.append(f"Subject: {at}".encode())
        for answer in answers:
            changes = await client.call("Email/changes", sinceState=answer["oldState"], maxChanges=500)
            upto = await client.call("Email/changes", sinceState=answer["newState"], maxChanges=500)
            between = {one for kind in ("created", "updated") for one in set(changes[kind]) - set(upto[kind])}
            assert between <= set(answer["updated"]), "something of others is between the two states"
        assert any(answer["oldState"] != state for answer in answers), "nothing came between"


@pytest.mark.parametrize(
    ("patch", "kind"),
    [
        ({"subject": "new"}, "invalidProperties"), ({"mailboxIds": {}}, "invalidProperties"), ({"mailboxIds": {"F999": True}}, "notFound"),
        ({"mailboxIds": {"x": True}}, "invalidProperties"), ({"mailboxIds/F1": False}, "invalidProperties"),
        ({"keywords": []}, "invalidProperties"),
        ({"keywords": {"a b": True}}, "invalidProperties"), ({"keywords": {"$seen": 1}}, "invalidProperties"),
        ({"keywords": {f"k{n}": True for n in range(58)}}, "tooManyKeywords"), ({"keywords/a": True, "keywords": {}}, "invalidPatch"),
        ({"keywords/a/b": True}, "invalidPatch"),
    ],
)  # fmt: skip
async def test_refusals_change_nothing(tmp_path: Path, patch: dict[str, Any], kind: str) -> None:
    async with a_client(tmp_path) as client:
        one = f"M{(await client.append(b'Subject: x', flags=('Work',))).message}"
        before = await state_of(client, one)
        done = await client.call("Email/set", update={one: patch})
        assert done["notUpdated"][one]["type"] == kind, done["notUpdated"]
        assert await state_of(client, one) == before and done["oldState"] == done["newState"]


async def test_a_whole_email_is_a_patch_too(tmp_path: Path) -> None:
    """RFC 8620 §5.3: what only the server sets may be given as it is, and with any other value nothing changes."""
    octets = b"From: Ann <a@x.example>\r\nSubject: x\r\n\r\nhello"
    async with a_client(tmp_path) as client:
        one = f"M{(await client.append(octets)).message}"
        (whole,) = (await client.call("Email/get", ids=[one]))["list"]
        done = await client.call("Email/set", update={one: {**whole, "keywords": {"$seen": True}}})
        assert done["updated"] == {one: None} and done["notUpdated"] is None
        before = await state_of(client, one)
        assert before["keywords"] == {"$seen": True}
        for wrong in ({"subject": "y"}, {"id": "M99"}, {"threadId": None}, {"bodyValues": {"1": {}}}, {"from/0": {}}, {"colour": "red"}):
            refused = (await client.call("Email/set", update={one: {**wrong, "keywords": {}}}))["notUpdated"][one]
            assert (refused["type"], refused["properties"]) == ("invalidProperties", list(wrong))
        assert await state_of(client, one) == before
        gone = await client.call("Email/set", update={"M99": {"id": "M99", "keywords": {}}})
        assert gone["notUpdated"]["M99"]["type"] == "notFound"


async def test_of_several_messages_those_that_can_are_changed(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        one = f"M{(await client.append(b'Subject: x')).message}"
        done = await client.call("Email/set", update={"M99": {"keywords/$seen": True}, one: {"keywords/$seen": True}})
        assert done["updated"] == {one: None} and done["notUpdated"]["M99"]["type"] == "notFound"
        assert await client.error("Email/set", accountId="A2", update={one: {"keywords/$seen": True}}) == "accountReadOnly"
        assert await client.error("Email/set", ifInState="0", destroy=[one]) == "stateMismatch"
