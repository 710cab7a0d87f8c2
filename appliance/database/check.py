"""Is the database whole, and do its rows agree with each other? Reads only; used by tests and the command line.

Run it while the house is stopped or in a process of its own: it reads every page. `faults` are sentences for people;
none means well. Fails with sqlite3.OperationalError when there is no such file.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from appliance.mail.errors import StoreError, Trouble

_COUNTS = ("person", "mailbox", "message", "fact", "expunged", "body", "body_data")
_RULES: tuple[tuple[str, str], ...] = (
    (
        "{n} messages have no facts",
        "SELECT count(*) FROM message m WHERE NOT EXISTS (SELECT 1 FROM fact f WHERE f.id = m.fact)",
    ),
    (
        "{n} messages have no body",
        "SELECT count(*) FROM message m WHERE NOT EXISTS (SELECT 1 FROM body b WHERE b.id = m.body AND b.holders > 0)",
    ),
    (
        "{n} facts count their messages wrongly",
        """SELECT count(*) FROM fact f LEFT JOIN (SELECT fact, count(*) AS n FROM message GROUP BY fact) m ON m.fact = f.id
           WHERE f.holders <> coalesce(m.n, 0)""",
    ),
    (
        "{n} bodies are needed by more messages than they count",
        """SELECT count(*) FROM body b JOIN (SELECT body, sum(n) AS n FROM (SELECT body, count(DISTINCT fact) AS n FROM message
           GROUP BY body UNION ALL SELECT body, count(*) FROM queue GROUP BY body) GROUP BY body) m ON m.body = b.id
           WHERE m.n > b.holders""",
    ),
    (
        "{n} letters that wait to leave have lost their octets",
        "SELECT count(*) FROM queue q WHERE NOT EXISTS (SELECT 1 FROM body b WHERE b.id = q.body)",
    ),
    (
        "{n} letters that wait to leave have nobody they go to",
        "SELECT count(*) FROM queue WHERE json_array_length(recipients) = 0",
    ),
    (
        "{n} small bodies have lost their octets",
        "SELECT count(*) FROM body b WHERE digest IS NULL AND NOT EXISTS (SELECT 1 FROM body_data d WHERE d.id = b.id)",
    ),
    (
        "the octets of {n} bodies belong to nobody",
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
        """SELECT count(*) FROM expunged e JOIN message m ON m.mailbox = e.mailbox AND m.uid BETWEEN e.uid AND e.last""",
    ),
)
"""What must never be, each with the count of its cases."""


@dataclass(slots=True)
class Report:
    """Octets and rows as they are; `faults` in sentences, empty when all is well."""

    octets: int = 0
    free_octets: int = 0
    log_octets: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    body_octets: int = 0
    stored_octets: int = 0
    unheld_bodies: int = 0
    faults: list[str] = field(default_factory=list)


def check(path: Path, file_names: Iterable[str] | None = None) -> Report:
    """`file_names`: the names (hex digits) of the body files there are; without it files are not compared.

    Raises StoreError BROKEN when the file cannot be read at all.
    """
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    try:
        return _check(connection, path, file_names)
    except sqlite3.Error as error:
        raise StoreError(Trouble.BROKEN, f"The database cannot be read: {error}.") from error
    finally:
        connection.close()


def _one(connection: sqlite3.Connection, sql: str) -> int:
    return int(connection.execute(sql).fetchone()[0] or 0)


def _check(connection: sqlite3.Connection, path: Path, file_names: Iterable[str] | None) -> Report:
    report = Report()
    log = path.with_name(path.name + "-wal")
    report.log_octets = log.stat().st_size if log.exists() else 0
    try:
        page = _one(connection, "PRAGMA page_size")
        report.octets = page * _one(connection, "PRAGMA page_count")
        report.free_octets = page * _one(connection, "PRAGMA freelist_count")
        for (said,) in connection.execute("PRAGMA integrity_check(20)"):
            if said != "ok":
                report.faults.append(f"SQLite: {said}")
        _count(connection, report, file_names)
    except sqlite3.DatabaseError as error:
        report.faults.append(f"SQLite: {error}; the check could not be finished")
    return report


def _count(connection: sqlite3.Connection, report: Report, file_names: Iterable[str] | None) -> None:
    report.rows = {table: _one(connection, f"SELECT count(*) FROM {table}") for table in _COUNTS}  # noqa: S608 our own names
    report.body_octets = _one(connection, "SELECT sum(octets) FROM body")
    report.stored_octets = _one(connection, "SELECT sum(stored_octets) FROM body")
    report.unheld_bodies = _one(connection, "SELECT count(*) FROM body WHERE holders = 0")
    for sentence, sql in _RULES:
        if count := _one(connection, sql):
            report.faults.append(sentence.format(n=count))
    if file_names is not None:
        _compare_files(connection, set(file_names), report)


def _compare_files(connection: sqlite3.Connection, there: set[str], report: Report) -> None:
    named = {row[0].hex() for row in connection.execute("SELECT digest FROM body WHERE digest IS NOT NULL")}
    if lost := len(named - there):
        report.faults.append(f"{lost} large bodies have lost their files")
    if left := len(there - named):
        report.faults.append(f"{left} body files are named by no row (the next start removes them)")
