"""Push subscriptions as a client makes them, and what arrives at a push service of the test's own (RFC 8620 §7.2, RFC 8030, RFC 9749)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from appliance.accounts import push_subscriptions
from appliance.accounts.push_subscriptions import Credentials
from appliance.certificates.contents import wanted
from appliance.jmap import push_sender
from appliance.mail.ids import AccountId
from appliance.store.values import Mode
from tests.support.certificates import TestCertificates, make_certificates
from tests.support.push_receiver import Receiver, checked_token
from tests.support.push_service import Posted, PushService, a_push_service

from .pushing import PHONE, SESSION, PushingServer, a_pushing_server
from .sending import ANN, BEN


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> TestCertificates:
    return make_certificates(tmp_path_factory.mktemp("push"), wanted("box", ["push.example", "slow.example"], []))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("PAUSE_S", "RETRY_S", "RETRY_MOST_S"):
        monkeypatch.setattr(push_sender, name, 0.01)
    yield


def read(posted: Posted, receiver: Receiver | None = None) -> Any:
    return json.loads(receiver.decrypt(posted.body) if receiver is not None else posted.body)


async def verified(server: PushingServer, service: PushService, receiver: Receiver | None = None, **members: Any) -> str:
    """The id of a subscription whose code was given back, and which was told the states as they are."""
    before = len(service.posted)
    number = (await server.create(receiver=receiver, **members))["id"]
    told = read((await service.wait(before + 1))[before], receiver)
    assert told.keys() == {"@type", "pushSubscriptionId", "verificationCode"} and told["@type"] == "PushVerification"
    assert told["pushSubscriptionId"] == number
    assert await server.verify(number, told["verificationCode"], members.get("credentials", PHONE)) is None
    assert read((await service.wait(before + 2))[before + 1], receiver)["@type"] == "StateChange"
    return str(number)


async def test_a_subscription_is_verified_and_then_told_what_changed(tmp_path: Path, certificates: TestCertificates) -> None:
    receiver = Receiver()
    async with a_push_service(certificates.server) as service, a_pushing_server(tmp_path, certificates, {"push.example": service}) as one:
        made = await one.create(receiver=receiver)
        assert made.keys() == {"id", "verificationCode", "types", "expires"} and made["expires"].endswith("Z")
        (posted,) = await service.wait(1)
        told = read(posted, receiver)
        await one.server.draft()
        assert (await one.verify(made["id"], "x" * 32))["type"] == "invalidProperties"
        assert await one.verify(made["id"], told["verificationCode"]) is None
        _, begin = await service.wait(2)
        assert read(begin, receiver)["changed"]["A1"].keys() >= {"Mailbox", "Thread", "Email", "EmailDelivery", "EmailSubmission"}
        await one.server.draft()
        _, _, changed = await service.wait(3)
        states = read(changed, receiver)
        assert states["changed"]["A1"].keys() == {"Mailbox", "Thread", "Email", "EmailDelivery", "Quota"}
        assert states["@type"] == "StateChange" and list(states["changed"]) == ["A1"]
        get = await one.service.api(
            json.dumps({"using": ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"],
                        "methodCalls": [["Email/get", {"accountId": "A1", "ids": []}, "c"]]}).encode(), ANN,
        )  # fmt: skip
        assert states["changed"]["A1"]["Email"] == get["methodResponses"][0][1]["state"]
        public = (await one.key_file.key()).public
        session = await one.service.session(ANN, "https://mail.home.test")
        assert session["capabilities"]["urn:ietf:params:jmap:webpush-vapid"] == {"applicationServerKey": public}
        assert "urn:ietf:params:jmap:webpush-vapid" not in session["accounts"]["A1"]["accountCapabilities"]
        for one_post in service.posted:
            assert one_post.target == "/a?b=1" and one_post.fields["host"] == "push.example" and int(one_post.fields["ttl"]) > 0
            assert (one_post.fields["content-type"], one_post.fields["content-encoding"]) == ("application/json", "aes128gcm")
            claims = checked_token(one_post.fields["authorization"], public)
            now = one.server.clock.wall_s()
            assert claims["aud"] == "https://push.example" and now < claims["exp"] <= now + 86_400 and claims["sub"].startswith("mailto:")
        assert [one_post.fields["urgency"] for one_post in service.posted] == ["high", "normal", "normal"]
        assert set(one.resolved) == {"push.example"}


async def test_what_changed_while_a_push_service_refused_is_told_together(tmp_path: Path, certificates: TestCertificates) -> None:
    async with a_push_service(certificates.server) as service, a_pushing_server(tmp_path, certificates, {"push.example": service}) as one:
        await verified(one, service, types=["Email", "EmailSubmission", "Mailbox"])
        service.answer = "503 Busy\r\nRetry-After: soon"
        email = await one.server.draft()
        await service.wait(4)
        await one.server.send(email, envelope={"mailFrom": {"email": "ann@home.test"}, "rcptTo": [{"email": "bob@far.example"}]})
        service.answer = "201 Created"
        while "EmailSubmission" not in (told := read((await service.wait(len(service.posted) + 1))[-1])["changed"]["A1"]):
            pass
        assert told.keys() == {"Email", "EmailSubmission", "Mailbox"}
        assert one.logged == ["push.example did not take a push: status 503"], "once, and nothing of the URL but its host"


async def test_a_slow_push_service_holds_up_only_its_own(tmp_path: Path, certificates: TestCertificates) -> None:
    async with (
        a_push_service(certificates.server) as fast,
        a_push_service(certificates.server) as slow,
        a_pushing_server(tmp_path, certificates, {"push.example": fast, "slow.example": slow}) as one,
    ):
        await verified(one, slow, url="https://slow.example/", deviceClientId="tablet")
        await verified(one, fast)
        slow.answer = None
        for count in range(3, 6):
            await one.server.draft()
            await fast.wait(count)
        assert len(await slow.wait(3)) == 3


@pytest.mark.parametrize("answer", ["404 Not Found", "410 Gone"])
async def test_a_subscription_that_the_push_service_forgot_ends(tmp_path: Path, certificates: TestCertificates, answer: str) -> None:
    async with a_push_service(certificates.server) as service, a_pushing_server(tmp_path, certificates, {"push.example": service}) as one:
        await verified(one, service)
        service.answer = answer
        await one.server.draft()
        with trio.fail_after(10):
            while one.subscriptions.all():
                await one.subscriptions.changed()
        assert (await one.call("PushSubscription/get", ids=None))["list"] == []
        rows = await one.server.database.read(lambda reads: list(reads.execute("SELECT * FROM push_subscription")))
        assert not rows


@pytest.mark.parametrize("credentials", [PHONE, SESSION])
async def test_it_ends_with_the_credentials_it_was_made_with(
    tmp_path: Path, certificates: TestCertificates, credentials: Credentials
) -> None:
    async with a_push_service(certificates.server) as service, a_pushing_server(tmp_path, certificates, {"push.example": service}) as one:
        await verified(one, service, credentials=credentials)
        other = SESSION if credentials is PHONE else PHONE
        assert (await one.call("PushSubscription/get", credentials=other))["list"] == []
        one.live.discard((ANN, credentials))
        await one.server.draft()
        with trio.fail_after(10):
            while one.subscriptions.all():
                await one.subscriptions.changed()
        assert len(service.posted) == 2
        one.live.add((ANN, credentials))
        assert (await one.call("PushSubscription/get", credentials=credentials))["list"] == []


async def test_it_outlives_a_restart_and_nothing_is_written_by_a_push(
    tmp_path: Path, certificates: TestCertificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_push_service(certificates.server) as service:
        services = {"push.example": service}
        async with a_pushing_server(tmp_path, certificates, services) as one:
            number = await verified(one, service)
            unverified = (await one.create(deviceClientId="other"))["id"]
            await service.wait(3)
        async with a_pushing_server(tmp_path, certificates, services) as one:
            await one.subscriptions.open()
            got = {row["id"]: row for row in (await one.call("PushSubscription/get"))["list"]}
            assert got.keys() == {number, unverified}
            assert got[unverified]["verificationCode"] is None and len(got[number]["verificationCode"]) > 20
            await service.wait(4)
            update = {number: {"types": ["Mailbox"]}}
            assert (await one.call("PushSubscription/set", update=update))["updated"] == {number: None}
            assert read((await service.wait(5))[-1])["changed"]["A1"].keys() == {"Mailbox"}
            await one.server.store.create(ANN, "New")
            for name in ("write", "write_lazily"):
                monkeypatch.setattr(one.server.database, name, lambda work: pytest.fail("a push writes something"))
            assert read((await service.wait(6))[-1])["changed"]["A1"].keys() == {"Mailbox"}
            monkeypatch.undo()


async def test_another_key_of_the_server_ends_what_was_made_with_the_former(tmp_path: Path, certificates: TestCertificates) -> None:
    async with a_push_service(certificates.server) as service:
        async with a_pushing_server(tmp_path, certificates, {"push.example": service}) as one:
            await verified(one, service)
        (tmp_path / "keys" / "vapid.pem").unlink()
        async with a_pushing_server(tmp_path, certificates, {"push.example": service}) as one:
            with trio.fail_after(10):
                await one.subscriptions.open()
                while one.subscriptions.all():
                    await one.subscriptions.changed()


KEYS = Receiver().keys
URLS = (
    "http://push.example/", "https://localhost/", "https://192.168.1.1/", "https://[::1]/", "https://[64:ff9b::a00:1]/", "https://[::1",
    "https://push.example:22/", "https://a@push.example/", "https://push.example/ x", "https://push.example/" + "x" * 2048, None,
    "https://push.example/\r\nHost: x", "https://", "https://127.1/", "https://100.64.0.1/",
)  # fmt: skip
WRONG: tuple[tuple[str, dict[str, Any]], ...] = (
    *(("url", {"url": url}) for url in URLS),
    ("keys", {"keys": {"p256dh": "x", "auth": "y"}}), ("keys", {"keys": []}), ("keys", {"keys": KEYS | {"auth": "AAAA"}}),
    ("keys", {"keys": KEYS | {"p256dh": "BA" + "AA" * 43}}), ("keys", {"keys": KEYS | {"p256dh": KEYS["p256dh"][:-2] + "AA"}}),
    ("deviceClientId", {"deviceClientId": ""}), ("verificationCode", {"verificationCode": "x"}),
    ("expires", {"expires": "2020-01-01T00:00:00Z"}), ("expires", {"expires": 5}), ("types", {"types": "Email"}), ("id", {"id": "P1"}),
    ("emailDelivery", {"emailDelivery": {"A1": {"properties": ["from"]}}}),
    ("emailDelivery", {"emailDelivery": {"A2": {"properties": ["from"]}}, "keys": KEYS}),
    ("emailDelivery", {"emailDelivery": {"A1": {"properties": ["textBody"]}}, "keys": KEYS}),
    ("emailDelivery", {"emailDelivery": {"A1": {"filter": {"text": "x"}, "properties": []}}, "keys": KEYS}),
)  # fmt: skip


async def test_what_cannot_be_subscribed(tmp_path: Path, certificates: TestCertificates) -> None:
    async with a_pushing_server(tmp_path, certificates, {}, sends=False) as one:
        for named, members in WRONG:
            refused = await one.create(**members)
            assert refused.get("type") == "invalidProperties" and named in refused["properties"], members
        assert (await one.call("PushSubscription/get"))["list"] == []


async def test_get_and_set_as_the_rfc_has_them(tmp_path: Path, certificates: TestCertificates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_subscriptions, "PER_ACCOUNT", 3)
    async with a_pushing_server(tmp_path, certificates, {}, sends=False) as one:
        number = (await one.create(expires="2027-06-01T00:00:00Z"))["id"]
        got = await one.call("PushSubscription/get", ids=[number, "P99"])
        assert got == {
            "list": [{"id": number, "deviceClientId": "phone", "verificationCode": None, "expires": "2026-12-31T00:00:00Z", "types": None}],
            "notFound": ["P99"],
        }  # fmt: skip
        assert (await one.call("PushSubscription/get", properties=["types"]))["list"] == [{"id": number, "types": None}]
        assert await one.call("PushSubscription/get", properties=["url"]) == "forbidden"
        assert await one.call("PushSubscription/get", accountId="A1") == "invalidArguments"
        assert await one.call("PushSubscription/get", credentials=None) == "forbidden"
        assert await one.call("PushSubscription/set", ifInState="1") == "invalidArguments"
        update = {number: {"expires": "2026-12-05T00:00:00Z"}}
        done = await one.call("PushSubscription/set", update=update)
        assert done.keys() == {"created", "updated", "destroyed", "notCreated", "notUpdated", "notDestroyed"}
        assert done["updated"] == {number: None}
        done = await one.call("PushSubscription/set", update={number: {"expires": None}})
        assert done["updated"] == {number: {"expires": "2026-12-31T00:00:00Z"}}
        done = await one.call("PushSubscription/set", update={number: {"url": "https://other.example/"}})
        assert done["notUpdated"][number]["type"] == "invalidProperties"
        assert (await one.create())["id"] != number
        assert (await one.create())["type"] == "overQuota", "a device has two at most"
        assert (await one.create(deviceClientId="tablet"))["id"]
        assert (await one.create(deviceClientId="watch"))["type"] == "overQuota"
        one.server.clock.forward(push_subscriptions.VERIFY_S + 1)
        new = await one.create(deviceClientId="watch", credentials=SESSION)
        assert new["expires"] is None, "a session ends by itself"
        done = await one.call("PushSubscription/set", credentials=SESSION, destroy=[new["id"], number])
        assert done["destroyed"] == [new["id"]] and done["notDestroyed"][number]["type"] == "notFound"
        for _ in range(20):
            last = await one.create(deviceClientId=str(_))
        assert last["type"] == "rateLimit"


async def test_messages_that_arrive_are_pushed_with_what_was_asked_for(tmp_path: Path, certificates: TestCertificates) -> None:
    receiver = Receiver()
    async with a_push_service(certificates.server) as service, a_pushing_server(tmp_path, certificates, {"push.example": service}) as one:
        store = one.server.store
        inbox = (await store.find(ANN, "INBOX")).id
        config = {"A1": {"filter": {"inMailbox": f"F{inbox}", "notKeyword": "$seen"}, "properties": ["id", "threadId", "from", "subject"]}}
        await verified(one, service, receiver, types=["Identity"], emailDelivery=config)
        await one.server.draft()  # not in the inbox

        async def arrive(account: AccountId, subject: str, *flags: str) -> None:
            from appliance.store.values import Placement

            async with store.receive(2**24) as incoming:
                await incoming.write(f"From: Bob <bob@far.example>\r\nSubject: {subject}\r\n\r\nx\r\n".encode())
                place = Placement((await store.find(account, "INBOX")).id, b"", flags, 1_700_000_000)
                await store.file(await incoming.finish(), [place])

        async def told(count: int) -> list[Any]:
            """The messages that were told, once there are so many."""
            while True:
                known = len(service.posted)
                found = [read(posted, receiver) for posted in service.posted]
                if len(found := [one for one in found if one["@type"] == "EmailDelivery"]) >= count:
                    return found
                await service.wait(known + 1)

        await arrive(BEN, "not Ann's")
        await arrive(ANN, "seen already", "\\Seen")
        await arrive(ANN, "Dinner")
        (first,) = await told(1)
        assert first["accountId"] == "A1" and first["email"].keys() == {"id", "threadId", "from", "subject"}
        assert first["email"]["subject"] == "Dinner" and first["email"]["from"] == [{"name": "Bob", "email": "bob@far.example"}]
        mailbox = await store.open(ANN, "INBOX")
        await mailbox.set_flags(list(mailbox.uids), Mode.ADD, ("\\Flagged",))
        service.answer = None  # while the first of these waits, the others come
        for number in range(6):
            await arrive(ANN, f"Number {number}")
        await told(2)
        service.answer = "200 OK"
        service.hang_up()
        subjects = [one["email"].get("subject") for one in await told(5)]
        assert subjects[2:] == ["Number 3", "Number 4", "Number 5"]
        await arrive(ANN, "x" * 5000)
        assert (await told(6))[-1]["email"].keys() == {"id", "threadId", "from"}
        assert len({len(posted.body) for posted in service.posted}) == 1
        assert {posted.fields["urgency"] for posted in service.posted} == {"high", "normal"}


async def test_the_example_of_rfc_8620_section_7_2(tmp_path: Path, certificates: TestCertificates) -> None:
    async with a_push_service(certificates.server) as service, a_pushing_server(tmp_path, certificates, {"push.example": service}) as one:
        await verified(one, service, deviceClientId="b37ff8001ca0", types=["Todo", "Mailbox"])
        listed = (await one.call("PushSubscription/get", ids=None))["list"]
        assert [row["deviceClientId"] for row in listed] == ["b37ff8001ca0"] and listed[0]["types"] == ["Todo", "Mailbox"]
        new = {"deviceClientId": "a889-ffea-910", "url": "https://push.example/push/?device=X8980fc&client=12c6d086", "types": None}
        created = (await one.call("PushSubscription/set", create={"4f29": new}))["created"]["4f29"]
        assert created == {"id": created["id"], "keys": None, "verificationCode": None, "expires": "2026-12-31T00:00:00Z"}
        posted = (await service.wait(3))[-1]
        assert posted.target == "/push/?device=X8980fc&client=12c6d086" and "content-encoding" not in posted.fields
        told = read(posted)
        assert told.keys() == {"@type", "pushSubscriptionId", "verificationCode"} and told["pushSubscriptionId"] == created["id"]
        assert await one.verify(created["id"], told["verificationCode"]) is None
        one.server.clock.forward(2 * 86_400)
        update = {created["id"]: {"expires": "2027-08-13T00:00:00Z"}}
        assert (await one.call("PushSubscription/set", update=update))["updated"] == {created["id"]: {"expires": "2027-01-02T00:00:00Z"}}
        one.server.clock.forward(31 * 86_400)
        assert (await one.call("PushSubscription/get"))["list"] == []
