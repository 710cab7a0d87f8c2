"""What became of each message, kept for people: accepted, tried when and with whom, what was answered, when next, the end.

Lines are written in the queue's own commits. Bounded: `most_rows` lines, the newest, none older than `most_days`.
Facts are JSON objects; `at` is UTC seconds as the wall clock read then.
"""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from appliance.database.writer import Transaction

PRUNE_EVERY = 512
"""Lines between two looks at the bounds, so that few commits pay for them."""
DAY_S = 86_400
TEXT_CHARACTERS = 600


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """`what` is accepted, tried, delayed, sent, failed, expired, held, released, rerouted, cancelled or told."""

    message: str
    at: int
    what: str
    facts: dict[str, Any]


def add(transaction: Transaction, message: str, at: int, what: str, **facts: Any) -> None:
    """One more line; long texts are cut."""
    told = {key: value for key, value in facts.items() if value not in (None, "", [], ())}
    kept = {key: value[:TEXT_CHARACTERS] if isinstance(value, str) else value for key, value in told.items()}
    transaction.execute(
        "INSERT INTO history(id, message, at, event, details) VALUES (?, ?, ?, ?, ?)",
        (transaction.next_id("history"), message, at, what, json.dumps(kept, ensure_ascii=False, separators=(",", ":"))),
    )


def prune(transaction: Transaction, now: int, most_days: int, most_rows: int) -> None:
    """Keep to the bounds. Messages that still wait keep their lines as long as the row bound allows."""
    newest = transaction.execute("SELECT max(id) FROM history").fetchone()[0]
    if newest is not None:
        transaction.execute("DELETE FROM history WHERE id <= ?", (newest - most_rows,))
        transaction.execute(
            "DELETE FROM history WHERE id < (SELECT coalesce(min(id), 0) FROM history WHERE at >= ?)", (now - most_days * DAY_S,)
        )


def timeline(connection: sqlite3.Connection, message: str) -> list[HistoryLine]:
    """Every line about the message, oldest first."""
    rows = connection.execute("SELECT message, at, event, details FROM history WHERE message = ? ORDER BY id", (message,))
    return [HistoryLine(name, at, what, json.loads(facts)) for name, at, what, facts in rows]


def messages_like(connection: sqlite3.Connection, start: str) -> list[str]:
    """Names of messages that begin so, at most three (more is no answer)."""
    rows = connection.execute(
        "SELECT DISTINCT message FROM history WHERE message >= ? AND message < ? LIMIT 3", (start, start + "\U0010ffff")
    )
    return [name for (name,) in rows]
