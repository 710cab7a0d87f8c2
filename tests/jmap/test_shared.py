"""Mailboxes that another account shares, as an account of JMAP: what its rights show and allow (RFC 8620 §1.6.2, RFC 8621 §2)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from appliance.jmap.push_states import PushStates, StateWatch, state_change
from appliance.jmap.session import session_object
from appliance.mail.rights import parse_rights
from appliance.store.values import Mode
from appliance.store.visible import VisibleMailboxes

from .server import ANN, BEN, JmapClient, a_client

MAIL, SUBMISSION = "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:submission"
RIGHTS = {
    "mayReadItems": "lr", "mayAddItems": "i", "mayRemoveItems": "te", "maySetSeen": "s", "maySetKeywords": "w", "mayCreateChild": "k",
    "mayRename": "x", "mayDelete": "x", "maySubmit": "p",
}  # fmt: skip


class Ben:
    """Ben's client beside Ann, who shares: `call` and `error` are about her account."""

    def __init__(self, client: JmapClient) -> None:
        self.client = client
        self.ann = VisibleMailboxes(client.store, ANN)

    async def share(self, name: str, rights: str) -> str:
        await self.ann.set_rights(name, BEN, Mode.REPLACE, parse_rights(rights))
        return await self.client.mailbox_id(name)

    async def request(self, *calls: list[Any]) -> list[list[Any]]:
        self.client.signed_in = self.client.caller(BEN)
        try:
            return await self.client.request(*calls)
        finally:
            self.client.signed_in = None

    async def call(self, name: str, **arguments: Any) -> Any:
        ((answered, found, _),) = await self.request([name, {"accountId": "A1", **arguments}, "c"])
        assert answered == name, found
        return found

    async def error(self, name: str, **arguments: Any) -> str:
        ((answered, found, _),) = await self.request([name, {"accountId": "A1", **arguments}, "c"])
        assert answered == "error", found
        return str(found["type"])

    async def mailboxes(self) -> dict[str, Any]:
        return {one["name"]: one for one in (await self.call("Mailbox/get", ids=None))["list"]}

    async def add(self, name: str, subject: str, *, flags: tuple[str, ...] = (), more: str = "") -> str:
        octets = f"Subject: {subject}\r\nMessage-ID: <{subject}{more}@x>\r\n\r\nabout bicycles\r\n".encode()
        return f"M{(await self.client.append(octets, name, flags=flags)).message}"


@asynccontextmanager
async def ben_beside_ann(directory: Path) -> AsyncIterator[Ben]:
    async with a_client(directory) as client:
        ben = Ben(client)
        for name in ("Tours", "Private"):
            await ben.ann.create(name)
        yield ben


async def test_an_account_appears_with_the_first_mailbox_and_goes_with_the_last(tmp_path: Path) -> None:
    async with ben_beside_ann(tmp_path) as ben:
        capabilities: Any = {"urn:ietf:params:jmap:core": {}, MAIL: {"mayCreateTopLevelMailbox": True}, SUBMISSION: {}}

        def session() -> dict[str, Any]:
            return session_object(ben.client.caller(BEN), capabilities, "https://x")

        alone = session()
        assert list(alone["accounts"]) == ["A2"] and await ben.error("Mailbox/get") == "accountNotFound"
        await ben.share("Tours", "lr")
        shared = session()
        facts = shared["accounts"]["A1"]
        assert (facts["isPersonal"], facts["isReadOnly"]) == (False, True) and shared["state"] != alone["state"]
        assert facts["accountCapabilities"] == {MAIL: {"mayCreateTopLevelMailbox": False}}
        assert set(shared["primaryAccounts"].values()) == {"A2"}
        await ben.share("Tours", "lrw")
        assert session()["accounts"]["A1"]["isReadOnly"] is False and session()["state"] != shared["state"]
        await ben.share("Tours", "r")
        assert session() == alone and await ben.error("Mailbox/get") == "accountNotFound"


