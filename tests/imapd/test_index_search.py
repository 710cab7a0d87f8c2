"""SEARCH by the index equals the scan of all messages: many scripts, short needles, copies, expunges, rebuilds, damage, restarts."""

import random
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.mail.ids import Uid
from appliance.store import search_filling, search_index, search_shard
from tests.support.services import some_components

from .client import Client, signed_in
from .indexed import Indexed
from .picture import ok

WORDS = (
    "alpha", "Alphabet", "GRÜSSE", "straße", "Café", "cafe\u0301", "naïve", "東京都", "日本語", "京都", "ｶﾀｶﾅ", "한국어", "ไทยแลนด์",
    "עברית", "مرحبا", "Привет", "ΣΊΣΥΦΟΣ",
    "ﬁne", "ﬃ", "İstanbul", "ǅ", "🎉🎉", "x", "e", "the", "a.b@c.example", "100%", '"quoted"', "it's",
    "q\u0302\u0323z", "\u212bngström", "½", "①②", "ſ",
)  # fmt: skip
TEXT = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
CHARSETS = (("utf-8", "8bit"), ("utf-8", "base64"), ("utf-8", "quoted-printable"), ("utf-7", "7bit"))


def message(chance: random.Random) -> bytes:
    """A message in some shape, with words in subject, names and text."""
    import base64
    import quopri

    def words(most: int) -> str:
        return " ".join(chance.choices(WORDS, k=chance.randint(0, most)))

    def encoded(text: str) -> str:
        return "=?utf-8?B?" + base64.b64encode(text.encode()).decode() + "?="

    def part(text: str) -> bytes:
        charset, transfer = chance.choice(CHARSETS)
        octets = text.encode(charset, "surrogatepass") + b"\r\n"
        octets = base64.encodebytes(octets).replace(b"\n", b"\r\n") if transfer == "base64" else octets
        octets = quopri.encodestring(octets) if transfer == "quoted-printable" else octets
        return f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: {transfer}\r\n\r\n".encode() + octets

    subject, name = words(3), words(2)
    head = (
        f"Subject: {encoded(subject) if chance.random() < 0.7 else subject}\r\nFrom: {encoded(name)} <{chance.choice('abc')}@x.example>\r\n"
    )
    to = chance.choice(("Smith\\, J", "O(k)", "b"))
    head += f'X-Word: {words(2)}\r\nTo: "{to}" <u@y.example>\r\n'
    if chance.random() < 0.5:
        return head.encode() + part(words(9))
    first, second = part(words(5)), part(words(5))
    return head.encode() + b"Content-Type: multipart/mixed; boundary=zz\r\n\r\n--zz\r\n%b\r\n--zz\r\n%b\r\n--zz--\r\n" % (first, second)


def needles(chance: random.Random) -> list[str]:
    """Words, pieces of words, and pieces that reach over two."""
    found = ["", "zzz", "e", "q", "x", "7", "東", "京", "\u0301", "e\u0301", "ss", "FI", "x.example", "smith, j", "@x", "\n", "aa"]
    for _ in range(20):
        text = " ".join(chance.choices(WORDS, k=2))
        start = chance.randrange(len(text))
        found.append(text[start : start + chance.randint(1, 9)])
    return found


def queries(chance: random.Random) -> list[bytes]:
    def literal(text: str) -> bytes:
        octets = text.encode()
        return b"{%d+}\r\n%b" % (len(octets), octets)

    keys = [b"SUBJECT", b"FROM", b"TO", b"BODY", b"TEXT", b"HEADER X-Word"]
    some = [b"%b %b" % (chance.choice(keys), literal(needle)) for needle in needles(chance)]
    some += [b"NOT " + chance.choice(some) for _ in range(4)]
    some += [b"OR %b %b" % (chance.choice(some), chance.choice(some)) for _ in range(4)]
    some += [b"%b %b UNFLAGGED" % (chance.choice(some), chance.choice(some)) for _ in range(3)]
    some += [b"2:9 " + chance.choice(some), b"FLAGGED " + chance.choice(some), b"MODSEQ 3 " + chance.choice(some)]
    return some


