"""The text of messages in filters (RFC 8621 §4.4.1): what a reader sees, by the index and by reading, and marked in snippets (§5)."""

import random
from pathlib import Path
from typing import Any

import pytest
import trio

from appliance.protocol.imap.envelope_fields import searched_texts
from appliance.store import account_rows, search_filling, search_shard
from appliance.store.search_filling import SearchFilling
from appliance.store.search_found import TextHits
from appliance.store.search_index import SearchIndex
from tests.imapd.test_index_search import WORDS, needles
from tests.imapd.test_index_search import message as any_message

from .server import ANN, JmapClient, a_client

HEAD = (
    b"Received: from relay.example by mail.home.test; Mon, 1 Jun 2026 10:00:00 +0000\r\nDKIM-Signature: v=1; d=relay.example; b=abcdef\r\n"
    b"X-Mailer: Quillpost 7\r\n"
)
MESSAGE = HEAD + (
    b'From: "Mary Smith" <mary@friends.example>\r\nTo: ann@home.test\r\nCc: Bob <bob@third.example>\r\n'
    b"Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= aus Wien\r\nContent-Type: multipart/mixed; boundary=edge42\r\n\r\n"
    b"--edge42\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nThe boat leaves at noon.\r\n"
    b"--edge42\r\nContent-Type: application/pdf; name=timetable.pdf\r\nContent-ID: <c1@host.example>\r\n\r\nx\r\n--edge42--\r\n"
)
HTML = HEAD + (
    b"From: News <news@paper.example>\r\nSubject: Today\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    b"<style>.x{color:red}</style><table class=outer><td>Gr&uuml;ne&nbsp;B\xc3\xa4ume\r\n<i>grow</i> fast</td></table>\r\n"
)
SEEN = ("mary smith", "friends.example", "ann@home", "bob", "Grüße aus", "wien", "boat leaves", "timetable.pdf")
UNSEEN = ("relay.example", "mail.home.test", "abcdef", "quillpost", "edge42", "host.example", "multipart", "charset", "received")


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_filling, "BATCH", 7)
    monkeypatch.setattr(search_shard, "MESSAGES", 20)
    monkeypatch.setattr(search_shard, "FEW", 1)


def any_html(chance: random.Random) -> bytes:
    """Words with markup and entities between and within them."""
    pieces = (
        "<b>",
        "</b>",
        " ",
        "\r\n",
        "&amp;",
        "&nbsp;",
        "&#233;",
        "<!-- x -->",
        "<style>the</style>",
        "<p title=alpha>",
        "<",
        "a",
        "e\u0301",
    )
    text = "".join(chance.choice(WORDS) + chance.choice(pieces) for _ in range(chance.randint(0, 14)))
    return b"Subject: html\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + text.encode() + b"\r\n"


async def fill_index(client: JmapClient, directory: Path) -> SearchIndex:
    async def hop(call: Any) -> Any:
        return await trio.to_thread.run_sync(call)

    index = SearchIndex(client.store, directory, read_hop=hop, write_hop=hop)
    filling = SearchFilling(client.store, index, client.store.clock, described=searched_texts, octets_a_s=float("inf"))
    await filling.catch_up(1)
    assert index.shards[ANN]
    return index


