"""Damaged or unreadable storage is a sentence with a remedy, for every command, and never a traceback."""

import json
import os
import shutil
import smtplib
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.server import COMMAND, ROOT, Pillarbox, environment, free_ports, new_data, pillarbox

NOBODY = 65534


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = new_data(tmp_path_factory.mktemp("server") / "data")
    with Pillarbox(data, protocols=("smtp",)) as server, smtplib.SMTP("127.0.0.1", server.ports["smtp"], "client.example") as smtp:
        smtp.sendmail("ben@outside.example", ["ada@home.example"], "Subject: 1\r\n\r\nText\r\n")
    return data


@pytest.fixture
def data(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "data"))


def sentence(done: "subprocess.CompletedProcess[str]", status: int = 2) -> str:
    """The one line it ended with."""
    assert done.returncode == status and "Traceback" not in done.stderr + done.stdout, done
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("pillarbox: ")]
    return line


def serve(data: Path) -> "subprocess.CompletedProcess[str]":
    return pillarbox("serve", "--listen", f"imaps=127.0.0.1:{free_ports(1)[0]}", data=data, check=False)


def test_a_database_that_is_gone_stops_every_command(data: Path) -> None:
    for path in data.glob("pillarbox.db*"):
        path.unlink()
    words = "pillarbox.db is missing, but message bodies and certificates are there. Put pillarbox.db and pillarbox.db-wal back"
    assert words in sentence(serve(data))
    for command in ("account list", "status", "check", f"export ada@home.example {data / 'out'}", "domain add x.example"):
        assert words in sentence(pillarbox(*command.split(), data=data, check=False)), command
    assert not (data / "pillarbox.db").exists()


@pytest.mark.parametrize(
    ("octets", "words"),
    [(b"", "is empty: it is not a database"), (b"@\xe0\x4e\x1f" * 500, "is not a database, or its beginning is damaged")],
    ids=["empty", "garbage"],
)
def test_a_database_that_is_none(data: Path, octets: bytes, words: str) -> None:
    (data / "pillarbox.db").write_bytes(octets)
    for done in (serve(data), *(pillarbox(*command, data=data, check=False) for command in (("account", "list"), ("check",)))):
        assert words in sentence(done) and "version" not in done.stderr
    assert (data / "pillarbox.db").read_bytes() == octets


def test_a_ruined_page_is_a_condition_and_check_says_what_to_do(data: Path) -> None:
    (data / "pillarbox.db-wal").unlink()
    octets = bytearray((data / "pillarbox.db").read_bytes())
    connection = sqlite3.connect(f"file:{data}/pillarbox.db?immutable=1", uri=True)
    pages = dict(connection.execute("SELECT name, rootpage FROM sqlite_master"))
    connection.close()

    def ruin(name: str) -> None:
        at = (pages[name] - 1) * 1024
        (data / "pillarbox.db").write_bytes(octets[:at] + b"\x07" * 1024 + octets[at + 1024 :])
        for left in ("pillarbox.db-wal", "pillarbox.db-shm"):
            (data / left).unlink(missing_ok=True)

    ruin("message_data")
    done = pillarbox("check", data=data, check=False)
    assert done.returncode == 1 and "DAMAGED: the descriptions of messages cannot be read in places." in done.stdout, done
    assert "1 messages can be read, 0 cannot." in done.stdout and "pillarbox export --all TARGET" in done.stdout
    assert "btree" not in done.stdout and "Tree" not in done.stdout
    asleep = pillarbox("status", data=data, check=False)
    assert asleep.stdout.startswith("CRITICAL: The database is damaged.") and "not running" in asleep.stdout, asleep
    with Pillarbox(data, protocols=("smtp",)):
        found = until_condition(data)
        assert "database-damaged" in found
    ruin("message_by_data")
    done = pillarbox("check", data=data, check=False)
    assert done.returncode == 1 and "an index of the list of messages is damaged" in done.stdout and "restart the server" in done.stdout
    with Pillarbox(data, protocols=("smtp",)):
        assert "database-repaired" in until_condition(data)
    assert pillarbox("check", data=data, check=False).returncode == 0
    ruin("mailbox")
    assert "is damaged: a part that the start needs cannot be read. Restore" in sentence(serve(data))


