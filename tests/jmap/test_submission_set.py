"""EmailSubmission/set: sending, undoing, forgetting, and what each refusal is called (RFC 8621 §7.5)."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from appliance.delivery.submission import SubmissionRules
from appliance.mail.errors import StoreError, Trouble
from appliance.queue.queue import Queue
from tests.queue.test_queue import LATER, NEVER, SENT

from .sending import ANN, BEN, DRAFT, SendingServer, a_sending_server

FAR = {"mailFrom": {"email": "ann@home.test"}, "rcptTo": [{"email": "bob@far.example"}]}


def held(seconds: int) -> dict[str, Any]:
    return {**FAR, "mailFrom": {"email": "ann@home.test", "parameters": {"holdFor": str(seconds)}}}


async def refused(server: SendingServer, email: str, **members: Any) -> dict[str, Any]:
    error: dict[str, Any] = (await server.send(email, **members))["notCreated"]["s"]
    return error


async def cancel(server: SendingServer, one: str) -> Any:
    return await server.call("EmailSubmission/set", update={one: {"undoStatus": "canceled"}})


async def test_the_example_of_the_rfc(tmp_path: Path) -> None:
    """RFC 8621 §7.5.1: the draft is sent, then moved to Sent, in two responses with one call id."""
    async with a_sending_server(tmp_path) as server:
        email, identity = await server.draft(), await server.identity()
        drafts, sent = [f"F{(await server.store.find(ANN, name)).id}" for name in ("Drafts", "Sent")]
        first, second = await server.request(
            ["EmailSubmission/set", {
                "accountId": "A1",
                "create": {"k1490": {"identityId": identity, "emailId": email, "envelope": {
                    "mailFrom": {"email": "ann@home.test", "parameters": None},
                    "rcptTo": [{"email": "bob@far.example", "parameters": None}],
                }}},
                "onSuccessUpdateEmail": {"#k1490": {f"mailboxIds/{drafts}": None, f"mailboxIds/{sent}": True, "keywords/$draft": None}},
            }, "0"]
        )  # fmt: skip
        assert [first[0], first[2], second[0], second[2]] == ["EmailSubmission/set", "0", "Email/set", "0"]
        assert second[1]["updated"] == {email: None} and first[1]["newState"] != first[1]["oldState"]
        (one,) = (await server.call("EmailSubmission/get"))["list"]
        assert one["id"] == first[1]["created"]["k1490"]["id"] and one["undoStatus"] == "pending" and one["emailId"] == email
        assert one["deliveryStatus"]["bob@far.example"]["delivered"] == "queued"
        (found,) = (await server.call("Email/get", ids=[email], properties=["mailboxIds", "keywords"]))["list"]
        assert found["mailboxIds"] == {sent: True} and "$draft" not in found["keywords"]


async def test_without_an_envelope_it_is_made_from_the_header_and_bcc_is_removed(tmp_path: Path) -> None:
    async with a_sending_server(tmp_path) as server:
        made = (await server.send(await server.draft()))["created"]["s"]
        assert made["envelope"]["mailFrom"]["email"] == "ann@home.test"
        assert [one["email"] for one in made["envelope"]["rcptTo"]] == ["bob@far.example", "ben@home.test"]
        (entry,) = await server.queued()
        octets, (inside,) = await server.octets_of(entry), await server.read(BEN)
        assert b"Bcc" not in octets and b"Bcc" not in inside and b"Subject: hello" in octets
        assert octets.startswith(b"Received: by mail.home.test (JMAP)\r\n") and b"Message-ID: <" in octets and b"\r\nDate: " in octets
        assert entry.author == "home.test" and entry.account == ANN and str(entry.origin) == "ann@home.test"
        one = await server.submission(made["id"])
        assert one["undoStatus"] == "final" and one["deliveryStatus"]["ben@home.test"]["delivered"] == "yes"


async def test_delivery_status_follows_the_queue(tmp_path: Path) -> None:
    async with a_sending_server(tmp_path) as server:
        envelope = {**FAR, "rcptTo": [{"email": "bob@far.example"}, {"email": "eve@far.example"}]}
        one = (await server.send(await server.draft(), envelope=envelope))["created"]["s"]["id"]
        states = [(await server.call("EmailSubmission/get", ids=[]))["state"]]
        await server.attempt((await server.queued())[0], LATER, LATER)
        found = await server.submission(one)
        assert found["undoStatus"] == "pending" and found["deliveryStatus"]["eve@far.example"] == {
            "smtpReply": "450 4.2.0 greylisted", "delivered": "queued", "displayed": "unknown",
        }  # fmt: skip
        server.clock.mono += 1000
        await server.attempt((await server.queued())[0], SENT, NEVER)
        found = await server.submission(one)
        assert found["undoStatus"] == "final"
        bob, eve = found["deliveryStatus"]["bob@far.example"], found["deliveryStatus"]["eve@far.example"]
        assert bob["delivered"] == "unknown" and (eve["delivered"], eve["smtpReply"]) == ("no", "550 5.1.1 no such user")
        changes = await server.call("EmailSubmission/changes", sinceState=states[0])
        assert changes["updated"] == [one] and not changes["created"]
        assert (await cancel(server, one))["notUpdated"][one]["type"] == "cannotUnsend"


async def test_a_held_message_is_canceled_and_never_sent(tmp_path: Path) -> None:
    async with a_sending_server(tmp_path) as server:
        email = await server.draft()
        made = (await server.send(email, envelope=held(10)))["created"]["s"]
        assert made["undoStatus"] == "pending" and len(await server.read(ANN, "Outbox")) == 1 and not await server.queued()
        done = await server.call("EmailSubmission/set", update={made["id"]: {"undoStatus": "canceled"}})
        assert done["updated"] == {made["id"]: None}
        server.clock.mono += 20
        assert not await server.queued() and not await server.read(ANN, "Outbox")
        found = await server.submission(made["id"])
        assert found["undoStatus"] == "canceled" and found["deliveryStatus"]["bob@far.example"]["delivered"] == "no"
        again = await server.call("EmailSubmission/set", update={made["id"]: {"undoStatus": "canceled"}})
        assert again["updated"] == {made["id"]: None}
        assert (await server.call("Email/get", ids=[email], properties=["id"]))["list"]


async def test_a_whole_submission_is_a_patch_too(tmp_path: Path) -> None:
    """RFC 8620 §5.3: everything as it is, but for undoStatus."""
    async with a_sending_server(tmp_path) as server:
        one = (await server.send(await server.draft(), envelope=held(10)))["created"]["s"]["id"]
        whole = await server.submission(one)
        wrong = {**whole, "undoStatus": "canceled", "sendAt": "2018-07-10T01:05:08Z"}
        refused = (await server.call("EmailSubmission/set", update={one: wrong}))["notUpdated"][one]
        assert (refused["type"], refused["properties"]) == ("invalidProperties", ["sendAt"])
        assert (await server.submission(one))["undoStatus"] == "pending"
        done = await server.call("EmailSubmission/set", update={one: {**whole, "undoStatus": "canceled"}})
        assert done["updated"] == {one: None} and (await server.submission(one))["undoStatus"] == "canceled"


async def test_a_hold_for_an_account_here_is_delivered_later(tmp_path: Path) -> None:
    async with a_sending_server(tmp_path) as server:
        envelope = {**held(10), "rcptTo": [{"email": "both@home.test"}]}
        made = (await server.send(await server.draft(), envelope=envelope))["created"]["s"]
        one = await server.submission(made["id"])
        assert not await server.read(BEN) and one["deliveryStatus"]["both@home.test"]["delivered"] == "queued"
        assert not await server.queued(".")
        server.clock.mono += 11
        (entry,) = await server.queued(".")
        assert [str(one.recipient) for one in entry.waiting] == ["both@home.test"]


async def test_an_attempt_under_way_cannot_be_undone_and_none_starts_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_sending_server(tmp_path) as server:
        one = (await server.send(await server.draft(), envelope=FAR))["created"]["s"]["id"]
        (entry,) = await server.queued()
        server.queue.active.add(entry.id)  # as the runner does, before it sends
        refusal = (await cancel(server, one))["notUpdated"][one]
        assert refusal["type"] == "cannotUnsend" and (await server.submission(one))["undoStatus"] == "pending"
        server.queue.active.discard(entry.id)

        tried: list[Any] = []
        remove = Queue.remove

        def look(queue: Queue, transaction: Any, ids: Any) -> None:
            tried.append(trio.from_thread.run(server.queued, trio_token=token))  # the runner looks while the commit is open
            remove(queue, transaction, ids)

        token = trio.lowlevel.current_trio_token()
        monkeypatch.setattr(Queue, "remove", look)
        assert (await cancel(server, one))["updated"] == {one: None}
        assert tried == [[]] and not await server.queued()


async def test_a_row_read_before_it_was_withdrawn_is_not_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner's read began before the message was canceled and ends after it."""
    async with a_sending_server(tmp_path) as server:
        one = (await server.send(await server.draft(), envelope=FAR))["created"]["s"]["id"]
        read, began, go_on = server.database.read, trio.Event(), trio.Event()
        found: list[Any] = []

        async def slow(work: Any) -> Any:
            rows = await read(work)
            monkeypatch.setattr(server.database, "read", read)
            began.set()
            await go_on.wait()
            return rows

        async def runner() -> None:
            found.append(await server.queued())

        async with trio.open_nursery() as nursery:
            monkeypatch.setattr(server.database, "read", slow)
            nursery.start_soon(runner)
            await began.wait()
            assert (await cancel(server, one))["updated"] == {one: None}
            go_on.set()
        assert found == [[]]


