"""Numbered steps from an empty file to today's tables, each one transaction, resumable.

`PRAGMA user_version` says which steps a file has had; whoever opens it compares that number first and comes here
only when there is work, because sqlite-utils costs 14 MB of memory. The serving process therefore runs this file
as a child: `python -m appliance.database.migrations PATH`.

Fails with SetupError when the file is no database or was written by a later Pillarbox.
"""

import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance.mail.errors import SetupError

from .connection import PAGE_OCTETS, version_of
from .schema import POLICY_TABLES, QUEUE_TABLES, ROWS, TABLES


def _first_tables(db: Any) -> None:
    for statement in TABLES + ROWS:
        db.execute(statement)


def _queue(db: Any) -> None:
    for statement in QUEUE_TABLES:
        db.execute(statement)


def _policies(db: Any) -> None:
    for statement in POLICY_TABLES:
        db.execute(statement)


STEPS: tuple[tuple[str, Callable[[Any], None]], ...] = (
    ("1 first tables", _first_tables),
    ("2 queue", _queue),
    ("3 policies", _policies),
)
"""Name and step. Never change a step that has been shipped; add the next number below it."""

VERSION = len(STEPS)


def needed(path: Path) -> bool:
    """Is there work? Raises SetupError for a file this Pillarbox must not touch."""
    version = version_of(path)
    if version > VERSION:
        raise SetupError(
            f"{path} was written by a later Pillarbox (tables of version {version}, this one knows {VERSION}).",
            "Install that version or a later one; the file was not changed.",
        )
    return version < VERSION


def is_outdated(path: Path) -> bool:
    """Did an earlier Pillarbox write this file? False for one that is not there yet."""
    return 0 < version_of(path) < VERSION


def migrate(path: Path, page_octets: int = PAGE_OCTETS) -> None:
    """Bring the file up to VERSION in this process; page size and encoding of a new file are settled here for good."""
    from sqlite_utils import Database, Migrations

    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute(f"PRAGMA page_size={page_octets:d}")
        connection.execute("PRAGMA encoding='UTF-8'")
        connection.execute("PRAGMA auto_vacuum=NONE")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        steps = Migrations("pillarbox")
        for number, (name, step) in enumerate(STEPS, 1):
            steps(name=name)(_numbered(number, step))
        steps.apply(Database(connection))
    except sqlite3.DatabaseError as trouble:
        raise SetupError(f"{path} cannot be used as the house's database: {trouble}.", "Restore it from a backup.") from trouble
    finally:
        connection.close()


def _numbered(number: int, step: Callable[[Any], None]) -> Any:
    def apply(db: Any) -> None:
        step(db)
        db.execute(f"PRAGMA user_version={number:d}")

    return apply


def migrate_in_child(path: Path, page_octets: int = PAGE_OCTETS) -> None:
    """The same in a process of its own, so that its memory is given back."""
    import subprocess

    words = [sys.executable, "-P", "-m", "appliance.database.migrations", str(path), str(page_octets)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 our own module, no shell
    if done.returncode:
        raise SetupError(done.stderr.strip().rpartition("\n")[2] or "The database could not be made.")


if __name__ == "__main__":
    try:
        migrate(Path(sys.argv[1]), int(sys.argv[2]))
    except SetupError as problem:
        sys.exit(str(problem))
