"""Check the database: SQLite's integrity check, and whether rows agree with each other. Reads only; for tests and commands.

Run it while the server is stopped or in a process of its own: it reads every page. `faults` are sentences for users;
none means that all is well. A part that cannot be read is a fault, and the others are checked all the same. What a running
server is in the middle of (a body file before its commit, or about to be unlinked) is no fault. Fails with SetupError, StoreError BROKEN.
"""

import re
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from appliance.mail.errors import SetupError, StoreError, Trouble
from appliance.mail.sentence import Sentence

from . import migrations
from .connection import is_damage, open_alone
from .mending import damaged_indexes

_COUNTS = ("account", "mailbox", "message", "message_data", "expunged", "body", "body_data")
_RULES: tuple[tuple[str, str], ...] = (
    (
        "{n} messages have lost their descriptions",
        "SELECT count(*) FROM message m WHERE NOT EXISTS (SELECT 1 FROM message_data f WHERE f.id = m.message_data)",
    ),
    (
        "{n} messages have no body",
        "SELECT count(*) FROM message m WHERE NOT EXISTS (SELECT 1 FROM body b WHERE b.id = m.body AND b.refcount > 0)",
    ),
    (
        "{n} descriptions count their messages wrongly",
        """SELECT count(*) FROM message_data f LEFT JOIN shared_data s ON s.message_data = f.id
           LEFT JOIN (SELECT message_data, count(*) AS n FROM message GROUP BY message_data) m ON m.message_data = f.id
           WHERE coalesce(s.refcount, 1) <> coalesce(m.n, 0)""",
    ),
    (
        "{n} bodies are needed by more messages than they count",
        """SELECT count(*) FROM body b JOIN (SELECT body, sum(n) AS n FROM (SELECT body, count(DISTINCT message_data) AS n FROM message
           GROUP BY body UNION ALL SELECT body, count(*) FROM queue GROUP BY body UNION ALL SELECT body, count(*) FROM upload
           GROUP BY body) GROUP BY body) m ON m.body = b.id
           WHERE m.n > b.refcount""",
    ),
    (
        "{n} queued messages have lost their octets",
        "SELECT count(*) FROM queue q WHERE NOT EXISTS (SELECT 1 FROM body b WHERE b.id = q.body)",
    ),
    (
        "{n} queued messages have no recipients",
        "SELECT count(*) FROM queue WHERE json_array_length(recipients) = 0",
    ),
    (
        "{n} small bodies have lost their octets",
        "SELECT count(*) FROM body b WHERE digest IS NULL AND NOT EXISTS (SELECT 1 FROM body_data d WHERE d.id = b.id)",
    ),
    (
        "the octets of {n} bodies belong to no message",
        "SELECT count(*) FROM body_data d WHERE NOT EXISTS (SELECT 1 FROM body b WHERE b.id = d.id)",
    ),
    (
        "{n} messages are in no mailbox",
        "SELECT count(*) FROM message m WHERE NOT EXISTS (SELECT 1 FROM mailbox b WHERE b.id = m.mailbox)",
    ),
    (
        "{n} mailboxes count their messages wrongly",
        """SELECT count(*) FROM mailbox b LEFT JOIN (SELECT mailbox, count(*) AS n, sum(octets) AS o FROM message GROUP BY mailbox) m
           ON m.mailbox = b.id WHERE b.messages <> coalesce(m.n, 0) OR b.octets <> coalesce(m.o, 0)""",
    ),
    (
        "{n} mailboxes hold a UID or MODSEQ above their own counters",
        """SELECT count(*) FROM mailbox b JOIN (SELECT mailbox, max(uid) AS u, max(modseq) AS s FROM message GROUP BY mailbox) m
           ON m.mailbox = b.id WHERE m.u >= b.uid_next OR m.s > b.modseq""",
    ),
    (
        "{n} UIDs are both there and expunged",
        """SELECT count(*) FROM expunged e JOIN message m ON m.mailbox = e.mailbox AND m.uid BETWEEN e.first_uid AND e.last_uid""",
    ),
    (
        "{n} rights are on mailboxes that do not exist",
        "SELECT count(*) FROM mailbox_right r WHERE NOT EXISTS (SELECT 1 FROM mailbox b WHERE b.id = r.mailbox)",
    ),
    (
        "{n} mailboxes have changes kept for others who have no rights on them",
        "SELECT count(DISTINCT mailbox) FROM shared_change WHERE mailbox NOT IN (SELECT mailbox FROM mailbox_right)",
    ),
)
"""What must never be, each with the count of its cases."""