async def test_expunging_from_the_outbox_cancels_the_submission(tmp_path: Path) -> None:
    async with a_sending_server(tmp_path) as server:
        one = (await server.send(await server.draft(), envelope=held(600)))["created"]["s"]["id"]
        (shown,) = (await server.call("Email/query", filter={"inMailbox": f"F{(await server.store.find(ANN, 'Outbox')).id}"}))["ids"]
        await server.call("Email/set", destroy=[shown])
        assert (await server.submission(one))["undoStatus"] == "canceled"


def hold(**parameters: str) -> dict[str, Any]:
    return {**FAR, "mailFrom": {"email": "ann@home.test", "parameters": parameters}}


REFUSED: tuple[tuple[Any, str], ...] = (
    ({**FAR, "mailFrom": {"email": "ben@home.test"}}, "forbiddenMailFrom"),
    ({**FAR, "rcptTo": []}, "noRecipients"),
    ({**FAR, "rcptTo": [{"email": "nobody@home.test"}]}, "invalidRecipients"),
    ({**FAR, "rcptTo": [{"email": "x@blocked.example"}]}, "invalidRecipients"),
    ({**FAR, "rcptTo": [{"email": "no address"}]}, "invalidRecipients"),
    ({**FAR, "rcptTo": [{"email": f"a{n}@far.example"} for n in range(6)]}, "tooManyRecipients"),
    ({**FAR, "rcptTo": [{"email": "bob@far.example", "parameters": {"X": None}}]}, "invalidProperties"),
    (hold(HOLDFOR="5", HOLDUNTIL="2030-01-01T00:00:00Z"), "invalidProperties"),
    (hold(HOLDFOR="99999999"), "invalidProperties"),
    ({"rcptTo": [{"email": "bob@far.example"}]}, "invalidProperties"),
    ("x", "invalidProperties"),
)


