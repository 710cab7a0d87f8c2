"""Blob/upload from pieces, Blob/get with ranges and digests, Blob/lookup, Blob/copy (RFC 9404, RFC 8620 §6.3)."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest

from appliance.jmap import blob_methods

from .server import BEN, JmapClient, a_client

FOX = "The quick brown fox jumped over the lazy dog."


async def upload(client: JmapClient, **create: Any) -> Any:
    return await client.call("Blob/upload", create=create)


async def test_the_example_of_pieces(tmp_path: Path) -> None:
    """RFC 9404 §4.1.2."""
    async with a_client(tmp_path) as client:
        pieces = [
            {"data:asText": "How"}, {"blobId": "#b4", "length": 7, "offset": 3}, {"data:asText": "was t"},
            {"blobId": "#b4", "length": 1, "offset": 1}, {"data:asBase64": "YXQ/"},
        ]  # fmt: skip
        first, second, got = await client.request(
            ["Blob/upload", {"accountId": "A1", "create": {"b4": {"data": [{"data:asText": FOX}]}}}, "S4"],
            ["Blob/upload", {"accountId": "A1", "create": {"cat": {"data": pieces, "type": "text/x"}}}, "CAT"],
            ["Blob/get", {"accountId": "A1", "ids": ["#cat"], "properties": ["data:asText", "size"]}, "G4"],
        )
        assert first[1]["created"]["b4"]["size"] == 45 and second[1]["created"]["cat"]["type"] == "text/x"
        assert got[1]["list"] == [{"id": second[1]["created"]["cat"]["id"], "data:asText": "How quick was that?", "size": 19}]


async def test_the_picture_of_the_simple_upload(tmp_path: Path) -> None:
    """RFC 9404 §4.1.1; the id is this server's, and blobId the upload endpoint's name of it (§4.1)."""
    picture = (
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABAQMAAAAl21bKAAAAA1BMVEX/AAAZ4gk3AAAAAXRSTlN/gFy0ywAAAApJREFUeJxjYgAAAAYAAzY3fKgAAAAASUVORK5CYII="
    )
    async with a_client(tmp_path) as client:
        done = await upload(client, **{"1": {"data": [{"data:asBase64": picture}], "type": "image/png"}})
        made = done["created"]["1"]
        assert done["accountId"] == "A1" and made == {
            "id": made["id"], "blobId": made["id"], "type": "image/png", "size": 95,
        }  # fmt: skip
        assert await client.octets(made["id"]) == base64.b64decode(picture)


async def test_ranges_and_digests(tmp_path: Path) -> None:
    """The examples of RFC 9404 §4.2.1."""
    async with a_client(tmp_path) as client:
        one = (await upload(client, a={"data": [{"data:asText": FOX}]}))["created"]["a"]["id"]
        wanted = ["data:asText", "digest:sha", "digest:sha-256", "size"]
        found = await client.call("Blob/get", ids=[one, "not-a-blob"], properties=wanted)
        assert found["notFound"] == ["not-a-blob"] and found["list"][0] == {
            "id": one, "data:asText": FOX, "size": 45,
            "digest:sha": base64.b64encode(hashlib.sha1(FOX.encode(), usedforsecurity=False).digest()).decode(),
            "digest:sha-256": base64.b64encode(hashlib.sha256(FOX.encode()).digest()).decode(),
        }  # fmt: skip
        found = await client.call("Blob/get", ids=[one], properties=wanted, offset=4, length=9)
        assert found["list"][0]["data:asText"] == "quick bro" and found["list"][0]["size"] == 45
        assert found["list"][0]["digest:sha"] == "QiRAPtfyX8K6tm1iOAtZ87Xj3Ww="
        assert found["list"][0]["digest:sha-256"] == "gdg9INW7lwHK6OQ9u0dwDz2ZY/gubi0En0xlFpKt0OA="
        for offset, length, text in ((40, 20, " dog."), (50, None, ""), (45, 0, "")):
            found = (await client.call("Blob/get", ids=[one], offset=offset, length=length))["list"][0]
            assert found.get("isTruncated", False) is (offset != 45) and found["data:asText"] == text


async def test_range_and_encoding_errors(tmp_path: Path) -> None:
    """RFC 9404 §4.2.2, which leaves out accountId and, in G2, the null that §4.2 wants; its types of b1 and b2 are exchanged."""
    one = "VGhlIHF1aWNrIGJyb3duIGZveCBqdW1wZWQgb3ZlciB0aGUggYEgZG9nLg=="
    create = {"b1": {"data": [{"data:asBase64": one}]}, "b2": {"data": [{"data:asText": "hello world"}], "type": "text/plain"}}
    gets: dict[str, dict[str, Any]] = {
        "G1": {}, "G2": {"properties": ["data:asText", "size"]}, "G3": {"properties": ["data:asBase64", "size"]},
        "G4": {"offset": 0, "length": 5}, "G5": {"offset": 20, "length": 100},
    }  # fmt: skip
    async with a_client(tmp_path) as client:
        (_, done, _), *got = await client.request(
            ["Blob/upload", {"accountId": "A1", "create": create}, "S1"],
            *(["Blob/get", {"accountId": "A1", "ids": ["#b1", "#b2"], **more}, call] for call, more in gets.items()),
        )
        assert {name: made["size"] for name, made in done["created"].items()} == {"b1": 43, "b2": 11} and done["notCreated"] is None
        b1, b2 = ({"id": done["created"][name]["id"], "size": size} for name, size in (("b1", 43), ("b2", 11)))
        wrong, cut = {"isEncodingProblem": True}, {"isTruncated": True}
        assert {call: found["list"] for _, found, call in got} == {
            "G1": [{**b1, **wrong, "data:asBase64": one}, {**b2, "data:asText": "hello world"}],
            "G2": [{**b1, **wrong, "data:asText": None}, {**b2, "data:asText": "hello world"}],
            "G3": [{**b1, "data:asBase64": one}, {**b2, "data:asBase64": "aGVsbG8gd29ybGQ="}],
            "G4": [{**b1, "data:asText": "The q"}, {**b2, "data:asText": "hello"}],
            "G5": [{**b1, **cut, **wrong, "data:asBase64": "anVtcGVkIG92ZXIgdGhlIIGBIGRvZy4="}, {**b2, **cut, "data:asText": ""}],
        }
        assert all(found["notFound"] == [] for _, found, _ in got)


async def test_octets_that_are_no_text(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        one = await client.upload(b"hello\xff")
        for wanted, found in (
            (None, {"data:asBase64": "aGVsbG//", "isEncodingProblem": True, "size": 6}),
            (["data:asText"], {"data:asText": None, "isEncodingProblem": True}),
            (["data:asBase64"], {"data:asBase64": "aGVsbG//"}),
        ):
            assert (await client.call("Blob/get", ids=[one], properties=wanted))["list"] == [{"id": one, **found}]


async def test_uploads_that_are_refused(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        one, other = await client.upload(b"x" * 10), await client.upload(b"y", account=BEN)
        refused: dict[str, tuple[Any, str]] = {
            "no list": ({}, "invalidProperties"), "no object": ([5], "invalidProperties"), "nothing": ([{}], "invalidProperties"),
            "two": ([{"data:asText": "a", "data:asBase64": "YQ=="}], "invalidProperties"),
            "base64": ([{"data:asBase64": "Y!"}], "invalidProperties"),
            "past": ([{"blobId": one, "offset": 5, "length": 6}], "invalidProperties"),
            "beyond": ([{"blobId": one, "offset": 11}], "invalidProperties"),
            "negative": ([{"blobId": one, "offset": -1}], "invalidProperties"),
            "range of text": ([{"data:asText": "a", "length": 1}], "invalidProperties"),
            "unknown": ([{"blobId": "U99"}, {"blobId": one}], "blobNotFound"), "other": ([{"blobId": other}], "blobNotFound"),
            "many": ([{"data:asText": ""}] * 101, "invalidProperties"),
        }  # fmt: skip
        done = await upload(client, **{name: {"data": data} for name, (data, _) in refused.items()})
        assert {name: error["type"] for name, error in done["notCreated"].items()} == {name: kind for name, (_, kind) in refused.items()}
        assert done["notCreated"]["unknown"]["notFound"] == ["U99"] and done["created"] is None
        assert (await upload(client, all={"data": [{"blobId": one, "offset": 10}, {"blobId": one, "length": 0}]}))["created"]["all"][
            "size"
        ] == 0


async def test_what_is_returned_is_bounded_and_a_digest_of_any_size_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blob_methods, "DATA_OCTETS", 1000)
    async with a_client(tmp_path) as client:
        one = await client.upload(b"z" * 300_000)
        assert await client.error("Blob/get", ids=[one]) == "requestTooLarge"
        found = (await client.call("Blob/get", ids=[one], properties=["digest:sha-512"]))["list"][0]
        assert base64.b64decode(found["digest:sha-512"]) == hashlib.sha512(b"z" * 300_000).digest()
        assert (await client.call("Blob/get", ids=[one], offset=299_990, length=10))["list"][0]["data:asText"] == "z" * 10


async def test_the_example_of_a_lookup(tmp_path: Path) -> None:
    """RFC 9404 §4.3.1; one Email where it has two, as a blob here is of one message, in however many mailboxes."""
    async with a_client(tmp_path) as client:
        placed = await client.append(b"Subject: x\r\n\r\ny", "INBOX")
        blob, both = f"B{placed.message}", [await client.mailbox_id("INBOX"), await client.mailbox_id("Archive")]
        await client.call("Email/set", update={f"M{placed.message}": {"mailboxIds": dict.fromkeys(both, True)}})
        call = {"accountId": "A1", "typeNames": ["Mailbox", "Thread", "Email"], "ids": [blob, "not-a-blob"]}
        ((name, found, number),) = await client.request(["Blob/lookup", call, "R1"])
        assert (name, number, found["notFound"]) == ("Blob/lookup", "R1", ["not-a-blob"])
        (row,) = found["list"]
        assert row["id"] == blob and row["matchedIds"].keys() == {"Mailbox", "Thread", "Email"}
        assert sorted(row["matchedIds"].pop("Mailbox")) == sorted(both)
        assert row["matchedIds"] == {"Thread": [f"T{placed.message}"], "Email": [f"M{placed.message}"]}


async def test_lookup_and_copy(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        placed = await client.append(b"Subject: x\r\n\r\ny", "INBOX")
        inbox, message = await client.mailbox_id("INBOX"), f"B{placed.message}"
        mine = await client.upload(b"x")
        found = await client.call(
            "Blob/lookup", typeNames=["Mailbox", "Thread", "Email"], ids=[message, f"{message}-1", mine, "not-a-blob"]
        )
        held = {"Mailbox": [inbox], "Thread": [f"T{placed.message}"], "Email": [f"M{placed.message}"]}
        assert found["list"] == [
            {"id": message, "matchedIds": held}, {"id": f"{message}-1", "matchedIds": held},
            {"id": mine, "matchedIds": {"Mailbox": [], "Thread": [], "Email": []}},
        ]  # fmt: skip
        assert found["notFound"] == ["not-a-blob"]
        assert await client.error("Blob/lookup", typeNames=["Calendar"], ids=[]) == "unknownDataType"
        theirs = await client.upload(b"theirs", account=BEN)
        done = await client.call("Blob/copy", fromAccountId="A2", blobIds=[theirs, "U99"])
        assert await client.octets(done["copied"][theirs]) == b"theirs" and done["notCopied"]["U99"]["type"] == "notFound"
        assert await client.error("Blob/copy", fromAccountId="A1", accountId="A2", blobIds=[]) == "accountReadOnly"