def until_condition(data: Path) -> list[str]:
    """The keys of the conditions about the database, once there are any: the server reads all of it behind the listeners."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        conditions = json.loads(pillarbox("status", "--json", data=data).stdout)["conditions"]
        if found := [one["key"] for one in conditions if one["key"].startswith("database")]:
            return found
    raise AssertionError("no condition")


def test_a_refused_message_and_a_removal_are_no_damage(data: Path) -> None:
    large = "Subject: 2\r\n\r\n" + "".join(os.urandom(30).hex() + "\r\n" for _ in range(4000))
    with Pillarbox(data, protocols=("smtp",)) as server:
        with smtplib.SMTP("127.0.0.1", server.ports["smtp"], "client.example") as smtp:
            smtp.sendmail("ben@outside.example", ["ada@home.example"], large)
            smtp.putcmd("MAIL", "FROM:<ben@outside.example>")
            assert smtp.getreply()[0] == 250
            smtp.putcmd("RCPT", "TO:<ada@home.example>")
            assert smtp.getreply()[0] == 250
            smtp.putcmd("DATA")
            assert smtp.getreply()[0] == 354
            smtp.send(large.replace("Subject", "subject").encode() * 2)
            smtp.close()  # in the middle of a large message
        assert "All is well" in pillarbox("check", data=data).stdout
        pillarbox("account", "add", "ben@home.example", data=data, password="Paper-Tiger-8")
        pillarbox("account", "admin", "ben@home.example", "--on", data=data)
        pillarbox("account", "remove", "--yes", "ada@home.example", data=data)
        assert "All is well" in pillarbox("check", data=data).stdout


@pytest.fixture
def as_user() -> Iterator[tuple[Path, list[str]]]:
    """A place others may look into, and what makes a command an ordinary user's."""
    before = ["setpriv", f"--reuid={NOBODY}", "--clear-groups"] if not os.geteuid() else []
    tried = [*before, sys.executable, "-c", "import appliance"]
    if subprocess.run(tried, cwd=ROOT, env=environment(), capture_output=True, check=False).returncode:
        pytest.skip("an ordinary user cannot run the command here")
    with TemporaryDirectory(prefix="pillarbox-") as place:
        Path(place).chmod(0o755)
        yield Path(place), before


def test_what_may_not_be_read_or_written(whole: Path, as_user: tuple[Path, list[str]]) -> None:
    place, before = as_user
    shutil.copytree(whole, place / "data")
    for path in (place / "data", *(place / "data").rglob("*")):
        os.chown(path, NOBODY, NOBODY) if before else None
    (place / "shut").mkdir(mode=0o555)

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        arguments = [*before, *COMMAND, *words]
        return subprocess.run(arguments, capture_output=True, text=True, env=environment(), timeout=60, cwd=ROOT, check=False)

    for target in (place / "shut" / "mail", place / "shut" / "a" / "b"):
        for form in ("maildir", "mbox"):
            done = run("export", "ada@home.example", str(target), "--format", form, "--data", str(place / "data"))
            assert "cannot be written: Permission denied." in sentence(done)
    for mode in (0o000, 0o400):
        (place / "data").chmod(mode)
        for words in (("check",), ("account", "list"), ("status",), ("export", "ada@home.example", str(place / "mail"))):
            sentence(run(*words, "--data", str(place / "data")))
    for words in (("serve",), ("run",), ("domain", "add", "x.example"), ("console",)):
        assert "Permission denied" in sentence(run(*words, "--data", str(place / "data")))
    for words in (("serve",), ("console",)):
        assert "File name too long" in sentence(run(*words, "--data", "x" * 300))
    (place / "data").chmod(0o700)
    (place / "data" / "bodies" / "kept").chmod(0o000)
    assert "kept cannot be read: Permission denied." in sentence(run("check", "--data", str(place / "data")))
    (place / "data" / "bodies" / "kept").chmod(0o700)
    (place / "data" / "pillarbox.db").chmod(0o000)
    for words in (("check",), ("account", "list")):
        assert "Permission denied" in sentence(run(*words, "--data", str(place / "data")))
