"""Email/set create: the message made is what was described, and what each refusal is called (RFC 8621 §4.6)."""

import email
import email.policy
import threading
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.jmap import message_writer
from appliance.jmap.header_setting import set_header
from appliance.jmap.message_writer import encode_text
from appliance.protocol.jmap.errors import SetError

from .server import BEN, JmapClient, a_client

GET = [
    "mailboxIds", "keywords", "receivedAt", "from", "sender", "to", "cc", "bcc", "replyTo", "subject", "sentAt", "messageId", "inReplyTo",
    "references", "textBody", "htmlBody", "attachments", "bodyValues", "bodyStructure", "size", "blobId", "threadId", "preview",
]  # fmt: skip

PARTS = ["partId", "blobId", "size", "name", "type", "disposition", "cid", "language", "location", "subParts"]


async def create(client: JmapClient, **given: Any) -> dict[str, Any]:
    """The new Email's id, blob, thread and size."""
    given.setdefault("mailboxIds", {await client.mailbox_id("Drafts"): True})
    done = await client.call("Email/set", create={"new": given})
    assert done["created"] is not None, done["notCreated"]
    found: dict[str, Any] = done["created"]["new"]
    assert set(found) == {"id", "blobId", "threadId", "size"} and done["oldState"] != done["newState"]
    return found


async def get(client: JmapClient, one: str, *more: str) -> dict[str, Any]:
    found = await client.call("Email/get", ids=[one], properties=[*GET, *more], bodyProperties=PARTS, fetchAllBodyValues=True)
    shown: dict[str, Any] = found["list"][0]
    return shown


async def parsed(client: JmapClient, made: dict[str, Any]) -> EmailMessage:
    """The octets, checked, as another program reads them."""
    octets = await client.octets(made["blobId"])
    assert len(octets) == made["size"]
    lines = octets.split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line or len(line) > 998 for line in lines)
    found = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(found, EmailMessage) and not found.defects
    return found


