"""Reading a database without writing a thing: what stands only in the log is there, with and without -shm."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from appliance.database.connection import open_alone
from appliance.database.database import InlineWriter
from appliance.database.read_only import ReadOnlyDatabase
from appliance.mail.errors import SetupError


def left_behind(place: Path) -> Path:
    """A database whose server was killed: its last commits stand in the log alone."""
    server = InlineWriter(place / "running.db")
    server.engine.checkpoint()
    server.write_now(lambda transaction: transaction.execute("INSERT INTO meta VALUES('last', 'in the log')"))
    for name in ("", "-wal", "-shm"):
        shutil.copyfile(place / f"running.db{name}", place / f"pillarbox.db{name}")
    server.close()
    return place / "pillarbox.db"


def listing(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.iterdir() if path.name.startswith("server")}


@pytest.mark.parametrize("without", ["", "-shm"])
async def test_commits_of_the_log_are_read_and_nothing_is_written(tmp_path: Path, without: str) -> None:
    path = left_behind(tmp_path)
    if without:
        (tmp_path / f"pillarbox.db{without}").unlink()
    before = listing(tmp_path)
    immutable = sqlite3.connect(f"file:{path}?immutable=1", uri=True)
    assert immutable.execute("SELECT 1 FROM meta WHERE key = 'last'").fetchone() is None, "the log is needed"
    immutable.close()
    async with await ReadOnlyDatabase.open(path) as database:
        assert await database.read(lambda c: c.execute("SELECT value FROM meta WHERE key = 'last'").fetchone()) == ("in the log",)
        assert await database.read(lambda c: c.execute("PRAGMA integrity_check").fetchone()) == ("ok",)
        with pytest.raises(SetupError, match="reading only"):
            await database.write(lambda transaction: None)
    assert listing(tmp_path) == before


@pytest.mark.parametrize("log", ["missing", "empty", "zeros"])
def test_a_database_without_a_log(tmp_path: Path, log: str) -> None:
    InlineWriter(tmp_path / "pillarbox.db").close()
    (tmp_path / "pillarbox.db-wal").unlink()
    if log != "missing":
        (tmp_path / "pillarbox.db-wal").write_bytes(bytes(0 if log == "empty" else 40_000))
    (tmp_path / "pillarbox.db-shm").unlink(missing_ok=True)
    before = listing(tmp_path)
    connection = open_alone(tmp_path / "pillarbox.db")
    assert connection.execute("SELECT count(*) FROM mailbox").fetchone() == (0,)
    connection.close()
    assert listing(tmp_path) == before
