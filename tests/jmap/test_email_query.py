"""Email/query against a model that looks at every message, and queryChanges against what a client makes of it (RFC 8621 §4.4, §4.5)."""

import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.mail.ids import MessageId
from appliance.store.message_update import MessageState
from appliance.store.scope import own

from .server import A1, ANN, JmapClient, a_client

NAMES = ("INBOX", "Archive", "Trash")
KEYWORDS = ("\\Seen", "\\Flagged", "$Work")
WORDS = ("plan", "Grüße", "BREAD", "zebra")


def message(subject: str, name: str, body: str, *, reply_to: str = "", sender: str = "bob") -> bytes:
    references = f"References: <{reply_to}@x>\r\n" if reply_to else ""
    return (
        f"From: {sender.title()} <{sender}@x.example>\r\nTo: ann@home.test\r\nSubject: {subject}\r\nMessage-ID: <{name}@x>\r\n{references}"
        f"Date: Tue, {1 + len(name)} Jul 2003 10:00:00 +0000\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{body}\r\n"
    ).encode()


def seen_or_not(state: MessageState) -> MessageState:
    return MessageState(state.flags ^ {"\\Seen"}, state.mailboxes)


async def fill(client: JmapClient, seed: int, count: int = 24) -> None:
    dice = random.Random(seed)
    for number in range(count):
        reply = f"n{dice.randrange(number)}" if number and dice.random() < 0.4 else ""
        subject = dice.choice(WORDS) if not reply else "Re: " + WORDS[0]
        octets = message(
            subject,
            f"n{number}",
            " ".join(dice.sample(WORDS, 2)) * dice.randrange(1, 4),
            reply_to=reply,
            sender=dice.choice(("bob", "eve")),
        )
        names = dice.sample(NAMES, dice.choice((1, 1, 2)))
        await client.append(octets, *names, flags=tuple(dice.sample(KEYWORDS, dice.randrange(3))), at=1_700_000_000 + dice.randrange(50))
        if dice.random() < 0.3:
            await client.store.update_message(
                own(ANN), MessageId(number + 1), lambda state: MessageState(state.flags ^ {"\\Seen"}, state.mailboxes)
            )


async def everything(client: JmapClient) -> list[dict[str, Any]]:
    """All messages as Email/get has them, newest first."""
    ids = [f"M{n}" for n in range(1, 80)]
    found = (await client.call("Email/get", ids=ids, fetchAllBodyValues=True))["list"]
    threads = {one["id"]: one["threadId"] for one in found}
    for one in found:
        one["thread_keywords"] = [other["keywords"] for other in found if threads[other["id"]] == one["threadId"]]
    return sorted(found, key=lambda one: (one["receivedAt"], int(one["id"][1:])), reverse=True)


def meets(one: dict[str, Any], name: str, value: Any) -> bool:
    text = one["subject"] + "\n" + one["bodyValues"]["1"]["value"]
    match name:
        case "inMailbox":
            return value in one["mailboxIds"]
        case "inMailboxOtherThan":
            return bool(set(one["mailboxIds"]) - set(value))
        case "before":
            return bool(one["receivedAt"] < value)
        case "after":
            return bool(one["receivedAt"] >= value)
        case "minSize":
            return bool(one["size"] >= value)
        case "maxSize":
            return bool(one["size"] < value)
        case "hasKeyword":
            return value in one["keywords"]
        case "notKeyword":
            return value not in one["keywords"]
        case "allInThreadHaveKeyword":
            return all(value in some for some in one["thread_keywords"])
        case "someInThreadHaveKeyword":
            return any(value in some for some in one["thread_keywords"])
        case "noneInThreadHaveKeyword":
            return not any(value in some for some in one["thread_keywords"])
        case "hasAttachment":
            return bool(one["hasAttachment"] == value)
        case "from":
            return value in one["from"][0]["email"] or value in one["from"][0]["name"]
        case "subject":
            return value.casefold() in one["subject"].casefold()
        case "body":
            return value.casefold() in one["bodyValues"]["1"]["value"].casefold()
        case "text":
            return value.casefold() in text.casefold()
        case "header":
            return len(value) == 1 or value[1] in one["messageId"][0]
    raise AssertionError(name)


def holds(one: dict[str, Any], condition: dict[str, Any]) -> bool:
    if "operator" not in condition:
        return all(meets(one, name, value) for name, value in condition.items())
    results = [holds(one, inner) for inner in condition["conditions"]]
    return {"AND": all(results), "OR": any(results), "NOT": not any(results)}[condition["operator"]]


