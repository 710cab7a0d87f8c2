"""What was acknowledged stays: after SIGKILL, after a failed sync, on full storage; and what a commit costs."""

import os
import random
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio

from appliance.database.database import Database
from appliance.database.group import Transaction
from appliance.mail.errors import StoreError, Trouble
from appliance.store.bodies import Bodies
from tests.store.server import PlainScanner
from tests.support import needs

from .test_database import opened, put

CHILD = [sys.executable, str(Path(__file__).with_name("child.py"))]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}


def rows(directory: Path) -> dict[str, int]:
    connection = sqlite3.connect(directory / "pillarbox.db")
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return dict(connection.execute("SELECT key, value FROM meta").fetchall())
    finally:
        connection.close()


def test_every_acknowledged_row_outlives_sigkill_and_ids_never_repeat(tmp_path: Path) -> None:
    kept: dict[str, int] = {}
    seed = random.Random(4)
    for life in range(6):
        child = subprocess.Popen([*CHILD, "for_ever", str(tmp_path), f"life{life}"], stdout=subprocess.PIPE, env=ENVIRONMENT)
        assert child.stdout is not None
        before = len(kept)
        deadline = None
        for line in child.stdout:
            if not line.endswith(b"\n"):
                break
            _, key, number = line.split()
            kept[key.decode()] = int(number)
            if deadline is None:
                deadline = time.monotonic() + seed.uniform(0.05, 0.4)
            elif time.monotonic() > deadline and len(kept) > before + 20:
                child.kill()
                deadline = float("inf")
        child.wait()
        assert len(kept) > before + 20
        there = rows(tmp_path) if life % 2 else None
        if there is not None:
            assert {key: there.get(key) for key in kept} == kept
    there = rows(tmp_path)
    assert {key: there.get(key) for key in kept} == kept
    assert len(set(there.values())) == len(there)


def traced(directory: Path, *words: str, inject: str = "") -> tuple[str, list[str], str]:
    """(what it said, the record between the marks, the record): system calls by strace."""
    record = directory / "record"
    command = [needs.program("strace"), "-f", "-o", str(record), "-e", "trace=fdatasync,fsync,ftruncate,write,openat,pwrite64"]
    if inject:
        command += ["-e", f"inject={inject}"]
    done = subprocess.run([*command, *CHILD, *words], capture_output=True, text=True, env=ENVIRONMENT, check=False, timeout=120)
    if "ptrace" in done.stderr and done.returncode:
        pytest.skip("tracing is not allowed here")
    assert done.returncode == 0, done.stderr
    lines = record.read_text(errors="replace").splitlines()
    begin = next((n for n, line in enumerate(lines) if "MARK begin" in line), 0)
    end = next((n for n, line in enumerate(lines) if "MARK end" in line), len(lines))
    return done.stdout, lines[begin:end], done.stderr


def test_a_small_commit_is_one_sync_and_no_change_of_size(tmp_path: Path) -> None:
    traced(tmp_path, "some", str(tmp_path), "1")
    said, calls, _ = traced(tmp_path, "some", str(tmp_path), "100")
    syncs = [call for call in calls if re.search(r"\bf(data)?sync\(", call)]
    assert said.count("kept") == 101
    assert len(syncs) == 100, "one fdatasync a commit, nothing else is synced"
    assert not [call for call in calls if "ftruncate" in call or "openat" in call]
    pages = [call for call in calls if "pwrite64" in call]
    print(f"writes a commit: {len(pages) / 100}")


def test_a_group_shares_its_sync(tmp_path: Path) -> None:
    traced(tmp_path, "some", str(tmp_path), "1")
    said, calls, _ = traced(tmp_path, "some", str(tmp_path), "20", "50")
    syncs = [call for call in calls if re.search(r"\bf(data)?sync\(", call)]
    assert said.count("kept") == 1001
    print(f"1000 messages by 50 sessions: {len(syncs)} syncs")
    assert len(syncs) < 350


@pytest.mark.parametrize("which", [3, 6, 9])
def test_after_a_failed_sync_nothing_acknowledged_is_lost_and_the_server_goes_on(tmp_path: Path, which: int) -> None:
    traced(tmp_path, "some", str(tmp_path), "1")
    said, _, _ = traced(tmp_path, "failing_sync", str(tmp_path), inject=f"fdatasync:error=EIO:when={which}")
    lines = [line.split() for line in said.splitlines()]
    kept = [line[1] for line in lines if line[0] == "kept"]
    refused = [line[1:] for line in lines if line[0] == "refused"]
    assert len(refused) == 1 and refused[0][1] == "BROKEN", said
    assert len(kept) == 9
    there = rows(tmp_path)
    assert set(kept) <= set(there)
    assert refused[0][0] not in there, "who was refused will try again: no double"
    assert ["rows", str(len(there))] in lines
    assert ["reports", "broken", "well"] in lines