async def test_my_rights_are_those_given(tmp_path: Path) -> None:
    """RFC 8621 §2: each property and the rights of RFC 4314 it stands for."""
    async with ben_beside_ann(tmp_path) as ben:
        for rights in ("l", "lr", "lrs", "lrw", "lri", "lrt", "lre", "lrte", "lrk", "lrx", "lrp", "lra", "li", "lrswipkxtea"):
            await ben.share("Tours", rights)
            found = (await ben.mailboxes())["Tours"]
            assert found["myRights"] == {name: set(needed) <= set(rights) for name, needed in RIGHTS.items()}, rights
        await ben.share("INBOX", "lrswipkxtea")
        inbox = (await ben.mailboxes())["INBOX"]
        assert inbox["role"] == "inbox" and not inbox["myRights"]["mayRename"] and not inbox["myRights"]["mayDelete"]


async def test_only_what_may_be_read_is_there(tmp_path: Path) -> None:
    async with ben_beside_ann(tmp_path) as ben:
        await ben.share("Tours", "lr")
        drop = await ben.share("Archive", "li")
        hidden, dropped, seen = await ben.add("Private", "plan"), await ben.add("Archive", "plan"), await ben.add("Tours", "plan", more="2")
        names = await ben.mailboxes()
        assert set(names) == {"Tours", "Archive"} and names["Tours"]["totalEmails"] == 1
        assert [names["Archive"][one] for one in ("totalEmails", "unreadEmails", "totalThreads", "unreadThreads")] == [0, 0, 0, 0]
        assert (await ben.call("Email/query", calculateTotal=True))["ids"] == [seen]
        assert (await ben.call("Email/query", filter={"text": "bicycles"}))["ids"] == [seen]
        assert (await ben.call("Email/query", filter={"inMailbox": drop}))["ids"] == []
        got = await ben.call("Email/get", ids=[hidden, dropped, seen], properties=["mailboxIds", "threadId"])
        assert [one["id"] for one in got["list"]] == [seen] and got["notFound"] == [hidden, dropped]
        threads = [f"T{one[1:]}" for one in (hidden, dropped, seen)]
        assert [one["emailIds"] for one in (await ben.call("Thread/get", ids=threads))["list"]] == [[seen]]
        found = await ben.call("SearchSnippet/get", filter={"text": "plan"}, emailIds=[hidden, dropped, seen])
        assert [one["emailId"] for one in found["list"]] == [seen] and found["notFound"] == [hidden, dropped]
        blobs = [f"B{one[1:]}" for one in (hidden, dropped, seen)]
        assert (await ben.call("Blob/get", ids=blobs, properties=["size"]))["notFound"] == blobs[:2]
        assert [one["id"] for one in (await ben.call("Blob/lookup", ids=blobs, typeNames=["Email"]))["list"]] == blobs[2:]
        assert (await ben.call("Email/parse", blobIds=blobs))["notFound"] == blobs[:2]
        copied = await ben.call("Blob/copy", accountId="A2", fromAccountId="A1", blobIds=blobs)
        assert set(copied["copied"]) == {blobs[2]} and set(copied["notCopied"]) == set(blobs[:2])
        assert (await ben.call("Quota/get", ids=None))["list"], "who may add hears how much room there is"
        await ben.share("Archive", "l")
        assert (await ben.call("Quota/get", ids=None))["list"] == []
        await ben.share("Tours", "l")
        assert (await ben.call("Blob/get", ids=blobs, properties=["size"]))["notFound"] == blobs, "at once"


