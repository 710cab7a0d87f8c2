"""Nothing is imported from the current directory: every command is safe in a directory that others can write to."""

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import PASSWORD, ROOT, START_S, environment, free_ports

NAMES = ("trio.py", "sqlite_utils.py", "argon2.py", "dns.py", "json.py", "runpy.py", "sitecustomize.py", "cryptography/__init__.py")
COMMANDS = (
    ("account", "add", "ben@home.example", "--password-file", "-"),
    ("account", "list"),
    ("account", "password", "ada@home.example", "--password-file", "-"),
    ("app-password", "list", "ada@home.example"),
    ("alias", "add", "all@home.example", "ada@home.example"),
    ("domain", "records"),
    ("certificate", "renew"),
    ("certificate", "show"),
    ("queue", "list"),
    ("message", "track", "x"),
    ("status", "--json"),
    ("check",),
    ("export", "ada@home.example", "out"),
    ("import", "ada@home.example", "old.mbox"),
    ("settings", "example"),
    ("console",),
    ("panel", "--card", "card.svg"),
    ("--help",),
    ("--version",),
)


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A directory whose modules each leave a trace when they are imported."""
    folder = tmp_path / "folder"
    for name in (*NAMES, "appliance/__init__.py", "appliance/__main__.py", "appliance/app/process.py"):
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"open({str(tmp_path / 'TRACE')!r}, 'a').write({name!r} + ' ')\n")
    (folder / "old.mbox").write_bytes(b"From x Mon Jan  1 00:00:00 2024\nSubject: x\n\nx\n")
    return folder


def run(command: list[str], folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, *words], input=PASSWORD, capture_output=True, text=True, env=environment(), cwd=folder, timeout=60, check=False
    )


def serve(command: list[str], folder: Path, data: Path) -> None:
    """A first start, which makes the database, the certificate and the signing keys in child processes."""
    words = [*command, "serve", "--data", str(data), "--domain", "home.example", "--listen", f"imap=127.0.0.1:{free_ports(1)[0]}"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(), cwd=folder) as process:
        assert process.stdout and process.stderr
        ready = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        rest, said = process.communicate(timeout=START_S)
    assert ready.startswith("ready"), rest + said


def test_no_command_imports_from_the_folder_it_is_started_in(hostile: Path, tmp_path: Path) -> None:
    script = [sys.executable, "-P", "-m", "appliance"]  # what the installed script `pillarbox` amounts to
    data = tmp_path / "data"
    serve(script, hostile, data)
    assert run(script, hostile, "account", "add", "ada@home.example", "--password-file", "-", "--data", str(data)).returncode == 0
    for words in COMMANDS:
        at = () if words[0] in ("settings", "--help", "--version") else ("--data", str(data))
        done = run(script, hostile, *words, *at)
        assert "Traceback" not in done.stderr, (words, done.stderr)
        assert not (tmp_path / "TRACE").exists(), (words, (tmp_path / "TRACE").read_text())


def test_python_m_drops_the_current_folder(hostile: Path, tmp_path: Path) -> None:
    """`python -m appliance` finds `appliance` before our code runs; everything after that is safe."""
    shutil.rmtree(hostile / "appliance")
    (hostile / "runpy.py").unlink()
    plain = [sys.executable, "-m", "appliance"]
    serve(plain, hostile, tmp_path / "data")
    for words in (("account", "list"), ("domain", "records"), ("check",)):
        assert "Traceback" not in run(plain, hostile, *words, "--data", str(tmp_path / "data")).stderr
    assert not (tmp_path / "TRACE").exists(), (tmp_path / "TRACE").read_text()


def test_every_child_process_has_a_safe_path() -> None:
    """Each `python -m appliance...` in the code and the Makefile has -P."""
    for file in (*(ROOT / "appliance").rglob("*.py"), ROOT / "Makefile"):
        for line in file.read_text().splitlines():
            if re.search(r'sys\.executable,.*"-m"|/python .*-m (appliance|pip)', line):
                assert re.search(r'"-P", "-m"|-P -m', line), f"{file}: {line}"
