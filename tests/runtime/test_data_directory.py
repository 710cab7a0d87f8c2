"""runtime/data_directory: one lock, never stale; permissions of the directory and its files."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.mail.errors import SetupError
from appliance.runtime.data_directory import DataDirectory, InUse
from tests.support.server import COMMAND, PASSWORD, Pillarbox, environment, pillarbox


def test_made_private_and_locked_once(tmp_path: Path) -> None:
    place = tmp_path / "a" / "b"
    with DataDirectory.open(place):
        assert place.stat().st_mode & 0o777 == 0o700
        with pytest.raises(InUse, match="Another Pillarbox"):
            DataDirectory.open(place)
    DataDirectory.open(place).close()


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom appliance.runtime.data_directory import DataDirectory\n"
        "held = DataDirectory.open(Path(sys.argv[1]))\nprint('held', flush=True)\ntime.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert holder.stdout and holder.stdout.readline() == b"held\n"
    with pytest.raises(InUse):
        DataDirectory.open(tmp_path)
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    DataDirectory.open(tmp_path).close()


def test_a_file_in_its_place_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(SetupError, match="cannot be used"):
        DataDirectory.open(tmp_path / "x")


def test_a_too_open_directory_is_tightened_and_reported_once(tmp_path: Path) -> None:
    place = tmp_path / "data"
    (place / "bodies").mkdir(parents=True, mode=0o755)
    place.chmod(0o755)
    (place / "pillarbox.db-wal").write_bytes(b"")
    (place / "pillarbox.db-wal").chmod(0o644)
    (place / "pillarbox.toml").write_text("")
    with DataDirectory.open(place) as directory:
        assert "now only its owner can" in directory.tightened
    assert [mode(one) for one in (place, place / "bodies", place / "pillarbox.db-wal")] == [0o700, 0o700, 0o600]
    with DataDirectory.open(place) as directory:
        assert not directory.tightened


def test_a_shared_place_keeps_its_mode_but_its_mail_is_private(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    tmp_path.chmod(0o755)
    (tmp_path / "pillarbox.db").write_bytes(b"")
    (tmp_path / "pillarbox.db").chmod(0o644)
    (tmp_path / "dkim").symlink_to(tmp_path / "elsewhere")
    before = mode(tmp_path / "elsewhere")
    with DataDirectory.open(tmp_path) as directory:
        assert "directory of its own" in directory.tightened
    assert (mode(tmp_path), mode(tmp_path / "pillarbox.db"), mode(tmp_path / "elsewhere")) == (0o755, 0o600, before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nothing_the_server_or_a_command_writes_can_be_read_by_others(tmp_path: Path) -> None:
    """umask 022, a directory made by somebody else: serve, its children, and export write for the owner alone."""
    data, before = tmp_path / "data", os.umask(0o022)
    try:
        data.mkdir()
        with Pillarbox(data, protocols=("imap",)) as server:
            pillarbox("account", "add", "ada@home.example", data=data, password=PASSWORD)
            pillarbox("domain", "records", data=data)
            written = [path for path in data.rglob("*") if not path.is_symlink()]
            assert {"pillarbox.db", "pillarbox.db-wal", "pillarbox.db-shm", "control.sock", "lock", "server.pem"} <= {
                path.name for path in written
            }
            assert [path for path in (data, *written) if mode(path) & 0o077] == []
            assert server.log.read_text().count("now only its owner can") == 1
        (tmp_path / "old.mbox").write_bytes(b"From x Mon Jan  1 00:00:00 2024\nSubject: x\n\nx\n")
        pillarbox("import", "ada@home.example", str(tmp_path / "old.mbox"), data=data)
        pillarbox("export", "ada@home.example", str(tmp_path / "out"), data=data)
        pillarbox("export", "ada@home.example", str(tmp_path / "boxes"), "--format", "mbox", data=data)
        pillarbox("certificate", "export", "--out", str(tmp_path / "trust.pem"), data=data)
        made = [path for name in ("out", "boxes", "data") for path in (tmp_path / name).rglob("*")]
        assert len(made) > 10 and [path for path in (*made, tmp_path / "out", tmp_path / "trust.pem") if mode(path) & 0o077] == []
    finally:
        os.umask(before)


def test_a_command_reports_that_it_tightened_the_directory(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    words = [*COMMAND, "account", "add", "ada@home.example", "--password-file", "-", "--data", str(tmp_path)]
    done = [subprocess.run(words, input=PASSWORD, capture_output=True, text=True, env=environment(), check=False) for _ in range(2)]
    assert "now only its owner can" in done[0].stderr
    assert "now only" not in done[1].stderr