async def test_a_message_in_several_mailboxes_shows_the_ones_that_may_be_read(tmp_path: Path) -> None:
    async with ben_beside_ann(tmp_path) as ben:
        tours = await ben.share("Tours", "lr")
        one = await ben.add("Tours", "plan")
        private = await ben.client.mailbox_id("Private")
        await ben.client.call("Email/set", update={one: {f"mailboxIds/{private}": True}})
        mailbox = await ben.client.store.open(ANN, "Private")
        await mailbox.set_flags(mailbox.uids, Mode.ADD, ("\\Seen", "secret"))
        mailbox.close()
        (got,) = (await ben.call("Email/get", ids=[one], properties=["mailboxIds", "keywords"]))["list"]
        assert got == {"id": one, "mailboxIds": {tours: True}, "keywords": {}}
        assert (await ben.mailboxes())["Tours"]["unreadEmails"] == 1
        assert (await ben.call("Email/query", filter={"hasKeyword": "secret"}))["ids"] == []
        (whole,) = (await ben.client.call("Email/get", ids=[one], properties=["mailboxIds", "keywords"]))["list"]
        assert set(whole["mailboxIds"]) == {tours, private} and set(whole["keywords"]) == {"$seen", "secret"}


async def test_each_change_needs_its_right(tmp_path: Path) -> None:
    async with ben_beside_ann(tmp_path) as ben:
        tours = await ben.share("Tours", "lr")
        one = await ben.add("Tours", "plan")
        assert await ben.error("Email/set", update={one: {"keywords/$seen": True}}) == "accountReadOnly"
        archive = await ben.share("Archive", "l")
        cases: tuple[tuple[str, str, dict[str, Any]], ...] = (
            ("lrw", "lrs", {"update": {one: {"keywords/$seen": True}}}),
            ("lrs", "lrw", {"update": {one: {"keywords/$flagged": True}}}),
            ("lrswt", "lri", {"create": {"n": {"mailboxIds": {tours: True}, "subject": "new"}}}),
            ("lri", "lriw", {"create": {"n": {"mailboxIds": {tours: True}, "keywords": {"$draft": True}, "subject": "new"}}}),
            ("lrte", "lrtei", {"update": {one: {f"mailboxIds/{archive}": True}}}),
            ("lrswi", "lrte", {"destroy": [one]}),
        )
        for lacks, has, arguments in cases:
            if "mailboxIds" in str(arguments.get("update")):
                await ben.share("Archive", "l" if has == "lrtei" else "li")
            await ben.share("Tours", lacks)
            refused = await ben.call("Email/set", **arguments)
            member = {"update": "notUpdated", "create": "notCreated", "destroy": "notDestroyed"}[next(iter(arguments))]
            assert [error["type"] for error in refused[member].values()] == ["forbidden"], arguments
            if has == "lrtei":
                await ben.share("Archive", "li")
            await ben.share("Tours", has)
            done = await ben.call("Email/set", **arguments)
            assert done[member] is None, done
        assert (await ben.call("Email/get", ids=[one]))["notFound"] == [one]
        (left,) = (await ben.client.call("Email/get", ids=[one], properties=["mailboxIds", "keywords"]))["list"]
        assert left["mailboxIds"] == {archive: True} and left["keywords"] == {}, "where Ben put it, with what may be set there"


async def test_mailboxes_are_made_renamed_and_destroyed_as_rights_allow(tmp_path: Path) -> None:
    async with ben_beside_ann(tmp_path) as ben:
        await ben.ann.create("Tours/2024")
        year = await ben.share("Tours/2024", "lr")
        assert set(await ben.mailboxes()) == {"Tours/2024"}, "below the nearest mailbox in sight, none"
        tours = await ben.share("Tours", "lr")
        names = await ben.mailboxes()
        assert names["2024"]["parentId"] == tours and names["Tours"]["parentId"] is None

        async def refused(member: str, **arguments: Any) -> str:
            found = await ben.call("Mailbox/set", **arguments)
            return str(next(iter(found[member].values()))["type"])

        assert await refused("notCreated", create={"n": {"name": "Top"}}) == "forbidden"
        assert await refused("notCreated", create={"n": {"name": "May", "parentId": year}}) == "forbidden"
        assert await refused("notUpdated", update={year: {"name": "2025"}}) == "forbidden"
        assert await refused("notDestroyed", destroy=[year]) == "forbidden"
        assert (await ben.call("Mailbox/set", update={year: {"isSubscribed": False}}))["updated"] == {year: None}
        assert (await ben.mailboxes())["2024"]["isSubscribed"] is False
        assert {one["isSubscribed"] for one in (await ben.client.call("Mailbox/get", ids=[year]))["list"]} == {False}, "Ann's own"
        await ben.share("Tours/2024", "lrkx")
        await ben.share("Tours", "lrk")
        made = (await ben.call("Mailbox/set", create={"n": {"name": "May", "parentId": year, "isSubscribed": None}}))["created"]["n"]
        may = (await ben.mailboxes())["May"]
        assert made["myRights"]["mayDelete"] and may["parentId"] == year and may["isSubscribed"]
        assert (await ben.call("Mailbox/set", update={year: {"name": "2025"}}))["notUpdated"] is None
        assert "Tours/2025/May" in [info.name for info in await ben.client.store.list(ANN)]
        private = await ben.client.mailbox_id("Private")
        assert await refused("notUpdated", update={private: {"name": "Mine"}}) == "notFound"
        assert await refused("notDestroyed", destroy=[year]) == "mailboxHasChild"
        assert (await ben.call("Mailbox/set", destroy=[year, made["id"]]))["notDestroyed"] is None


