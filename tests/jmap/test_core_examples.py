"""The examples of RFC 8620, and the shorter ones of RFC 8621, played as dialogs with this server's data types and ids."""

import json
from pathlib import Path
from typing import Any

import pytest

from appliance.jmap.api import JmapApi
from appliance.jmap.method import CORE, Call, Method, Response
from appliance.jmap.session import session_object
from appliance.protocol.jmap.errors import RequestError
from appliance.protocol.jmap.request import JmapLimits

from .server import CALLER, JmapClient, a_client

EXAMPLE = "https://example.com/apis/foobar"


async def method1(call: Call) -> dict[str, Any]:
    assert call.arguments.rest() == {"arg1": "arg1data", "arg2": "arg2data"}
    return {"arg1": 3, "arg2": "foo"}


async def method2(call: Call) -> list[Response]:
    return [("method2", {"isBlah": True}), ("anotherResponseFromMethod2", {"data": 10, "yetmoredata": "Hello"})]


def an_api() -> JmapApi:
    methods = [Method(run.__name__, CORE, run) for run in (method1, method2)]  # type: ignore[arg-type]
    return JmapApi(methods, {EXAMPLE: {"maxFoosFinangled": 42}}, limits=JmapLimits(), report=lambda _, fault: None)


def test_the_session_object_of_section_2_1() -> None:
    found = session_object(CALLER, an_api().capabilities, "https://jmap.example.com")
    assert found.keys() == {
        "capabilities", "accounts", "primaryAccounts", "username", "apiUrl", "downloadUrl", "uploadUrl", "eventSourceUrl", "state",
    }  # fmt: skip
    assert found["capabilities"][CORE].keys() == {
        "maxSizeUpload", "maxConcurrentUpload", "maxSizeRequest", "maxConcurrentRequests", "maxCallsInRequest", "maxObjectsInGet",
        "maxObjectsInSet", "collationAlgorithms",
    }  # fmt: skip
    assert found["accounts"]["A2"].keys() == {"name", "isPersonal", "isReadOnly", "accountCapabilities"}
    assert found["downloadUrl"].endswith("/{accountId}/{blobId}/{name}?accept={type}")
    assert found["eventSourceUrl"].endswith("?types={types}&closeafter={closeafter}&ping={ping}")


async def test_request_and_response_of_sections_3_3_1_and_3_4_1() -> None:
    calls = [["method1", {"arg1": "arg1data", "arg2": "arg2data"}, "c1"], ["method2", {"arg1": "arg1data"}, "c2"], ["method3", {}, "c3"]]
    answer = await an_api().handle(json.dumps({"using": [CORE], "methodCalls": calls}).encode(), CALLER)
    *done, unknown = answer["methodResponses"]
    assert done == [
        ["method1", {"arg1": 3, "arg2": "foo"}, "c1"],
        ["method2", {"isBlah": True}, "c2"],
        ["anotherResponseFromMethod2", {"data": 10, "yetmoredata": "Hello"}, "c2"],
    ]
    assert (unknown[0], unknown[1]["type"], unknown[2]) == ("error", "unknownMethod", "c3")
    assert answer["sessionState"] == session_object(CALLER, an_api().capabilities, "")["state"]


@pytest.mark.parametrize(
    ("octets", "document"),
    [
        (b'{"using": ["https://example.com/apis/other"], "methodCalls": []}', {"type": "urn:ietf:params:jmap:error:unknownCapability"}),
        (b" " * 10_000_001, {"type": "urn:ietf:params:jmap:error:limit", "limit": "maxSizeRequest"}),
    ],
)
async def test_problems_of_section_3_6_1(octets: bytes, document: dict[str, Any]) -> None:
    with pytest.raises(RequestError) as error:
        await an_api().handle(octets, CALLER)
    found = error.value.document
    assert found.items() >= document.items() and found["detail"] and 400 <= found["status"] < 500


async def mail(client: JmapClient, subject: str, *keywords: str, header: str = "", text: str = "") -> str:
    placed = await client.append(f"Subject: {subject}\r\n{header}\r\n{text}".encode(), flags=keywords)
    return f"M{placed.message}"


def reference(call: str, name: str, path: str) -> dict[str, str]:
    return {"resultOf": call, "name": name, "path": path}


