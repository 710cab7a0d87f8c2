"""Messages by JMAP: rows without reading a message, headers in every form, parts and their values, changes (RFC 8621 §4)."""

from pathlib import Path
from typing import Any

import pytest

from appliance.mail.ids import Uid
from appliance.store.values import Mode

from .server import ANN, JmapClient, a_client

MIXED = b"""From: =?utf-8?q?J=C3=BCrgen?= <jo@b.example>
To: Ann <ann@home.test>, team: a@x.example, =?utf-8?q?Zo=C3=AB?= <z@x.example>;, b@x.example
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=
Date: Tue, 1 Jul 2003 10:52:37 +0200
Message-ID: <m1@b.example>
References: <r1@b.example> <r2@b.example>
List-Post: <mailto:list@x.example> (comment)
X-Tag: one
X-Tag: two
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: multipart/alternative; boundary=c

--c
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe
zweite
--c
Content-Type: text/html; charset=utf-8

<p>Gr\xc3\xbc\xc3\x9fe</p>
--c--
--b
Content-Type: application/pdf; name="plan.pdf"
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename*=utf-8''pl%C3%A4n.pdf
Content-ID: <cid@x>
X-Part: here

aGVsbG8gd29ybGQ=
--b--
""".replace(b"\n", b"\r\n")  # fmt: skip


async def one(client: JmapClient, octets: bytes, **arguments: Any) -> Any:
    placed = await client.append(octets)
    found = await client.call("Email/get", ids=[f"M{placed.message}"], **arguments)
    assert found["notFound"] == []
    return found["list"][0]