@asynccontextmanager
async def indexed(place: Path) -> AsyncIterator[tuple[Indexed, Client]]:
    async with some_components(place) as components:
        yield Indexed(components, place / "search"), await signed_in(components, b"INBOX")


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_filling, "BATCH", 7)
    monkeypatch.setattr(search_shard, "MESSAGES", 20)
    monkeypatch.setattr(search_filling, "LISTED", 11)


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32))
async def test_the_index_equals_the_scan_while_messages_come_go_and_files_are_rebuilt(tmp_path_factory: Any, seed: int) -> None:
    chance = random.Random(seed)
    async with indexed(tmp_path_factory.mktemp("index")) as (here, client):
        for _ in range(4):
            for _ in range(chance.randint(3, 12)):
                await here.components.deliver(message(chance), flags=chance.choice(((), ("\\Flagged",), ("\\Deleted",))))
            await ok(client, b"NOOP")
            await here.filling.catch_up(chance.choice((1, 5)))
            step = chance.randrange(5)
            if step == 0:
                await ok(client, b"COPY 1:3 Archive")
                await ok(client, b"MOVE 2 Archive")
            elif step == 1:
                await ok(client, b"EXPUNGE")
            elif step == 2:
                await here.filling.rebuild(2**40)
            elif step == 3 and (files := sorted((here.index.directory).rglob("*.db"))):
                chance.choice(files).write_bytes(b"not a database" * 100)
            await here.compare(client, chance.sample(queries(chance), 12))
        assert not [text for text in here.said if "Traceback" in text]


async def test_each_kind_of_needle_finds_what_a_scan_finds(tmp_path: Path) -> None:
    chance = random.Random(1)
    async with indexed(tmp_path) as (here, client):
        for _ in range(60):
            await here.components.deliver(message(chance))
        await ok(client, b"NOOP")
        await here.filling.catch_up(1)
        assert sum(len(shards) for shards in here.index.shards.values()) == 4  # 14 of 20 places are used: two batches of 7 each
        assert await here.compare(client, [query for _ in range(4) for query in queries(chance)]) > 500
        assert not here.said


async def test_expunged_messages_leave_the_files(tmp_path: Path) -> None:
    async with indexed(tmp_path) as (here, client):
        for number in range(30):
            await here.components.deliver(b"Subject: s\r\n\r\nqzjword%d\r\n" % number)
        await ok(client, b"NOOP")
        await here.filling.catch_up(1)
        files = sorted(here.index.directory.rglob("*.db"))
        assert any(b"qzj" in path.read_bytes() for path in files)
        await ok(client, b"STORE 1:30 +FLAGS.SILENT (\\Deleted)")
        await ok(client, b"EXPUNGE")
        assert await ok(client, b"SEARCH BODY qzjw") == [b"* SEARCH"]
        assert await here.filling.rebuild(2**40) == len(files)
        assert await here.filling.rebuild(2**40) == 0
        assert not any(b"qzj" in path.read_bytes() for path in here.index.directory.rglob("*.db"))


async def test_an_account_s_files_go_with_its_mail(tmp_path: Path) -> None:
    async with indexed(tmp_path) as (here, client):
        await here.components.deliver(b"Subject: s\r\n\r\nword\r\n")
        await ok(client, b"NOOP")
        await here.filling.catch_up(1)
        account = here.components.account()
        assert list(here.index.directory_of(account).iterdir())
        store = here.components.store
        await store.database.write(lambda transaction: store.remove_mailboxes(transaction, account))
        assert not here.index.directory_of(account).exists()
        await here.filling.catch_up(1)
        assert not here.index.directory_of(account).exists()


async def test_a_database_from_a_backup_does_not_use_files_of_later_mail(tmp_path: Path) -> None:
    async with indexed(tmp_path) as (here, client):
        for number in range(12):
            await here.components.deliver(b"Subject: s\r\n\r\nword%d\r\n" % number)
        await ok(client, b"NOOP")
        await here.filling.catch_up(1)
        store = here.components.store
        await store.database.write(lambda transaction: transaction.execute("UPDATE meta SET value = 5 WHERE key = 'search_mark'"))
        again = Indexed(here.components, here.index.directory)
        await again.compare(client, [b"BODY word3", b"BODY word11"])
        assert not any(again.index.shards.values())
        assert len(again.said) == 1
        await again.filling.catch_up(1)
        await again.compare(client, [b"BODY word3", b"BODY word11"])
        assert [shard.last for shard in again.index.shards[here.components.account()]] == [12]