@pytest.fixture
def small_storage(tmp_path: Path) -> Iterator[Path]:
    """24 MiB of memory as a card."""
    needs.root()
    place = tmp_path / "card"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(place)], capture_output=True, check=False).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)


def blobs(count: int, octets: int, first: int = 0) -> Callable[[Transaction], None]:
    rows = [(first + number, octets) for number in range(count)]
    return lambda transaction: transaction.executemany("INSERT INTO body_data VALUES(?, zeroblob(?))", rows)


def fill(place: Path, leave: int = 0) -> None:
    """Another program fills the storage."""
    about = os.statvfs(place)
    with (place / "filler").open("wb", buffering=0) as file:
        left = about.f_bavail * about.f_frsize - leave
        try:
            while left > 0:
                left -= file.write(bytes(min(left, 65_536)))
        except OSError:
            return


async def test_on_full_storage_only_the_request_that_needs_space_is_refused(small_storage: Path) -> None:
    reports: list[str] = []
    async with await opened(small_storage, report=lambda kind, _: reports.append(kind)) as database:
        await database.write(put("before"))
        outcomes: dict[str, object] = {}

        async def small(key: str) -> None:
            outcomes[key] = await database.write(put(key))

        async def huge() -> None:
            try:
                await database.write(blobs(60, 1_000_000))
            except StoreError as error:
                outcomes["huge"] = error.trouble

        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(small, f"a{number}")
                if number == 4:
                    nursery.start_soon(huge)
        assert outcomes.pop("huge") is Trouble.FULL
        assert len(outcomes) == 10
        assert reports[:1] == ["full"]
        assert await database.read(lambda c: c.execute("SELECT count(*) FROM meta").fetchone()[0]) == 11


async def test_on_storage_another_program_filled_reading_and_deleting_go_on(small_storage: Path) -> None:
    """Not one free octet: the log is there already, and freed pages are used again."""
    async with await opened(small_storage) as database:
        await database.write(blobs(2000, 2000))
        await database.write(lambda t: None)  # by now the log is worked in
        fill(small_storage)
        with trio.fail_after(60):
            for number in range(2000):
                await database.write(lambda t, number=number: t.execute("DELETE FROM body_data WHERE id = ?", (number,)))
        assert await database.read(lambda c: c.execute("SELECT count(*) FROM body_data").fetchone()[0]) == 0


async def test_deleting_goes_on_though_the_log_cannot_be_worked_in(small_storage: Path) -> None:
    """New pages stay in the log when the storage is full: half of the log is kept free for this."""
    async with await opened(small_storage) as database:
        for number in range(24):
            await database.write(blobs(2, 2000, 2 * number))
        fill(small_storage)
        with trio.fail_after(60):
            for number in range(30):
                await database.write(lambda t, number=number: t.execute("DELETE FROM body_data WHERE id = ?", (number,)))
        assert await database.read(lambda c: c.execute("SELECT count(*) FROM body_data").fetchone()[0]) == 18
        (small_storage / "filler").unlink()
        await database.write(blobs(500, 2000, 100))
    assert sqlite3.connect(small_storage / "pillarbox.db").execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_arriving_mail_keeps_out_of_the_reserve_and_deleting_makes_room(small_storage: Path) -> None:
    async with await Database.open(small_storage / "pillarbox.db", migrate_in_child=False, ring_octets=2**20, lazy_s=0.01) as database:
        bodies = await Bodies.open(database, small_storage / "bodies")
        kept = []
        with pytest.raises(StoreError) as refused:
            for _ in range(100):
                async with bodies.receive(10 * 2**20, PlainScanner) as incoming:
                    await incoming.write(os.urandom(700_000))
                    staged = await incoming.finish()
                    kept.append(await database.write(lambda t, staged=staged: bodies.hold(t, staged)))
        assert refused.value.trouble is Trouble.FULL
        assert len(kept) > 5
        fill(small_storage, leave=100_000)
        with pytest.raises(StoreError) as refused:
            async with bodies.receive(10 * 2**20, PlainScanner):
                pass
        assert refused.value.trouble is Trouble.FULL
        assert len(await (await bodies.open_body(kept[0])).read(0, 10**6)) == 700_000
        for body in kept:
            await database.write(lambda t, body=body: bodies.release(t, [(body, 1)]))
        await database.write(lambda t: None)
        (small_storage / "filler").unlink()
        async with bodies.receive(10 * 2**20, PlainScanner) as incoming:
            await incoming.write(os.urandom(700_000))
            await incoming.finish()