async def test_rows_of_a_list(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        wanted = ["threadId", "mailboxIds", "keywords", "size", "receivedAt", "from", "to", "subject", "sentAt", "hasAttachment", "preview"]
        found = await one(client, MIXED, properties=wanted)
        inbox = await client.mailbox_id("INBOX")
        assert found == {
            "id": "M1", "threadId": "T1", "mailboxIds": {inbox: True}, "keywords": {}, "size": len(MIXED),
            "receivedAt": "2023-11-14T22:13:20Z", "from": [{"name": "Jürgen", "email": "jo@b.example"}],
            "to": [
                {"name": "Ann", "email": "ann@home.test"}, {"name": None, "email": "a@x.example"}, {"name": "Zoë", "email": "z@x.example"},
                {"name": None, "email": "b@x.example"},
            ],
            "subject": "Grüße", "sentAt": "2003-07-01T10:52:37+02:00", "hasAttachment": True, "preview": "Grüße zweite",
        }  # fmt: skip


async def test_the_default_properties_and_body_values(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        found = await one(client, MIXED, fetchTextBodyValues=True, fetchHTMLBodyValues=True)
        assert found["messageId"] == ["m1@b.example"] and found["references"] == ["r1@b.example", "r2@b.example"]
        assert found["inReplyTo"] is found["cc"] is found["replyTo"] is found["sender"] is None
        assert [part["partId"] for part in found["textBody"]] == ["1.1"] and [part["type"] for part in found["htmlBody"]] == ["text/html"]
        assert found["bodyValues"] == {
            "1.1": {"value": "Grüße\nzweite", "isEncodingProblem": False, "isTruncated": False},
            "1.2": {"value": "<p>Grüße</p>", "isEncodingProblem": False, "isTruncated": False},
        }
        (pdf,) = found["attachments"]
        assert pdf == {
            "partId": "2", "blobId": "B1-2", "size": 11, "name": "plän.pdf", "type": "application/pdf", "charset": None,
            "disposition": "attachment", "cid": "cid@x", "language": None, "location": None,
        }  # fmt: skip


async def test_header_properties_in_their_forms(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        wanted = {
            "header:X-Tag": " two", "header:x-tag:all": [" one", " two"], "header:x-tag:asText:all": ["one", "two"],
            "header:Nothing": None, "header:Nothing:all": [], "header:Subject:asText": "Grüße",
            "header:Subject": " =?utf-8?q?Gr=C3=BC=C3=9Fe?=",
            "header:References:asMessageIds": ["r1@b.example", "r2@b.example"], "header:Date:asDate": "2003-07-01T10:52:37+02:00",
            "header:List-Post:asURLs": ["mailto:list@x.example"], "header:From:asAddresses": [{"name": "Jürgen", "email": "jo@b.example"}],
            "header:To:asGroupedAddresses": [
                {"name": None, "addresses": [{"name": "Ann", "email": "ann@home.test"}]},
                {"name": "team", "addresses": [{"name": None, "email": "a@x.example"}, {"name": "Zoë", "email": "z@x.example"}]},
                {"name": None, "addresses": [{"name": None, "email": "b@x.example"}]},
            ],
        }  # fmt: skip
        found = await one(client, MIXED, properties=list(wanted))
        assert {name: found[name] for name in wanted} == wanted
        for wrong in ("header:", "header:From:asText", "header:Subject:asDate", "header:X:asNothing", "header:Date:asMessageIds", "body"):
            assert await client.error("Email/get", ids=["M1"], properties=[wrong]) == "invalidArguments"


async def test_the_structure_with_headers_of_parts(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        found = await one(
            client, MIXED, properties=["bodyStructure", "headers"],
            bodyProperties=["partId", "type", "size", "header:X-Part:asText", "header:subject:asText", "subParts"],
        )  # fmt: skip
        root = found["bodyStructure"]
        assert (root["type"], root["partId"], root["header:subject:asText"]) == ("multipart/mixed", None, "Grüße")
        assert [part["type"] for part in root["subParts"]] == ["multipart/alternative", "application/pdf"]
        assert root["subParts"][1]["header:X-Part:asText"] == "here" and root["subParts"][1]["header:subject:asText"] is None
        assert root["subParts"][0]["subParts"][0]["size"] == 13
        assert [one["name"] for one in found["headers"]][:3] == ["From", "To", "Subject"] and found["headers"][7]["value"] == " one"


def part(kind: str, cid: str, disposition: str = "") -> bytes:
    """A part whose Content-ID says which it is."""
    more = f"Content-Disposition: {disposition}\r\n" if disposition else ""
    return f"Content-Type: {kind}\r\nContent-ID: <{cid}>\r\n{more}\r\n{cid}".encode()


def multipart(kind: str, boundary: str, *parts: bytes) -> bytes:
    lines = b"".join(b"--%s\r\n%s\r\n" % (boundary.encode(), one) for one in parts)
    return f"Content-Type: multipart/{kind}; boundary={boundary}\r\n\r\n".encode() + lines + f"--{boundary}--\r\n".encode()


async def test_the_decomposition_of_rfc_8621_section_4_1_4(tmp_path: Path) -> None:
    """A message with text and HTML that has gone through a mailing list, which added header and footer."""
    plain = multipart(
        "mixed", "b4", part("text/plain", "B", "inline"), part("image/jpeg", "C", "inline"), part("text/plain", "D", "inline")
    )
    related = multipart("related", "b5", part("text/html", "E"), part("image/jpeg", "F"))
    inner = multipart(
        "mixed", "b2", multipart("alternative", "b3", plain, related), part("image/jpeg", "G", "attachment"),
        part("application/x-excel", "H"), b"Content-Type: message/rfc822\r\nContent-ID: <J>\r\n\r\nSubject: J\r\n\r\nJ",
    )  # fmt: skip
    octets = multipart("mixed", "b1", part("text/plain", "A", "inline"), inner, part("text/plain", "K", "inline"))
    async with a_client(tmp_path) as client:
        lists = ["textBody", "htmlBody", "attachments"]
        found = await one(client, b"Subject: x\r\n" + octets, properties=lists, bodyProperties=["cid"])
        assert {name: "".join(row["cid"] for row in found[name]) for name in lists} == {
            "textBody": "ABCDK", "htmlBody": "AEK", "attachments": "CFGHJ",
        }  # fmt: skip


@pytest.mark.parametrize("most", [1, 3, 4, 5, 6, 7, 100])
async def test_a_value_is_cut_at_a_character(tmp_path: Path, most: int) -> None:
    async with a_client(tmp_path) as client:
        octets = "Content-Type: text/plain; charset=utf-8\r\n\r\naü€𝄞b".encode()
        found = await one(client, octets, properties=["bodyValues"], fetchAllBodyValues=True, maxBodyValueBytes=most)
        value = found["bodyValues"]["1"]
        assert "aü€𝄞b".startswith(value["value"]) and len(value["value"].encode()) <= most
        assert value["isTruncated"] is (most < 11) and not value["isEncodingProblem"]


@pytest.mark.parametrize(
    ("octets", "value", "problem"),
    [
        (b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n*broken", "hello", True),
        (b"Content-Type: text/plain\r\nContent-Transfer-Encoding: strange\r\n\r\nas it is", "as it is", True),
        (b"Content-Type: text/plain; charset=none-such\r\n\r\nplain", "plain", False),
        (b"\r\n", "", False),
        (b"Content-Type: text/plain\r\n\r\nno\0ul \xff", "no\ufffdul \ufffd", True),
    ],
)
async def test_damaged_text_is_given_as_far_as_it_goes(tmp_path: Path, octets: bytes, value: str, problem: bool) -> None:
    async with a_client(tmp_path) as client:
        found = (await one(client, octets, fetchAllBodyValues=True))["bodyValues"]
        assert (found["1"]["value"], found["1"]["isEncodingProblem"]) == (value, problem)


async def test_keywords_are_those_of_any_copy(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        placed = await client.append(MIXED, "INBOX", flags=("\\Seen", "$Work"))
        mailbox = await client.store.open(ANN, "INBOX")
        await mailbox.copy([placed.uid], "Archive")
        await mailbox.set_flags([placed.uid], Mode.REPLACE, ("\\Flagged",))
        mailbox.close()
        found = (await client.call("Email/get", ids=[f"M{placed.message}"], properties=["keywords", "mailboxIds"]))["list"][0]
        assert found["keywords"] == {"$seen": True, "$work": True, "$flagged": True} and len(found["mailboxIds"]) == 2


async def test_a_message_with_deleted_is_not_there_until_that_is_taken_off(tmp_path: Path) -> None:
    """RFC 8621 §4.1.1."""
    async with a_client(tmp_path) as client:
        other, placed = await client.append(MIXED), await client.append(MIXED, flags=("$Work",))
        one, inbox = f"M{placed.message}", await client.mailbox_id("INBOX")
        mailbox = await client.store.open(ANN, "INBOX")

        async def counts() -> list[int]:
            found = (await client.call("Mailbox/get", ids=[inbox]))["list"][0]
            return [found[name] for name in ("totalEmails", "unreadEmails", "totalThreads", "unreadThreads")]

        async def mark(mode: Mode) -> dict[str, Any]:
            state = (await client.call("Email/get", ids=[]))["state"]
            await mailbox.set_flags([placed.uid], mode, ("\\Deleted",))
            found: dict[str, Any] = await client.call("Email/changes", sinceState=state)
            return found

        assert await counts() == [2, 2, 1, 1]
        hidden = await mark(Mode.ADD)
        assert (hidden["created"], hidden["updated"], hidden["destroyed"]) == ([], [], [one]) and await counts() == [1, 1, 1, 1]
        assert (await client.call("Email/get", ids=[one]))["notFound"] == [one]
        assert (await client.call("Email/query"))["ids"] == [f"M{other.message}"]
        refused = await client.call("Email/set", update={one: {"keywords/$seen": True}}, destroy=["M99"])
        assert refused["notUpdated"][one]["type"] == "notFound"
        shown = await mark(Mode.REMOVE)
        assert (shown["created"], shown["updated"], shown["destroyed"]) == ([one], [], []) and await counts() == [2, 2, 1, 1]
        assert (await client.call("Email/get", ids=[one], properties=["keywords"]))["list"][0]["keywords"] == {"$work": True}
        mailbox.close()


async def test_other_accounts_messages_and_wrong_ids_are_not_found(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        await client.append(MIXED)
        found = await client.call("Email/get", accountId="A2", ids=["M1", "M2", "T1", "M01", "x"])
        assert found["list"] == [] and found["notFound"] == ["M1", "M2", "T1", "M01", "x"]
        assert await client.error("Email/get") == "requestTooLarge"


async def test_changes_go_on_from_any_state(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        state = (await client.call("Email/get", ids=[]))["state"]
        for number in range(5):
            await client.append(b"Subject: %d\r\n\r\nx" % number)
        mailbox = await client.store.open(ANN, "INBOX")
        await mailbox.set_flags([Uid(1), Uid(2), Uid(3)], Mode.ADD, ("\\Seen",))
        found: dict[str, list[str]] = {"created": [], "updated": [], "destroyed": []}
        more = True
        while more:
            part = await client.call("Email/changes", sinceState=state, maxChanges=2)
            assert sum(len(part[kind]) for kind in found) <= 2
            for kind, ids in found.items():
                ids += part[kind]
            state, more = part["newState"], part["hasMoreChanges"]
        assert found["created"] == ["M1", "M2", "M3", "M4", "M5"] and found["updated"] == ["M1", "M2", "M3"] and not found["destroyed"]
        await mailbox.remove([Uid(4)])
        await mailbox.set_flags([Uid(1)], Mode.REMOVE, ("\\Seen",))
        mailbox.close()
        part = await client.call("Email/changes", sinceState=state)
        assert (part["created"], part["updated"], part["destroyed"]) == ([], ["M1"], ["M4"])
        assert await client.error("Email/changes", sinceState="5-x") == "cannotCalculateChanges"


async def test_bodies_too_large_to_be_read_with_the_rows_and_one_that_two_share(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        texts = [character * 700_000 for character in "abc"] + ["short", "short"]
        placed = [await client.append(f"Subject: {text[0]}\r\n\r\n{text}".encode()) for text in texts]
        ids = [f"M{one.message}" for one in placed]
        found = await client.call("Email/get", ids=ids, properties=["subject", "bodyValues"], fetchAllBodyValues=True)
        values = {one["id"]: one["bodyValues"]["1"]["value"] for one in found["list"]}
        assert [values[one] for one in ids] == texts
