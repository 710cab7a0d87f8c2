"""Identity: the addresses of the account by themselves, those that were made, and their changes (RFC 8621 §6)."""

from pathlib import Path
from typing import Any

from .sending import SendingServer, a_sending_server


async def known(server: SendingServer) -> dict[str, Any]:
    return {one["id"]: one for one in (await server.call("Identity/get"))["list"]}


async def test_every_address_is_an_identity_that_can_be_changed_and_not_destroyed(tmp_path: Path) -> None:
    async with a_sending_server(tmp_path) as server:
        before = await server.call("Identity/get")
        assert [one["email"] for one in before["list"]] == ["ann@home.test", "both@home.test", "info@home.test"]
        assert not any(one["mayDelete"] for one in before["list"]) and before["list"][0]["replyTo"] is None
        me = before["list"][0]["id"]
        change = {"name": "Joe Bloggs", "bcc": [{"name": None, "email": "joe+archive@home.test"}], "textSignature": "-- \nJoe"}
        done = await server.call("Identity/set", update={me: change})
        assert done["updated"] == {me: None} and done["oldState"] == before["state"]
        assert {name: (await known(server))[me][name] for name in change} == change and next(iter(await known(server))) == me
        await server.call("Identity/set", update={me: {"name": "Joe", "email": "ann@home.test"}})
        changes = await server.call("Identity/changes", sinceState=before["state"])
        assert (changes["updated"], changes["created"], changes["hasMoreChanges"]) == ([me], [], False)
        refused = await server.call("Identity/set", update={me: {"email": "x@home.test"}}, destroy=[me, "I99"])
        assert refused["notUpdated"][me]["type"] == "invalidProperties"
        assert [refused["notDestroyed"][one]["type"] for one in (me, "I99")] == ["forbidden", "notFound"]


async def test_more_can_be_made_for_addresses_of_the_account_only(tmp_path: Path) -> None:
    async with a_sending_server(tmp_path) as server:
        state = (await server.call("Identity/get"))["state"]
        new = {"email": "info+shop@home.test", "name": "Shop", "htmlSignature": "<b>Shop</b>"}
        done = await server.call(
            "Identity/set", create={"a": new, "b": {"email": "ben@home.test"}, "c": {"name": "x"}, "d": {**new, "bcc": "x"}}
        )
        made = done["created"]["a"]
        assert made["mayDelete"] and made["replyTo"] is None and (await known(server))[made["id"]]["name"] == "Shop"
        assert {name: error["type"] for name, error in done["notCreated"].items()} == {
            "b": "forbiddenFrom", "c": "invalidProperties", "d": "invalidProperties",
        }  # fmt: skip
        assert (await server.call("Identity/changes", sinceState=state))["created"] == [made["id"]]
        middle = done["newState"]
        assert (await server.call("Identity/set", destroy=[made["id"]]))["destroyed"] == [made["id"]]
        assert (await server.call("Identity/changes", sinceState=middle))["destroyed"] == [made["id"]]
        nothing = await server.call("Identity/changes", sinceState=state)
        assert not (nothing["created"] or nothing["updated"] or nothing["destroyed"])
        large = await server.call("Identity/set", create={"a": {**new, "textSignature": "x" * 200_000}})
        assert large["notCreated"]["a"]["type"] == "tooLarge"
        await server.add_alias("shop@home.test", "ann@home.test")
        assert await server.error("Identity/changes", sinceState=state) == "cannotCalculateChanges"
        assert "shop@home.test" in [one["email"] for one in (await known(server)).values()]


async def test_what_no_message_could_have_is_refused(tmp_path: Path) -> None:
    async with a_sending_server(tmp_path) as server:
        me = next(iter(await known(server)))
        for name, value in (
            ("name", "a\tb"), ("name", "a\r\nBcc: x@x.example"), ("name", 7), ("bcc", [{"email": "nobody"}]),
            ("replyTo", [{"email": "a@x.example\n"}]), ("replyTo", [{"name": "a\0", "email": "a@x.example"}]),
        ):  # fmt: skip
            refused = (await server.call("Identity/set", update={me: {name: value}}))["notUpdated"][me]
            assert (refused["type"], refused["properties"]) == ("invalidProperties", [name])


async def test_the_example_of_rfc_8621_section_6_4(tmp_path: Path) -> None:
    """The second one has an address and not `*@`: an account sends from its own addresses, never from a whole domain."""
    joe = {
        "name": "Joe Bloggs", "replyTo": None, "bcc": [{"name": None, "email": "joe+archive@example.com"}],
        "textSignature": "-- \nJoe Bloggs\nMaster of Email", "htmlSignature": "<div><b>Joe Bloggs</b></div><div>Master of Email</div>",
    }  # fmt: skip
    async with a_sending_server(tmp_path) as server:
        me = await server.identity()
        done = await server.call("Identity/set", update={me: joe}, create={"b": {"name": "Joe B", "email": "info@home.test"}})
        other = done["created"]["b"]["id"]
        ((name, got, call),) = await server.request(["Identity/get", {"accountId": "A1"}, "0"])
        assert (name, call, got["accountId"], got["state"], got["notFound"]) == ("Identity/get", "0", "A1", done["newState"], [])
        found = {one["id"]: one for one in got["list"]}
        assert found[me] == {"id": me, "email": "ann@home.test", **joe, "mayDelete": False}
        assert found[other] == {
            "id": other, "name": "Joe B", "email": "info@home.test", "replyTo": None, "bcc": None, "textSignature": "",
            "htmlSignature": "", "mayDelete": True,
        }  # fmt: skip
        refused = await server.call("Identity/set", create={"d": {"name": "Joe B", "email": "*@home.test"}})
        assert refused["notCreated"]["d"]["type"] == "forbiddenFrom"
