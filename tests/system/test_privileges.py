"""Root on another user's data directory becomes that user; needs root, since only root can give rights up."""

import json
import os
import select
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.network.sockets import Door, Endpoint, not_handed
from tests.support.house import COMMAND, PASSWORD, START_S, environment, free_ports, pillarbox
from tests.support.needs import usable_by

UID = 65534
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory every user can reach, unlike pytest's own; and user 65534 can reach the checkout."""
    usable_by(UID)
    found = Path(tempfile.mkdtemp())
    found.chmod(0o755)
    yield found
    shutil.rmtree(found)


@pytest.fixture
def data(place: Path) -> Path:
    """A data directory of user 65534 with one person, made by a command that root ran."""
    made = place / "data"
    made.mkdir(mode=0o700)
    os.chown(made, UID, UID)
    pillarbox("person", "add", "ada@home.example", data=made, password=PASSWORD)
    return made


def owners(data: Path) -> set[int]:
    return {path.lstat().st_uid for path in (data, *data.rglob("*"))}


def test_commands_leave_no_file_of_root(data: Path) -> None:
    for words in ("domain records", "certificate renew", "status", "check", "alias add a@home.example ada@home.example"):
        pillarbox(*words.split(), data=data, check=False)
    assert (data / "dkim").is_dir() and (data / "certificates" / "server.pem").exists()
    assert owners(data) == {UID}


def test_import_and_export_keep_root_for_the_archive_only(data: Path, place: Path) -> None:
    secret = place / "secret"
    secret.mkdir(mode=0o700)  # root's: the owner of the data directory cannot read it
    message = b"From x Mon Jan  1 00:00:00 2024\nSubject: %d\n\nx\n\n"
    (secret / "old.mbox").write_bytes(message % 1 + message % 2)
    assert pillarbox("import", "ada@home.example", str(secret / "old.mbox"), data=data).stdout.startswith("2 ")
    assert owners(data) == {UID}
    out = json.loads(pillarbox("export", "ada@home.example", str(secret / "out"), "--json", data=data).stdout)
    assert out == {"exported": 2}
    everybody = json.loads(pillarbox("export", "--all", str(secret / "all"), "--json", data=data).stdout)
    assert everybody["exported"] == 2 and everybody["addresses"] == ["ada@home.example"]
    assert owners(secret) == {0} and owners(data) == {UID}
    again = pillarbox("import", "nobody@home.example", str(secret / "old.mbox"), data=data, check=False)
    assert again.returncode == 2 and "nobody@home.example" in again.stderr and "Traceback" not in again.stderr


def test_root_does_not_export_into_a_folder_of_somebody_else(data: Path, place: Path) -> None:
    (place / "out").mkdir()
    os.chown(place / "out", UID, UID)
    done = pillarbox("export", "ada@home.example", str(place / "out"), data=data, check=False)
    assert done.returncode == 2 and "belongs to somebody else" in done.stderr and not any((place / "out").iterdir())


def test_serve_binds_low_ports_and_becomes_the_owner(data: Path) -> None:
    low, high = 893, free_ports(1)[0]
    words = ["serve", "--data", str(data), "--listen", f"imap=127.0.0.1:{low}", "--listen", f"pop3=127.0.0.1:{high}"]
    with subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout
        ready = process.stdout.readline()
        status = Path(f"/proc/{process.pid}/status").read_text() if ready else ""
        asked = pillarbox("status", "--json", data=data, check=False)
        process.send_signal(signal.SIGTERM)
        rest, said = process.communicate(timeout=START_S)
    assert ready.startswith("ready"), rest + said
    assert f"Uid:\t{UID}\t{UID}\t{UID}\t{UID}" in status and f"Gid:\t{UID}\t{UID}\t{UID}\t{UID}" in status
    assert "CapEff:\t0000000000000000" in status and "CapPrm:\t0000000000000000" in status
    listeners = [(one["protocol"], one["port"]) for one in json.loads(asked.stdout)["listeners"]]
    assert sorted(listeners) == [("imap", low), ("pop3", high)]
    assert owners(data) == {UID}
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


def test_serve_says_why_it_stays_root(tmp_path: Path) -> None:
    words = ["serve", "--data", str(tmp_path / "data"), "--listen", f"imap=127.0.0.1:{free_ports(1)[0]}"]
    with subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout and process.stdout.readline().startswith("ready")
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=START_S)
    assert "runs as root, since" in said


def test_an_owner_who_cannot_reach_the_directory_is_a_sentence(place: Path) -> None:
    (place / "closed" / "data").mkdir(parents=True)
    (place / "closed").chmod(0o700)
    os.chown(place / "closed" / "data", UID, UID)
    for words in (("person", "add", "ada@home.example"), ("import", "ada@home.example", "/dev/null"), ("serve",)):
        (place / "closed" / "data" / "house.db").touch()
        password = PASSWORD if words[0] == "person" else None
        done = pillarbox(*words, data=place / "closed" / "data", check=False, password=password)
        assert done.returncode == 2 and "may not use" in done.stderr and "Traceback" not in done.stderr, done


def test_unreadable_signing_keys_are_a_condition(data: Path) -> None:
    """What an earlier version's command of root left behind."""
    (data / "dkim").mkdir(mode=0o700, exist_ok=True)
    (data / "dkim" / "old.pem").write_text("v=DKIM1; k=rsa; p=x\n-----BEGIN PRIVATE KEY-----\n")
    (data / "dkim" / "old.pem").chmod(0o600)
    os.chown(data / "dkim", 0, 0)
    words = ["serve", "--data", str(data), "--listen", f"imap=127.0.0.1:{free_ports(1)[0]}"]
    with subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout and process.stderr and process.stdout.readline().startswith("ready")
        said = b""
        while b"unsigned" not in said:
            assert select.select([process.stderr], [], [], START_S)[0], said
            said += os.read(process.stderr.fileno(), 4096)
        asked = pillarbox("status", "--json", data=data, check=False)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=START_S)
    told = [str(one) for one in json.loads(asked.stdout)["conditions"] if "Messages leave unsigned" in str(one)]
    assert len(told) == 1 and "Permission denied" in told[0]


def test_an_address_handed_over_is_not_opened_again() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        handed = [Door(Endpoint("imap", "127.0.0.1", port), held, handed=True)]
        other = Endpoint("pop3", "127.0.0.1", port + 1)
        assert not_handed([Endpoint("imap", "*", port), other], handed) == [other]


