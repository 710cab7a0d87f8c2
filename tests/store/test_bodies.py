"""Bodies in rows and files: octets exactly as received, stored once, gone when nobody needs them."""

import base64
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from appliance.database.database import Database, InlineWriter
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import BodyId
from appliance.store.bodies import Bodies
from appliance.store.body_readers import Body, StoredMessage
from appliance.store.incoming import StagedBody
from appliance.store.reclaim import Reclaim
from tests.support.clock import HandClock
from tests.support.waiting import until

from .server import PlainScanner

LIMIT = 200 * 2**20
TEXT = b"Subject: hello\r\n\r\n" + b"Some words in a message.\r\n" * 40
NOISE = random.Random(1)


def attachment(octets: int) -> bytes:
    return b"Subject: photo\r\n\r\n" + base64.encodebytes(NOISE.randbytes(octets)).replace(b"\n", b"\r\n")


@asynccontextmanager
async def a_place(directory: Path) -> AsyncIterator[tuple[Database, Bodies]]:
    async with await Database.open(directory / "pillarbox.db", migrate_in_child=False, lazy_s=0.01) as database:
        yield database, await Bodies.open(database, directory / "bodies")


async def keep(database: Database, bodies: Bodies, octets: bytes, *, chunks: int = 5000, refcount: int = 1) -> BodyId:
    async with bodies.receive(LIMIT, PlainScanner) as incoming:
        for at in range(0, len(octets), chunks):
            await incoming.write(octets[at : at + chunks])
        staged = await incoming.finish()
        assert staged.octets == len(octets) == staged.description.octets
        return await database.write(lambda transaction: bodies.hold(transaction, staged, refcount))


async def drop(database: Database, bodies: Bodies, body: BodyId, count: int = 1) -> None:
    await database.write(lambda transaction: bodies.release(transaction, [(body, count)]))


async def whole(bodies: Bodies, body: BodyId, step: int = 2**20) -> bytes:
    opened = await bodies.open_body(body)
    out = bytearray()
    while chunk := await opened.read(len(out), step):
        out += chunk
    return bytes(out)


def files(directory: Path) -> list[str]:
    """Of the data directory, or of a directory below `bodies`."""
    where = directory if directory.parent.name == "bodies" else directory / "bodies"
    return sorted(path.name for path in where.rglob("*") if path.is_file())


