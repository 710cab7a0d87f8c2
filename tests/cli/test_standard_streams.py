"""Standard streams as shells, services and scripts leave them: closed, full, without a reader, in an encoding without our characters."""

import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import COMMAND, PASSWORD, ROOT, Pillarbox, environment, new_data, pillarbox


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = new_data(tmp_path_factory.mktemp("streams") / "data")
    pillarbox("account", "set", "ada@home.example", "--name", "Ada Lovelacë 😀", data=place)
    return place


def shell(line: str, data: Path, *, buffered: bool = True, **variables: str) -> "subprocess.CompletedProcess[bytes]":
    """`pillarbox LINE` in a shell, with its redirections. Buffered, as Python is where nobody asks for another way."""
    given = {**environment(), **variables, "PILLARBOX_DATA": str(data)}
    if buffered:
        given.pop("PYTHONUNBUFFERED")
    command = f"{shlex.join(COMMAND)} {line}"
    return subprocess.run(["bash", "-c", command], capture_output=True, env=given, cwd=ROOT, timeout=120, check=False)


@pytest.mark.parametrize(
    ("line", "buffered"),
    [("account list", True), ("account list --json", False), ("--help", True), ("settings example", True), ("check", False)],
)
def test_a_full_disk_under_the_output_is_a_sentence(data: Path, line: str, buffered: bool) -> None:
    done = shell(f"{line} > /dev/full", data, buffered=buffered)
    said = done.stderr.decode()
    assert done.returncode == 1 and said.count("\n") == 1 and "No space left on device" in said, said


@pytest.mark.parametrize("line", ["account list", "--version", "account list --json"])
def test_a_reader_that_went_away_is_no_traceback(data: Path, line: str) -> None:
    done = shell(f"{line} > >(exec true)", data)
    assert done.returncode in (0, 1) and done.stderr == b"", done.stderr


def test_errors_without_a_place_do_not_change_the_exit_status(data: Path) -> None:
    for redirection in ("2>/dev/full", "2>&-"):
        done = shell(f"account remove nobody@home.example --yes {redirection}", data)
        assert (done.returncode, done.stdout) == (2, b""), done
    assert shell("serve --settings /nonexistent 2>/dev/full", data).returncode == 2


def test_closed_input_is_an_empty_one(data: Path) -> None:
    for line, words in (
        ("account add ben@home.example --password-file -", "The password is empty."),
        ("account remove ada@home.example", "Nothing was done."),
        ("console", ""),
    ):
        done = shell(f"{line} <&-", data)
        assert b"Traceback" not in done.stderr and words.encode() in done.stderr, done.stderr
        assert done.returncode == 2 or not words
    assert shell("account list >&- 2>&- <&-", data).returncode == 0


def test_an_encoding_without_the_characters(data: Path) -> None:
    """Escapes in text, and JSON that every reader understands (RFC 8259 §8.1)."""
    for encoding in ("ascii", "latin-1"):
        done = shell("account list", data, PYTHONIOENCODING=encoding)
        assert done.returncode == 0 and rb"\U0001f600" in done.stdout and done.stderr == b"", done
        done = shell("account list --json", data, PYTHONIOENCODING=encoding)
        assert json.loads(done.stdout)["accounts"][0]["name"] == "Ada Lovelacë 😀"
    done = shell("account remove jürgen@home.example --yes", data, PYTHONIOENCODING="ascii")
    assert done.returncode == 2 and b"rgen@home.example" in done.stderr


@pytest.fixture(params=["<&- >&- 2>&-", ">/dev/full", "2>/dev/full"])
def redirected(data: Path, request: pytest.FixtureRequest) -> Iterator[Pillarbox]:
    wrapper = ["bash", "-c", f'"$@" {request.param} & echo ready; wait $!', "wrapper"]
    server = Pillarbox(data, protocols=("imap",), wrapper=wrapper)
    with server:
        yield server


def test_a_server_needs_no_standard_streams(redirected: Pillarbox) -> None:
    """Their numbers are never given to the database or a socket, where a word for the terminal would be written."""
    status = pillarbox("status", "--json", data=redirected.data, check=False)
    for _ in range(60):
        if json.loads(status.stdout or "{}").get("phase") == "ready":
            break
        status = pillarbox("status", "--json", data=redirected.data, check=False)
    assert json.loads(status.stdout)["phase"] == "ready", redirected.log.read_text()
    for number in (0, 1, 2):
        assert os.readlink(f"/proc/{redirected.pid}/fd/{number}").startswith(("/dev/", "pipe:", str(redirected.log)))


def test_a_password_file_is_one_short_line(data: Path, tmp_path: Path) -> None:
    done = shell("account add eve@home.example --password-file /dev/zero", data)
    assert done.returncode == 2 and b"more than" in done.stderr, done.stderr
    (tmp_path / "password").write_bytes(b"\xef\xbb\xbf" + PASSWORD.encode() + b"\r\n")  # as Notepad saves it
    assert shell(f"account add eve@home.example --password-file {tmp_path / 'password'}", data).returncode == 0
    with Pillarbox(data, protocols=("imap",)) as server:
        import imaplib

        with imaplib.IMAP4("127.0.0.1", server.ports["imap"]) as client:
            client.login("eve@home.example", PASSWORD)
