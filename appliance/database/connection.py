"""Open SQLite connections for an SD card: pragmas, and a write-ahead log of fixed size that is reused as a ring.

The ring: SQLite deletes its log when the last connection closes and lets it grow again with every commit, which
costs a journal entry of the file system each time. So a zero-filled log of the ring's size is written and synced
before the first connection opens; SQLite takes it as empty and overwrites it in place for ever: a small commit is
one fdatasync and no change of any file's size. Readers are opened read-only and closed after the writer, so that
no close is ever "the last writable one": the log then stays for the next start, and a close never checkpoints.

What was chosen, and why (2,000 mixed messages, mean 52 KB, ext4 on a loop device; octets and flushes as the device saw
them, 1 / 50 sessions):
- page_size 1024: 1.10 / 0.86 octets written for each octet of mail; 2048 writes 1.23 / 0.98, because each commit
  rewrites about eight pages of which it changed a little. Large rows are read through longer chains, which costs less.
- ring 4 MiB: 1.10 / 0.86 octets, 1.22 / 0.29 flushes a message; 2 MiB 1.12 / 0.89 and 1.25 / 0.37 (more checkpoints),
  for 2 % less space. It is worked in when half full, so that a commit always fits behind a slow query.
- synchronous=FULL: NORMAL loses acknowledged commits. One fdatasync a commit, counted with strace; nothing changes size.
- powersafe overwrite (SQLite's default): with psow=0 a small commit writes 23 KB instead of 6. So an SD card that ruins the
  whole 4 KiB block around an interrupted write may lose a neighbouring acknowledged commit; 512-octet tears lose none.
- auto_vacuum NONE: its map pages are written with every new page; large bodies are files and give their space back.
- secure_delete OFF (Debian compiles it on): zeros would be written over every freed page, twice the wear of the card.
- cache_size 768 KiB for the writer, 256 KiB a reader; cache_spill at 4 MiB, so that a usual group goes to the log once.
- locking_mode stays NORMAL: EXCLUSIVE would save fcntl calls (5 of 14 us a commit without its sync) and shut the readers out.
"""

import os
import sqlite3
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

PAGE_OCTETS = 1024
RING_OCTETS = 4 * 2**20
WRITER_CACHE_KIB = 768
READER_CACHE_KIB = 256
SPILL_OCTETS = 4 * 2**20
"""Changed pages a transaction may hold in memory before some go to the log early."""
FRAME_HEADER_OCTETS = 24
LOG_HEADER_OCTETS = 32
HEADER_OCTETS = 100
APPLICATION = 0x50424F58
"""`application_id` of our files ("PBOX"): tells them from other programs' databases."""
STATEMENTS = 96
"""Compiled statements kept by each connection."""


def log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


@dataclass(frozen=True, slots=True)
class Header:
    """What the first octets of a database file say (fileformat2.html §1.3), read without opening a connection."""

    octets: int
    """The file's length."""
    is_sqlite: bool
    version: int
    """`user_version`."""
    application: int
    """`application_id`: APPLICATION in every file made here."""


def header_of(path: Path) -> Header | None:
    """None when there is no file. Raises OSError (a directory, no right to read)."""
    try:
        with path.open("rb") as file:
            first = file.read(HEADER_OCTETS)
            octets = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return None
    if len(first) < HEADER_OCTETS or not first.startswith(b"SQLite format 3\0"):
        return Header(octets, False, 0, 0)
    return Header(octets, True, *struct.unpack_from(">I4xI", first, 60))


def log_is_blank(path: Path) -> bool:
    """No commit stands in the write-ahead log: there is none, or it is a ring of zeros without a commit."""
    try:
        with log_of(path).open("rb") as file:
            return not any(file.read(LOG_HEADER_OCTETS))
    except FileNotFoundError:
        return True


