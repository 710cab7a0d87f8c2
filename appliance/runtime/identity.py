"""Whether a data directory is complete and its parts belong together: checked at every start, before anything is changed.

    pillarbox.db missing, but message bodies, keys or certificates there   refused: they are not a new server's
    rows name files, but the bodies directory is gone                  refused
    bodies of another server (the two ids differ)                      refused
    the database or the directory has no id                            refused when files are there and no row names one
    none of it there                                                   a new server

The id stands in the database (table `meta`) and in `bodies/server-id`. A database of an earlier version has none, and may
come back from a backup beside a directory that got one since: the files decide then. A first start commits the database
first, its id next, then the directory's, and keys and certificates after them: cut at any point, the next start goes on.
How it fails: SetupError with a remedy; nothing was changed.
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
from appliance.mail.sentence import Sentence, enumerated

from .atomic_file import write_whole

DATABASE, BODIES, ID_FILE, ID_KEY = "pillarbox.db", "bodies", "server-id", "server_id"
KEPT = "kept"
AUTHORITY_KEY = "authority_made"
LOOKED_AT = 64
"""Most names of body files compared when one of the two ids is missing."""
MADE_LATER = (
    (Sentence("message bodies"), (f"{BODIES}/{KEPT}/*", f"{BODIES}/aside/*", f"{BODIES}/{ID_FILE}")),
    (Sentence("certificates"), ("certificates/*.pem",)),
    (Sentence("signing keys"), ("dkim/*.pem",)),
)
"""What exists only after a database was committed, and its places."""
ANEW = Sentence("to start over, name an empty directory with --data.")


def damaged(database: Path) -> SetupError:
    """The error of a start that cannot read a part of the database."""
    return SetupError(
        Sentence("The database %(database)s is damaged: a part that the start needs cannot be read.", database=database),
        Sentence(
            "Restore the data directory from a backup. Without one: `pillarbox export --all TARGET` saves what can be read, "
            "`pillarbox import` brings it back; %(anew)s",
            anew=ANEW,
        ),
    )


@contextmanager
def needed_to_start(data: Path) -> Iterator[None]:
    """Around reads that a start needs: raises SetupError when the database is damaged there."""
    try:
        yield
    except StoreError as trouble:
        if trouble.trouble is not Trouble.BROKEN:
            raise
        raise damaged(data / DATABASE) from trouble


def database_is_there(data: Path) -> bool:
    """Is there a database? Raises SetupError for a directory this user cannot read."""
    try:
        (data / DATABASE).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise SetupError(
            Sentence("The data directory %(data)s cannot be read: %(strerror)s.", data=data, strerror=error.strerror),
            "Check who owns it, or use sudo.",
        ) from error
    return True


def refuse_lost_database(data: Path) -> None:
    """Raises SetupError when the database is gone and something it belongs to is not."""
    if database_is_there(data):
        return
    refuse_before_release(data / DATABASE)
    left = [what for what, places in MADE_LATER if any(next(data.glob(place), None) for place in places)]
    if left:
        there = enumerated(*left)
        raise SetupError(
            Sentence("The database %(data)s is missing, but %(there)s are there.", data=data / DATABASE, there=there),
            Sentence("Put %(name)s and %(name)s-wal back, from a backup if need be; %(anew)s", name=DATABASE, anew=ANEW),
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
            Sentence("The message bodies are gone: %(data)s is missing, and messages need its files.", data=data / BODIES),
            Sentence(
                "Put it back, from a backup if need be. If it is lost for good, make an empty directory %(kept)s: the rest is then served.",
                kept=kept,
            ),
        )
    found = _id_in(data)
    if found and server_id:
        strange = found != server_id[0]
    else:
        strange = await _strange_files(database, kept, [row[0] for row in named])
    if strange:
        raise SetupError(
            Sentence("%(bodies)s belongs to another server than %(database)s.", bodies=data / BODIES, database=data / DATABASE),
            Sentence("Restore the two that belong together, from a backup if need be; %(anew)s", anew=ANEW),
        )


async def _strange_files(database: Reads, kept: Path, named: list[bytes]) -> bool:
    """For a missing id: there are files, no row names them, and none of the files that rows name is there."""
    there = _some_files(kept, named)
    placeholders = ",".join("?" * len(there))
    sql = f"SELECT 1 FROM body WHERE digest IN ({placeholders}) LIMIT 1"  # noqa: S608 only question marks
    return bool(there) and await database.read(lambda connection: connection.execute(sql, there).fetchone()) is None


def _some_files(kept: Path, named: list[bytes]) -> list[bytes]:
    """Digests of the first files found; [] when any file that a row names exists."""
    if not kept.is_dir() or any((kept / digest.hex()).exists() for digest in named):
        return []
    there = []
    for path in islice(kept.iterdir(), LOOKED_AT):
        with suppress(ValueError):
            there.append(bytes.fromhex(path.name))
    return there


async def keep_id(database: AnyDatabase, data: Path) -> None:
    """Write the id where it is missing; the bodies directory exists."""
    found = _id_in(data)
    row = await database.read(lambda connection: connection.execute("SELECT value FROM meta WHERE key = ?", (ID_KEY,)).fetchone())
    if row and found:
        return
    server_id = row[0] if row else found or os.urandom(16).hex()
    if not row:
        await database.write(lambda transaction: transaction.execute("INSERT INTO meta VALUES(?, ?)", (ID_KEY, server_id)))
    await trio.to_thread.run_sync(write_whole, data / BODIES / ID_FILE, server_id.encode() + b"\n")


async def authority_made_before(database: Reads) -> bool:
    """Did this server ever have a certificate authority? Devices may trust it, even if its file is gone."""
    row = await database.read(lambda connection: connection.execute("SELECT 1 FROM meta WHERE key = ?", (AUTHORITY_KEY,)).fetchone())
    return row is not None


async def keep_authority_made(database: AnyDatabase) -> None:
    """Record it for `authority_made_before`; a lost certificates directory leaves no other trace."""
    if not await authority_made_before(database):
        await database.write(lambda transaction: transaction.execute("INSERT OR IGNORE INTO meta VALUES(?, '1')", (AUTHORITY_KEY,)))


def _id_in(data: Path) -> str:
    try:
        return (data / BODIES / ID_FILE).read_text("ascii", "replace").strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise SetupError(
            Sentence("%(data)s cannot be read: %(strerror)s.", data=data / BODIES / ID_FILE, strerror=error.strerror), "Check who owns it."
        ) from error
