"""Rows of an older scanner: a reading makes few of them anew, the background run all, whatever comes between."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
import trio

from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import Uid
from appliance.store import redescription as remaking
from appliance.store.mailbox import Mailbox
from appliance.store.redescription import AT_ONCE, BATCH, Redescription, _next_rows
from appliance.store.store import Store
from appliance.store.values import Placement, Want

from .server import ANN, LaterScanner, a_server, deliver, put

EVERY = (Uid(1), Uid(2**32 - 1))
MANY = 3 * BATCH + 5
AT_FULL_SPEED = float("inf")


class CountingScanner(LaterScanner):
    """How many messages were described."""

    finished = 0

    def finish(self, prefix: bytes = b"") -> Any:
        type(self).finished += 1
        return super().finish(prefix)


class WordyScanner(LaterScanner):
    """Its facts need room."""

    def finish(self, prefix: bytes = b"") -> Any:
        facts = super().finish(prefix)
        facts.envelope = b"(2)" + b"x" * 8000
        return facts


@pytest.fixture
async def old(tmp_path: Path) -> Path:
    """A data directory whose rows an older scanner described."""
    async with a_server(tmp_path) as store:
        inbox = await store.inbox_of(ANN)
        for number in range(0, MANY, 5):
            await put(store, *[Placement(inbox, b"P: 1\r\n", (), 1)] * min(5, MANY - number), octets=b"Subject: %d\r\n\r\nb\r\n" % number)
    CountingScanner.finished = 0
    return tmp_path


async def facts_of(box: Mailbox) -> list[tuple[Any, ...]]:
    """All rows as FETCH reads them."""
    return list((await box.named_rows(*EVERY, Want.FACTS, 500, box.modseq))[0])


async def described_by(store: Store) -> list[int]:
    def work(connection: sqlite3.Connection) -> list[int]:
        return [row[0] for row in connection.execute("SELECT described_by FROM message_data ORDER BY id")]

    return await store.database.read(work)


async def test_a_reading_of_many_describes_none(old: Path) -> None:
    async with a_server(old, scanner=CountingScanner) as store:
        box = await store.open(ANN, "INBOX")
        for rows in (await facts_of(box), await box.rows(*EVERY, Want.FACTS)):
            assert len(rows) == MANY and {row[6][:2] for row in rows} == {b"(1"}
        assert CountingScanner.finished == 1, "Store.start asks for the version"
        rows = await box.rows(Uid(1), Uid(AT_ONCE), Want.FACTS)
        assert {row[6][:2] for row in rows} == {b"(2"} and CountingScanner.finished == 1 + AT_ONCE
        box.close()


async def test_all_are_described_in_the_background_once(old: Path) -> None:
    async with a_server(old, scanner=CountingScanner) as store:
        run = Redescription(store, octets_a_s=AT_FULL_SPEED)
        assert await run.is_due()
        assert await run.describe_all() == MANY
        assert set(await described_by(store)) == {2}
        assert not await run.is_due()
        box = await store.open(ANN, "INBOX")
        assert {row[6][:2] for row in await facts_of(box)} == {b"(2"}
        box.close()
    async with a_server(old, scanner=CountingScanner) as store:
        assert not await Redescription(store).is_due()
        await deliver(store)
        assert set(await described_by(store)) == {2}


async def test_a_run_that_is_cut_off_goes_on_after_a_restart(old: Path) -> None:
    async with a_server(old, scanner=CountingScanner) as store, trio.open_nursery() as nursery:
        written = trio.Event()
        write = store.database.write

        async def noticed(*arguments: Any, **words: Any) -> Any:
            result = await write(*arguments, **words)
            written.set()
            return result

        store.database.write = noticed  # type: ignore[method-assign]
        nursery.start_soon(Redescription(store, octets_a_s=1).run)
        with trio.fail_after(10):
            await written.wait()
        nursery.cancel_scope.cancel()
    async with a_server(old, scanner=CountingScanner) as store:
        assert (await described_by(store)).count(2) == BATCH
        run = Redescription(store, octets_a_s=AT_FULL_SPEED)
        assert await run.is_due()
        assert await run.describe_all() == MANY - BATCH
        assert set(await described_by(store)) == {2}
        assert CountingScanner.finished == MANY + 2, "nothing is described twice"


async def test_on_full_storage_it_waits_and_goes_on(old: Path) -> None:
    async with a_server(old, scanner=WordyScanner) as store, trio.open_nursery() as nursery:
        refused = trio.Event()
        write = store.database.write

        async def noticed(*arguments: Any, **words: Any) -> Any:
            try:
                return await write(*arguments, **words)
            except StoreError as error:
                if error.trouble is Trouble.FULL:
                    refused.set()
                raise

        store.database.write = noticed  # type: ignore[method-assign]
        pages = await store.database.read(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
        await limit_pages(store, pages + 20)
        nursery.start_soon(Redescription(store, octets_a_s=AT_FULL_SPEED, again_s=0.01).run)
        with trio.fail_after(10):
            await refused.wait()
        box = await store.open(ANN, "INBOX")
        assert len(await facts_of(box)) == MANY, "reading goes on"
        await limit_pages(store, 2**30)
        with trio.fail_after(10):
            while await Redescription(store).is_due():
                await trio.lowlevel.checkpoint()
        assert set(await described_by(store)) == {2}
        box.close()
        nursery.cancel_scope.cancel()


async def limit_pages(store: Store, pages: int) -> None:
    """Storage with room for so many pages of the database."""
    await store.database.write(lambda transaction: transaction.execute(f"PRAGMA max_page_count = {pages}").fetchone())


async def test_what_is_expunged_or_moved_meanwhile(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between reading a body and the commit: the expunged one is nobody's, the moved one is described all the same."""
    async with a_server(old, scanner=CountingScanner) as store:
        box = await store.open(ANN, "INBOX")
        scan, calls = remaking.scan, []

        async def interrupted(*arguments: Any) -> Any:
            scanner = await scan(*arguments)
            calls.append(scanner)
            if len(calls) == 2:
                assert await box.remove([Uid(2), Uid(9)]) == [2, 9]
                assert len((await box.move([Uid(3), Uid(MANY)], "Archive")).copies) == 2
            return scanner

        monkeypatch.setattr(remaking, "scan", interrupted)
        await Redescription(store, octets_a_s=AT_FULL_SPEED).describe_all()
        assert await described_by(store) == [2] * (MANY - 2)
        box.close()


async def test_a_broken_body_stops_nobody(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_server(old, scanner=CountingScanner) as store:
        await store.database.write(lambda transaction: transaction.execute("UPDATE body_data SET data = x'ff00' WHERE id = 1"))
        run = Redescription(store, octets_a_s=AT_FULL_SPEED)
        assert await run.describe_all() == MANY - 5
        assert await run.is_due(), "the next start looks again"


async def test_a_walk_reads_by_key(old: Path) -> None:
    """Not by a scan and a sort: 100,000 messages are walked in bounded readings."""
    async with a_server(old) as store:

        def plan(connection: sqlite3.Connection) -> str:
            asked: list[str] = []
            connection.set_trace_callback(asked.append)
            assert len(_next_rows(connection, (0, 0))) == MANY
            connection.set_trace_callback(None)
            return " ".join(row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + asked[-1]))

        found = await store.database.read(plan)
        assert "SCAN" not in found and "TEMP B-TREE" not in found, found