async def test_states_follow_rights(tmp_path: Path) -> None:
    async with ben_beside_ann(tmp_path) as ben:
        await ben.share("Tours", "lr")
        trash = await ben.share("Trash", "lr")
        one = await ben.add("Trash", "plan")
        state, emails = (await ben.call("Mailbox/get", ids=[]))["state"], (await ben.call("Email/get", ids=[]))["state"]
        query = await ben.call("Email/query")
        await ben.add("Private", "secret")
        assert (await ben.call("Email/get", ids=[]))["state"] == emails == state, "not Ben's concern"
        await ben.share("Trash", "")
        changes = await ben.call("Mailbox/changes", sinceState=state)
        assert (changes["created"], changes["destroyed"]) == ([], [trash]) and changes["newState"] != state
        for name in ("Email", "Thread"):
            assert await ben.error(f"{name}/changes", sinceState=emails) == "cannotCalculateChanges"
        assert await ben.error("Email/queryChanges", sinceQueryState=query["queryState"]) == "cannotCalculateChanges"
        assert query["ids"] == [one] and (await ben.call("Email/query"))["ids"] == []
        await ben.share("Trash", "lr")
        back = await ben.call("Mailbox/changes", sinceState=changes["newState"])
        assert back["created"] == [trash] and (await ben.call("Email/query"))["ids"] == [one]
        state = back["newState"]
        two = await ben.add("Tours", "plan 2")
        assert (await ben.call("Email/changes", sinceState=state))["created"] == [two]
        assert (await ben.call("Thread/changes", sinceState=state))["created"] == [f"T{two[1:]}"]


async def test_messages_are_copied_between_accounts(tmp_path: Path) -> None:
    """RFC 8620 §5.4: into the other account with its rights, and destroyed in the first where that may be."""
    async with ben_beside_ann(tmp_path) as ben:
        tours = await ben.share("Tours", "lri")
        (inbox,) = [one["id"] for one in (await ben.call("Mailbox/get", accountId="A2", ids=None))["list"] if one["role"] == "inbox"]
        one = await ben.add("Tours", "plan", flags=("\\Seen", "blue"))
        copied, destroyed = await ben.request(
            ["Email/copy", {"fromAccountId": "A1", "accountId": "A2", "onSuccessDestroyOriginal": True,
                            "create": {"c": {"id": one, "mailboxIds": {inbox: True}}}}, "c"],
        )  # fmt: skip
        mine = copied[1]["created"]["c"]["id"]
        assert destroyed[1]["notDestroyed"][one]["type"] == "forbidden"
        (got,) = (await ben.call("Email/get", accountId="A2", ids=[mine], properties=["keywords"]))["list"]
        assert set(got["keywords"]) == {"$seen", "blue"}
        back = {"fromAccountId": "A2", "create": {"b": {"id": mine, "mailboxIds": {tours: True}, "keywords": {"$flagged": True}}}}
        refused = await ben.call("Email/copy", **back)
        assert refused["notCreated"]["b"]["type"] == "forbidden"
        del back["create"]["b"]["keywords"]  # type: ignore[attr-defined]
        made = (await ben.call("Email/copy", **back))["created"]["b"]["id"]
        (got,) = (await ben.call("Email/get", ids=[made], properties=["keywords"]))["list"]
        assert got["keywords"] == {}, "as far as they may be set there"
        private = await ben.client.mailbox_id("Private")
        back["create"]["b"]["mailboxIds"] = {private: True}  # type: ignore[index]
        assert (await ben.call("Email/copy", **back))["notCreated"]["b"]["type"] == "notFound"


