"""Is all of a data directory there, and does it belong together? Asked at every start, before anything is made or changed.

    pillarbox.db missing, but message bodies, keys or certificates there   refused: they are not a new server's
    rows name files, but the bodies directory is gone                  refused
    bodies of another server (the two ids differ)                      refused
    the database or the directory has no id                            refused when files are there and no row names one
    none of it there                                                   a new server

The id stands in the database (table `house`) and in `bodies/server-id`. A database of an earlier version has none, and may
come back from a backup beside a directory that got one since: the files decide then. A first start commits the database
first, its id next, then the directory's, and keys and certificates after them: cut at any point, the next start goes on.
How it fails: SetupError with the way out; nothing was changed.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

import trio

from appliance.database.database import AnyDatabase, Reads
from appliance.database.migrations import refuse_before_release
from appliance.mail.errors import SetupError, StoreError, Trouble

from .atomic_file import write_whole

DATABASE, BODIES, ID_FILE, ID_KEY = "pillarbox.db", "bodies", "server-id", "server_id"
KEPT = "kept"
AUTHORITY_KEY = "authority_made"
LOOKED_AT = 64
"""Names of body files compared when one of the two ids is missing."""
MADE_LATER = (
    ("message bodies", (f"{BODIES}/{KEPT}/*", f"{BODIES}/aside/*", f"{BODIES}/{ID_FILE}")),
    ("certificates", ("certificates/*.pem",)),
    ("signing keys", ("dkim/*.pem",)),
)
"""What exists only after a database was committed, and where it lies."""
ANEW = "to begin anew, name an empty directory with --data."


def damaged(database: Path) -> SetupError:
    """For a start that met a part of the database which cannot be read."""
    return SetupError(
        f"The database {database} is damaged: a part that the start needs cannot be read.",
        "Restore the data directory from a backup. Without one: `pillarbox export --all TARGET` brings out what can be read,"
        f" `pillarbox import` takes it in again; {ANEW}",
    )


@contextmanager
def needed_to_start(data: Path) -> Iterator[None]:
    """What is read inside cannot be done without. Raises SetupError when the database is damaged there."""
    try:
        yield
    except StoreError as trouble:
        if trouble.trouble is not Trouble.BROKEN:
            raise
        raise damaged(data / DATABASE) from trouble


def database_is_there(data: Path) -> bool:
    """Raises SetupError for a directory this user may not look into."""
    try:
        (data / DATABASE).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise SetupError(f"The data directory {data} cannot be read: {error.strerror}.", "Check who owns it, or use sudo.") from error
    return True


def refuse_lost_database(data: Path) -> None:
    """Raises SetupError when the database is gone and something it belongs to is not."""
    if database_is_there(data):
        return
    refuse_before_release(data / DATABASE)
    left = [what for what, places in MADE_LATER if any(next(data.glob(place), None) for place in places)]
    if left:
        there = left[0] if len(left) == 1 else f"{', '.join(left[:-1])} and {left[-1]}"
        raise SetupError(
            f"The database {data / DATABASE} is missing, but {there} are there.",
            f"Put {DATABASE} and {DATABASE}-wal back, from a backup if need be; {ANEW}",
        )


async def refuse_other_bodies(database: Reads, data: Path) -> None:
    """Raises SetupError when the bodies directory is gone or is not this database's."""
    server_id, named = await database.read(
        lambda connection: (
            connection.execute("SELECT value FROM meta WHERE key = ?", (ID_KEY,)).fetchone(),
            connection.execute("SELECT digest FROM body WHERE digest IS NOT NULL AND refcount > 0 LIMIT ?", (LOOKED_AT,)).fetchall(),
        )
    )
    kept = data / BODIES / KEPT
    if named and not kept.is_dir():
        raise SetupError(
            f"The message bodies are gone: {data / BODIES} is missing, and messages need its files.",
            f"Put it back, from a backup if need be. If it is lost for good, make an empty directory {kept}: the rest is then served.",
        )
    found = _id_in(data)
    if found and server_id:
        strange = found != server_id[0]
    else:
        strange = await _strange_files(database, kept, [row[0] for row in named])
    if strange:
        raise SetupError(
            f"{data / BODIES} belongs to another server than {data / DATABASE}.",
            f"Put the two that belong together in one place, from a backup if need be; {ANEW}",
        )


async def _strange_files(database: Reads, kept: Path, named: list[bytes]) -> bool:
    """One id is missing: there are files, and neither do rows name them nor are those there that rows name."""
    there = _some_files(kept, named)
    marks = ",".join("?" * len(there))
    sql = f"SELECT 1 FROM body WHERE digest IN ({marks}) LIMIT 1"  # noqa: S608 only question marks
    return bool(there) and await database.read(lambda connection: connection.execute(sql, there).fetchone()) is None


def _some_files(kept: Path, named: list[bytes]) -> list[bytes]:
    """The first of the files there are; [] when one that a row names is among all of them."""
    if not kept.is_dir() or any((kept / digest.hex()).exists() for digest in named):
        return []
    there = []
    for path in islice(kept.iterdir(), LOOKED_AT):
        with suppress(ValueError):
            there.append(bytes.fromhex(path.name))
    return there


async def keep_id(database: AnyDatabase, data: Path) -> None:
    """Write the id where it is not yet; the bodies directory is there."""
    found = _id_in(data)
    row = await database.read(lambda connection: connection.execute("SELECT value FROM meta WHERE key = ?", (ID_KEY,)).fetchone())
    if row and found:
        return
    server_id = row[0] if row else found or os.urandom(16).hex()
    if not row:
        await database.write(lambda transaction: transaction.execute("INSERT INTO meta VALUES(?, ?)", (ID_KEY, server_id)))
    await trio.to_thread.run_sync(write_whole, data / BODIES / ID_FILE, server_id.encode() + b"\n")


async def authority_made_before(database: Reads) -> bool:
    """Did this server ever have an authority? Devices may trust it, wherever its file is now."""
    row = await database.read(lambda connection: connection.execute("SELECT 1 FROM meta WHERE key = ?", (AUTHORITY_KEY,)).fetchone())
    return row is not None


async def keep_authority_made(database: AnyDatabase) -> None:
    """Remember for `authority_made_before`; a certificates directory that is lost takes every other trace with it."""
    if not await authority_made_before(database):
        await database.write(lambda transaction: transaction.execute("INSERT OR IGNORE INTO meta VALUES(?, '1')", (AUTHORITY_KEY,)))


def _id_in(data: Path) -> str:
    try:
        return (data / BODIES / ID_FILE).read_text("ascii", "replace").strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise SetupError(f"{data / BODIES / ID_FILE} cannot be read: {error.strerror}.", "Check who owns it.") from error