LEAVES = st.one_of(
    st.sampled_from([{"inMailbox": "F1"}, {"inMailbox": "F2"}, {"inMailbox": "F99"}, {"inMailboxOtherThan": ["F1", "F6"]}]),
    st.sampled_from([{name: word} for name in ("text", "body", "subject") for word in ("plan", "GRÜSSE".lower(), "bread", "none")]),
    st.sampled_from([{name: word} for name in ("hasKeyword", "notKeyword") for word in ("$seen", "$work", "$none")]),
    st.sampled_from([{f"{name}InThreadHaveKeyword": "$seen"} for name in ("all", "some", "none")]),
    st.sampled_from([{"before": "2023-11-14T22:13:40Z"}, {"after": "2023-11-14T22:13:40Z"}, {"minSize": 300}, {"maxSize": 300}]),
    st.sampled_from([{"from": "eve"}, {"header": ["Message-ID", "n1"]}, {"header": ["Subject"]}, {"hasAttachment": False}]),
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        lambda operator, conditions: {"operator": operator, "conditions": conditions},
        st.sampled_from(["AND", "OR", "NOT"]), st.lists(inner, max_size=3),
    ),
    max_leaves=6,
)  # fmt: skip


def test_any_filter_finds_what_a_look_at_every_message_finds() -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as directory:
            async with a_client(Path(directory)) as client:
                await fill(client, 7)
                all_messages = await everything(client)

                async def check(condition: dict[str, Any]) -> None:
                    found = await client.call("Email/query", filter=condition, calculateTotal=True)
                    expected = [one["id"] for one in all_messages if holds(one, condition)]
                    assert found["ids"] == expected and found["total"] == len(expected), condition

                conditions: list[dict[str, Any]] = []

                @settings(max_examples=120, deadline=None, database=None)
                @given(FILTERS)
                def collect(condition: dict[str, Any]) -> None:
                    conditions.append(condition)

                collect()
                for condition in conditions:
                    await check(condition)

    trio.run(run)


@pytest.mark.parametrize(
    ("sort", "key", "descending"),
    [
        ("receivedAt", lambda one: one["receivedAt"], True), ("receivedAt", lambda one: one["receivedAt"], False),
        ("size", lambda one: one["size"], False), ("from", lambda one: one["from"][0]["name"].casefold(), False),
        ("subject", lambda one: one["subject"].removeprefix("Re: ").casefold().replace("ü", "u\u0308").replace("ß", "ss"), True),
        ("sentAt", lambda one: one["sentAt"], True), ("to", lambda one: one["to"][0]["email"], False),
    ],
)  # fmt: skip
async def test_sorts(tmp_path: Path, sort: str, key: Any, descending: bool) -> None:
    async with a_client(tmp_path) as client:
        await fill(client, 3)
        found = await client.call("Email/query", sort=[{"property": sort, "isAscending": not descending}])
        by_id = {one["id"]: one for one in await everything(client)}
        keys = [key(by_id[one]) for one in found["ids"]]
        assert keys == sorted(keys, reverse=descending) and len(keys) == len(by_id)


async def test_sort_by_keyword_then_by_age_and_threads_collapsed(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        await fill(client, 5)
        sort = [{"property": "someInThreadHaveKeyword", "keyword": "$flagged", "isAscending": False}, {"property": "receivedAt"}]
        found = (await client.call("Email/query", sort=sort))["ids"]
        messages = {one["id"]: one for one in await everything(client)}
        keys = [(not any("$flagged" in some for some in messages[one]["thread_keywords"]), messages[one]["receivedAt"]) for one in found]
        assert keys == sorted(keys)
        collapsed = (await client.call("Email/query", sort=sort, collapseThreads=True))["ids"]
        first = list({messages[one]["threadId"]: one for one in reversed(found)}.values())
        assert sorted(collapsed) == sorted(first) and collapsed == [one for one in found if one in first]


async def test_the_sort_of_rfc_8621_section_4_4_2(tmp_path: Path) -> None:
    """Threads with a flagged message first, then by subject whatever the case, then the newest first."""
    sort = [
        {"property": "someInThreadHaveKeyword", "keyword": "$flagged", "isAscending": False},
        {"property": "subject", "collation": "i;ascii-casemap"}, {"property": "receivedAt", "isAscending": False},
    ]  # fmt: skip
    async with a_client(tmp_path) as client:
        wanted = {}
        rows = (
            ("beta", 1, ()),
            ("Alpha", 2, ()),
            ("alpha", 3, ()),
            ("Gamma", 4, ("\\Flagged",)),
            ("Beta", 5, ()),
            ("zeta", 6, ("\\Flagged",)),
        )
        for subject, at, flags in rows:
            octets = f"Subject: {subject}\r\n\r\n".encode()
            wanted[subject] = f"M{(await client.append(octets, flags=flags, at=1_700_000_000 + at)).message}"
        assert (await client.call("Email/query", sort=sort))["ids"] == [
            wanted[subject] for subject in ("Gamma", "zeta", "alpha", "Alpha", "Beta", "beta")
        ]


async def test_windows_and_repeated_queries(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        await fill(client, 1, 10)
        whole = (await client.call("Email/query"))["ids"]
        assert (await client.call("Email/query", position=3, limit=2))["ids"] == whole[3:5]
        assert (await client.call("Email/query", position=-2))["ids"] == whole[-2:]
        part = await client.call("Email/query", anchor=whole[4], anchorOffset=-1, limit=2)
        assert (part["ids"], part["position"]) == (whole[3:5], 3)
        assert await client.error("Email/query", anchor="M999") == "anchorNotFound"
        assert await client.call("Email/query", accountId="A2") | {"queryState": ""} == {
            "accountId": "A2", "queryState": "", "canCalculateChanges": True, "position": 0, "ids": [], "limit": 5000,
        }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"filter": {"colour": 1}}, "unsupportedFilter"), ({"filter": {"fooKeyword": "a"}}, "unsupportedFilter"),
        ({"filter": {"before": "yesterday"}}, "invalidArguments"), ({"filter": {"before": "2023-13-01T00:00:00Z"}}, "invalidArguments"),
        ({"filter": {"minSize": -1}}, "invalidArguments"), ({"filter": {"header": []}}, "invalidArguments"),
        ({"filter": {"operator": "AND"}}, "invalidArguments"), ({"sort": [{"property": "hasKeyword"}]}, "invalidArguments"),
        ({"sort": [{"property": "colour"}]}, "unsupportedSort"),
        ({"filter": {"operator": "AND", "conditions": [{}] * 300}}, "unsupportedFilter"),
    ],
)  # fmt: skip
async def test_what_cannot_be_asked_is_refused(tmp_path: Path, arguments: dict[str, Any], kind: str) -> None:
    async with a_client(tmp_path) as client:
        assert await client.error("Email/query", **arguments) == kind
    deep: dict[str, Any] = {"text": "x"}
    for _ in range(22):
        deep = {"operator": "NOT", "conditions": [deep]}
    async with a_client(tmp_path) as client:
        assert await client.error("Email/query", filter=deep) == "unsupportedFilter"


