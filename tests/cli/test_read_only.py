"""Read-only storage, as a failing SD card becomes: everything can be shown and exported, the last commits in the log too."""

import os
import shutil
import smtplib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.server import COMMAND, ROOT, Pillarbox, environment, new_data

NOBODY = 65534
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a server that was killed: one message in the database, one in its log alone."""
    data = new_data(tmp_path_factory.mktemp("killed") / "data")
    with Pillarbox(data, protocols=("smtp",)) as server:
        deliver(server, 1)
    server = Pillarbox(data, protocols=("smtp",)).start()
    deliver(server, 2)
    server.kill()
    return data


def deliver(server: Pillarbox, number: int) -> None:
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], "client.example") as smtp:
        smtp.sendmail("ben@outside.example", ["ada@home.example"], f"Subject: {number}\r\n\r\nText\r\n")


@pytest.fixture(params=["with -shm", "without -shm"])
def data(request: pytest.FixtureRequest, killed: Path) -> Iterator[Path]:
    """Where other users may go: pytest keeps its own directories for itself."""
    with TemporaryDirectory(prefix="pillarbox-") as name:
        Path(name).chmod(0o755)
        place = Path(name) / "data"
        shutil.copytree(killed, place, ignore=lambda _, names: [name for name in names if name == "control.sock"])
        if request.param == "without -shm":
            (place / "pillarbox.db-shm").unlink(missing_ok=True)
        (Path(name) / "out").mkdir()
        (Path(name) / "out").chmod(0o777)
        yield place
        for path in (place, *place.rglob("*")):
            path.chmod(0o700)


def _command(words: tuple[str, ...], data: Path, before: list[str]) -> "subprocess.CompletedProcess[str]":
    arguments = [*before, *COMMAND, *words, "--data", str(data)]
    return subprocess.run(arguments, capture_output=True, text=True, env=environment(), timeout=60, cwd=ROOT, check=False)


def _modes(data: Path) -> Run:
    """Nothing may be written: files 0444, directories 0555, and an ordinary user."""
    for path in (data, *data.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    if os.geteuid():
        return lambda *words: _command(words, data, [])
    before = ["setpriv", f"--reuid={NOBODY}", "--clear-groups"]
    tried = [*before, *COMMAND, "--version"]
    if not shutil.which("setpriv") or subprocess.run(tried, cwd=ROOT, env=environment(), capture_output=True, check=False).returncode:
        pytest.skip("an ordinary user cannot run the command here")
    for path in (data, *data.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    return lambda *words: _command(words, data, before)


def _mount(data: Path) -> Run:
    """A file system mounted read-only, and root."""
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    before = ["unshare", "-m", "sh", "-c", script, str(data)]
    if not shutil.which("unshare") or subprocess.run([*before, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    return lambda *words: _command(words, data, before)


@pytest.mark.parametrize("storage", [_modes, _mount], ids=["modes", "mount"])
def test_it_can_be_looked_at_and_brought_out(data: Path, storage: Callable[[Path], Run]) -> None:
    run = storage(data)
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    accounts, status, check = run("account", "list"), run("status"), run("check")
    assert (accounts.returncode, accounts.stderr) == (0, "") and "ada@home.example" in accounts.stdout, accounts
    assert "not running" in status.stdout and status.returncode in (0, 3), status
    assert check.returncode == 0 and "2 messages" in check.stdout and "All is well" in check.stdout, check
    done = run("export", "ada@home.example", str(data.parent / "out" / "mail"))
    assert done.returncode == 0 and "2 " in done.stdout, done
    for words in ("mailbox list ada@home.example", "queue list", "certificate export", "certificate show"):
        looked = run(*words.split())
        assert looked.returncode == 0, looked
    refused = run("domain", "add", "other.example")
    assert refused.returncode == 2 and "cannot be written" in refused.stderr and "Traceback" not in refused.stderr
    assert "Read-only" not in refused.stderr or "pillarbox export --all" in refused.stderr, "a failing SD card is not a matter of ownership"
    assert {path: path.read_bytes() for path in data.rglob("*") if path.is_file()} == before
