"""`pillarbox status --check` and its conditions about mail that cannot be delivered, with real sockets."""

import json
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from appliance.database.migrations import VERSION
from tests.support.neighbours import Neighbours
from tests.support.server import Pillarbox, free_ports, new_data, pillarbox
from tests.support.wire import Smtp

RELAY = """
[[relay]]
name = "provider"
host = "127.0.1.1"
port = {port}
security = "none"
"""


def check(data: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return pillarbox("status", "--check", *words, data=data, check=False)


def keys(data: Path) -> set[str]:
    return {one["key"] for one in json.loads(check(data, "--json").stdout)["conditions"]}


def test_exit_statuses(tmp_path: Path) -> None:
    data = new_data(tmp_path / "data")
    assert pillarbox("status", data=data, check=False).returncode == 3
    stopped = check(data)
    assert stopped.returncode == 3 and "not running" in stopped.stdout
    for nowhere in (check(tmp_path / "nowhere"), pillarbox("status", data=tmp_path / "nowhere", check=False)):
        assert nowhere.returncode == 3 and "no server at" in nowhere.stderr
    assert not (tmp_path / "nowhere").exists()
    with Pillarbox(data):
        well = check(data)
        assert (well.returncode, well.stdout) == (0, "All is well.\n"), well
        assert pillarbox("status", data=data).returncode == 0
        pillarbox("domain", "add", "other.example", data=data)
        warned = check(data)
        while not warned.returncode:  # the certificates are checked shortly after
            warned = check(data)
        assert warned.returncode == 1 and warned.stdout.startswith("WARNING: ") and "other.example" in warned.stdout
        assert pillarbox("status", data=data).returncode == 0, "plain status only reports that the server answered"


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        (f"PRAGMA user_version = {VERSION + 1}", "later Pillarbox"),
        ("PRAGMA application_id = 7", "another program"),
        (None, "database"),
    ],
)
def test_a_directory_that_cannot_be_used_is_not_merely_a_server_that_does_not_run(tmp_path: Path, sql: str | None, error: str) -> None:
    data = new_data(tmp_path / "data")
    if sql is None:
        (data / "pillarbox.db").write_bytes(b"nonsense" * 1000)
    else:
        with closing(sqlite3.connect(data / "pillarbox.db")) as connection:
            connection.execute(sql)
    plain, as_json = check(data), check(data, "--json")
    assert plain.returncode == as_json.returncode == 2 and error in plain.stderr and not plain.stdout, plain
    told = json.loads(as_json.stdout)
    assert error in told["error"] and told["remedy"] and told["exit_status"] == 2


def test_a_critical_condition_is_two(tmp_path: Path) -> None:
    data = new_data(tmp_path / "data")
    own = tmp_path / "own.pem"
    from tests.support.certificates import make_certificates

    make_certificates(tmp_path / "made", not_before_at=1_700_000_000)  # expired long ago
    own.write_text((tmp_path / "made" / "server.pem").read_text())
    with Pillarbox(data, "--certificate", str(own), "--key", str(own), protocols=("imaps",)):
        done = check(data)
        assert done.returncode == 2 and done.stdout.startswith("CRITICAL: The certificate"), done
        assert "in place of the file" in done.stdout and pillarbox("status", data=data).returncode == 0


def test_an_unreachable_relay_is_reported_at_once(tmp_path: Path) -> None:
    with Neighbours(tmp_path, more='direct = "never"') as world:
        world.write_settings(after=RELAY.format(port=free_ports(1)[0]))
        with world.server:
            world.send("bob@far.example")
            world.until(lambda: "relay-down" in keys(world.data))
            assert check(world.data).returncode == 1 and "The relay provider accepts no messages" in check(world.data).stdout


def test_a_dead_dns_server_is_reported_at_once(tmp_path: Path) -> None:
    with Neighbours(tmp_path) as world:
        dead = free_ports(1)[0]
        world.settings.write_text(world.settings.read_text().replace(f"#{world.names.port}", f"#{dead}"))
        with world.server:
            world.send("bob@far.example")
            world.until(lambda: "dns-down" in keys(world.data))
            assert "DNS gives no answer for far.example" in check(world.data).stdout


def test_a_full_mailbox_is_reported(tmp_path: Path) -> None:
    data = tmp_path / "data"
    pillarbox("account", "add", "ada@home.example", "--quota-mb", "1", data=data, password="long-Password-1")
    pillarbox("account", "add", "ben@home.example", data=data, password="long-Password-1")
    with Pillarbox(data, protocols=("smtp",)) as server, Smtp(server.ports["smtp"]) as smtp:
        smtp.ask(b"EHLO client.example")
        replies = [send(smtp, b"x" * 70 + b"\r\n", 4000) for _ in range(5)]
        assert replies[0].startswith(b"250") and b"4.2.2" in replies[-1], replies
        assert "mailbox-full" in keys(data) and "ada@home.example" in check(data).stdout
        assert check(data).returncode == 1 and "ben@" not in check(data).stdout


def send(smtp: Smtp, line: bytes, count: int) -> bytes:
    """One message to Ada; the last reply."""
    for command in (b"MAIL FROM:<x@far.example>", b"RCPT TO:<ada@home.example>", b"DATA"):
        reply = smtp.ask(command)
        if reply[:1] not in b"23":
            smtp.ask(b"RSET")
            return reply
    smtp.send(b"Subject: much\r\n\r\n" + line * count + b".\r\n")
    return smtp.reply()


@pytest.mark.parametrize("word", ["0", "1", "2", "3"])
def test_the_help_names_the_statuses(word: str) -> None:
    assert word in pillarbox("status", "--help").stdout.split("--check", 1)[1]