KINDS = {
    "empty": b"",
    "one": b"x",
    "text": TEXT,
    "photo 10 KB": attachment(10_000),
    "text 60 KB": TEXT * 60,
    "text 70 KB": TEXT * 70,
    "text 800 KB": TEXT * 800,
    "text 1200 KB": TEXT * 1200,
    "photo 300 KB": attachment(300_000),
    "one block": NOISE.randbytes(65_536),
    "one block and one": NOISE.randbytes(65_537),
    "two blocks": NOISE.randbytes(131_072),
    "noise": NOISE.randbytes(400_000),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_octets_come_out_as_they_went_in(tmp_path: Path, kind: str) -> None:
    octets = KINDS[kind]
    async with a_place(tmp_path) as (database, bodies):
        for chunks in (3001, 65_536, 2**20):
            body = await keep(database, bodies, octets, chunks=chunks)
            assert await whole(bodies, body) == octets
            opened = await bodies.open_body(body)
            assert opened.octets == len(octets)
            for _ in range(20):
                offset = NOISE.randrange(len(octets) + 2)
                count = NOISE.choice((0, 1, 100, 65_536, 70_000, 2**20))
                assert await opened.read(offset, count) == octets[offset : offset + count]


async def test_where_a_body_is_kept(tmp_path: Path) -> None:
    async with a_place(tmp_path) as (database, bodies):
        await keep(database, bodies, TEXT * 900)
        assert len(TEXT * 900) < 2**20 and not files(tmp_path), "text below 1 MiB that packs into 64 KiB stays in a row"
        await keep(database, bodies, TEXT * 1200)
        assert len(files(tmp_path)) == 1, "above 1 MiB it is a file, however well it packs"
        await keep(database, bodies, NOISE.randbytes(70_000))
        assert len(files(tmp_path)) == 2, "above 64 KiB packed it is a file"


async def test_twins_share_one_file_and_the_last_holder_takes_it_along(tmp_path: Path) -> None:
    async with a_place(tmp_path) as (database, bodies):
        photo = attachment(200_000)
        first = await keep(database, bodies, photo, refcount=2)
        second = await keep(database, bodies, photo)
        assert first == second and len(files(tmp_path)) == 1
        await drop(database, bodies, first, 2)
        assert await whole(bodies, first) == photo
        opened = await bodies.open_body(first)
        await opened.read(0, 10)
        await drop(database, bodies, first)
        await until(lambda: files(tmp_path) == [])
        assert await opened.read(0, 2**20) == photo, "a reader that has it open reads on"
        with pytest.raises(StoreError) as refused:
            await whole(bodies, first)
        assert refused.value.trouble is Trouble.GONE


async def test_an_arrival_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    async with a_place(tmp_path) as (_database, bodies):
        for finish in (False, True):
            with pytest.raises(ValueError):
                async with bodies.receive(LIMIT, PlainScanner) as incoming:
                    await incoming.write(NOISE.randbytes(500_000))
                    assert files(tmp_path)
                    if finish:
                        await incoming.finish()
                    raise ValueError
            await until(lambda: files(tmp_path) == [])
        assert bodies.budget._used == 0


async def test_too_big_is_said_at_once(tmp_path: Path) -> None:
    async with a_place(tmp_path) as (_, bodies), bodies.receive(1000, PlainScanner) as incoming:
        await incoming.write(bytes(1000))
        with pytest.raises(StoreError) as refused:
            await incoming.write(b"x")
        assert refused.value.trouble is Trouble.TOO_BIG


async def test_the_sweep_moves_aside_what_no_row_names_and_nothing_else(tmp_path: Path) -> None:
    async with a_place(tmp_path) as (database, bodies):
        kept = await keep(database, bodies, attachment(100_000))
        [name] = files(tmp_path)
        stray = tmp_path / "bodies" / "kept" / ("a" * len(name))
        stray.write_bytes(b"left by a power cut")
        (tmp_path / "bodies" / "new" / "77").write_bytes(b"half")
    async with a_place(tmp_path) as (database, bodies):
        assert not (tmp_path / "bodies" / "new" / "77").exists()
        async with bodies.receive(LIMIT, PlainScanner) as incoming:
            await incoming.write(attachment(120_000))
            staged = await incoming.finish()
            assert await Reclaim(database, bodies, HandClock(), octets_a_s=float("inf")).sweep() == 2
            await until(lambda: not stray.exists())
            assert len(files(tmp_path / "bodies" / "kept")) == 2, "the one being delivered is claimed"
            assert (tmp_path / "bodies" / "aside" / stray.name).read_bytes() == b"left by a power cut"
            arrived = await database.write(lambda transaction: bodies.hold(transaction, staged))
        assert await whole(bodies, kept) and await whole(bodies, arrived)
        assert await Reclaim(database, bodies, HandClock(), octets_a_s=float("inf")).sweep() == 0


async def test_no_file_is_removed_because_a_table_is_empty(tmp_path: Path) -> None:
    """Another database: all files go aside, are read from there when their rows are back, and come back."""
    photos = [attachment(100_000) for _ in range(3)]
    async with a_place(tmp_path) as (database, bodies):
        numbers = [await keep(database, bodies, photo) for photo in photos]
    (tmp_path / "pillarbox.db").rename(tmp_path / "right.db")
    (tmp_path / "pillarbox.db-wal").rename(tmp_path / "right.db-wal")
    clock = HandClock(trusted=False)
    reported: list[int] = []
    async with a_place(tmp_path) as (database, bodies):
        names = files(tmp_path / "bodies" / "kept")
        with pytest.raises(ValueError):
            async with bodies.receive(LIMIT, PlainScanner) as incoming:
                await incoming.write(photos[0])
                await incoming.finish()
                raise ValueError
        await database.write(lambda transaction: None)
        reclaim = Reclaim(database, bodies, clock, report_aside=reported.append, octets_a_s=float("inf"))
        await reclaim.sweep()
        assert files(tmp_path / "bodies" / "aside") == names and reported == [3]
        clock.forward(40 * 86400)
        await reclaim.look_aside()
        assert files(tmp_path / "bodies" / "aside") == names, "time passed by a clock nobody trusts"
    for name in ("pillarbox.db", "pillarbox.db-wal"):
        (tmp_path / name.replace("pillarbox", "right")).replace(tmp_path / name)
    async with a_place(tmp_path) as (database, bodies):
        assert [await whole(bodies, number) for number in numbers] == photos
        await Reclaim(database, bodies, clock, octets_a_s=float("inf")).sweep()
        assert files(tmp_path / "bodies" / "kept") == names and not files(tmp_path / "bodies" / "aside")
        assert [await whole(bodies, number) for number in numbers] == photos


async def test_files_that_messages_need_and_that_are_gone_are_counted(tmp_path: Path) -> None:
    reported: list[int] = []
    async with a_place(tmp_path) as (database, bodies):
        numbers = [await keep(database, bodies, attachment(100_000 + n)) for n in range(3)]
        reclaim = Reclaim(database, bodies, HandClock(), report_missing=reported.append, octets_a_s=float("inf"))
        assert await reclaim.look_missing() == 0 and reported == []
        first, second, third = sorted((tmp_path / "bodies" / "kept").iterdir())
        first.rename(tmp_path / "lost")
        second.unlink()
        assert await reclaim.look_missing() == 2 and reported == [2]
        (tmp_path / "bodies" / "aside").mkdir(exist_ok=True)
        (tmp_path / "lost").rename(tmp_path / "bodies" / "aside" / first.name)
        assert await reclaim.look_missing() == 1, "what lies aside can be read"
        third.unlink()
        await database.write(lambda transaction: bodies.release(transaction, [(number, 1) for number in numbers]))
        assert await reclaim.look_missing() == 0 and reported == [2, 1, 0], "nothing needs them"


async def test_what_lies_aside_is_removed_after_30_days_of_a_trusted_clock(tmp_path: Path) -> None:
    async with a_place(tmp_path) as (database, bodies):
        stray = tmp_path / "bodies" / "kept" / ("ab" * 24)
        stray.write_bytes(b"nobody's")
        clock = HandClock()
        reported: list[int] = []
        reclaim = Reclaim(database, bodies, clock, report_aside=reported.append, octets_a_s=float("inf"))
        await reclaim.sweep()
        for days, left in ((29, 1), (2, 0)):
            clock.forward(days * 86400)
            await reclaim.look_aside()
            assert len(files(tmp_path / "bodies" / "aside")) == left
        assert reported == [1, 0]


async def test_the_row_of_a_file_goes_after_its_file(tmp_path: Path) -> None:
    async with a_place(tmp_path) as (database, bodies):
        photo = await keep(database, bodies, attachment(100_000))
        await drop(database, bodies, photo)
        await database.write(lambda transaction: None)
        rows = await database.read(lambda connection: connection.execute("SELECT refcount FROM body").fetchall())
        assert rows == [(0,)] and not files(tmp_path)
        await Reclaim(database, bodies, HandClock(), octets_a_s=float("inf")).free_all()
        assert await database.read(lambda connection: connection.execute("SELECT count(*) FROM body").fetchone()) == (0,)


async def test_a_large_expunge_leaves_the_rest_to_reclaim(tmp_path: Path) -> None:
    async with a_place(tmp_path) as (database, bodies):
        many = [await keep(database, bodies, TEXT + b"%d" % n) for n in range(150)]
        photo = attachment(100_000)
        many.append(await keep(database, bodies, photo))
        many.append(await keep(database, bodies, photo + b"2"))
        await database.write(lambda transaction: bodies.release(transaction, [(body, 1) for body in many]))
        count = await database.read(lambda connection: connection.execute("SELECT count(*) FROM body").fetchone()[0])
        assert count == 152 - 64 and bodies.left_unreferenced
        again = await keep(database, bodies, photo)
        assert again == many[150], "a twin takes an unreferenced body back"
        assert await Reclaim(database, bodies, HandClock(), octets_a_s=float("inf")).free_all() == 152 - 64 - 1
        await until(lambda: len(files(tmp_path)) == 1)
        assert await whole(bodies, again) == photo


async def test_a_batch_of_bodies_is_read_in_one_hop(tmp_path: Path) -> None:
    async with a_place(tmp_path) as (database, bodies):
        messages = [TEXT + b"%d" % n for n in range(5)]
        numbers = [await keep(database, bodies, message) for message in messages]
        opened = await bodies.read_many([*numbers, BodyId(9999)], 2 * len(TEXT) + 10)
        for number, message in zip(numbers, messages, strict=True):
            assert await opened[number].read(0, 10**6) == message
        with pytest.raises(StoreError) as refused:
            await opened[BodyId(9999)].read(0, 1)
        assert refused.value.trouble is Trouble.GONE


async def test_ranges_of_a_large_body_unpack_each_block_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from appliance.store import body_files

    async with a_place(tmp_path) as (database, bodies):
        photo = attachment(1_000_000)
        opened = await bodies.open_body(await keep(database, bodies, photo, chunks=65_536))
        unpacked = 0
        real = body_files.unpack

        def counted(block: bytes) -> bytes:
            nonlocal unpacked
            unpacked += 1
            return real(block)

        monkeypatch.setattr(body_files, "unpack", counted)
        got = b""
        while chunk := await opened.read(len(got), 65_536 - 300):
            got += chunk
        assert got == photo
        assert unpacked <= len(photo) // 65_536 + 2


async def test_small_ranges_are_read_along_with_what_follows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    octets = attachment(300_000)
    async with a_place(tmp_path) as (database, bodies):
        body = await bodies.open_body(await keep(database, bodies, octets))
        reads = []
        read = type(body).read

        async def counted(self: Body, offset: int, size: int) -> bytes:
            reads.append(offset)
            return await read(self, offset, size)

        monkeypatch.setattr(type(body), "read", counted)
        message = StoredMessage(b"Prefix: x\r\n", b"", body).read_along()
        whole = b"Prefix: x\r\n" + octets
        for offset in [*range(0, len(whole), 1000), 5, len(whole) - 3, len(whole), len(whole) + 9, 70_000]:
            for size in (0, 1, 700, 100_000):
                if size < 1000 or offset % 50_000 == 0:
                    assert await message.read(offset, size) == whole[offset : offset + size], (offset, size)
        assert len(reads) < 30


async def test_damage_is_reported_as_broken(tmp_path: Path) -> None:
    async with a_place(tmp_path) as (database, bodies):
        body = await keep(database, bodies, attachment(200_000))
        [name] = files(tmp_path)
        path = tmp_path / "bodies" / "kept" / name
        good = path.read_bytes()
        for bad in (b"", good[:100], good[:-1], good[:-30] + bytes(10) + good[-20:], b"\x09" + good[1:]):
            path.write_bytes(bad)
            with pytest.raises(StoreError) as refused:
                await whole(bodies, body)
            assert refused.value.trouble is Trouble.BROKEN


async def test_memory_stays_small_while_a_large_message_passes(tmp_path: Path) -> None:
    import tracemalloc

    chunk = os.urandom(65_536)
    async with a_place(tmp_path) as (database, bodies):
        tracemalloc.start()
        try:
            async with bodies.receive(LIMIT, PlainScanner) as incoming:
                for _ in range(400):
                    await incoming.write(chunk)
                staged = await incoming.finish()
                body = await database.write(lambda transaction: bodies.hold(transaction, staged))
            opened, at = await bodies.open_body(body), 0
            while got := await opened.read(at, 65_536):
                at += len(got)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert at == 400 * 65_536
        assert peak < 3 * 2**20, f"{peak} octets"


async def test_the_budget_waits_then_says_busy(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    from appliance.store.budget import Budget

    budget = Budget(100_000, wait_s=60)
    await budget.grow(0, 70_000)
    started = trio.current_time()
    with pytest.raises(StoreError) as refused:
        await budget.grow(0, 10_000)
    assert refused.value.trouble is Trouble.BUSY and trio.current_time() - started == 60
    async with trio.open_nursery() as nursery:
        nursery.start_soon(budget.grow, 0, 10_000)
        nursery.start_soon(budget.grow, 0, 20_000)
        await trio.sleep(1)
        with trio.move_on_after(1):
            await budget.grow(0, 40_000)
        budget.give(70_000)
    assert budget._used == 30_000


async def test_a_full_share_never_waits_for_those_who_wait(autojump_clock: trio.testing.MockClock) -> None:
    from appliance.store.budget import FIRST, FULL, SMALL, Budget

    budget = Budget(16 * 2**20)
    done = 0

    async def message() -> None:
        nonlocal done
        have = 0
        for want in (FIRST, SMALL, FULL):
            await budget.grow(have, want)
            have = want
            await trio.sleep(0.1)
        budget.give(have)
        done += 1

    async with trio.open_nursery() as nursery:
        for _ in range(500):
            nursery.start_soon(message)
    assert done == 500 and budget._used == 0


async def test_inline_server_keeps_bodies_too(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with InlineWriter(tmp_path / "pillarbox.db") as database:
        bodies = await Bodies.open(database, tmp_path / "bodies")
        async with bodies.receive(LIMIT, PlainScanner) as incoming:
            await incoming.write(TEXT)
            staged: StagedBody = await incoming.finish()
            body = await database.write(lambda transaction: bodies.hold(transaction, staged))
        assert await (await bodies.open_body(body)).read(0, 10**6) == TEXT


async def test_a_crowd_that_comes_gives_up_and_goes_leaves_rows_and_files_in_step(tmp_path: Path) -> None:
    """Real threads and real cancellation, at every await."""
    photos = [attachment(100_000) for _ in range(4)]
    kept: list[tuple[BodyId, bytes]] = []
    async with a_place(tmp_path) as (database, bodies):

        async def message(number: int) -> None:
            octets = photos[number % 4] if number % 3 else attachment(70_000)
            with trio.CancelScope() as scope:
                if number % 2:
                    scope.deadline = trio.current_time() + NOISE.random() * 0.05
                body = await keep(database, bodies, octets, chunks=65_536)
                if number % 5:
                    kept.append((body, octets))
                else:
                    await drop(database, bodies, body)

        async with trio.open_nursery() as nursery:
            for number in range(80):
                nursery.start_soon(message, number)
                await trio.sleep(0.002)
        await until(lambda: bodies.files._claims == {} and bodies.budget._used == 0)
        assert not bodies._faults
        for body, octets in kept:
            assert await whole(bodies, body) == octets
        await Reclaim(database, bodies, HandClock(), octets_a_s=float("inf")).free_all()
        digests = await database.read(lambda connection: connection.execute("SELECT digest FROM body").fetchall())
        assert files(tmp_path) == sorted(row[0].hex() for row in digests)
