"""Delivery history of each message, as a mail log keeps it: accepted, each attempt with its hosts and replies, the final outcome.

Rows are written in the queue's own commits, and each moves the submission of its message on (`submissions`).
Bounded by `HistoryLimits`: the newest rows, none older than so many days.
Facts are JSON objects; `at` is UTC seconds by the wall clock of that moment.
"""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from appliance.database.writer import Transaction
from appliance.mail.sentence import parts_of

from .submissions import noted

PRUNE_EVERY = 512
"""Rows written between two prunings, so that few commits pay for one."""
DAY_S = 86_400
TEXT_CHARACTERS = 600


@dataclass(frozen=True, slots=True)
class HistoryLimits:
    """How much history is kept."""

    days: int = 30
    rows: int = 20_000


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """`event` is accepted, deferred, sent, bounced, expired, held, released, retried, rerouted or cancelled."""

    message: str
    at: int
    event: str
    facts: dict[str, Any]


def add(transaction: Transaction, message: str, at: int, event: str, **facts: Any) -> None:
    """Add a row; empty facts are left out, texts cut to TEXT_CHARACTERS. A `text` that can be said in other languages keeps its parts."""
    known = {key: value for key, value in facts.items() if value not in (None, "", [], ())}
    kept = {key: value[:TEXT_CHARACTERS] if isinstance(value, str) else value for key, value in known.items()}
    if (parts := parts_of(facts.get("text", ""))) and len(facts["text"]) <= TEXT_CHARACTERS:
        kept["text_parts"] = parts
    transaction.execute(
        "INSERT INTO history(id, message, at, event, details) VALUES (?, ?, ?, ?, ?)",
        (transaction.next_id("history"), message, at, event, json.dumps(kept, ensure_ascii=False, separators=(",", ":"))),
    )
    noted(transaction, message, event)


def prune(transaction: Transaction, now: int, limits: HistoryLimits) -> None:
    """Delete rows past the limits."""
    newest = transaction.execute("SELECT max(id) FROM history").fetchone()[0]
    if newest is not None:
        transaction.execute("DELETE FROM history WHERE id <= ?", (newest - limits.rows,))
        transaction.execute(
            "DELETE FROM history WHERE id < (SELECT coalesce(min(id), 0) FROM history WHERE at >= ?)", (now - limits.days * DAY_S,)
        )


def timeline(connection: sqlite3.Connection, message: str) -> list[HistoryLine]:
    """Every row about the message, oldest first."""
    rows = connection.execute("SELECT message, at, event, details FROM history WHERE message = ? ORDER BY id", (message,))
    return [HistoryLine(name, at, event, json.loads(facts)) for name, at, event, facts in rows]


def messages_like(connection: sqlite3.Connection, start: str) -> list[str]:
    """Ids of messages that begin with `start`, at most three: more than one is ambiguous already."""
    rows = connection.execute(
        "SELECT DISTINCT message FROM history WHERE message >= ? AND message < ? LIMIT 3", (start, start + "\U0010ffff")
    )
    return [name for (name,) in rows]
