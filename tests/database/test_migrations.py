"""database/migrations: the first step is frozen, and a later step survives a cut at every write and full storage."""

import hashlib
import os
import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from appliance.database import migrations
from appliance.database.connection import header_of
from appliance.database.database import InlineWriter
from appliance.database.schema import (
    STEP_1,
    STEP_2,
    STEP_3,
    STEP_4,
    STEP_5,
    STEP_6,
    STEP_7,
    STEP_8,
    STEP_9,
    STEP_10,
    STEP_11,
    STEP_12,
    STEP_13,
    STEP_14,
    STEP_15,
    STEP_16,
    STEP_17,
)
from appliance.mail.errors import SetupError
from tests.crash.storage import Model, Storage
from tests.crash.trace import Said, events, record_words
from tests.support.needs import program

FROZEN = {
    "f16b7ae8fad7248f": STEP_1, "1476abada908b24c": STEP_2, "5d85199b027d795b": STEP_3, "4ec82036b2056ee3": STEP_4,
    "d7628168f1e69ecb": STEP_5, "5b0c4fa506c2c024": STEP_6, "cfcd729895dda46c": STEP_7, "954f2cfd7e1befe5": STEP_8,
    "ea28a2705ccab4ab": STEP_9, "0522d7d4d873ae04": STEP_10,
    "cd001009d3c9d41e": STEP_11, "901ebda18abe3b96": STEP_12, "8d9ebd337c4698d3": STEP_13,
    "0a7c0153a98ed2a1": STEP_14,
    "287c932342ce028f": STEP_15,
    "30a6a4bcd13e3c5d": STEP_16,
    "44821c8e55b4910e": STEP_17,
}  # fmt: skip
"""The steps as released. When one differs, the change belongs into a step of its own."""
NEXT_STEP = (
    "ALTER TABLE message_data ADD COLUMN colour TEXT NOT NULL DEFAULT ''",
    "CREATE TABLE colour(id INTEGER PRIMARY KEY, name TEXT NOT NULL)",
    "INSERT INTO colour VALUES(1, 'red')",
)
ROWS = 300
MIGRATE = f"""
import sys
from pathlib import Path
from appliance.database import migrations
migrations.STEPS = (*migrations.STEPS, ("colours", migrations._statements(*{NEXT_STEP!r})))
migrations.VERSION += 1
migrations.migrate(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("digest", FROZEN)
def test_a_released_step_is_frozen(digest: str) -> None:
    assert hashlib.sha256("\n".join(FROZEN[digest]).encode()).hexdigest().startswith(digest)


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A database of the first step with rows in it."""
    path = tmp_path / "start" / "pillarbox.db"
    path.parent.mkdir()
    server = InlineWriter(path)

    def fill(transaction: object) -> None:
        for number in range(1, ROWS + 1):
            row = (number, os.urandom(200))
            transaction.execute(  # type: ignore[attr-defined]
                "INSERT INTO message_data(id, account, created_modseq, thread, subject_hash, described_by, prefix, envelope, bodystructure,"
                " parts) VALUES(?1, 1, 1, ?1, 0, 1, x'', ?2, x'', x'')",
                row,
            )

    server.write_now(fill)
    server.close()
    return path


@pytest.fixture
def with_next_step(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, ("colours", migrations._statements(*NEXT_STEP))))
    monkeypatch.setattr(migrations, "VERSION", migrations.VERSION + 1)
    yield


def check_migrated(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*), min(colour), max(colour) FROM message_data").fetchone() == (ROWS, "", "")
        assert connection.execute("SELECT * FROM colour").fetchall() == [(1, "red")]
    connection.close()


def test_a_later_step_adds_and_rewrites_nothing(released: Path, with_next_step: None) -> None:
    assert migrations.needed(released) and migrations.is_outdated(released)
    octets = released.stat().st_size
    migrations.migrate(released)
    check_migrated(released)
    assert not migrations.needed(released) and not migrations.is_outdated(released)
    assert released.stat().st_size <= octets + 8 * 1024, "a column with a default is in the schema alone"


def test_an_older_version_leaves_it_alone(released: Path, with_next_step: None, monkeypatch: pytest.MonkeyPatch) -> None:
    migrations.migrate(released)
    monkeypatch.undo()
    with pytest.raises(SetupError, match="later Pillarbox"):
        migrations.needed(released)