def sync_directory(path: Path) -> None:
    """Make names made, moved or removed in the directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_log(path: Path, octets: int, kept: bytes = b"") -> None:
    """Put a log of `kept` and zeros, `octets` long, in place of whatever log there is; durable when it returns."""
    new = path.with_name(path.name + "-wal.new")
    with new.open("wb", buffering=0) as file:
        file.write(kept)
        zeros = bytes(1 << 16)
        for at in range(len(kept), octets, len(zeros)):
            file.write(zeros[: octets - at])
        os.fsync(file.fileno())
    new.replace(log_of(path))
    sync_directory(path.parent)


def ready_ring(path: Path, octets: int) -> None:
    """See that the log has the ring's size before anybody opens the database.

    A shorter log (another setting, or one that SQLite began itself) is first worked into the database.
    """
    try:
        size = log_of(path).stat().st_size
    except FileNotFoundError:
        size = 0
    if 0 < size < octets:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        connection.close()
        size = 0
    if size == 0:
        write_log(path, octets)


def open_writer(path: Path, ring_octets: int, cache_kib: int = WRITER_CACHE_KIB) -> sqlite3.Connection:
    """The one connection that writes; used by one thread at a time."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS)
    page = int(connection.execute("PRAGMA page_size").fetchone()[0])
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "wal_autocheckpoint=0",
        f"journal_size_limit={ring_octets:d}",
        f"cache_size=-{cache_kib:d}",
        f"cache_spill={SPILL_OCTETS // page:d}",
        "secure_delete=OFF",
        "foreign_keys=OFF",
        "temp_store=MEMORY",
        "mmap_size=0",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    return connection


def open_reader(path: Path, cache_kib: int = READER_CACHE_KIB) -> sqlite3.Connection:
    """A connection that can only read; closed after the writer's."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS
    )
    for pragma in (f"cache_size=-{cache_kib:d}", "temp_store=MEMORY", "mmap_size=0", "query_only=ON"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    return connection


def open_alone(path: Path, cache_kib: int = READER_CACHE_KIB) -> sqlite3.Connection:
    """A reading connection that makes, writes and locks no file: for storage that is read-only, or a command beside no server.

    Sees what stands only in the log, whether or not there is a `-shm`. Nobody may write meanwhile (the caller holds the lock
    on the data directory, where there is one). Measured on SQLite 3.40, log of 1,000 commits, no `-shm`, files 0444 in a
    directory 0555 and on a read-only mount: `mode=ro` cannot open the file, `immutable=1` finds none of the commits, a copy
    in memory costs the whole database; with `locking_mode=EXCLUSIVE` SQLite keeps the log's index in its own memory
    (wal.html §8), and the VFS without locks (vfs.html §2.1) lets it have the exclusive lock on a file it cannot write.
    """
    how = "immutable=1" if log_is_blank(path) else "vfs=unix-none"  # SQLite would make a missing log, and remove a blank one
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro&{how}", uri=True, isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS
    )
    for pragma in ("locking_mode=EXCLUSIVE", f"cache_size=-{cache_kib:d}", "temp_store=MEMORY", "mmap_size=0", "query_only=ON"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    return connection


def is_damage(error: BaseException | None) -> TypeGuard[sqlite3.Error]:
    """SQLite met a page that does not hold what it must."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return isinstance(error, sqlite3.Error) and code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Ring:
    """Where the log stands, read from the first octets of SQLite's index of it (walformat.html §2.1)."""

    def __init__(self, path: Path, page_octets: int) -> None:
        self._fd = os.open(path.with_name(path.name + "-shm"), os.O_RDONLY)
        self.frame_octets = page_octets + FRAME_HEADER_OCTETS

    def frames(self) -> int:
        """Committed frames in the log, 0 after it began anew."""
        return int(struct.unpack_from("=I", os.pread(self._fd, 20, 0), 16)[0])

    def octets(self) -> int:
        return LOG_HEADER_OCTETS + self.frames() * self.frame_octets

    def close(self) -> None:
        os.close(self._fd)