@pytest.mark.parametrize(
    "arguments",
    [
        {}, {"filter": {"notKeyword": "$seen"}}, {"collapseThreads": True},
        {"filter": {"text": "plan"}, "sort": [{"property": "hasKeyword", "keyword": "$flagged"}]},
    ],
)  # fmt: skip
async def test_a_client_that_applies_query_changes_has_the_results(tmp_path: Path, arguments: dict[str, Any]) -> None:
    dice = random.Random(11)
    async with a_client(tmp_path) as client:
        await fill(client, 2, 12)
        first = await client.call("Email/query", **arguments)
        mine, state = first["ids"], first["queryState"]
        for number in range(12):
            kind = dice.choice(("append", "flag", "flag", "remove"))
            if kind == "append":
                await client.append(message("plan", f"m{number}", "plan"), at=1_700_000_000 + dice.randrange(50))
            else:
                target = MessageId(int(dice.choice((await client.call("Email/query"))["ids"])[1:]))
                flags = frozenset(dice.sample(("\\Seen", "\\Flagged"), dice.randrange(3)))
                keep = kind == "flag"
                await client.store.update_message(
                    own(ANN),
                    target,
                    lambda was, flags=flags, keep=keep: MessageState(flags, was.mailboxes if keep else frozenset()),  # type: ignore[misc]
                )
            changes = await client.call("Email/queryChanges", sinceQueryState=state, calculateTotal=True, **arguments)
            mine = [one for one in mine if one not in changes["removed"]]
            for added in changes["added"]:
                mine.insert(added["index"], added["id"])
            whole = await client.call("Email/query", **arguments)
            assert mine == whole["ids"] and changes["total"] == len(mine)
            state = changes["newQueryState"]
        assert await client.error("Email/queryChanges", sinceQueryState="1", **arguments) == "cannotCalculateChanges"
        await client.append(message("plan", "last", "plan"))
        assert await client.error("Email/queryChanges", sinceQueryState=state, maxChanges=0, **arguments) in ("tooManyChanges",)


async def test_snippets_mark_what_was_searched(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        one = f"M{(await client.append(message('The <plan>', 'a', 'We have a <b>Plan</b> & more, ' + 'x ' * 400 + 'zebra'))).message}"
        found_ids = {"resultOf": "a", "name": "Email/query", "path": "/ids"}
        query, snippets = await client.request(
            ["Email/query", {"accountId": A1, "filter": {"text": "plan"}}, "a"],
            [
                "SearchSnippet/get",
                {"accountId": A1, "filter": {"text": "plan"}, "#emailIds": found_ids},
                "b",
            ],
        )
        assert query[1]["ids"] == [one]
        (found,) = snippets[1]["list"]
        assert found["subject"] == "The &lt;<mark>plan</mark>&gt;" and "&lt;b&gt;<mark>Plan</mark>&lt;/b&gt; &amp; more" in found["preview"]
        far = await client.call("SearchSnippet/get", filter={"body": "zebra"}, emailIds=[one, "M99"])
        assert far["list"][0]["subject"] is None and far["list"][0]["preview"].endswith("<mark>zebra</mark>") and far["notFound"] == ["M99"]