_PLACES = {
    "account": "the list of accounts",
    "mailbox": "the list of mailboxes",
    "message": "the list of messages",
    "message_data": "the descriptions of messages",
    "shared_data": "the counts of copied messages",
    "body": "the list of message bodies",
    "body_data": "the bodies of messages",
    "expunged": "the list of expunged messages",
    "changed": "the list of changed messages",
    "queue": "the queue",
    "upload": "what was uploaded for messages",
    "history": "the history of sent messages",
    "password": "the passwords",
    "alias": "the aliases",
    "domain": "the list of domains",
}
"""What a table holds, in words for users."""
QUICK_OCTETS = 64 * 2**20
"""What a command checks in passing: a second or two on a slow SD card."""
LINES = 200
"""Of what SQLite says: it goes on for each cell of a ruined page."""


@dataclass(slots=True)
class Report:
    """Octets and rows as they are (0 where they cannot be read); `faults` in sentences, empty when all is well."""

    octets: int = 0
    free_octets: int = 0
    log_octets: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    body_octets: int = 0
    stored_octets: int = 0
    unreferenced_bodies: int = 0
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Worth a line in the report, and no damage."""
    details: list[str] = field(default_factory=list)
    """What SQLite said, word for word."""
    only_indexes: bool = False
    """Nothing is damaged but indexes, which the next start rebuilds."""


def looks_damaged(connection: sqlite3.Connection) -> bool:
    """A quick look at every page, for databases of up to QUICK_OCTETS; of larger ones False. Raises sqlite3.DatabaseError."""
    octets = _one(connection, "PRAGMA page_size") * _one(connection, "PRAGMA page_count")
    if octets > QUICK_OCTETS:
        return False
    reported = [str(text) for (text,) in connection.execute("PRAGMA quick_check(20)")]
    lines = [line for text in reported for line in text.splitlines()]
    return any(not line.startswith("***") and line != "ok" and not line.endswith("never used") for line in lines)


def check(path: Path, file_names: Iterable[str] | None = None, *, is_there: Callable[[str], bool] = lambda _: False) -> Report:
    """`file_names`: the names (hex digits) of the body files there are, listed before; without it files are not compared.

    `is_there` looks for one of them now. Raises SetupError for a file that is not this server's database, StoreError
    BROKEN when it cannot be read at all.
    """
    migrations.needed(path)
    names = None if file_names is None else set(file_names)
    try:
        connection, alone = _opened(path)
        with closing(connection):
            report = _check(connection, path, names, is_there)
        if alone and report.faults and path.with_name(path.name + "-shm").exists():  # a server has started meanwhile
            with closing(_beside_a_server(path)) as connection:
                report = _check(connection, path, names, is_there)
    except sqlite3.Error as error:
        if is_damage(error):
            return Report(faults=["the database's own table of contents cannot be read"], details=[str(error)])
        raise StoreError(Trouble.BROKEN, f"The database {path} cannot be read: {error}.") from error
    except OSError as error:
        raise SetupError(
            Sentence("%(path)s cannot be read: %(strerror)s.", path=path, strerror=error.strerror), "Check who owns it, or use sudo."
        ) from error
    return report


def _opened(path: Path) -> tuple[sqlite3.Connection, bool]:
    """A connection, and whether it ignores a running server: where there is no `-shm` none runs, or storage is read-only."""
    if path.with_name(path.name + "-shm").exists():
        try:
            return _beside_a_server(path), False
        except sqlite3.OperationalError:
            pass
    return open_alone(path), True


def _beside_a_server(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _one(connection: sqlite3.Connection, sql: str) -> int:
    return int(connection.execute(sql).fetchone()[0] or 0)


def _check(connection: sqlite3.Connection, path: Path, names: set[str] | None, is_there: Callable[[str], bool]) -> Report:
    report = Report()
    log = path.with_name(path.name + "-wal")
    report.log_octets = log.stat().st_size if log.exists() else 0
    _ask_sqlite(connection, report)
    damaged, outdated = bool(report.faults), migrations.is_outdated(path)

    def tried(sql: str) -> int:
        try:
            return _one(connection, sql)
        except sqlite3.DatabaseError as error:
            if outdated and str(error).startswith("no such table"):
                return 0  # the next start makes it
            if not damaged:
                report.faults.append("a part of the database cannot be read")
            report.details.append(str(error))
            return 0

    page = tried("PRAGMA page_size")
    report.octets, report.free_octets = page * tried("PRAGMA page_count"), page * tried("PRAGMA freelist_count")
    report.rows = {table: tried(f"SELECT count(*) FROM {table}") for table in _COUNTS}  # noqa: S608 our own names
    report.body_octets = tried("SELECT sum(octets) FROM body")
    report.stored_octets = tried("SELECT sum(stored_octets) FROM body")
    report.unreferenced_bodies = tried("SELECT count(*) FROM body WHERE refcount = 0")
    for sentence, sql in _RULES:
        if count := tried(sql):
            report.faults.append(sentence.format(n=count))
            report.only_indexes = False
    if names is not None:
        try:
            _compare_files(connection, names, report, is_there)
        except sqlite3.DatabaseError as error:
            report.details.append(str(error))
    report.faults = list(dict.fromkeys(report.faults))
    return report


def _ask_sqlite(connection: sqlite3.Connection, report: Report) -> None:
    """`PRAGMA integrity_check`, in plain words."""
    try:
        reported = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({LINES:d})")]
    except sqlite3.DatabaseError as error:
        reported = [str(error)]
    lines = [line for text in reported for line in text.splitlines() if line != "ok" and not line.startswith("***")]
    if not lines:
        return
    report.details += lines
    unused = [line for line in lines if line.endswith("never used")]
    if unused:
        report.notes.append(f"{len(unused)} pages of the database are not used: an index was rebuilt")
        lines = [line for line in lines if line not in unused]
    if not lines:
        return
    tables, indexes = _damaged(connection, lines)
    if not tables and not indexes:
        tables, indexes = _unreadable(connection)
    report.faults += [f"{_PLACES.get(name, name)} cannot be read in places" for name in sorted(tables)]
    report.faults += [f"an index of {_PLACES.get(name, name)} is damaged (nothing is lost with it)" for name in sorted(indexes - tables)]
    report.only_indexes = bool(indexes) and not tables
    if not tables and not indexes:
        report.faults.append("the database file is damaged")


def _damaged(connection: sqlite3.Connection, lines: list[str]) -> tuple[set[str], set[str]]:
    """The tables SQLite found damaged, and those of which an index is."""
    try:
        rows = connection.execute("SELECT name, tbl_name, rootpage, type FROM sqlite_master").fetchall()
    except sqlite3.DatabaseError:
        return set(), set()
    by_root = {root: (table, kind) for _, table, root, kind in rows if root}
    by_name = {name: (table, kind) for name, table, _, kind in rows}
    tables: set[str] = set()
    indexes: set[str] = set()
    for line in lines:
        tree, named = re.match(r"(?:On tree page|Tree) (\d+)", line), re.search(r"index (\S+)$", line)
        row = by_root.get(int(tree[1])) if tree else by_name.get(named[1]) if named else None
        if row is not None:
            table, kind = row
            (tables if kind == "table" else indexes).add(table)
    return tables, indexes


def _unreadable(connection: sqlite3.Connection) -> tuple[set[str], set[str]]:
    """The same by reading each from end to end: the root page of a tree ends SQLite's own check without a word about where."""
    tables: set[str] = set()
    try:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    except sqlite3.DatabaseError:
        return set(), set()
    for name in names:
        try:
            connection.execute(f"SELECT count(*) FROM {name} NOT INDEXED").fetchone()  # noqa: S608 names of our schema
        except sqlite3.DatabaseError:
            tables.add(name)
    return tables, {table for _, table, _ in damaged_indexes(connection)}


def _compare_files(connection: sqlite3.Connection, there: set[str], report: Report, is_there: Callable[[str], bool]) -> None:
    """The files were listed before: one that a row names since then must be there now, and one that is gone have no row any more."""
    rows = connection.execute("SELECT digest, refcount FROM body WHERE digest IS NOT NULL").fetchall()
    needed = {digest.hex() for digest, refcount in rows if refcount > 0}
    lost = [name for name in needed - there if not is_there(name)]
    still = "SELECT 1 FROM body WHERE digest = ? AND refcount > 0"
    if count := sum(connection.execute(still, (bytes.fromhex(name),)).fetchone() is not None for name in lost):
        report.faults.append(f"{count} large bodies have lost their files")
        report.only_indexes = False
    if left := len(there - {digest.hex() for digest, _ in rows}):
        report.notes.append(f"{left} body files are named by no row: being received or removed, or moved aside by the next start")
