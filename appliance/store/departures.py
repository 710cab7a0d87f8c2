"""Departures: which messages left an account, or one of its mailboxes, and when; for JMAP's changes (RFC 8620 §5.2).

    | what happened to a message            | kept here                                   | in `message`                     |
    |---------------------------------------|---------------------------------------------|----------------------------------|
    | expunged from its last mailbox        | its id, thread and creation, as destroyed   | no row                           |
    | expunged, and still in another        | its id, as remaining                        | the other rows as they were      |
    | moved                                 | nothing: its new row has a new MODSEQ       | a row elsewhere                  |

One row for each commit that expunges. The newest KEPT of an account stay; since an older MODSEQ nothing can be said, and a client
reads everything anew.
"""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from appliance.database.writer import Transaction
from appliance.mail.ids import AccountId, MessageId, ModSeq

KEPT = 4096
"""Commits of an account; one of a single message takes some 30 octets."""
SLACK = 256
"""Dropped in batches of about so many."""


@dataclass(frozen=True, slots=True)
class Departed:
    """One message that is gone. `created_modseq`: of its first append."""

    message: MessageId
    thread: MessageId
    created_modseq: ModSeq
    modseq: ModSeq


@dataclass(frozen=True, slots=True)
class Departures:
    """Since a MODSEQ: messages that are gone, and those that left a mailbox and are in another, each with the latest MODSEQ of that."""

    gone: tuple[Departed, ...]
    remaining: dict[MessageId, ModSeq]


def keep(transaction: Transaction, account: AccountId, modseq: ModSeq, gone: list[tuple[int, int, int]], remaining: list[int]) -> None:
    """Note one commit's departures. `gone`: (id, thread, created MODSEQ) of each message; `remaining`: ids."""
    transaction.execute(
        "INSERT INTO departure(account, modseq, gone, remaining) VALUES (?, ?, ?, ?)",
        (account, modseq, _packed(gone), _packed(remaining)),
    )
    if crc32(b"%d" % modseq) % SLACK == 0:  # not modseq itself: expunges may always have the odd ones
        transaction.execute(
            "DELETE FROM departure WHERE account = ?1 AND modseq <="
            " (SELECT modseq FROM departure WHERE account = ?1 ORDER BY modseq DESC LIMIT 1 OFFSET ?2)",
            (account, KEPT),
        )


def since(connection: sqlite3.Connection, account: AccountId, modseq: ModSeq) -> Departures | None:
    """None when departures since then may have been dropped."""
    kept = connection.execute("SELECT count(*), min(modseq) FROM departure WHERE account = ?", (account,)).fetchone()
    if kept[0] >= KEPT and modseq < kept[1]:
        return None
    gone: list[Departed] = []
    remaining: dict[MessageId, ModSeq] = {}
    rows = connection.execute(
        "SELECT modseq, gone, remaining FROM departure WHERE account = ? AND modseq > ? ORDER BY modseq", (account, modseq)
    ).fetchall()
    for at, left, elsewhere in rows:
        gone += [Departed(MessageId(one), MessageId(thread), ModSeq(made), ModSeq(at)) for one, thread, made in _unpacked(left)]
        remaining.update((MessageId(one), ModSeq(at)) for one in _unpacked(elsewhere))
    for departed in gone:
        remaining.pop(departed.message, None)
    return Departures(tuple(gone), remaining)


def _packed(values: list[tuple[int, int, int]] | list[int]) -> str | None:
    return json.dumps(values, separators=(",", ":")) if values else None


def _unpacked(text: str | None) -> list[Any]:
    found: list[Any] = json.loads(text) if text else []
    return found