async def test_an_upload_is_its_senders(tmp_path: Path) -> None:
    async with ben_beside_ann(tmp_path) as ben:
        tours = await ben.share("Tours", "lri")
        await ben.share("Archive", "lri")
        text = "Subject: hello\r\n\r\nx\r\n"
        made = await ben.call("Blob/upload", create={"u": {"data": [{"data:asText": text}]}})
        blob = made["created"]["u"]["id"]
        assert (await ben.client.call("Blob/get", ids=[blob]))["notFound"] == [blob], "not the owner's"
        found = await ben.call("Email/import", emails={"i": {"blobId": blob, "mailboxIds": {tours: True}}})
        (got,) = (await ben.client.call("Email/get", ids=[found["created"]["i"]["id"]], properties=["subject"]))["list"]
        assert got["subject"] == "hello"


async def test_states_are_pushed_to_whoever_sees_the_mailbox(tmp_path: Path) -> None:
    async with ben_beside_ann(tmp_path) as ben:
        await ben.share("Tours", "lr")
        states = PushStates(ben.client.store, None)

        async def now() -> tuple[Any, Any]:
            found, touched = await states.read(ben.client.caller(BEN).accounts)
            return found, touched

        before, touched = await now()
        assert set(before) == {"A1", "A2"} and await ben.client.mailbox("Tours") in touched
        assert await ben.client.mailbox("Private") not in touched
        await ben.add("Private", "secret")
        assert (await now())[0] == before
        await ben.add("Tours", "plan")
        after = (await now())[0]
        assert after["A2"] == before["A2"] and after["A1"]["Email"] == (await ben.call("Email/get", ids=[]))["state"]
        assert {name for name, state in before["A1"].items() if after["A1"][name] == state} == {"Quota"}, "not without the right i"
        watch = StateWatch(states, ben.client.store, BEN, lambda: ben.client.caller(BEN).accounts, {"Email"})
        await watch.begin()
        await ben.share("Tours", "")
        assert set((await now())[0]) == {"A2"}
        with trio.fail_after(20):
            assert await watch.next() == {"A1": {"Email": ""}}, "told once, so that Ben's client looks"
        await ben.share("Tours", "lr")
        with trio.fail_after(20):
            assert list(await watch.next()) == ["A1"]
        watch.close()


async def test_changes_of_two_accounts_are_told_together(tmp_path: Path) -> None:
    """RFC 8620 §7.1.1, without its calendars, and with each type its account's one state of mail has (`push_states`)."""
    async with ben_beside_ann(tmp_path) as ben:
        await ben.share("Tours", "lr")
        watch = StateWatch(
            PushStates(ben.client.store, None), ben.client.store, BEN, lambda: ben.client.caller(BEN).accounts,
            {"Email", "EmailDelivery", "CalendarEvent"},
        )  # fmt: skip
        await watch.begin()
        await ben.add("Tours", "plan")
        await ben.client.store.create(BEN, "New")
        with trio.fail_after(20):
            told = state_change(await watch.next())
        watch.close()
        assert told.keys() == {"@type", "changed"} and told["@type"] == "StateChange"
        assert told["changed"]["A1"].keys() == {"Email", "EmailDelivery"}
        assert told["changed"]["A1"]["Email"] == (await ben.call("Email/get", ids=[]))["state"]
        assert told["changed"]["A2"]["Email"] == (await ben.call("Email/get", accountId="A2", ids=[]))["state"]
