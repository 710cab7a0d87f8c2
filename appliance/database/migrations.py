"""Numbered steps from an empty file to today's tables, each one transaction, resumable.

`PRAGMA user_version` says which steps a file has had; whoever opens it compares that number first and comes here
only when there is work, because sqlite-utils costs 14 MB of memory. The serving process therefore runs this file
as a child: `python -m appliance.database.migrations PATH`.

A new database is made beside its place and renamed when all of it is durable: after a power cut there is a whole file
of that name or none. So an empty or foreign file of that name is never ours, and nothing is written into it.

Fails with SetupError when the file is no database, belongs to another program or was written by a later Pillarbox.
"""

import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance.mail.errors import SetupError

from .connection import APPLICATION, PAGE_OCTETS, header_of, is_damage, log_is_blank, log_of, sync_directory
from .schema import ACCOUNT_STATES, CRLF_TABLES, PASSWORD_COLUMNS, POLICY_TABLES, QUEUE_TABLES, ROWS, TABLES


def _first_tables(db: Any) -> None:
    for statement in TABLES + ROWS:
        db.execute(statement)


def _queue(db: Any) -> None:
    for statement in QUEUE_TABLES:
        db.execute(statement)


def _policies(db: Any) -> None:
    for statement in POLICY_TABLES:
        db.execute(statement)


def _crlf(db: Any) -> None:
    for statement in CRLF_TABLES:
        db.execute(statement)


def _password_columns(db: Any) -> None:
    for statement in PASSWORD_COLUMNS:
        db.execute(statement)


def _account_states(db: Any) -> None:
    for statement in ACCOUNT_STATES:
        db.execute(statement)


STEPS: tuple[tuple[str, Callable[[Any], None]], ...] = (
    ("1 first tables", _first_tables),
    ("2 queue", _queue),
    ("3 policies", _policies),
    ("4 sizes in CRLF", _crlf),
    ("5 last use of passwords", _password_columns),
    ("6 states of accounts", _account_states),
)
"""Name and step. Never change a step that has been shipped; add the next number below it."""

VERSION = len(STEPS)

RESTORE = "Put the right file back, from a backup if need be; to begin anew, name an empty directory with --data."


def needed(path: Path) -> bool:
    """Is there work? Raises SetupError for a file this Pillarbox must not touch."""
    try:
        header = header_of(path)
    except OSError as error:
        reason = "it is a directory" if isinstance(error, IsADirectoryError) else error.strerror
        raise SetupError(f"{path} cannot be used as the database: {reason}.", RESTORE) from error
    if header is None:
        if not log_is_blank(path):
            raise SetupError(f"{path} is missing, but its last changes are there ({log_of(path).name}).", RESTORE)
        return True
    if not header.is_sqlite:
        what = "is empty: it is no database" if not header.octets else "is no database, or its beginning is damaged"
        raise SetupError(f"{path} {what}.", RESTORE)
    if header.application != APPLICATION:
        if header.application or not _has_our_tables(path):
            raise SetupError(f"{path} is the database of another program.", RESTORE)
        return True
    if header.version > VERSION:
        raise SetupError(
            f"{path} was written by a later Pillarbox (tables of version {header.version}, this one knows {VERSION}).",
            "Install that version or a later one; the file was not changed.",
        )
    return header.version < VERSION


def refusal(path: Path, trouble: Exception) -> SetupError:
    """Why the database cannot be opened."""
    if is_damage(trouble):
        return SetupError(f"{path} cannot be opened: it is damaged.", RESTORE)
    return SetupError(f"{path} cannot be opened: {trouble}.", "See that the storage is not full, or restore a backup.")


def _has_our_tables(path: Path) -> bool:
    """For files made before they carried APPLICATION."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    try:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE name IN ('meta', 'counter', 'mailbox', 'message')").fetchall()
    except sqlite3.Error as trouble:
        raise SetupError(f"{path} is damaged and cannot be opened: {trouble}.", RESTORE) from trouble
    finally:
        connection.close()
    return len(rows) == 4


def is_outdated(path: Path) -> bool:
    """Did an earlier Pillarbox write this file? False for one that is not there yet, or that `needed` refuses."""
    try:
        header = header_of(path)
    except OSError:
        return False
    if header is None or not header.is_sqlite or not header.version:
        return False
    return header.version < VERSION or header.application != APPLICATION


def migrate(path: Path, page_octets: int = PAGE_OCTETS) -> None:
    """Bring the file up to VERSION in this process; page size and encoding of a new file are settled here for good."""
    if path.exists():
        _apply_steps(path, page_octets)
        return
    fresh = path.with_name(path.name + ".new")
    for left in ("", "-wal", "-shm", "-journal"):
        fresh.with_name(fresh.name + left).unlink(missing_ok=True)
    _apply_steps(fresh, page_octets)
    fd = os.open(fresh, os.O_RDWR)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    fresh.replace(path)
    sync_directory(path.parent)


def _apply_steps(path: Path, page_octets: int) -> None:
    from sqlite_utils import Database, Migrations

    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute(f"PRAGMA page_size={page_octets:d}")
        connection.execute("PRAGMA encoding='UTF-8'")
        connection.execute("PRAGMA auto_vacuum=NONE")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA application_id={APPLICATION:d}")
        steps = Migrations("pillarbox")
        for number, (name, step) in enumerate(STEPS, 1):
            steps(name=name)(_numbered(number, step))
        steps.apply(Database(connection))
    except sqlite3.DatabaseError as trouble:
        raise SetupError(f"{path} cannot be used as the database: {trouble}.", RESTORE) from trouble
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
    except OSError as problem:
        sys.exit(f"{problem.filename or sys.argv[1]} cannot be written: {problem.strerror}.")
