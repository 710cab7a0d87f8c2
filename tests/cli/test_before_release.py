"""A data directory from before the first release: every command refuses it in the same words and changes nothing in it."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from appliance.database.migrations import BEFORE_RELEASE_NAME
from tests.support.server import PASSWORD, free_ports, pillarbox

COMMANDS = (
    ("account", "add", "ben@home.example"),
    ("account", "list"),
    ("account", "password", "ada@home.example"),
    ("alias", "add", "all@home.example", "ada@home.example"),
    ("domain", "add", "other.example"),
    ("domain", "records"),
    ("certificate", "renew"),
    ("queue", "list"),
    ("message", "track"),
    ("account", "admin", "ada@home.example", "--on"),
    ("network", "check"),
    ("status",),
    ("status", "--json"),
    ("status", "--check"),
    ("check",),
    ("export", "--all", "out"),
    ("import", "ada@home.example", __file__),
    ("console",),
    ("panel", "--simulate"),
    ("serve",),
)
WITH_PASSWORD = (("account", "add"), ("account", "password"))


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("old") / "data"
    (data / "bodies" / "kept").mkdir(parents=True)
    (data / "lock").touch()
    with closing(sqlite3.connect(data / BEFORE_RELEASE_NAME)) as connection:
        connection.execute("CREATE TABLE account(id INTEGER PRIMARY KEY)")
    return data


def look(data: Path) -> dict[str, str]:
    return {str(one): hashlib.sha256(one.read_bytes()).hexdigest() if one.is_file() else "" for one in sorted(data.rglob("*"))}


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:2]))
def test_every_command_names_export_and_import(old: Path, words: tuple[str, ...]) -> None:
    before = look(old)
    listen = ("--listen", f"imap=127.0.0.1:{free_ports(1)[0]}") if words == ("serve",) else ()
    done = pillarbox(*words, *listen, data=old, password=PASSWORD if words[:2] in WITH_PASSWORD else None, check=False)
    assert done.returncode == 2, done
    assert "pillarbox export" in done.stderr and "pillarbox import" in done.stderr and "Traceback" not in done.stderr
    assert look(old) == before
