"""Sizes of messages as POP3 sends them: every line ends in CRLF, so some are longer than they are stored (RFC 1939 §11).

Table `body_crlf` has a row for each body that grows, made in the commit that makes the body; nearly all mail needs none.
Bodies older than the table have numbers below `meta.crlf_known_from`: they are read once, when a maildrop is opened, and
their rows (with 0, too) are written lazily. One that cannot be read counts as stored.
"""

import sqlite3
from typing import TYPE_CHECKING

from appliance.mail.crlf import MissingCrlf
from appliance.mail.errors import StoreError
from appliance.mail.ids import BodyId, MailboxId, Uid

if TYPE_CHECKING:
    from .mailbox import Store

CHUNK_OCTETS = 64 * 2**10
ROWS = """SELECT uid, body, missing FROM message LEFT JOIN body_crlf ON body_crlf.id = body WHERE mailbox = ? AND uid BETWEEN ? AND ?
    AND (missing > 0 OR missing IS NULL AND body < (SELECT ifnull(max(value), 0) FROM meta WHERE key = 'crlf_known_from'))"""


async def growth(store: "Store", mailbox: MailboxId, lo: Uid, hi: Uid) -> dict[Uid, int]:
    """Octets that the messages from `lo` to `hi` grow by when they are sent; those that do not are left out."""

    def work(connection: sqlite3.Connection) -> list[tuple[int, int, int | None]]:
        return connection.execute(ROWS, (mailbox, lo, hi)).fetchall()

    rows = await store.database.read(work)
    return {Uid(uid): await _measured(store, BodyId(body)) if missing is None else missing for uid, body, missing in rows}


async def _measured(store: "Store", body: BodyId) -> int:
    """Read an old body once."""
    crlf = MissingCrlf()
    try:
        opened = await store.bodies.open_body(body)
        at = 0
        while at < opened.octets and (chunk := await opened.read(at, CHUNK_OCTETS)):
            crlf.feed(chunk)
            at += len(chunk)
    except StoreError:
        return 0  # gone, or broken: reading it will say so, and must not close the maildrop of all others
    missing = crlf.octets
    store.database.write_lazily(
        lambda transaction: transaction.execute("INSERT OR IGNORE INTO body_crlf SELECT id, ? FROM body WHERE id = ?", (missing, body))
    )
    return missing
