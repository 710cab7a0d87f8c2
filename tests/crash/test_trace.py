"""The recorder records every write and sync of a program, SQLite's included."""

import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from .storage import Model, Storage
from .trace import Event, Made, Renamed, Said, Synced, Wrote, events, record_words

INSERT = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1] + "/t.db", isolation_level=None)
db.execute("PRAGMA journal_mode=WAL"); db.execute("PRAGMA synchronous=FULL")
db.execute("CREATE TABLE IF NOT EXISTS t(x)")
db.execute("INSERT INTO t VALUES('quicksilver')")
import os, socket
a, b = socket.socketpair(); a.send(b"inserted"); os._exit(0)
"""


def run(code: str, place: Path, trace: Path) -> list[Event]:
    subprocess.run([*record_words(trace), sys.executable, "-c", code, str(place)], check=True, timeout=60)
    return events(trace, place)


def test_an_insert_is_recorded_with_its_sync_before_the_reply(tmp_path: Path) -> None:
    place = tmp_path / "d"
    place.mkdir()
    sqlite3.connect(place / "t.db").close()
    (place / "t.db").unlink(missing_ok=True)
    seen = run(INSERT, place, tmp_path / "trace")
    kinds = [type(event) for event in seen]
    insert = next(
        n for n, event in enumerate(seen) if isinstance(event, Wrote) and event.path == "t.db-wal" and b"quicksilver" in event.data
    )
    said = next(n for n, event in enumerate(seen) if isinstance(event, Said) and event.data == b"inserted")
    assert any(isinstance(event, Synced) and event.path == "t.db-wal" for event in seen[insert:said])
    assert Made in kinds


def test_names_and_offsets_and_renames(tmp_path: Path) -> None:
    place = tmp_path / "d"
    place.mkdir()
    code = (
        "import os, sys\nos.chdir(sys.argv[1])\nf = os.open('a', os.O_CREAT | os.O_WRONLY)\nos.write(f, b'one'); os.write(f, b'two')\n"
        "os.pwrite(f, b'X', 1); os.fsync(f)\nd = os.open('.', os.O_RDONLY)\nos.rename('a', 'b', src_dir_fd=d, dst_dir_fd=d)\nos.fsync(d)\n"
    )
    seen = run(code, place, tmp_path / "trace")
    assert seen[:4] == [Made("a"), Wrote("a", 0, b"one"), Wrote("a", 3, b"two"), Wrote("a", 1, b"X")]
    assert Renamed("a", "b") in seen
    assert seen[-1] == Synced("", len(seen) - 1)


@pytest.mark.parametrize("model", list(Model))
def test_storage_keeps_what_was_synced_and_can_lose_what_was_not(tmp_path: Path, model: Model) -> None:
    (tmp_path / "start").mkdir()
    storage = Storage(tmp_path / "start")
    script: list[Event] = [Made("a"), Wrote("a", 0, b"x" * 8192), Synced("a", 2), Synced("", 3), Wrote("a", 8192, b"y" * 8192)]
    for event in script:
        storage.feed(event)
    outcomes = set()
    for seed in range(60):
        target = tmp_path / str(seed)
        target.mkdir()
        storage.cut(target, random.Random(seed), model)
        octets = (target / "a").read_bytes()
        assert octets[:8192] == b"x" * 8192
        outcomes.add(octets[8192:])
    assert b"" in outcomes or model is Model.RUINS
    assert len(outcomes) > 5


def test_a_name_not_synced_can_be_lost(tmp_path: Path) -> None:
    (tmp_path / "start").mkdir()
    storage = Storage(tmp_path / "start")
    for event in (Made("a"), Wrote("a", 0, b"x"), Synced("a", 2)):
        storage.feed(event)
    seen = set()
    for seed in range(30):
        target = tmp_path / str(seed)
        target.mkdir()
        storage.cut(target, random.Random(seed), Model.TEARS)
        seen.add((target / "a").exists())
    assert seen == {True, False}