async def test_envelopes_that_are_refused(tmp_path: Path) -> None:
    async with a_sending_server(tmp_path, rules=SubmissionRules("mail.home.test", recipients=5)) as server:
        email = await server.draft()
        for envelope, kind in REFUSED:
            error = await refused(server, email, envelope=envelope)
            assert error["type"] == kind, envelope
            assert {"tooManyRecipients": "maxRecipients", "invalidRecipients": "invalidRecipients"}.get(kind, "type") in error
        assert not (await server.call("EmailSubmission/get"))["list"] and not await server.queued()
        server.clock.is_trusted = False
        assert (await refused(server, email, envelope=held(10)))["type"] == "invalidProperties"
        ((name, error, _),) = await server.request(["EmailSubmission/get", {"accountId": "A2"}, "c"])
        assert (name, error["type"]) == ("error", "accountNotFound")


async def test_messages_that_are_refused(tmp_path: Path) -> None:
    rules = SubmissionRules("mail.home.test", message_octets=5000)
    async with a_sending_server(tmp_path, quota=2, rules=rules) as server:
        others = DRAFT.replace(b"ann@home.test", b"ben@home.test")
        assert (await refused(server, await server.draft(others), envelope=FAR))["type"] == "forbiddenFrom"
        two = DRAFT.replace(b"Ann <ann@home.test>", b"ann@home.test, info@home.test")
        assert (await refused(server, await server.draft(two)))["type"] == "invalidEmail"
        assert (await refused(server, await server.draft(b"Subject: x\r\n\r\n"), envelope=FAR))["type"] == "invalidEmail"
        large = await refused(server, await server.draft(DRAFT + b"x" * 6000), envelope=FAR)
        assert large["type"] == "tooLarge" and large["maxSize"] == 5000
        email = await server.draft()
        wrong = await refused(server, "M999", envelope=FAR)
        assert wrong["type"] == "invalidProperties" and wrong["properties"] == ["emailId"]
        assert "created" in await server.send(email, envelope={**FAR, "rcptTo": [{"email": "a@b.example"}, {"email": "c@b.example"}]})
        again = await server.send(email, envelope=FAR)
        error = again["notCreated"]["s"]  # RFC 8621 §7.5.1, but for its German: descriptions of errors are in English
        assert error["type"] == "forbiddenToSend" and error["description"] and again["created"] is None
        assert again["oldState"] == again["newState"]