async def test_a_draft_with_everything(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        picture, report = await client.upload(b"\x89PNG" * 99, "image/png"), await client.upload(b"%PDF" * 5000, "application/pdf; x=y")
        drafts, archive = await client.mailbox_id("Drafts"), await client.mailbox_id("Archive")
        given = {
            "mailboxIds": {drafts: True, archive: True}, "keywords": {"$draft": True, "$seen": True, "mine": True},
            "receivedAt": "2026-01-02T03:04:05Z", "sentAt": "2026-01-02T04:04:05+01:00",
            "from": [{"name": "Ann \xc4nn", "email": "ann@home.test"}], "to": [{"name": "Smith, Ben", "email": "ben@x.example"}],
            "cc": [{"email": "c@x.example"}, {"name": None, "email": "d@x.example"}],
            "bcc": [{"name": "E", "email": "e@b\xfccher.example"}],
            "replyTo": [{"name": "R", "email": "r@x.example"}], "subject": "Gr\xfc\xdfe \u6f22\u5b57 \U0001f600 " * 9,
            "messageId": ["m1@home.test"], "inReplyTo": ["a@b"], "references": [f"r{n}@b" for n in range(9)],
            "header:X-Text:asText": "t\xe9xt", "header:X-Raw": " raw  text", "header:X-Many:asText:all": ["one", "two"],
            "header:List-Post:asURLs": ["mailto:a@x.example"], "header:X-Group:asGroupedAddresses": [
                {"name": "Team", "addresses": [{"name": None, "email": "t@x.example"}]},
                {"name": None, "addresses": [{"email": "u@x.example"}]},
            ],
            "textBody": [{"partId": "t"}], "htmlBody": [{"partId": "h", "type": "text/html"}],
            "attachments": [
                {"blobId": picture, "cid": "pic@x", "disposition": "inline", "name": "p.png"},
                {"blobId": report, "name": "B\xe9richt " * 20 + ".pdf", "language": ["de", "en"], "location": "http://x.example/"},
            ],
            "bodyValues": {"t": {"value": "H\xe9llo\n"}, "h": {"value": '<p>H\xe9llo <img src="cid:pic@x"></p>', "isTruncated": False}},
        }  # fmt: skip
        made = await create(client, **given)
        found = await get(client, made["id"], *(name for name in given if name.startswith("header:")))
        assert found["bcc"] == [{"name": "E", "email": "e@xn--bcher-kva.example"}]
        assert found["cc"] == [{"name": None, "email": "c@x.example"}, {"name": None, "email": "d@x.example"}]
        assert found["header:X-Group:asGroupedAddresses"][1] == {"name": None, "addresses": [{"name": None, "email": "u@x.example"}]}
        same = ("mailboxIds", "keywords", "receivedAt", "sentAt", "from", "to", "replyTo", "messageId", "inReplyTo", "references")
        for name in (*same, "header:X-Text:asText", "header:X-Raw", "header:X-Many:asText:all", "header:List-Post:asURLs"):
            assert found[name] == given[name], name
        assert found["subject"] == given["subject"].strip() or found["subject"] == given["subject"]
        assert [value["value"] for value in found["bodyValues"].values()] == ["H\xe9llo\n", given["bodyValues"]["h"]["value"]]
        assert [(part["name"], part["type"], part["disposition"], part["cid"]) for part in found["attachments"]] == [
            ("p.png", "image/png", "inline", "pic@x"), (given["attachments"][1]["name"], "application/pdf", "attachment", None),
        ]  # fmt: skip
        assert found["attachments"][1]["language"] == ["de", "en"] and found["attachments"][1]["location"] == "http://x.example/"
        assert [await client.octets(part["blobId"]) for part in found["attachments"]] == [b"\x89PNG" * 99, b"%PDF" * 5000]
        kinds = [found["bodyStructure"]["type"], *(part["type"] for part in found["bodyStructure"]["subParts"])]
        assert kinds == ["multipart/mixed", "multipart/alternative", "application/pdf"] and found["threadId"] == made["threadId"]
        foreign = await parsed(client, made)
        assert [part.get_content_type() for part in foreign.walk()] == [
            "multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png", "application/pdf",
        ]  # fmt: skip
        pdf = list(foreign.walk())[-1]
        assert pdf.get_filename() == given["attachments"][1]["name"] and pdf.get_content() == b"%PDF" * 5000
        assert foreign["From"].addresses[0].display_name == "Ann \xc4nn" and foreign["To"].addresses[0].display_name == "Smith, Ben"


async def test_message_id_and_date_are_made_where_they_are_missing(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        found = await get(client, (await create(client))["id"])
        assert found["messageId"][0].endswith("@home.test") and found["sentAt"].startswith("2026-12-01T00:00:00")
        assert found["receivedAt"] == "2026-12-01T00:00:00Z" and found["keywords"] == {} and found["textBody"][0]["size"] == 0


async def test_the_structure_given_is_the_structure(tmp_path: Path) -> None:
    """The example of RFC 8621 §4.10."""
    async with a_client(tmp_path) as client:
        made = await create(
            client,
            **{
                "from": [{"name": "Joe Bloggs", "email": "joe@example.com"}], "subject": "World domination",
                "bodyStructure": {
                    "type": "multipart/alternative", "header:X-Top": " here",
                    "subParts": [
                        {"partId": "49db", "type": "text/html"}, {"partId": "bd48", "type": "text/plain", "header:X-Part:asText": "\xe9"},
                    ],
                },
                "bodyValues": {
                    "bd48": {"value": "I have the plan", "isTruncated": False}, "49db": {"value": "<!DOCTYPE html>" + "x" * 1200},
                },
            },
        )  # fmt: skip
        found = await get(client, made["id"], "header:X-Top")
        assert found["header:X-Top"] == " here" and [part["type"] for part in found["bodyStructure"]["subParts"]] == [
            "text/html",
            "text/plain",
        ]
        assert {value["value"] for value in found["bodyValues"].values()} == {"I have the plan", "<!DOCTYPE html>" + "x" * 1200}
        assert (await parsed(client, made)).get_content_type() == "multipart/alternative"


async def test_attached_messages_are_not_encoded(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        plain, wide = b"Subject: x\nX: y\r\n\nbody\n", "Subject: \xe9\r\n\r\nbody\xe9".encode()
        long = b"Subject: x\r\n\r\n" + b"y" * 999
        blobs = [await client.upload(octets, "message/rfc822") for octets in (plain, wide, long)]
        made = await create(client, attachments=[{"blobId": blob, "name": "m.eml"} for blob in blobs])
        found = await get(client, made["id"])
        assert [part["type"] for part in found["attachments"]] == ["message/rfc822", "message/rfc822", "application/octet-stream"]
        octets = [await client.octets(part["blobId"]) for part in found["attachments"]]
        assert octets[0] == b"Subject: x\r\nX: y\r\n\r\nbody\r\n" and octets[1:] == [wide, long]
        whole = await client.octets(made["blobId"])
        assert whole.count(b"Content-Transfer-Encoding: 8bit") == 2
        again = await create(client, attachments=[{"blobId": made["blobId"]}, {"blobId": found["attachments"][0]["blobId"]}])
        inner = (await get(client, again["id"]))["attachments"]
        assert await client.octets(inner[0]["blobId"]) == whole and await client.octets(inner[0]["blobId"] + "-3") == long


async def test_half_an_address_of_a_draft(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        given = [{"name": None, "email": "bo"}, {"name": "Z", "email": "z@"}, {"name": "J", "email": "j\xfcrgen@x.example"}]
        found = await get(client, (await create(client, to=given))["id"])
        assert [one["email"].rstrip("@") for one in found["to"]] == ["bo", "z", "j\xfcrgen@x.example"]


TEXT = st.text(st.one_of(st.characters(exclude_categories=("Cs",), exclude_characters="\0\r"), st.sampled_from("\n\n =.\t")), max_size=200)
LONG = st.builds(lambda text, times: text * times, TEXT, st.sampled_from((1, 1, 1, 40)))
NAMES = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp")), min_size=1, max_size=120)
BLOB = st.one_of(st.binary(max_size=300), st.binary(min_size=57, max_size=57), st.just(b"x" * 70_000))


@given(st.lists(st.tuples(LONG, st.none() | LONG, NAMES, BLOB), min_size=12, max_size=12))
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_created_is_got(tmp_path_factory: pytest.TempPathFactory, cases: list[tuple[str, str | None, str, bytes]]) -> None:
    async def run() -> None:
        async with a_client(tmp_path_factory.mktemp("created")) as client:
            for case in cases:
                await check(client, *case)

    trio.run(run)


async def check(client: JmapClient, text: str, html: str | None, name: str, blob: bytes) -> None:
    given: dict[str, Any] = {"subject": name, "textBody": [{"partId": "t"}], "bodyValues": {"t": {"value": text}}}
    if html is not None:
        given |= {"htmlBody": [{"partId": "h"}], "bodyValues": {"t": {"value": text}, "h": {"value": html}}}
    given["attachments"] = [{"blobId": await client.upload(blob), "name": name}]
    made = await create(client, **given)
    await parsed(client, made)
    found = await get(client, made["id"])
    assert [found["bodyValues"][part["partId"]]["value"] for part in found["textBody"]] == [text]
    assert found["attachments"][0]["name"] == name and await client.octets(found["attachments"][0]["blobId"]) == blob
    if html is not None:
        assert found["bodyValues"][found["htmlBody"][0]["partId"]]["value"] == html


REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"mailboxIds": {}}, "mailboxIds"), ({"mailboxIds": None}, "mailboxIds"), ({"mailboxIds": {"x": True}}, "mailboxIds"),
    ({"keywords": {"a b": True}}, "keywords"), ({"receivedAt": "2026-01-02T03:04:05+01:00"}, "receivedAt"),
    ({"receivedAt": 5}, "receivedAt"), ({"id": "M1"}, "id"), ({"size": 5}, "size"), ({"headers": []}, "headers"),
    ({"hasAttachment": False}, "hasAttachment"), ({"subject": "a", "header:Subject": " b"}, "header:Subject"),
    ({"from": [{"email": "a@b"}], "header:From": " a@b"}, "header:From"),
    ({"header:X-A": " a", "header:x-a:asText": "b"}, "header:x-a:asText"), ({"header:From:asDate": "x"}, "header:From:asDate"),
    ({"header:Content-Type": " text/plain"}, "header:Content-Type"), ({"header:X Y": "a"}, "header:X Y"),
    ({"header:X:asFoo": "a"}, "header:X:asFoo"), ({"subject": "a\r\nBcc: x@y"}, "subject"),
    ({"header:X-A": " a\r\nBcc: x@y"}, "header:X-A"), ({"header:X-A": " \xe9"}, "header:X-A"),
    ({"header:X-A": " " + "a" * 999}, "header:X-A"), ({"subject": 5}, "subject"), ({"from": "a@b"}, "from"),
    ({"from": [{"name": "x"}]}, "from"), ({"from": [{"email": "a b@c"}]}, "from"), ({"from": [{"email": "<a@b>"}]}, "from"),
    ({"messageId": ["a b"]}, "messageId"), ({"sentAt": "yesterday"}, "sentAt"), ({"header:X-A:all": "a"}, "header:X-A:all"),
    ({"bodyValues": {"t": {"value": 5}}}, "bodyValues"), ({"bodyValues": {"t": {"value": "", "isTruncated": True}}}, "bodyValues"),
    ({"bodyValues": {"t": {"value": "", "isEncodingProblem": True}}}, "bodyValues"),
    ({"bodyStructure": {"type": "text/plain", "partId": "t"}}, "bodyStructure"), ({"textBody": [{"partId": "t"}]}, "textBody"),
    ({"textBody": [{"blobId": "U1", "type": "text/html"}]}, "textBody"), ({"textBody": [{"blobId": "U1"}, {"blobId": "U1"}]}, "textBody"),
    ({"textBody": {}}, "textBody"), ({"htmlBody": [{"blobId": "U1", "type": "text/plain"}]}, "htmlBody"),
    ({"attachments": [5]}, "attachments"), ({"attachments": [{"type": "image/png"}]}, "attachments"),
    ({"attachments": [{"blobId": "U1", "type": "multipart/mixed"}]}, "attachments"),
    ({"attachments": [{"blobId": "U1", "headers": []}]}, "attachments"),
    ({"attachments": [{"blobId": "U1", "type": "no type"}]}, "attachments"),
    ({"attachments": [{"blobId": "U1", "header:Content-Transfer-Encoding": " 8bit"}]}, "attachments"),
    ({"attachments": [{"blobId": "U1", "cid": "x", "header:Content-ID": " <y>"}]}, "header:Content-ID"),
    ({"attachments": [{"blobId": "U1", "cid": "a b"}]}, "attachments"),
    ({"attachments": [{"blobId": "U1", "name": "a\nb"}]}, "attachments"),
    ({"attachments": [{"blobId": "U1", "disposition": "a;b"}]}, "attachments"),
    ({"attachments": [{"blobId": "U1", "language": "en"}]}, "attachments"),
    ({"bodyStructure": {"blobId": "U1"}, "textBody": [{"blobId": "U1"}]}, "textBody"),
    ({"bodyStructure": {"type": "multipart/mixed", "subParts": []}}, "bodyStructure"),
    ({"subject": "x", "bodyStructure": {"blobId": "U1", "header:Subject": " y"}}, "bodyStructure"),
)  # fmt: skip


async def test_a_part_may_say_more_of_its_type(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        text = {"partId": "t", "header:Content-Type:asRaw": " text/plain;\r\n format=flowed; delsp=yes"}
        file = {"blobId": await client.upload(b"BEGIN:VCALENDAR"), "name": "invite.ics", "disposition": "attachment"}
        given = {"bodyValues": {"t": {"value": "a \nb"}}, "textBody": [text]}
        made = await create(client, **given, attachments=[{**file, "header:Content-Type": ' Text/Calendar; method="REQUEST"'}])
        octets = await client.octets(made["blobId"])
        assert b"Content-Type: text/plain; charset=utf-8; format=flowed; delsp=yes\r\n" in octets
        assert b'Content-Type: text/calendar; method="REQUEST"\r\n' in octets and b"a \r\nb" in octets
        for field in (" text/plain; charset=x", " text/plain; format", " text", "", " text/html"):
            refused = await client.call(
                "Email/set", create={"a": {"mailboxIds": {await client.mailbox_id("Drafts"): True}, **given, "textBody": [
                    {"partId": "t", "header:Content-Type": field}]}},
            )  # fmt: skip
            assert refused["notCreated"]["a"]["type"] == "invalidProperties", field


async def test_refusals_name_the_property_and_store_nothing(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        assert await client.upload(b"x") == "U1"
        drafts = await client.mailbox_id("Drafts")
        names = {str(place): {"mailboxIds": {drafts: True}, **given} for place, (given, _) in enumerate(REFUSED)}
        values = {"bodyValues": {"t": {"value": "x"}}, "mailboxIds": {drafts: True}}
        names["charset"] = {**values, "textBody": [{"partId": "t", "charset": "utf-8"}]}
        names["both"] = {**values, "textBody": [{"partId": "t", "blobId": "U1"}]}
        names["no text"] = {**values, "bodyStructure": {"partId": "t", "type": "image/png"}}
        done = await client.call("Email/set", create=names)
        assert done["created"] is None and done["oldState"] == done["newState"]
        for place, (given, name) in enumerate(REFUSED):
            refused = done["notCreated"][str(place)]
            assert refused["type"] == "invalidProperties" and (not name or name in refused["properties"]), (given, refused)
        assert {done["notCreated"][name]["type"] for name in ("charset", "both", "no text")} == {"invalidProperties"}


async def test_blobs_that_are_not_there_and_what_the_store_refuses(tmp_path: Path) -> None:
    async with a_client(tmp_path, quota=100_000) as client:
        drafts, others = await client.mailbox_id("Drafts"), await client.upload(b"x", account=BEN)
        mine = await client.upload(b"x" * 90_000)
        parts = [{"blobId": one} for one in ("U99", others, "B5", mine, "B5")]
        done = await client.call("Email/set", create={
            "a": {"mailboxIds": {drafts: True}, "attachments": parts},
            "b": {"mailboxIds": {"F999": True}},
            "c": {"mailboxIds": {drafts: True}, "attachments": [{"blobId": mine}]},
            "d": {"mailboxIds": {drafts: True}, "keywords": {f"k{n}": True for n in range(58)}},
        })  # fmt: skip
        refused = done["notCreated"]
        assert refused["a"]["type"] == "blobNotFound" and refused["a"]["notFound"] == sorted(["U99", others, "B5"])
        assert [refused[name]["type"] for name in "bcd"] == ["notFound", "overQuota", "tooManyKeywords"]


async def test_a_draft_saved_anew_takes_the_place_of_the_old_in_one_commit(tmp_path: Path) -> None:
    async with a_client(tmp_path, quota=150_000) as client:
        drafts = await client.mailbox_id("Drafts")
        given: dict[str, Any] = {"mailboxIds": {drafts: True}, "attachments": [{"blobId": await client.upload(b"x" * 60_000), "name": "a"}]}
        old = await create(client, **given)
        attached = (await get(client, old["id"]))["attachments"][0]["blobId"]
        given |= {"subject": "new", "attachments": [{"blobId": attached, "name": "a"}]}
        done = await client.call("Email/set", create={"d": given}, destroy=[old["id"], "M99"])
        new = done["created"]["d"]
        assert done["destroyed"] == [old["id"]] and list(done["notDestroyed"]) == ["M99"]
        assert await client.octets((await get(client, new["id"]))["attachments"][0]["blobId"]) == b"x" * 60_000
        failed = await client.call("Email/set", create={"d": {**given, "subject": 5}}, destroy=[new["id"]])
        assert failed["created"] is None and failed["destroyed"] == [new["id"]]


async def test_an_id_made_in_the_call_is_known_to_the_calls_after_it(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        arguments = {"accountId": "A1", "create": {"new": {"mailboxIds": {await client.mailbox_id("Drafts"): True}, "subject": "x"}}}
        made, changed, shown = await client.request(
            ["Email/set", arguments, "a"],
            ["Email/set", {"accountId": "A1", "update": {"#new": {"keywords/$flagged": True}}}, "b"],
            ["Email/get", {"accountId": "A1", "ids": ["#new"], "properties": ["subject", "keywords"]}, "c"],
        )
        one = made[1]["created"]["new"]["id"]
        assert changed[1]["updated"] == {"#new": None}
        assert shown[1]["list"] == [{"id": one, "subject": "x", "keywords": {"$flagged": True}}]
        done = await client.call("Email/set", update={one: {"keywords": {}}}, destroy=[one])
        assert done["notUpdated"][one]["type"] == "willDestroy" and done["destroyed"] == [one]


def test_a_lone_surrogate_is_no_text() -> None:
    assert encode_text("a\ud800b") == ("quoted-printable", b"a?b")


def test_a_raw_field_is_checked_in_one_pass() -> None:
    folded = "one" + "\r\n and another word" * 2_000
    ((name, octets),) = set_header("header:X-Raw", folded)
    assert name == "x-raw" and octets == f"X-Raw:{folded}\r\n".encode()
    for wrong in (folded + "\x80", folded + "\r\n ", folded + "\r\nBcc: eve@x.example", folded + "\n x"):
        with pytest.raises(SetError):  # at once: no line can be matched in two ways
            set_header("header:X-Raw", wrong)


async def test_what_cannot_be_written_is_refused_and_no_fault(tmp_path: Path) -> None:
    given = {"textBody": [{"partId": "1", "language": ["de"] * 300}], "bodyValues": {"1": {"value": "x"}}}
    async with a_client(tmp_path) as client:
        done = await client.call("Email/set", create={"new": {"mailboxIds": {await client.mailbox_id("Drafts"): True}, **given}})
        assert done["notCreated"]["new"]["type"] == "invalidProperties"


async def test_a_long_text_is_encoded_in_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def encode(text: str) -> tuple[str, bytes]:
        threads.append(threading.current_thread() is threading.main_thread())
        return encode_text(text)

    monkeypatch.setattr(message_writer, "encode_text", encode)
    async with a_client(tmp_path) as client:
        for text in ("short", "\xe4" * 30_000):
            await create(client, textBody=[{"partId": "1"}], bodyValues={"1": {"value": text}})
    assert threads == [True, False]
