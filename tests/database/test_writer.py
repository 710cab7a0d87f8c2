"""Group commit: who is in a group, who is not, in which order, and at what cost."""

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
import trio.testing

from appliance.database.database import Database
from appliance.database.group import Request, Transaction
from appliance.mail.errors import StoreError, Trouble

from .test_database import keys, opened, put


class Plug:
    """Holds the writer thread inside a group."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, transaction: Transaction) -> str:
        self.begun.set()
        self.go_on.wait(10)
        transaction.execute("INSERT INTO meta VALUES('plug', 1)")
        return "plug"

    async def wait(self) -> None:
        await trio.to_thread.run_sync(self.begun.wait)


async def test_cancelled_before_its_group_it_leaves_no_trace_afterwards_it_commits(tmp_path: Path) -> None:
    async with await opened(tmp_path) as database:
        plug = Plug()
        results: list[str] = []
        async with trio.open_nursery() as nursery:
            inside, outside = trio.CancelScope(), trio.CancelScope()

            async def under(scope: trio.CancelScope, work: object) -> None:
                with scope:
                    results.append(await database.write(work))  # type: ignore[arg-type]

            nursery.start_soon(under, inside, plug)
            await plug.wait()
            nursery.start_soon(under, outside, put("never"))
            nursery.start_soon(under, trio.CancelScope(), put("later"))
            await trio.testing.wait_all_tasks_blocked()
            outside.cancel()
            inside.cancel()
            await trio.testing.wait_all_tasks_blocked()
            plug.go_on.set()
        assert sorted(results) == ["later", "plug"]
        assert await database.read(keys) == ["later", "plug"]


async def test_lazy_ones_keep_their_place_and_ride_along(tmp_path: Path) -> None:
    def add(digit: int):  # type: ignore[no-untyped-def]
        return lambda t: t.execute(
            "INSERT INTO meta VALUES('order', ?) ON CONFLICT DO UPDATE SET value = value || excluded.value", (str(digit),)
        )

    async with await opened(tmp_path, lazy_s=30) as database:
        database.write_lazily(add(1))
        database.write_lazily(add(2))
        await trio.sleep(0.05)
        assert await database.read(keys) == [], "they wait for company"
        await database.write(add(3))
        database.write_lazily(add(4))
        assert await database.read(lambda c: c.execute("SELECT value FROM meta").fetchall()) == [("123",)]
    async with await opened(tmp_path, lazy_s=0.05) as database:
        assert await database.read(lambda c: c.execute("SELECT value FROM meta").fetchall()) == [("1234",)], "the last one is not lost"
        reported = trio.Event()
        database.watch(lambda touched: reported.set())
        database.write_lazily(lambda t: t.touched(1, 1))
        with trio.fail_after(5):
            await reported.wait()


async def test_a_lazy_failure_is_reported(tmp_path: Path) -> None:
    reports: list[tuple[str, str]] = []
    async with await opened(tmp_path, report=lambda *report: reports.append(report), lazy_s=0.01) as database:
        database.write_lazily(lambda t: t.execute("no such statement"))
        await database.write(put("a"))
        assert [kind for kind, _ in reports] == ["lazy"]


async def test_late_requests_wait_their_turn_and_none_is_lost(tmp_path: Path) -> None:
    async with await opened(tmp_path) as database:
        plug = Plug()
        order: list[int] = []

        async def one(number: int) -> None:
            await database.write(put(f"k{number}"), octets=3 * 2**20)
            order.append(number)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(database.write, plug)
            await plug.wait()
            for number in range(40):
                nursery.start_soon(one, number)
            await trio.testing.wait_all_tasks_blocked()
            assert len(database.writer._waiting) > 30, "16 MiB are in the inbox, the others wait"
            plug.go_on.set()
        assert sorted(order) == list(range(40))


async def test_a_group_has_one_wake_up_and_the_order_of_asking(tmp_path: Path) -> None:
    async with await opened(tmp_path) as database:
        plug = Plug()
        ran: list[int] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(database.write, plug)
            await plug.wait()
            for number in range(30):
                nursery.start_soon(database.write, lambda t, number=number: ran.append(number))
                await trio.testing.wait_all_tasks_blocked()
            plug.go_on.set()
        assert ran == list(range(30))


async def test_callbacks_of_a_request(tmp_path: Path) -> None:
    async with await opened(tmp_path) as database:
        called: list[str] = []

        def work(transaction: Transaction, fail: bool) -> None:
            transaction.after_commit(lambda: called.append("committed"))
            transaction.after_rollback(lambda: called.append("undone"))
            if fail:
                raise ValueError

        await database.write(lambda t: work(t, False))
        with pytest.raises(ValueError):
            await database.write(lambda t: work(t, True))
        async with trio.open_nursery() as nursery:
            plug = Plug()
            nursery.start_soon(database.write, plug)
            await plug.wait()

            async def failing() -> None:
                with pytest.raises(ValueError):
                    await database.write(lambda t: work(t, True))

            nursery.start_soon(failing)
            nursery.start_soon(database.write, lambda t: work(t, False))
            await trio.testing.wait_all_tasks_blocked()
            plug.go_on.set()
        await database.write(lambda t: None)
        assert sorted(called) == ["committed", "committed", "undone", "undone"]


async def test_the_log_keeps_its_size_while_messages_arrive_and_sessions_read(tmp_path: Path) -> None:
    async with await opened(tmp_path) as database:
        log = tmp_path / "pillarbox.db-wal"
        size = log.stat().st_size
        done = 0

        def message(transaction: Transaction) -> None:
            transaction.execute("INSERT INTO body_data VALUES(?, zeroblob(300))", (transaction.next_id("body"),))

        async def deliver(count: int) -> None:
            nonlocal done
            for _ in range(count):
                await database.write(message, octets=300)
                done += 1

        async def slow_session() -> None:
            at = 0
            while True:
                rows = await database.read(
                    lambda c, at=at: c.execute("SELECT id, data FROM body_data WHERE id > ? ORDER BY id LIMIT 500", (at,)).fetchall()
                )
                at = rows[-1][0] if rows else 0
                await trio.sleep(0.002)

        async with trio.open_nursery() as readers:
            for _ in range(4):
                readers.start_soon(slow_session)
            async with trio.open_nursery() as nursery:
                for _ in range(50):
                    nursery.start_soon(deliver, 400)
            readers.cancel_scope.cancel()
        assert done == 20_000 and database.engine.checkpoints > 10
        assert log.stat().st_size == size


async def test_a_transaction_larger_than_the_ring_is_taken_and_the_log_shrinks_back(tmp_path: Path) -> None:
    async with await opened(tmp_path) as database:
        log = tmp_path / "pillarbox.db-wal"
        size = log.stat().st_size
        await database.write(
            lambda t: t.executemany("INSERT INTO body_data VALUES(?, zeroblob(1000))", [(number,) for number in range(2000)])
        )
        assert log.stat().st_size > size
        for number in range(3):
            await database.write(put(f"k{number}"))
        assert log.stat().st_size == size


async def test_busy_foreign_readers_do_not_stop_the_writer(tmp_path: Path) -> None:
    """Somebody looks at the file with the sqlite3 command: the log may grow, messages still arrive."""
    async with await opened(tmp_path) as database:
        foreign = sqlite3.connect(tmp_path / "pillarbox.db", isolation_level=None)
        foreign.execute("BEGIN")
        foreign.execute("SELECT count(*) FROM meta").fetchall()
        with trio.fail_after(20):
            for _ in range(300):
                await database.write(lambda t: t.execute("INSERT INTO body_data VALUES(?, zeroblob(3000))", (t.next_id("body"),)))
        foreign.execute("COMMIT")
        foreign.close()
        for number in range(60):
            await database.write(put(f"k{number}"))
        assert (tmp_path / "pillarbox.db-wal").stat().st_size == 256 * 1024


async def test_reading_and_writing_after_the_server_closed_is_broken(tmp_path: Path) -> None:
    database = await opened(tmp_path)
    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(database.write, put(f"k{number}"))
        await trio.lowlevel.checkpoint()
        nursery.start_soon(database.aclose)
    async with await Database.open(tmp_path / "pillarbox.db") as again:
        assert len(await again.read(keys)) == 20, "what was asked for before closing is finished"
    with pytest.raises(StoreError) as refused:
        await database.write(put("late"))
    assert refused.value.trouble is Trouble.BROKEN


async def test_a_request_that_may_be_held_joins_the_next_one(tmp_path: Path) -> None:
    """Or is committed when its time is up, with all that came meanwhile."""
    async with await opened(tmp_path) as database:
        commits: list[int] = []
        plain = database.engine.run

        def run(requests: Sequence[Request]) -> None:
            commits.append(len(requests))
            plain(requests)

        database.engine.run = run  # type: ignore[method-assign]

        async def held(key: str, hold_s: float) -> None:
            await database.write(lambda transaction: transaction.execute("INSERT INTO meta VALUES(?, 1)", (key,)), hold_s=hold_s)

        async with trio.open_nursery() as nursery:
            for key in "abc":
                nursery.start_soon(held, key, 600.0)
            await trio.testing.wait_all_tasks_blocked()
            await held("d", 0.0)
        assert commits == [4]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(held, "e", 600.0)
            nursery.start_soon(held, "f", 0.05)
        assert commits == [4, 2]
        with trio.move_on_after(0.01) as scope:
            await held("g", 600.0)
        assert scope.cancelled_caught
        await held("h", 0.0)
        assert set(await database.read(keys)) & set("abcdefgh") == set("abcdefh")