async def test_text_is_what_a_reader_sees_of_a_message(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        wanted = f"M{(await client.append(MESSAGE)).message}"
        await client.append(HEAD + b"Subject: other\r\n\r\nNothing here.\r\n")

        async def found(**condition: str) -> list[str]:
            ids: list[str] = (await client.call("Email/query", filter=condition))["ids"]
            return ids

        for index in (None, await fill_index(client, tmp_path / "search")):
            client.store.search_index = index
            assert {word: await found(text=word) for word in SEEN} == {word: [wanted] for word in SEEN}
            assert {word: await found(text=word) for word in UNSEEN} == {word: [] for word in UNSEEN}
            assert await found(**{"from": "mary smith"}) == [wanted] and await found(subject="grüße") == [wanted]


async def test_what_changes_behind_the_index_is_found_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that arrives, and one that goes, between the look-up and the reading of the rows."""
    async with a_client(tmp_path) as client:
        first = [(await client.append(HEAD + b"Subject: boat\r\n\r\n")).message for _ in range(20)]
        client.store.search_index = index = await fill_index(client, tmp_path / "search")
        late: list[int] = []
        real = index.look_up

        async def change() -> None:
            late.append((await client.append(HEAD + b"Subject: boat, late\r\n\r\n")).message)
            await client.append(HEAD + b"Subject: other\r\n\r\n")
            await client.call("Email/set", destroy=[f"M{first[3]}"])

        async def look_up(*arguments: Any) -> TextHits:
            found = await real(*arguments)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(change)
            return found

        monkeypatch.setattr(index, "look_up", look_up)
        found = (await client.call("Email/query", filter={"text": "boat"}))["ids"]
        assert found == [f"M{one}" for one in reversed(first + late) if one != first[3]]


async def test_what_had_to_be_read_is_indexed_soon(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        await client.append(MESSAGE)
        client.store.search_index = index = await fill_index(client, tmp_path / "search")
        for _ in range(60):
            await client.append(MESSAGE)
        assert len((await client.call("Email/query", filter={"text": "boat"}))["ids"]) == 61
        assert index.wanted == {ANN}


@pytest.mark.parametrize("few", [0, 10, account_rows.FEW])
async def test_the_index_finds_what_reading_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    """`few`: so many messages are looked up by their ids, of more all rows are read."""
    monkeypatch.setattr(account_rows, "FEW", few)
    chance = random.Random(17)
    async with a_client(tmp_path) as client:
        for _ in range(50):
            await client.append(any_html(chance) if chance.random() < 0.4 else any_message(chance))
        index = await fill_index(client, tmp_path / "search")
        for _ in range(5):
            await client.append(any_message(chance))
        total = 0
        for number, needle in enumerate(needles(chance) + needles(chance)):
            for name in ("text", "from", "subject", "body"):
                condition = {"operator": "AND", "conditions": [{name: needle}, {"maxSize": 10**9 + number}]}  # no result that is kept
                client.store.search_index = index
                indexed = (await client.call("Email/query", filter=condition))["ids"]
                client.store.search_index = None
                condition["conditions"][1] = {"maxSize": 2 * 10**9 + number}  # type: ignore[index]
                assert indexed == (await client.call("Email/query", filter=condition))["ids"], (name, needle)
                total += len(indexed)
        assert total > 500


async def test_html_is_found_by_what_it_shows_and_not_by_its_markup(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        ids = [f"M{(await client.append(HTML)).message}" for _ in range(30)]
        for index in (None, await fill_index(client, tmp_path / "search")):
            client.store.search_index = index
            for word, count in (
                ("Grüne Bäume", 30),
                ("bäume grow fast", 30),
                ("grow", 30),
                ("table", 0),
                ("outer", 0),
                ("color", 0),
                ("uuml", 0),
            ):
                assert len((await client.call("Email/query", filter={"text": word}))["ids"]) == count, word
        found = await client.call("SearchSnippet/get", filter={"text": "grow"}, emailIds=ids[:1])
        assert found["list"][0]["preview"] == "Grüne Bäume <mark>grow</mark> fast"


async def test_snippets_show_what_was_found(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        one = f"M{(await client.append(MESSAGE)).message}"

        async def snippet(word: str) -> tuple[str | None, str | None]:
            (found,) = (await client.call("SearchSnippet/get", filter={"text": word}, emailIds=[one]))["list"]
            return found["subject"], found["preview"]

        assert await snippet("wien") == ("Grüße aus <mark>Wien</mark>", None)
        assert await snippet("boat") == (None, "The <mark>boat</mark> leaves at noon.")
        for word in ("mary", *UNSEEN):
            assert await snippet(word) == (None, None), "nothing of it stands in the subject or the text"
