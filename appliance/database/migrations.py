"""Migrations: numbered steps from an empty file to today's tables, each one transaction, resumable.

`PRAGMA user_version` says which steps a file has had; whoever opens it compares that number first and comes here
only when there is work, because sqlite-utils costs 14 MB of memory. The serving process therefore runs this file
as a child: `python -m appliance.database.migrations PATH`.

A new database is made beside its place and renamed when all of it is durable: after a power cut there is a whole file
of that name or none. So an empty or foreign file of that name is never ours, and nothing is written into it.

Fails with SetupError when the file is no database, belongs to another program, or was written by a later Pillarbox or by one
from before the first release.
"""

import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence

from .connection import APPLICATION, PAGE_OCTETS, header_of, is_damage, log_is_blank, log_of, sync_directory
from .schema import (
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


def _statements(*statements: str) -> Callable[[Any], None]:
    def step(db: Any) -> None:
        for statement in statements:
            db.execute(statement)

    return step


STEPS: tuple[tuple[str, Callable[[Any], None]], ...] = (
    ("1 first release", _statements(*STEP_1)),
    ("2 counts of copies in a narrow table", _statements(*STEP_2)),
    ("3 save dates and what THREAD needs", _statements(*STEP_3)),
    ("4 messages that left", _statements(*STEP_4)),
    ("5 web sessions", _statements(*STEP_5)),
    ("6 messages by identity and thread", _statements(*STEP_6)),
    ("7 metadata", _statements(*STEP_7)),
    ("8 identities, submissions and push subscriptions", _statements(*STEP_8)),
    ("9 uploads", _statements(*STEP_9)),
    ("10 rights on mailboxes", _statements(*STEP_10)),
    ("11 administrators and second factors", _statements(*STEP_11)),
    ("12 forwarding", _statements(*STEP_12)),
    ("13 languages of accounts", _statements(*STEP_13)),
    ("14 passkeys", _statements(*STEP_14)),
    ("15 changes of shared mailboxes", _statements(*STEP_15)),
    ("16 push subscriptions", _statements(*STEP_16)),
    ("17 changes as runs of UIDs", _statements(*STEP_17)),
)
"""Name and step. Never change a step that has been released; add the next number below it.

A step makes new tables and adds columns with a default, which rewrites no row: a start stays short however much mail there is.
Old rows are filled by a background task afterwards (`store/redescription`)."""

VERSION = len(STEPS)

BEFORE_RELEASE = 0x50425831
"""`application_id` ("PBX1") of files that development versions made, whose tables had other names."""
BEFORE_RELEASE_NAME = "house.db"
"""What those versions called the file."""
RESTORE = Sentence("Put the right file back, from a backup if need be; to begin anew, name an empty directory with --data.")


def needed(path: Path) -> bool:
    """Is there work? Raises SetupError for a file this Pillarbox must not touch."""
    try:
        header = header_of(path)
    except OSError as error:
        reason = Sentence("it is a directory") if isinstance(error, IsADirectoryError) else error.strerror
        raise SetupError(Sentence("%(path)s cannot be used as the database: %(reason)s.", path=path, reason=reason), RESTORE) from error
    if header is None:
        refuse_before_release(path)
        if not log_is_blank(path):
            raise SetupError(
                Sentence("%(path)s is missing, but its last changes are there (%(name)s).", path=path, name=log_of(path).name), RESTORE
            )
        return True
    if not header.is_sqlite:
        if not header.octets:
            raise SetupError(Sentence("%(path)s is empty: it is not a database.", path=path), RESTORE)
        raise SetupError(Sentence("%(path)s is not a database, or its beginning is damaged.", path=path), RESTORE)
    if header.application == BEFORE_RELEASE:
        raise _before_release(path)
    if header.application != APPLICATION:
        raise SetupError(Sentence("%(path)s is the database of another program.", path=path), RESTORE)
    if header.version > VERSION:
        raise SetupError(
            Sentence(
                "%(path)s was written by a later Pillarbox (tables of version %(version)s, this one knows %(known)s).",
                path=path,
                version=header.version,
                known=VERSION,
            ),
            "Install that version or a later one; the file was not changed.",
        )
    return header.version < VERSION


def refusal(path: Path, trouble: Exception) -> SetupError:
    """Why the database cannot be opened."""
    if is_damage(trouble):
        return SetupError(Sentence("%(path)s cannot be opened: it is damaged.", path=path), RESTORE)
    return SetupError(
        Sentence("%(path)s cannot be opened: %(trouble)s.", path=path, trouble=trouble),
        "See that the storage is not full, or restore a backup.",
    )


def refuse_before_release(path: Path) -> None:
    """Raises SetupError when a development version's database stands where `path` is missing."""
    old = path.with_name(BEFORE_RELEASE_NAME)
    if old.exists():
        raise _before_release(old)


def _before_release(path: Path) -> SetupError:
    return SetupError(
        Sentence("%(path)s was written by a version of Pillarbox from before its first release, and this one cannot read it.", path=path),
        "With that version, save all mail: `pillarbox export --all TARGET`. Then start this one with an empty directory (--data),"
        " add the accounts, and bring the mail in: `pillarbox import`. The file was not changed.",
    )


def is_outdated(path: Path) -> bool:
    """Did an earlier Pillarbox write this file? False for one that is not there yet, or that `needed` refuses."""
    try:
        header = header_of(path)
    except OSError:
        return False
    return header is not None and header.application == APPLICATION and 0 < header.version < VERSION


def migrate(path: Path, page_octets: int = PAGE_OCTETS) -> None:
    """Bring the file up to VERSION in this process; page size and encoding of a new file are fixed here for good."""
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
        raise SetupError(
            Sentence("%(path)s cannot be used as the database: %(trouble)s.", path=path, trouble=trouble), RESTORE
        ) from trouble
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

    command = [sys.executable, "-P", "-m", "appliance.database.migrations", str(path), str(page_octets)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 our own module, no shell
    if done.returncode:
        raise SetupError(done.stderr.strip().rpartition("\n")[2] or "The database could not be made.")


if __name__ == "__main__":
    try:
        migrate(Path(sys.argv[1]), int(sys.argv[2]))
    except SetupError as problem:
        sys.exit(str(problem))
    except OSError as problem:
        sys.exit(f"{problem.filename or sys.argv[1]} cannot be written: {problem.strerror}.")