@pytest.mark.parametrize("where", ["add", "install", "create"])
async def test_a_stop_at_any_step_leaves_right_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """The process dies while a batch is written or a file takes its name; the next one goes on."""
    async with indexed(tmp_path) as (here, client):
        for number in range(25):
            await here.components.deliver(b"Subject: s\r\n\r\nword%d\r\n" % number)
        await ok(client, b"NOOP")
        if where == "install":
            await here.filling.catch_up(1)
            await here.components.store.database.write(lambda transaction: None)
            box = await here.components.store.open(here.components.account(), "INBOX")
            await box.remove([Uid(3)])
            box.close()
        real = getattr(search_filling, where)
        calls = 0

        def dying(*arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 2 or where == "install":
                raise KeyboardInterrupt
            return real(*arguments)

        monkeypatch.setattr(search_filling, where, dying)
        with pytest.raises(KeyboardInterrupt):
            await (here.filling.rebuild(2**40) if where == "install" else here.filling.catch_up(1))
        monkeypatch.setattr(search_filling, where, real)
        await ok(client, b"NOOP")
        asked = [b"BODY word%d" % number for number in range(0, 25, 4)]
        again = Indexed(here.components, here.index.directory)
        await again.compare(client, asked)
        await again.filling.catch_up(1)
        await again.filling.rebuild(2**40)
        await again.compare(client, asked)
        assert not list(here.index.directory.rglob("*.new*"))


async def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    async with indexed(tmp_path) as (here, client):
        for number in range(30):
            await here.components.deliver(b"Subject: s\r\n\r\nword%d\r\n" % number)
        await ok(client, b"NOOP")
        await here.filling.catch_up(1)
        first = sorted(here.index.directory.rglob("*.db"))[0]
        with first.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (first.stat().st_size - 4096))
        await here.compare(client, [b"BODY word1", b"BODY word29"])
        assert len(here.said) == 1
        await here.filling.catch_up(1)
        assert first.exists()
        await here.compare(client, [b"BODY word1"])
        assert len(here.said) == 1
        with sqlite3.connect(first) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_the_index_may_be_removed_at_any_time(tmp_path: Path) -> None:
    async with indexed(tmp_path) as (here, client):
        for number in range(30):
            await here.components.deliver(b"Subject: s\r\n\r\nword%d\r\n" % number)
        await ok(client, b"NOOP")
        await here.filling.catch_up(1)
        await here.compare(client, [b"BODY word1"])
        await here.index.close_files()
        shutil.rmtree(here.index.directory)
        await here.compare(client, [b"BODY word1", b"SUBJECT s", b"TEXT word29"])
        again = Indexed(here.components, here.index.directory)
        await again.compare(client, [b"BODY word1"])
        await again.filling.catch_up(1)
        await again.compare(client, [b"BODY word1", b"SUBJECT s", b"TEXT word29"])
        assert list(here.index.directory.rglob("*.db"))


async def test_messages_with_too_much_text_are_scanned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from appliance.mail import index_text

    monkeypatch.setattr(index_text, "TEXT_CHARACTERS", 2000)
    async with indexed(tmp_path) as (here, client):
        await here.components.deliver(b"Subject: s\r\n\r\n" + b"small words\r\n")
        await here.components.deliver(b"Subject: s\r\n\r\n" + b"many words\r\n" * 1000 + b"needle\r\n")
        await ok(client, b"NOOP")
        await here.filling.catch_up(1)
        assert await here.compare(client, [b"BODY needle", b"BODY words", b"BODY small", b"BODY none"]) == 4
        assert here.index.shards[here.components.account()][0].messages == 1


async def test_a_session_that_scanned_much_has_it_indexed_soon(tmp_path: Path) -> None:
    async with indexed(tmp_path) as (here, client):
        for _ in range(search_index.WORTH_MESSAGES):
            await here.components.deliver(b"Subject: s\r\n\r\nword\r\n")
        await ok(client, b"NOOP")
        await here.filling.catch_up(500)
        assert not here.index.shards
        await here.compare(client, [b"BODY word"])
        assert here.index.demand.is_set()
        await here.filling.catch_up(500)
        assert here.index.shards[here.components.account()][-1].last == search_index.WORTH_MESSAGES


async def test_many_needles_in_one_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_index, "LOOKUPS", 5)
    monkeypatch.setattr(search_index, "AT_ONCE", 6)
    async with indexed(tmp_path) as (here, client):
        for number in range(50):
            await here.components.deliver(b"Subject: s\r\n\r\nword%dx\r\n" % number)
        await ok(client, b"NOOP")
        await here.filling.catch_up(1)
        words = [b"BODY word%dx" % number for number in range(0, 50, 6)]
        either = b"OR " * (len(words) - 1) + b" ".join(words)
        assert await here.compare(client, [either, b"NOT " + either, b" ".join(words), b"OR %b %b" % (words[0], words[8])]) == 9 + 41 + 2
