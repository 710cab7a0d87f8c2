"""Writing, reading and watching through the real threads."""

import sqlite3
from pathlib import Path

import pytest
import trio

from appliance.database.database import Database, InlineWriter
from appliance.database.group import Transaction
from appliance.mail.errors import SetupError, StoreError
from appliance.mail.ids import MailboxId, ModSeq


async def opened(path: Path, **options: object) -> Database:
    return await Database.open(path / "pillarbox.db", migrate_in_child=False, ring_octets=256 * 1024, **options)  # type: ignore[arg-type]


def put(key: str, value: object = 1):  # type: ignore[no-untyped-def]
    def work(transaction: Transaction) -> str:
        transaction.execute("INSERT INTO meta VALUES(?, ?)", (key, value))
        return key

    return work


def keys(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT key FROM meta ORDER BY key")]


async def test_what_was_written_is_read_and_is_there_after_a_restart(tmp_path: Path) -> None:
    async with await opened(tmp_path) as database:
        assert await database.write(put("a")) == "a"
        assert await database.read(keys) == ["a"]
    async with await opened(tmp_path) as database:
        assert await database.read(keys) == ["a"]


async def test_a_failing_request_harms_nobody_else(tmp_path: Path) -> None:
    async with await opened(tmp_path) as database:
        failed: list[str] = []
        await database.write(put("k0"))

        async def try_to(key: str) -> None:
            try:
                await database.write(put(key))
            except sqlite3.IntegrityError:
                failed.append(key)

        async with trio.open_nursery() as nursery:
            for key in ("k1", "k0", "k2", "k0", "k3"):
                nursery.start_soon(try_to, key)
        assert failed == ["k0", "k0"]
        assert await database.read(keys) == ["k0", "k1", "k2", "k3"]


async def test_ids_never_repeat_not_after_a_roll_back_nor_a_restart(tmp_path: Path) -> None:
    seen: list[int] = []

    def fail(transaction: Transaction) -> None:
        seen.append(transaction.next_id("message", 300))
        raise ValueError

    for _ in range(3):
        async with await opened(tmp_path) as database:
            for _ in range(3):
                with pytest.raises(ValueError):
                    await database.write(fail)
                seen.append(await database.write(lambda t: t.next_id("message")))
    assert seen == sorted(set(seen))


async def test_watchers_hear_the_highest_modseq_before_the_writer_goes_on(tmp_path: Path) -> None:
    async with await opened(tmp_path) as database:
        heard: list[dict[int, int]] = []
        database.watch(lambda touched: heard.append(dict(touched)))

        def change(transaction: Transaction) -> None:
            for modseq in (5, 7, 6):
                transaction.touched(MailboxId(1), ModSeq(modseq))

        await database.write(change)
        assert heard == [{1: 7}]


async def test_a_closed_database_says_so(tmp_path: Path) -> None:
    database = await opened(tmp_path)
    await database.aclose()
    await database.aclose()
    with pytest.raises(StoreError):
        await database.write(put("a"))
    with pytest.raises(StoreError):
        await database.read(keys)


async def test_a_file_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    async with await opened(tmp_path):
        pass
    connection = sqlite3.connect(tmp_path / "pillarbox.db")
    connection.execute("PRAGMA user_version=9999")
    connection.close()
    with pytest.raises(SetupError, match="later Pillarbox"):
        await opened(tmp_path)


async def test_a_file_that_is_no_database_is_refused_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "pillarbox.db").write_bytes(b"not a database at all\n" * 500)
    with pytest.raises(SetupError):
        await opened(tmp_path)


async def test_the_schema_is_made_in_a_child_process(tmp_path: Path) -> None:
    import sys

    before = "sqlite_utils" in sys.modules
    async with await Database.open(tmp_path / "pillarbox.db") as database:
        assert await database.read(keys) == []
        assert ("sqlite_utils" in sys.modules) == before


async def test_inline_writer_is_the_same_on_virtual_time(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with InlineWriter(tmp_path / "pillarbox.db") as database:
        heard: list[dict[int, int]] = []
        database.watch(lambda touched: heard.append(dict(touched)))
        assert await database.write(put("a")) == "a"
        with pytest.raises(sqlite3.IntegrityError):
            await database.write(put("a"))
        database.write_lazily(put("b"))
        database.write_lazily(lambda t: t.touched(MailboxId(3), ModSeq(4)))
        assert await database.read(keys) == ["a", "b"]
        assert heard == [{3: 4}]