def test_a_step_that_finds_storage_full_is_done_by_the_next_start(released: Path, with_next_step: None) -> None:
    """SQLite's own limit of pages stands for the file system's."""
    whole = released.read_bytes()

    def limited(db: object) -> None:
        db.execute(f"PRAGMA max_page_count={header(released) // 1024}")  # type: ignore[attr-defined]
        for statement in (*NEXT_STEP, "CREATE TABLE large(octets BLOB)", "INSERT INTO large VALUES(zeroblob(100000))"):
            db.execute(statement)  # type: ignore[attr-defined]

    steps = migrations.STEPS
    migrations.STEPS = (*steps[:-1], ("colours", limited))
    try:
        with pytest.raises(SetupError, match="full"):
            migrations.migrate(released)
    finally:
        migrations.STEPS = steps
    found = header_of(released)
    assert found is not None and found.version == migrations.VERSION - 1 and len(released.read_bytes()) >= len(whole)
    migrations.migrate(released)
    check_migrated(released)


def header(path: Path) -> int:
    found = header_of(path)
    assert found is not None
    return found.octets


def test_a_power_cut_at_any_write_leaves_the_old_tables_or_the_new(released: Path, tmp_path: Path, with_next_step: None) -> None:
    program("strace")
    import subprocess
    import sys

    work = tmp_path / "work"
    shutil.copytree(released.parent, work)
    words = [*record_words(tmp_path / "trace"), sys.executable, "-c", MIGRATE, str(work / "pillarbox.db")]
    subprocess.run(words, check=True)
    recorded = events(tmp_path / "trace", work, released.parent)
    numbers = [number for number, event in enumerate(recorded) if not isinstance(event, Said)]
    assert len(numbers) > 5
    with TemporaryDirectory(prefix="pillarbox-") as place:
        shutil.copytree(released.parent, Path(place) / "start")
        storage, fed = Storage(Path(place) / "start"), 0
        for number in numbers:
            while fed < number:
                storage.feed(recorded[fed])
                fed += 1
            left = Path(place) / str(number)
            left.mkdir()
            storage.cut(left, random.Random(number), Model.TEARS)
            if migrations.needed(left / "pillarbox.db"):
                migrations.migrate(left / "pillarbox.db")
            check_migrated(left / "pillarbox.db")
            shutil.rmtree(left)


def test_copies_are_counted_when_the_counter_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Step 2: the counts come from the messages, and a message without copies has no row."""
    path = tmp_path / "pillarbox.db"
    monkeypatch.setattr(migrations, "STEPS", migrations.STEPS[:1])
    migrations.migrate(path)
    with sqlite3.connect(path) as connection:
        for mailbox, uid, data in ((1, 1, 7), (1, 2, 8), (2, 1, 7), (3, 9, 7)):
            connection.execute(
                "INSERT INTO message(mailbox, uid, modseq, flags, internal_at, octets, body, message_data) VALUES(?, ?, 1, 0, 0, 10, 1, ?)",
                (mailbox, uid, data),
            )
    connection.close()
    monkeypatch.undo()
    assert migrations.needed(path)
    migrations.migrate(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT * FROM shared_data").fetchall() == [(7, 3)]
    connection.close()


@pytest.mark.parametrize(
    ("rows", "administrators"),
    [
        ([(3, 0, None), (7, 0, None)], [3]),
        ([(1, 0, 1_700_000_000), (2, 1, None), (3, 0, None), (4, 0, None)], [3]),
        ([(1, 1, None), (2, 1, None)], [1]),
        ([], []),
    ],
    ids=["the first", "the first that can sign in", "all disabled", "none"],
)
def test_the_first_account_of_an_older_database_becomes_administrator(
    tmp_path: Path, rows: list[tuple[int, int, int | None]], administrators: list[int]
) -> None:
    path = tmp_path / "pillarbox.db"
    steps, migrations.STEPS = migrations.STEPS, migrations.STEPS[:10]
    try:
        migrations.migrate(path)
    finally:
        migrations.STEPS = steps
    with closing(sqlite3.connect(path)) as connection, connection:
        statement = "INSERT INTO account(id, address, added_at, disabled, removed_at) VALUES (?1, 'a' || ?1, 1, ?2, ?3)"
        connection.executemany(statement, rows)
        connection.execute("INSERT INTO meta(key, value) VALUES ('admin_password', 'x')")
    migrations.migrate(path)
    with closing(sqlite3.connect(path)) as connection:
        assert [one for (one,) in connection.execute("SELECT id FROM account WHERE is_admin ORDER BY id")] == administrators
        assert connection.execute("SELECT count(*) FROM meta WHERE key = 'admin_password'").fetchone() == (0,)
