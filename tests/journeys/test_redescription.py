"""After an update with a new scanner version, old rows are described again in the background, also after a crash."""

import imaplib
import sqlite3
import time
from pathlib import Path

from tests.support.server import PASSWORD, Pillarbox, new_data

MESSAGES = 40
"""More than one FETCH describes on its own."""
PATIENCE_S = 15
MESSAGE = b"From: Ann [Home] <ann@x.example>\r\nContent-Type: text/html charset=utf-8\r\n\r\n<p>%d\r\n"


def overview(server: Pillarbox) -> list[bytes]:
    """ENVELOPE and BODYSTRUCTURE of all messages as a client gets them."""
    client = imaplib.IMAP4("127.0.0.1", server.ports["imap"])
    client.login("ada@home.example", PASSWORD)
    client.select("INBOX", readonly=True)
    fetched = client.fetch("1:*", "(ENVELOPE BODYSTRUCTURE)")[1]
    client.logout()
    return [line if isinstance(line, bytes) else b" ".join(line) for line in fetched if line is not None]


def test_old_rows_are_described_again_in_the_background(tmp_path: Path) -> None:
    data = new_data(tmp_path / "data")
    with Pillarbox(data) as server:
        client = imaplib.IMAP4("127.0.0.1", server.ports["imap"])
        client.login("ada@home.example", PASSWORD)
        for number in range(MESSAGES):
            assert client.append("INBOX", "", None, MESSAGE % number)[0] == "OK"
        today = overview(server)
        assert len(today) == MESSAGES and b'"text" "html"' in today[0] and b'("Ann [Home]" NIL "ann" "x.example")' in today[0]
        server.kill()
    with sqlite3.connect(data / "pillarbox.db") as database:
        changed = database.execute("UPDATE message_data SET described_by = 1, envelope = ?, bodystructure = ?", (b"(old)", b'("" "")'))
        assert changed.rowcount >= MESSAGES
        database.execute("UPDATE counter SET next = 1 WHERE name = 'described_by'")
    database.close()
    with Pillarbox(data) as server:
        deadline = time.monotonic() + PATIENCE_S
        while overview(server) != today:  # each round is a new session
            assert time.monotonic() < deadline, "old rows stay old"
