"""EmailSubmission/query and queryChanges (RFC 8621 §7.3, §7.4), and what is kept of submissions."""

from pathlib import Path

import pytest

from appliance.jmap.ids import encode_id
from appliance.queue import submissions
from appliance.store import object_changes

from .sending import SendingServer, a_sending_server

FAR = {"mailFrom": {"email": "ann@home.test"}, "rcptTo": [{"email": "bob@far.example"}]}


async def sent(server: SendingServer, email: str, seconds: int = 0) -> str:
    parameters = {"HOLDFOR": str(seconds)} if seconds else None
    envelope = {**FAR, "mailFrom": {"email": "ann@home.test", "parameters": parameters}}
    return str((await server.send(email, envelope=envelope))["created"]["s"]["id"])


async def test_filters_sorts_and_changes(tmp_path: Path) -> None:
    async with a_sending_server(tmp_path) as server:
        first, second = await server.draft(), await server.draft()
        a, b, c = await sent(server, second, 600), await sent(server, first), await sent(server, first, 60)
        query, identity = "EmailSubmission/query", await server.identity()
        found = await server.call(query, sort=[{"property": "sentAt"}], calculateTotal=True)
        assert (found["ids"], found["total"], found["canCalculateChanges"]) == ([b, c, a], 3, True)
        assert (await server.call(query, sort=[{"property": "emailId", "isAscending": False}], limit=2))["ids"] == [a, b]
        at = (await server.submission(c))["sendAt"]
        for condition, ids in (
            ({"emailIds": [first]}, [b, c]), ({"identityIds": [identity]}, [a, b, c]), ({"identityIds": []}, []),
            ({"before": at}, [b]), ({"after": at}, [a, c]), ({"undoStatus": "canceled"}, []),
            ({"operator": "NOT", "conditions": [{"emailIds": [first]}, {"before": at}]}, [a]),
        ):  # fmt: skip
            assert (await server.call(query, filter=condition))["ids"] == ids, condition
        assert await server.error(query, filter={"x": 1}) == "unsupportedFilter"
        pending = {"filter": {"undoStatus": "pending"}, "sort": [{"property": "sendAt"}]}
        before = await server.call(query, **pending)
        await server.call("EmailSubmission/set", update={c: {"undoStatus": "canceled"}}, destroy=[b])
        d = await sent(server, first, 5)
        changes = await server.call("EmailSubmission/queryChanges", sinceQueryState=before["queryState"], **pending)
        assert sorted(changes["removed"]) == sorted([b, c]) and changes["added"] == [{"id": d, "index": 0}]
        assert (await server.call(query, **pending))["ids"] == [d, a]
        assert (
            await server.error("EmailSubmission/queryChanges", sinceQueryState=before["queryState"], maxChanges=1, **pending)
            == "tooManyChanges"
        )


async def test_what_is_kept_is_bounded_and_pending_ones_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submissions, "KEPT", 3)
    monkeypatch.setattr(object_changes, "DESTROYED_KEPT", 1)
    async with a_sending_server(tmp_path) as server:
        email = await server.draft()
        state = (await server.call("EmailSubmission/get"))["state"]
        held = await sent(server, email, 600)
        local = {**FAR, "rcptTo": [{"email": "ben@home.test"}]}
        made = [(await server.send(email, envelope=local))["created"]["s"]["id"] for _ in range(5)]
        kept = [one["id"] for one in (await server.call("EmailSubmission/get"))["list"]]
        assert kept == [held, *made[-3:]]
        assert await server.error("EmailSubmission/changes", sinceState=state) == "cannotCalculateChanges"
        last = (await server.call("EmailSubmission/get"))["state"]
        assert (await server.call("EmailSubmission/changes", sinceState=last))["created"] == []
        assert encode_id("S", 1) == held
