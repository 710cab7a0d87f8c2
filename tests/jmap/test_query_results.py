"""Results brought up to date are those of a query made anew, whatever changed."""

import random
from pathlib import Path
from typing import Any

import pytest

from appliance.jmap import query_results

from .server import JmapClient, a_client

QUERIES: tuple[dict[str, Any], ...] = (
    {}, {"sort": [{"property": "receivedAt"}]}, {"sort": [{"property": "size", "isAscending": False}]},
    {"filter": {"hasKeyword": "$flagged"}}, {"filter": {"subject": "odd"}, "sort": [{"property": "size"}]},
    {"filter": {"inMailbox": "INBOX"}}, {"filter": {"hasAttachment": True}}, {"collapseThreads": True},
    {"filter": {"inMailbox": "INBOX"}, "collapseThreads": True},
    {"filter": {"hasKeyword": "$flagged"}, "sort": [{"property": "size"}], "collapseThreads": True},
    {"filter": {"subject": "odd"}, "sort": [{"property": "receivedAt"}], "collapseThreads": True},
)  # fmt: skip


async def act(client: JmapClient, chance: random.Random, number: int) -> None:
    ids = (await client.call("Email/query"))["ids"]
    inbox, archive = await client.mailbox_id("INBOX"), await client.mailbox_id("Archive")
    one = chance.choice(ids) if ids else None
    match chance.randrange(5) if one else 0:
        case 0 | 1:
            head = b"Message-ID: <%d@x>\r\nReferences: <%d@x>\r\n" % (number, chance.randrange(number + 1))
            text = head + b"Subject: Re: %b\r\n\r\n%b" % (chance.choice((b"odd", b"even")), b"x" * chance.randrange(4))
            await client.append(text, chance.choice(("INBOX", "Archive")), at=1_700_000_000 + chance.randrange(5))
        case 2:
            await client.call("Email/set", update={one: {"keywords/$flagged": chance.choice((True, None))}})
        case 3:
            await client.call("Email/set", update={one: {"mailboxIds": {chance.choice((inbox, archive)): True}}})
        case _:
            await client.call("Email/set", destroy=[one])


async def test_what_changed_is_put_where_it_belongs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    brought: list[int] = []
    whole = query_results.updated

    def counted(*arguments: Any) -> Any:
        brought.append(1)
        return whole(*arguments)

    monkeypatch.setattr("appliance.jmap.email_query.updated", counted)
    chance = random.Random(7)
    async with a_client(tmp_path) as client:
        inbox = await client.mailbox_id("INBOX")
        queries = [{**one, **({"filter": {"inMailbox": inbox}} if one.get("filter") == {"inMailbox": "INBOX"} else {})} for one in QUERIES]
        for number in range(150):
            await act(client, chance, number)
            fresh = JmapClient(client.store, client.limits)
            for query in chance.sample(queries, 2):
                assert (await client.call("Email/query", **query))["ids"] == (await fresh.call("Email/query", **query))["ids"], query
    assert len(brought) > 150


async def test_more_changes_than_are_followed_and_a_message_that_went_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_results, "CHANGED", 2)
    async with a_client(tmp_path) as client:
        for number in range(3):
            await client.append(b"Subject: x\r\n\r\n", at=1_700_000_000 + number)
        assert len((await client.call("Email/query"))["ids"]) == 3
        ids = [f"M{(await client.append(b'Subject: y', at=1_600_000_000 + number)).message}" for number in range(4)]
        found = (await client.call("Email/query"))["ids"]
        assert found[3:] == ids[::-1] and len(found) == 7
