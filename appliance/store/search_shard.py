"""One file of the search index: the text of up to MESSAGES messages of one account, whose ids lie in one range.

    | table          | holds                                                                                          |
    |----------------|------------------------------------------------------------------------------------------------|
    | `shard`        | one row: the range of ids, how many messages have text here, when the file was begun, by which  |
    |                | server and scanner                                                                              |
    | `batch`        | the ids added together, in order, and those of them that must be scanned                        |
    | `header`, `body`| FTS5 over three characters (`mail.index_text`), ids alone: no positions, no text                |
    | `common`       | words that many messages of a batch have, and the bits of those                                  |
    | `field`        | what the fields of the ENVELOPE say, so that FROM and SUBJECT are answered without reading a row |

A file is only added to, in one transaction a batch, until it is full; then its segments are merged in memory and the file written once
more, a sixth smaller and as much quicker to search. Nothing is deleted from it: a file with messages that are gone is built anew beside
it and takes its name. SQLite's rollback journal makes each batch whole or absent; new pages are appended, so that a
batch is written once. Measured on 2,000 real messages: 0.57 of the text's octets in batches of 500, 0.16 ms of CPU a kB.
Used by one thread at a time. Raises sqlite3.Error and OSError; DamagedShard for a file that is none of ours or not of this index.
"""

# ruff: noqa: S608 - table names are words of ours, values are always parameters

import os
import sqlite3
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from appliance.mail.index_text import TERM, MessageIndexText, common_words, indexable, packed_numbers, terms_of
from appliance.mail.query import ENVELOPE_FIELDS, folded

from .messages import listed, numbers
from .search_found import Hits, Lookup

MESSAGES = 4000
FILE_OCTETS = 10 * 2**20
"""A file is full from here on, too: it is merged in memory."""
FORMAT = 3
"""1: dotless i was not folded to i. 2: `body` was without what readers see of HTML and the names of files."""
APPLICATION = 0x50425349
"""`application_id`, "PBSI"."""
CACHE_KIB = 512
WRITER_CACHE_KIB = 16 * 1024
"""A batch stays in memory until its commit."""
HASH_OCTETS = 16 * 2**20
"""Of FTS5's table of a batch: one batch is one segment."""
BUSY_S = 20.0
FIELD_TERMS = 4
NEW = ".new"
"""Ends the name of a file that is being built."""
FEW = 50
"""Candidates that are read rather than proven by common words."""
SCHEMA = (
    "PRAGMA page_size = 4096",
    f"PRAGMA application_id = {APPLICATION:d}",
    f"PRAGMA user_version = {FORMAT:d}",
    """CREATE TABLE shard(first INTEGER NOT NULL, last INTEGER NOT NULL, messages INTEGER NOT NULL, begun_at INTEGER NOT NULL,
        closed INTEGER NOT NULL DEFAULT 0, origin TEXT NOT NULL)""",
    "CREATE TABLE batch(id INTEGER PRIMARY KEY, ids BLOB NOT NULL, scanned BLOB NOT NULL)",
    "CREATE TABLE common(batch INTEGER, word TEXT, messages BLOB NOT NULL, PRIMARY KEY(batch, word)) WITHOUT ROWID",
    f"CREATE TABLE field(id INTEGER PRIMARY KEY, {', '.join([f'f_{name} TEXT' for name in ENVELOPE_FIELDS])})",
    *(
        statement
        for name in ("header", "body")
        for statement in (
            f"CREATE VIRTUAL TABLE {name} USING fts5(t, tokenize='trigram case_sensitive 1', detail=none, columnsize=0, content='')",
            f"INSERT INTO {name}({name}, rank) VALUES('automerge', 0)",
            f"INSERT INTO {name}({name}, rank) VALUES('hashsize', {HASH_OCTETS:d})",
        )
    ),
)


class DamagedShard(Exception):
    """The file cannot be used; it is removed and its messages are indexed again."""


@dataclass(frozen=True, slots=True)
class ShardInfo:
    """What a file says of itself. `last` is the end of its range: messages up to it that are not in the file do not exist."""

    path: Path
    first: int
    last: int
    messages: int
    begun_at: int
    closed: bool
    """Full: nothing is added to it any more."""


def create(path: Path, first: int, begun_at: int, origin: str) -> ShardInfo:
    """An empty file, durable with its first batch."""
    with _Connection(path, "rwc") as connection:
        for statement in SCHEMA:
            connection.execute(statement)
        connection.execute(
            "INSERT INTO shard(first, last, messages, begun_at, origin) VALUES(?, ?, 0, ?, ?)", (first, first - 1, begun_at, origin)
        )
    return ShardInfo(path, first, first - 1, 0, begun_at, closed=False)


