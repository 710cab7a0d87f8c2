"""The API: calls in order, errors of one call beside results of others, limits of a caller, the session object."""

import json
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from appliance.jmap.api import WAITING, WAITING_OCTETS, JmapApi
from appliance.jmap.method import CORE, Call, Caller, JmapAccount, Method
from appliance.jmap.session import session_object, session_state
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import AccountId
from appliance.protocol.jmap.errors import RequestError
from appliance.protocol.jmap.request import JmapLimits

TEST = "urn:example:test"
ANN = Caller(
    AccountId(1),
    "ann@home.test",
    (JmapAccount("A1", AccountId(1), "ann@home.test"), JmapAccount("A2", AccountId(2), "Family", False, True)),
)


async def make(call: Call) -> dict[str, Any]:
    call.created["new"] = "T7"
    return {"created": {"new": {"id": "T7"}}, "accountId": call.account(write=True).id}


async def two(call: Call) -> list[tuple[str, dict[str, Any]]]:
    return [("Test/two", {"n": 1}), ("Test/make", {"n": 2})]


async def full(call: Call) -> dict[str, Any]:
    raise StoreError(Trouble.FULL)


async def broken(call: Call) -> dict[str, Any]:
    raise RuntimeError("secret detail")


def api(*more: Method, limits: JmapLimits = JmapLimits(requests=1)) -> tuple[JmapApi, list[str]]:  # noqa: B008 frozen
    reported: list[str] = []
    rows = [Method(f"Test/{run.__name__}", TEST, run) for run in (make, two, full, broken)]
    return JmapApi(
        [*rows, *more], {TEST: {"size": 5}}, limits=limits, report=lambda name, fault: reported.append(f"{name} {fault!r}")
    ), reported


def request(*calls: list[Any], **members: Any) -> bytes:
    return json.dumps({"using": [CORE, TEST], "methodCalls": calls, **members}).encode()


async def answers(*calls: list[Any], **members: Any) -> list[list[Any]]:
    response = await api()[0].handle(request(*calls, **members), ANN)
    found: list[list[Any]] = response["methodResponses"]
    return found


async def test_core_echo_as_in_rfc_8620_section_4_1() -> None:
    arguments = {"hello": True, "high": 5}
    assert await answers(["Core/echo", arguments, "b3ff"]) == [["Core/echo", arguments, "b3ff"]]


async def test_an_error_of_one_call_leaves_the_others_and_a_reference_to_it_fails() -> None:
    found = await answers(
        ["Test/make", {"accountId": "A9"}, "c1"],
        ["Core/echo", {"#x": {"resultOf": "c1", "name": "Test/make", "path": "/created"}}, "c2"],
        ["Nothing/get", {}, "c3"],
        ["Test/make", {"accountId": "A1"}, "c4"],
        ["Core/echo", {"#x": {"resultOf": "c4", "name": "Test/make", "path": "/created/new/id"}}, "c5"],
        ["Test/make", {"accountId": "A2"}, "c6"],
        ["Test/make", {}, "c7"],
    )
    kinds = [one[1].get("type", one[0]) for one in found]
    assert kinds == [
        "accountNotFound", "invalidResultReference", "unknownMethod", "Test/make", "Core/echo", "accountReadOnly", "invalidArguments",
    ]  # fmt: skip
    assert found[4] == ["Core/echo", {"x": "T7"}, "c5"] and [one[2] for one in found] == [f"c{n}" for n in range(1, 8)]


async def test_a_method_whose_capability_is_not_in_use_is_unknown() -> None:
    response = await api()[0].handle(request(["Test/make", {"accountId": "A1"}, "c"], using=[CORE]), ANN)
    assert response["methodResponses"][0][1]["type"] == "unknownMethod"


async def test_several_responses_of_one_call_have_its_id() -> None:
    assert await answers(["Test/two", {}, "c"]) == [["Test/two", {"n": 1}, "c"], ["Test/make", {"n": 2}, "c"]]


async def test_faults_are_told_to_the_log_and_not_to_the_client() -> None:
    served, reported = api()
    response = await served.handle(request(["Test/broken", {}, "a"], ["Test/full", {}, "b"]), ANN)
    assert [one[1]["type"] for one in response["methodResponses"]] == ["serverFail", "serverFail"]
    assert "secret" not in json.dumps(response) and reported == ["Test/broken RuntimeError('secret detail')"]


async def test_created_ids_come_back_only_when_they_were_sent() -> None:
    served, _ = api()
    call = ["Test/make", {"accountId": "A1"}, "c"]
    assert "createdIds" not in await served.handle(request(call), ANN)
    assert (await served.handle(request(call, createdIds={"old": "T1"}), ANN))["createdIds"] == {"old": "T1", "new": "T7"}


async def test_a_caller_has_a_bounded_number_of_requests_at_once_and_a_few_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.jmap.api.WAIT_S", 0.3)
    let_go, running, most = trio.Event(), 0, 0

    async def wait(call: Call) -> dict[str, Any]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await let_go.wait()
        running -= 1
        return {}

    served, _ = api(Method("Test/wait", TEST, wait))
    refused: list[RequestError] = []

    async def ask(octets: bytes) -> None:
        try:
            await served.handle(octets, ANN)
        except RequestError as error:
            refused.append(error)

    waiting = request(["Test/wait", {}, "c"])
    async with trio.open_nursery() as nursery:
        for _ in range(served.limits.requests + WAITING):
            nursery.start_soon(ask, waiting)
        await wait_all_tasks_blocked()
        assert running == served.limits.requests and not refused
        await ask(waiting)
        assert len(refused) == 1, "too many wait"
        assert refused[0].document["limit"] == "maxConcurrentRequests" and refused[0].status == 429
        await served.handle(request(), Caller(AccountId(2), "ben@home.test", ANN.accounts[1:]))
        await trio.sleep(0.5)
        assert len(refused) == 1 + WAITING, "nobody waits for ever"
        nursery.start_soon(ask, waiting)
        await wait_all_tasks_blocked()
        await ask(waiting + b" " * WAITING_OCTETS)
        assert len(refused) == 2 + WAITING, "a large one does not wait"
        let_go.set()
    assert len(refused) == 2 + WAITING and most == served.limits.requests and not served._places
    await served.handle(request(), ANN)


def test_the_session_object() -> None:
    served, _ = api()
    found = session_object(ANN, served.capabilities, "https://home.test")
    assert found["apiUrl"] == "https://home.test/jmap/api" and found["username"] == "ann@home.test"
    assert found["capabilities"][CORE]["maxObjectsInGet"] == 500 and found["capabilities"][TEST] == {}
    assert found["accounts"]["A2"] == {
        "name": "Family", "isPersonal": False, "isReadOnly": True, "accountCapabilities": {TEST: {"size": 5}},
    }  # fmt: skip
    assert found["primaryAccounts"] == {TEST: "A1"} and found["state"] == session_state(ANN, served.capabilities)
    assert session_state(Caller(ANN.account, ANN.address, ANN.accounts[:1]), served.capabilities) != found["state"]


def test_two_methods_of_one_name_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="one name"):
        api(Method("Core/echo", CORE, make))
