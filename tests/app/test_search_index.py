"""The search index of a real server: made when searches want it, right after SIGKILL, gone with the account."""

import os
import signal
import sqlite3
import time
from pathlib import Path

from tests.bench.clients import Imap
from tests.support.server import Pillarbox, new_data, pillarbox

USER = "ann@home.example"
MESSAGES = 60
WAIT_S = 30.0


def message(number: int) -> bytes:
    return f"Subject: number {number}\r\nFrom: Ben <ben{number % 3}@x.example>\r\n\r\nThe word{number}x and others.\r\n".encode()


def answers(server: Pillarbox) -> list[bytes]:
    imap = Imap(server.ports["imap"], USER)
    imap.ask("SELECT INBOX")
    found = [imap.ask(f"SEARCH {key}") for key in ("BODY word7x", "TEXT ord1", "FROM ben2", "SUBJECT nowhere", "NOT BODY word")]
    imap.close()
    return [next(line for line in answer.split(b"\r\n") if line.startswith(b"* SEARCH")) for answer in found]


def wait_until_indexed(data: Path) -> list[Path]:
    """The files of the index when they hold all messages."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        files = sorted((data / "search").rglob("*.db"))
        try:
            for path in files:
                with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5) as connection:
                    if connection.execute("SELECT last FROM shard").fetchone()[0] >= MESSAGES:
                        return files
        except (sqlite3.Error, TypeError):
            pass  # its first batch is being written
        time.sleep(0.05)
    raise AssertionError("the index did not come")


def test_the_index_of_a_server_that_is_killed(tmp_path: Path) -> None:
    data = new_data(tmp_path / "data", "ben", "ann")
    with Pillarbox(data) as server:
        imap = Imap(server.ports["imap"], USER)
        imap.append_many("INBOX", iter([message(number) for number in range(MESSAGES)]))
        imap.close()
        scanned = answers(server)
        assert [len(line.split()) - 2 for line in scanned] == [1, 11, 20, 0, 0]
        files = wait_until_indexed(data)
        assert all(path.stat().st_mode & 0o077 == 0 for path in (data / "search", *files, files[0].parent))
        assert answers(server) == scanned
        os.kill(server.pid, signal.SIGKILL)
        server.kill()
    with Pillarbox(data) as server:
        assert answers(server) == scanned
        pillarbox("account", "remove", USER, "--purge", "--yes", data=data)
        assert not any(path.exists() for path in files)