def read_info(path: Path, origin: str) -> ShardInfo:
    """Raises DamagedShard, also for a file of another server, scanner or format."""
    try:
        with _Connection(path, "rw") as connection:  # a batch cut off by a power cut is rolled back now
            marks = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
            row = connection.execute("SELECT first, last, messages, begun_at, closed, origin FROM shard").fetchone()
    except sqlite3.Error as error:
        raise DamagedShard(str(error)) from error
    first, last, messages, begun_at, closed, made_for = row or (0, -1, 0, 0, 0, "")
    if marks != [APPLICATION, FORMAT] or made_for != origin or last < first:
        raise DamagedShard("it is not of this server's messages as they are read today")
    return ShardInfo(path, first, last, messages, begun_at, closed=bool(closed))


def add(shard: ShardInfo, texts: "Sequence[tuple[int, MessageIndexText | None]]", last: int) -> ShardInfo:
    """Add a batch, ascending ids; the file then says what there is of all messages up to `last`. None: the message is to be scanned."""
    indexed = [(message, text) for message, text in texts if text is not None]
    scanned = [message for message, text in texts if text is None]
    with _Connection(shard.path, "rw") as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO batch(ids, scanned) VALUES(?, ?)", (_packed([one for one, _ in indexed]), _packed(scanned)))
        batch = connection.execute("SELECT max(id) FROM batch").fetchone()[0]
        for message, text in indexed:
            connection.execute("INSERT INTO header(rowid, t) VALUES(?, ?)", (message, text.header))
            connection.execute("INSERT INTO body(rowid, t) VALUES(?, ?)", (message, text.body + text.shown))
            connection.execute("INSERT INTO field VALUES(?, ?, ?, ?, ?, ?)", (message, *text.fields))
        words = common_words([text.words or text.body for _, text in indexed])
        connection.executemany("INSERT INTO common VALUES(?, ?, ?)", [(batch, word, packed_numbers(some)) for word, some in words.items()])
        connection.execute("UPDATE shard SET last = ?, messages = messages + ?", (last, len(indexed)))
        connection.execute("COMMIT")
    return replace(shard, last=last, messages=shard.messages + len(indexed))


def is_full(shard: ShardInfo, more: int) -> bool:
    """Is there no room for another batch of so many messages?"""
    return shard.messages + more > MESSAGES or shard.path.stat().st_size >= FILE_OCTETS


def close(shard: ShardInfo) -> ShardInfo:
    """Merge a full file's segments, in memory, and write it once more beside itself; it takes its name when all of it is durable."""
    new = shard.path.with_name(shard.path.name + NEW)
    remove(new)
    memory = sqlite3.connect(":memory:", isolation_level=None)
    try:
        with _Connection(shard.path, "ro") as connection:
            connection.backup(memory)
        for table in ("header", "body"):
            memory.execute(f"INSERT INTO {table}({table}) VALUES('optimize')")
        memory.execute("UPDATE shard SET closed = 1")
        memory.execute("VACUUM INTO ?", (str(new),))
    finally:
        memory.close()
    fd = os.open(new, os.O_RDWR)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    install(new, shard.path)
    return replace(shard, closed=True)


def ids_of(shard: ShardInfo) -> list[int]:
    """The messages whose text is in the file."""
    with _Connection(shard.path, "ro") as connection:
        return [one for (ids,) in connection.execute("SELECT ids FROM batch ORDER BY id").fetchall() for one in _unpacked(ids)]