async def test_parameters_reach_the_queue(tmp_path: Path) -> None:
    async with a_sending_server(tmp_path) as server:
        mail = {"RET": "HDRS", "ENVID": "a+b c", "REQUIRETLS": None, "SIZE": "100"}
        rcpt = {"NOTIFY": "SUCCESS,FAILURE", "ORCPT": "rfc822;bob@far.example"}
        envelope = {
            "mailFrom": {"email": "info@home.test", "parameters": mail}, "rcptTo": [{"email": "bob@far.example", "parameters": rcpt}],
        }  # fmt: skip
        assert (await server.send(await server.draft(), envelope=envelope))["created"]
        (entry,) = await server.queued()
        assert (entry.options.ret, entry.options.envid, entry.options.require_tls) == ("HDRS", "a+b c", True)
        options = entry.waiting[0].recipient.options
        assert options.notify == {"SUCCESS", "FAILURE"} and options.orcpt == "rfc822;bob@far.example"
        assert str(entry.sender) == "info@home.test"


async def test_destroying_forgets_and_sends_all_the_same(tmp_path: Path) -> None:
    async with a_sending_server(tmp_path) as server:
        email = await server.draft()
        one = (await server.send(email, envelope=FAR))["created"]["s"]["id"]
        first, second = await server.request(
            ["EmailSubmission/set", {"accountId": "A1", "destroy": [one], "onSuccessDestroyEmail": [one]}, "c"]
        )
        assert first[1]["destroyed"] == [one] and second[1]["destroyed"] == [email]
        assert not (await server.call("EmailSubmission/get"))["list"] and len(await server.queued()) == 1
        (entry,) = await server.queued()
        await server.attempt(entry, replace(SENT))
        assert (await server.call("EmailSubmission/set", destroy=[one]))["notDestroyed"][one]["type"] == "notFound"


async def test_nothing_is_kept_of_a_submission_whose_commit_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_sending_server(tmp_path) as server:
        email = await server.draft()

        def fail(*_: object) -> None:
            raise RuntimeError("the storage is on fire")

        monkeypatch.setattr("appliance.jmap.submission_set.add_submission", fail)
        await server.service.api(b'{"using": [], "methodCalls": []}', ANN)
        with pytest.raises(AssertionError, match="on fire"):
            await server.send(email, envelope=FAR)
        assert not await server.queued() and not await server.read(BEN)


async def test_a_commit_that_fails_counts_nothing_against_the_send_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise StoreError(Trouble.FULL)

    async with a_sending_server(tmp_path, quota=1) as server:
        email, identity = await server.draft(), await server.identity()
        create = {"s": {"identityId": identity, "emailId": email, "envelope": FAR}}
        with monkeypatch.context() as patch:
            patch.setattr("appliance.jmap.submission_set.add_submission", full)
            for _ in range(3):
                ((name, response, _id),) = await server.request(["EmailSubmission/set", {"accountId": "A1", "create": create}, "c"])
                assert name == "error" or response["notCreated"]["s"]["type"] != "forbiddenToSend", response
        assert not await server.queued()
        assert "created" in await server.send(email, envelope=FAR)
        assert (await refused(server, email, envelope=FAR))["type"] == "forbiddenToSend"