async def test_what_was_created_is_fetched_in_one_request_as_in_section_3_7(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        state = (await client.call("Email/get", ids=[]))["state"]
        f1, f4 = await mail(client, "one"), await mail(client, "four")
        changes, got = await client.request(
            ["Email/changes", {"accountId": "A1", "sinceState": state}, "t0"],
            ["Email/get", {"accountId": "A1", "#ids": reference("t0", "Email/changes", "/created"), "properties": ["subject"]}, "t1"],
        )
        assert changes[1]["created"] == [f1, f4] and changes[1]["updated"] == changes[1]["destroyed"] == []
        assert [one["id"] for one in got[1]["list"]] == [f1, f4] and got[2] == "t1"


TODOS = {
    "filter": {"operator": "OR", "conditions": [{"hasKeyword": "music"}, {"hasKeyword": "video"}]}, "sort": [{"property": "subject"}],
}  # fmt: skip


async def test_the_todos_of_section_5_7_as_emails(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        a = await mail(client, "Practise Piano", "music", "beethoven", "mozart", "liszt", "rachmaninov")
        b = await mail(client, "Watch Daft Punk music video", "music", "video", "trance")
        await mail(client, "Anything else", "other")
        query, got = await client.request(
            ["Email/query", {"accountId": "A1", **TODOS, "position": 0, "limit": 10}, "0"],
            ["Email/get", {"accountId": "A1", "#ids": reference("0", "Email/query", "/ids"), "properties": ["subject", "keywords"]}, "1"],
        )
        assert query[1]["ids"] == [a, b] and query[1]["canCalculateChanges"] and query[1]["position"] == 0
        assert got[1]["list"][1] == {
            "id": b, "subject": "Watch Daft Punk music video", "keywords": {"music": True, "trance": True, "video": True},
        }  # fmt: skip
        state, wanted = got[1]["state"], dict.fromkeys(("beethoven", "chopin", "liszt", "music", "rachmaninov"), True)
        patch = {"keywords/chopin": True, "keywords/mozart": None}
        done = await client.call("Email/set", ifInState=state, update={a: patch})
        assert done["oldState"] == state != done["newState"] and done["updated"] == {a: None}
        assert (await client.call("Email/get", ids=[a], properties=["keywords"]))["list"][0]["keywords"] == wanted
        whole = {"id": a, "subject": "Practise Piano", "keywords": wanted}
        assert (await client.call("Email/set", update={a: whole}))["updated"] == {a: None}
        assert (await client.call("Email/get", ids=[a], properties=["keywords"]))["list"][0]["keywords"] == wanted
        assert await client.error("Email/set", ifInState=state, update={a: patch}) == "stateMismatch"
        await client.call("Email/set", destroy=[b])  # another user did
        changes, rows = await client.request(
            ["Email/changes", {"accountId": "A1", "sinceState": done["newState"], "maxChanges": 50}, "0"],
            ["Email/queryChanges", {"accountId": "A1", **TODOS, "sinceQueryState": query[1]["queryState"], "maxChanges": 50}, "1"],
        )
        assert changes[1]["destroyed"] == [b] and not changes[1]["hasMoreChanges"] and changes[1]["created"] == []
        assert (changes[1]["oldState"], rows[1]["oldQueryState"]) == (done["newState"], query[1]["queryState"])
        assert b in rows[1]["removed"] and b not in [one["id"] for one in rows[1]["added"]]


async def test_a_creation_id_names_what_the_same_call_makes_as_in_section_5_7(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        old = (await client.call("Mailbox/set", create={"a": {"name": "Practise Piano"}}))["created"]["a"]["id"]
        done = await client.call("Mailbox/set", create={"k15": {"name": "Warm up with scales"}}, update={old: {"parentId": "#k15"}})
        new = done["created"]["k15"]["id"]
        assert (await client.call("Mailbox/get", ids=[old], properties=["parentId"]))["list"] == [{"id": old, "parentId": new}]


async def test_mailboxes_as_in_rfc_8621_section_2_6(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        one = await mail(client, "x")
        got = await client.call("Mailbox/get", ids=None)
        inbox = next(box for box in got["list"] if box["role"] == "inbox")
        assert inbox.keys() >= {"name", "parentId", "sortOrder", "totalEmails", "unreadEmails", "totalThreads", "unreadThreads"}
        assert inbox["isSubscribed"] and len(inbox["myRights"]) == 9 and not inbox["myRights"]["mayDelete"]
        await client.call("Email/set", update={one: {"keywords/$seen": True}})
        counts = ["totalEmails", "unreadEmails", "totalThreads", "unreadThreads"]
        changes, created, updated = await client.request(
            ["Mailbox/changes", {"accountId": "A1", "sinceState": got["state"]}, "0"],
            ["Mailbox/get", {"accountId": "A1", "#ids": reference("0", "Mailbox/changes", "/created")}, "1"],
            ["Mailbox/get", {
                "accountId": "A1", "#ids": reference("0", "Mailbox/changes", "/updated"),
                "#properties": reference("0", "Mailbox/changes", "/updatedProperties"),
            }, "2"],
        )  # fmt: skip
        assert changes[1]["updated"] == [inbox["id"]] and set(changes[1]["updatedProperties"]) == set(counts)
        assert created[1]["list"] == [] and updated[1]["list"] == [{"id": inbox["id"], **dict(zip(counts, (1, 0, 1, 0), strict=True))}]
        other = (await client.call("Mailbox/set", create={"i": {"name": "Important mail"}}))["created"]["i"]["id"]
        state = (await client.call("Mailbox/get", ids=[]))["state"]
        changed, gone = {other: {"name": "Maybe important mail"}}, [inbox["id"]]
        done = await client.call("Mailbox/set", ifInState=state, update=changed, destroy=gone, onDestroyRemoveEmails=True)
        assert done["updated"] == {other: None} and done["notDestroyed"][inbox["id"]]["type"] == "forbidden"


async def test_addresses_as_in_rfc_8621_sections_4_1_2_3_and_4_1_2_4(tmp_path: Path) -> None:
    written = '"  James Smythe" <james@example.com>, Friends:\r\n  jane@example.com, =?UTF-8?Q?John_Sm=C3=AEth?=\r\n  <john@example.com>;'
    james, jane = {"name": "James Smythe", "email": "james@example.com"}, {"name": None, "email": "jane@example.com"}
    john = {"name": "John Smîth", "email": "john@example.com"}
    async with a_client(tmp_path) as client:
        one = await mail(client, "x", header=f"To: {written}\r\n")
        names = ["to", "header:To:asAddresses", "header:To:asGroupedAddresses"]
        found = (await client.call("Email/get", ids=[one], properties=names))["list"][0]
        assert found["to"] == found["header:To:asAddresses"] == [james, jane, john]
        assert found["header:To:asGroupedAddresses"] == [
            {"name": None, "addresses": [james]},
            {"name": "Friends", "addresses": [jane, john]},
        ]


async def test_email_get_as_in_rfc_8621_section_4_2_1(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        header = "From: Joe Bloggs <joe@example.com>\r\nList-Post: <mailto:partytime@lists.example.com>\r\nContent-Type: text/html\r\n"
        one = await mail(client, "Dinner on Thursday?", header=header, text="<html><body><p>Hello " + "x" * 500)
        got = await client.call(
            "Email/get", ids=[one, "f123u457"],
            properties=["threadId", "mailboxIds", "from", "subject", "receivedAt", "header:List-POST:asURLs", "htmlBody", "bodyValues"],
            bodyProperties=["partId", "blobId", "size", "type"], fetchHTMLBodyValues=True, maxBodyValueBytes=256,
        )  # fmt: skip
        found = got["list"][0]
        assert got["notFound"] == ["f123u457"] and found["threadId"] == f"T{one[1:]}"
        assert found["from"] == [{"name": "Joe Bloggs", "email": "joe@example.com"}] and found["subject"] == "Dinner on Thursday?"
        assert found["header:List-POST:asURLs"] == ["mailto:partytime@lists.example.com"]
        assert found["htmlBody"] == [{"partId": "1", "blobId": f"B{one[1:]}-1", "size": 521, "type": "text/html"}]
        value = found["bodyValues"]["1"]
        assert value["isTruncated"] and not value["isEncodingProblem"] and len(value["value"]) == 256


async def test_threads_and_snippets_as_in_rfc_8621_sections_3_1_and_5_1(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        first = await mail(client, "The foosball competition", header="Message-ID: <1@x>\r\n", text="foo and more")
        reply = await mail(client, "Re: The foosball competition", header="In-Reply-To: <1@x>\r\n")
        alone = await mail(client, "Something", text="...let us all enjoy the foo fighters")
        threads = await client.call("Thread/get", ids=[f"T{first[1:]}", f"T{alone[1:]}"])
        assert threads["list"] == [{"id": f"T{first[1:]}", "emailIds": [first, reply]}, {"id": f"T{alone[1:]}", "emailIds": [alone]}]
        found = await client.call("SearchSnippet/get", filter={"text": "foo"}, emailIds=[first, alone, "M999"])
        assert [one["emailId"] for one in found["list"]] == [first, alone] and found["notFound"] == ["M999"]
        assert found["list"][0]["subject"] == "The <mark>foo</mark>sball competition" and found["list"][1]["subject"] is None
        assert found["list"][1]["preview"].endswith("enjoy the <mark>foo</mark> fighters")


async def test_snippets_as_printed_in_rfc_8621_section_5_1(tmp_path: Path) -> None:
    """The context around what was found is as long as this server likes."""
    async with a_client(tmp_path) as client:
        nothing = await mail(client, "Other things", text="no such word")
        year = "At the end of the year the foosball competition will be held in the Stadium de France"
        both = await mail(client, "The Foosball competition", text=year)
        widget = await mail(client, "Results", text="...the Foo/bar method results often returns <1 widget rather than the complete...")
        found = await client.call("SearchSnippet/get", filter={"text": "foo"}, emailIds=[nothing, both, widget])
        assert found["notFound"] is None and found["list"][0] == {"emailId": nothing, "subject": None, "preview": None}
        assert found["list"][1]["subject"] == "The <mark>Foo</mark>sball competition"
        assert "year the <mark>foo</mark>sball competition will be held in the Stadium de" in found["list"][1]["preview"]
        assert found["list"][2]["subject"] is None
        assert "the <mark>Foo</mark>/bar method results often returns &lt;1 widget rather" in found["list"][2]["preview"]