class ShardReader:
    """A file open for looking up."""

    __slots__ = ("_connection", "_scanned", "inode")

    def __init__(self, path: Path) -> None:
        self.inode = path.stat().st_ino
        """A file built anew has another one."""
        self._connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_S
        )
        for pragma in (f"cache_size=-{CACHE_KIB:d}", "mmap_size=0", "temp_store=MEMORY"):
            self._connection.execute(f"PRAGMA {pragma}").fetchall()

    def close(self) -> None:
        self._connection.close()

    def find(self, lookup: Lookup) -> Hits | None:
        """None when the index cannot tell."""
        terms = terms_of(lookup.needle)
        if not terms:
            return None
        needle = folded(lookup.needle)
        if lookup.fields and needle != indexable(needle):
            return None
        short = len(terms[0]) < TERM
        found, certain = set(self._scanned_ids()), set[int]()
        if lookup.fields:
            having, unknown = self._in_fields(needle, lookup.fields, None if short else self._matches("header", _spread(terms)))
            certain.update(having)
            found.update(having, unknown)
        tables = [name for name, wanted in (("header", lookup.header), ("body", lookup.body)) if wanted]
        # looking for all texts with a common character takes longer than reading the few without proof
        if tables and len(needle) == 1 and needle.isascii():
            everything = self._ids()
            proven = self._proven(needle) if lookup.body else set()
            if len(everything - certain - proven) <= FEW:
                return Hits(frozenset(found | everything), frozenset(certain | proven))
        for table in tables:
            found.update(self._begins(table, terms[0]) if short else self._matches(table, terms))
        if lookup.body and len(found) > FEW:
            certain.update(self._proven(needle) & found)
        return Hits(frozenset(found), frozenset(certain))

    def _in_fields(self, needle: str, fields: Sequence[str], among: Sequence[int] | None) -> tuple[list[int], list[int]]:
        """Messages whose ENVELOPE has the folded needle in one of the fields, for certain; and those of which a field is not kept."""
        where, parameters = ("", ()) if among is None else (" WHERE id IN (SELECT value FROM json_each(?))", (listed(sorted(among)),))
        has = " OR ".join([f"instr(f_{field}, ?1)" for field in fields])
        unknown = " OR ".join([f"f_{field} IS NULL" for field in fields])
        row = self._connection.execute(
            f"SELECT group_concat(CASE WHEN {has} THEN id END), group_concat(CASE WHEN {unknown} THEN id END) FROM field{where}",
            (needle, *parameters),
        ).fetchone()
        return numbers(row[0]), numbers(row[1])

    def _ids(self) -> set[int]:
        return {one for (ids,) in self._connection.execute("SELECT ids FROM batch").fetchall() for one in _unpacked(ids)}

    def _scanned_ids(self) -> list[int]:
        rows = self._connection.execute("SELECT scanned FROM batch WHERE scanned <> x''").fetchall()
        return [one for (ids,) in rows for one in _unpacked(ids)]

    def _matches(self, table: str, terms: Sequence[str]) -> list[int]:
        words = " AND ".join(['"' + term.replace('"', '""') + '"' for term in terms])
        return numbers(self._connection.execute(f"SELECT group_concat(rowid) FROM {table} WHERE {table} MATCH ?", (words,)).fetchone()[0])

    def _begins(self, table: str, start: str) -> list[int]:
        """Messages with a term that begins so."""
        self._connection.execute(f"CREATE VIRTUAL TABLE IF NOT EXISTS temp.{table}_terms USING fts5vocab('main', '{table}', 'instance')")
        rows = self._connection.execute(
            f"SELECT group_concat(doc) FROM (SELECT DISTINCT doc FROM temp.{table}_terms WHERE term >= ? AND term <= ?)",
            (start, start + "\U0010fffd\U0010fffd"),
        )
        return numbers(rows.fetchone()[0])

    def _proven(self, needle: str) -> set[int]:
        """Messages with a common word that has the needle in it."""
        proven: set[int] = set()
        rows = self._connection.execute(
            "SELECT batch, group_concat(hex(messages)) FROM common WHERE instr(word, ?) GROUP BY batch", (folded(needle),)
        ).fetchall()
        for batch, some in rows:
            ids = _unpacked(self._connection.execute("SELECT ids FROM batch WHERE id = ?", (batch,)).fetchone()[0])
            bits = 0
            for text in some.split(","):
                bits |= int.from_bytes(bytes.fromhex(text), "little")
            proven.update([ids[at] for at in range(bits.bit_length()) if bits >> at & 1])
        return proven


class _Connection:
    """A connection for one call: to read ("ro"), to write ("rw"), to make a file and write it ("rwc")."""

    __slots__ = ("_mode", "_path", "connection")

    def __init__(self, path: Path, mode: str) -> None:
        self._path = path
        self._mode = mode

    def __enter__(self) -> sqlite3.Connection:
        self.connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode={self._mode}", uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_S
        )
        for pragma in (
            f"cache_size=-{WRITER_CACHE_KIB:d}",
            "cache_spill=OFF",
            "temp_store=MEMORY",
            "synchronous=FULL",
            "secure_delete=OFF",
        ):
            self.connection.execute(f"PRAGMA {pragma}").fetchall()
        return self.connection

    def __exit__(self, *_: object) -> None:
        self.connection.close()


def _spread(terms: Sequence[str]) -> Sequence[str]:
    """A few of many terms: a candidate more costs nothing where the field's text is compared, a common term a walk over all messages."""
    return terms if len(terms) <= FIELD_TERMS else [terms[(len(terms) - 1) * at // (FIELD_TERMS - 1)] for at in range(FIELD_TERMS)]


def is_damage(error: Exception) -> bool:
    """The file is not what it must be; else it may be read another time (storage is full, or a descriptor short)."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return isinstance(error, FileNotFoundError | struct.error) or code in (
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_ERROR,
    )


def remove(path: Path) -> None:
    """The file and what SQLite keeps beside it."""
    for name in (path.name, path.name + "-journal"):
        path.with_name(name).unlink(missing_ok=True)


def install(new: Path, path: Path) -> None:
    """A file that was built anew takes the place of the old one, durably."""
    os.replace(new, path)  # noqa: PTH105
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _packed(ids: Iterable[int]) -> bytes:
    some = list(ids)
    return struct.pack(f"<{len(some):d}q", *some)


def _unpacked(octets: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(octets) // 8:d}q", octets)
