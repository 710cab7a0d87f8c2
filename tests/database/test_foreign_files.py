"""A file named pillarbox.db that is not our database is reported as what it is, and not written to."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.database import migrations
from appliance.database.database import Database, InlineWriter
from appliance.mail.errors import SetupError


def _sql(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def _cut_short(path: Path) -> None:
    InlineWriter(path).close()
    path.write_bytes(path.read_bytes()[:99])


def _first_page_ruined(path: Path) -> None:
    InlineWriter(path).close()
    path.write_bytes(b"\xa5" * 1024 + path.read_bytes()[1024:])


def _from_a_later_version(path: Path) -> None:
    InlineWriter(path).close()
    _sql(path, "PRAGMA user_version=77")


KINDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "is empty: it is not a database."),
    "a picture": (lambda path: path.write_bytes(b"\x89PNG" + bytes(range(256)) * 40), "is not a database, or its beginning is damaged."),
    "text": (lambda path: path.write_text("From ann@home.example\n" * 100), "is not a database, or its beginning is damaged."),
    "cut short": (_cut_short, "is not a database, or its beginning is damaged."),
    "first page ruined": (_first_page_ruined, "is not a database, or its beginning is damaged."),
    "zeros": (lambda path: path.write_bytes(bytes(8192)), "is not a database, or its beginning is damaged."),
    "a directory": (lambda path: path.mkdir(), "it is a directory."),
    "another program's": (
        lambda path: _sql(path, "CREATE TABLE moz_places(id)", "PRAGMA user_version=2"),
        "is the database of another program.",
    ),
    "another program's with its id": (
        lambda path: _sql(path, "CREATE TABLE t(id)", "PRAGMA application_id=1196444487", "PRAGMA user_version=10300"),
        "is the database of another program.",
    ),
    "another's without a table": (lambda path: _sql(path, "PRAGMA user_version=1"), "is the database of another program."),
    "a later version's": (_from_a_later_version, "was written by a later Pillarbox (tables of version 77"),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_not_ours_is_reported_and_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "pillarbox.db"
    make, words = KINDS[kind]
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(SetupError) as refused:
        await Database.open(path)
    assert words in str(refused.value) and refused.value.remedy
    assert (path.read_bytes() if path.is_file() else b"") == before


@pytest.mark.parametrize("version", [1, 6])
def test_a_database_from_before_the_first_release_is_refused(tmp_path: Path, version: int) -> None:
    path = tmp_path / "pillarbox.db"
    _sql(path, "CREATE TABLE person(id)", f"PRAGMA application_id={0x50425831}", f"PRAGMA user_version={version}")
    before = path.read_bytes()
    with pytest.raises(SetupError) as refused:
        migrations.needed(path)
    assert "pillarbox export" in refused.value.remedy and "pillarbox import" in refused.value.remedy
    assert path.read_bytes() == before and not migrations.is_outdated(path)


def test_a_directory_from_before_the_first_release_is_refused(tmp_path: Path) -> None:
    """Its database had another name, so that of today is missing."""
    _sql(tmp_path / migrations.BEFORE_RELEASE_NAME, "CREATE TABLE person(id)")
    with pytest.raises(SetupError, match="before its first release"):
        migrations.needed(tmp_path / "pillarbox.db")
    assert not (tmp_path / "pillarbox.db").exists()


def test_a_making_that_was_cut_leaves_no_half_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(db: object) -> None:
        raise RuntimeError("cut")

    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, ("next: fails", fails)))
    with pytest.raises(RuntimeError):
        migrations.migrate(tmp_path / "pillarbox.db")
    assert not (tmp_path / "pillarbox.db").exists()
    monkeypatch.undo()
    InlineWriter(tmp_path / "pillarbox.db").close()
    assert not list(tmp_path.glob("*.new*"))
