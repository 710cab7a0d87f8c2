"""runtime/serial_line: a getty on the console's device is found by its name, on real terminals."""

import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.runtime.serial_line import others_on, sentences


@pytest.fixture
def line() -> Iterator[str]:
    near, far = pty.openpty()
    yield os.ttyname(far)
    os.close(near)
    os.close(far)


def test_a_getty_whose_controlling_terminal_it_is(line: str, tmp_path: Path) -> None:
    getty = tmp_path / "agetty"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", getty)
    opens = f"import os, sys; os.open({line!r}, os.O_RDWR); print(1, flush=True); os.execv({str(getty)!r}, ['agetty', '60'])"
    child = subprocess.Popen([sys.executable, "-c", opens], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert child.stdout and child.stdout.readline() == b"1\n"
        while Path(f"/proc/{child.pid}/comm").read_text() != "agetty\n":
            pass  # exec is under way
        assert others_on(line) == [(child.pid, "agetty")]
        (said,) = sentences(line, others_on(line))
        assert "agetty" in said and str(child.pid) in said and line in said
    finally:
        child.kill()
        child.communicate()
    assert others_on(line) == []


def test_a_program_that_only_has_it_open(line: str) -> None:
    opens = f"import os, sys; os.open({line!r}, os.O_RDWR | os.O_NOCTTY); print(1, flush=True); sys.stdin.read()"
    child = subprocess.Popen([sys.executable, "-c", opens], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout and child.stdout.readline() == b"1\n"
        assert [number for number, _ in others_on(line)] == [child.pid]
    finally:
        child.communicate()


def test_a_line_that_is_not_there_or_processes_that_cannot_be_read(tmp_path: Path) -> None:
    assert others_on(str(tmp_path / "nothing")) == []
    for name, stat in (("1", b""), ("2", b"2 (a) b) S 1 1 1 x"), ("self", b"")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "stat").write_bytes(stat)
    assert others_on("/dev/null", tmp_path) == []


def test_the_running_server_says_who_else_is_there(line: str, tmp_path: Path) -> None:
    from tests.support.server import Pillarbox, new_data, pillarbox

    settings = tmp_path / "pillarbox.toml"
    settings.write_text(f'[panel]\nconsole = "{line}"\n')
    opens = f"import os, sys; os.open({line!r}, os.O_RDWR); print(1, flush=True); sys.stdin.read()"
    child = subprocess.Popen([sys.executable, "-c", opens], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert child.stdout and child.stdout.readline() == b"1\n"
        with Pillarbox(new_data(tmp_path / "data"), "--settings", str(settings), protocols=("smtp",)) as server:
            done = pillarbox("status", "--check", data=server.data, check=False)
            assert done.returncode == 1 and f"process {child.pid})" in done.stdout and line in done.stdout
            assert f"process {child.pid})" in server.log.read_text()
    finally:
        child.communicate()
