"""Deliberately broken servers: `python -m tests.crash.broken KIND serve ...`. The simulated power cuts must
catch every one of them: a test that cannot catch a broken store proves nothing about a correct one.
"""

import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def _pragma(setting: str) -> None:
    """Every writing connection gets another `synchronous`."""
    from appliance.database import engine

    original = engine.open_writer

    def broken(*arguments: Any, **named: Any) -> sqlite3.Connection:
        connection = original(*arguments, **named)
        connection.execute(f"PRAGMA synchronous={setting}")
        return connection

    engine.open_writer = broken


def acknowledge_before_sync() -> None:
    """Nothing is synced before (or after) the reply."""
    _pragma("OFF")


def wal_normal() -> None:
    """The log is synced at checkpoints only."""
    _pragma("NORMAL")


def no_directory_sync() -> None:
    """Body files are synced, the directory that names them is not."""
    from appliance.store import body_files

    body_files._sync = lambda directory: None


def no_file_sync() -> None:
    """The directory is synced, the body files in it are not."""
    from appliance.store.body_files import Staging

    Staging.sync = lambda self: None  # type: ignore[method-assign]


def uid_from_the_highest() -> None:
    """UIDNEXT follows the highest UID still there, as a naive store computes it."""
    data = Path(sys.argv[sys.argv.index("--data") + 1])
    with sqlite3.connect(data / "pillarbox.db") as connection:
        connection.execute(
            "CREATE TRIGGER IF NOT EXISTS naive AFTER DELETE ON message BEGIN UPDATE mailbox SET uid_next ="
            " (SELECT coalesce(max(uid), 0) + 1 FROM message WHERE mailbox = OLD.mailbox) WHERE id = OLD.mailbox; END"
        )
    connection.close()


KINDS: dict[str, Callable[[], None]] = {
    "acknowledge-before-sync": acknowledge_before_sync,
    "wal-normal": wal_normal,
    "no-directory-sync": no_directory_sync,
    "no-file-sync": no_file_sync,
    "uid-from-the-highest": uid_from_the_highest,
}


if __name__ == "__main__":
    KINDS[sys.argv.pop(1)]()
    from appliance.__main__ import settings_of
    from appliance.app.server import serve
    from appliance.cli.serve import parse_serving

    words = parse_serving(sys.argv[1:])
    sys.exit(serve(words.data, settings_of(words)))
