"""Sizes of messages as POP3 sends them: every line ends in CRLF, so some are longer than they are stored (RFC 1939 §11).

Table `body_crlf` has a row for each body that grows, made in the commit that makes the body; nearly all mail needs none.
"""

import sqlite3

from appliance.mail.ids import MailboxId, Uid

ROWS = """SELECT uid, missing_octets FROM message JOIN body_crlf ON body_crlf.id = body WHERE mailbox = ? AND uid BETWEEN ? AND ?"""


def growth(connection: sqlite3.Connection, mailbox: MailboxId, lo: Uid, hi: Uid) -> dict[Uid, int]:
    """Octets that the messages from `lo` to `hi` grow by when they are sent; those that do not are left out."""
    return dict(connection.execute(ROWS, (mailbox, lo, hi)).fetchall())
