"""Ctrl-C ends every command at once, without a traceback, whatever it is doing."""

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.server import COMMAND, ROOT, Pillarbox, environment, free_ports, new_data

WAITS_S = 20.0
ENDED = (130, -signal.SIGINT)
"""As shells count a death by SIGINT, and the death itself, which is what it is while modules load."""


def interrupted(words: list[str], data: Path, *, when: str) -> tuple[int, str]:
    """Exit status and errors of a command that gets SIGINT when `when` was said, or when it waits for the server."""
    process = subprocess.Popen(
        [*COMMAND, *words, "--data", str(data)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment(), cwd=ROOT,
    )  # fmt: skip
    assert process.stdout and process.stderr
    said = b""
    deadline = time.monotonic() + WAITS_S
    while when and when.encode() not in said:
        ready, _, _ = select.select([process.stdout, process.stderr], [], [], deadline - time.monotonic())
        assert ready, f"{words} never said {when}: {said.decode()}"
        said += os.read(ready[0].fileno(), 4096)
    while not when and not _connected(process.pid):
        assert time.monotonic() < deadline and process.poll() is None
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=WAITS_S)
    return process.returncode, (said + out + errors).decode()


def _connected(pid: int) -> bool:
    """It has a socket and waits: it asks the server."""
    try:
        found = any(os.readlink(f"/proc/{pid}/fd/{one}").startswith("socket:") for one in os.listdir(f"/proc/{pid}/fd"))
        return found and Path(f"/proc/{pid}/wchan").read_text() in ("ep_poll", "do_epoll_wait", "0")
    except OSError:
        return False


def test_the_simulator(tmp_path: Path) -> None:
    with Pillarbox(new_data(tmp_path / "data"), protocols=("smtp",)) as server:
        status, said = interrupted(["panel", "--simulate"], server.data, when="mail: ready")
        assert status in ENDED and "Traceback" not in said, said
        assert server.process and server.process.poll() is None, "the server that was watched goes on"


@pytest.mark.parametrize("line", ["status", "status --check", "account list", "console", "panel --simulate"])
def test_a_command_that_waits_for_an_answer(tmp_path: Path, line: str) -> None:
    words = line.split()
    with Pillarbox(new_data(tmp_path / "data"), protocols=("smtp",)) as server:
        os.kill(server.pid, signal.SIGSTOP)
        try:
            status, said = interrupted(words, server.data, when="")
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert status in ENDED and not said.strip(), said


def test_an_import_that_waits(tmp_path: Path) -> None:
    data = new_data(tmp_path / "data")
    with Pillarbox(data, protocols=("smtp",)) as server:
        os.kill(server.pid, signal.SIGSTOP)
        try:
            (tmp_path / "old.mbox").write_bytes(b"From x Tue Jan  2 10:11:13 2024\nSubject: x\n\nx\n" * 3)
            status, said = interrupted(["import", "ada@home.example", str(tmp_path / "old.mbox")], data, when="")
        finally:
            os.kill(server.pid, signal.SIGCONT)
    assert status in ENDED and "Traceback" not in said, said


@pytest.mark.parametrize("verb", ["serve", "run"])
def test_a_server_from_its_first_moment_on(tmp_path: Path, verb: str) -> None:
    """Wherever in its start Ctrl-C meets it, there is no traceback."""
    data = new_data(tmp_path / "data")
    for delay_s in (0.05, 0.15, 0.3, 0.5, 0.8):
        words = [*COMMAND, verb, "--data", str(data), "--listen", f"smtp=127.0.0.1:{free_ports(1)[0]}"]
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment(), cwd=ROOT
        )
        try:
            process.wait(delay_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=WAITS_S)
        assert b"Traceback" not in out or b"/appliance/" not in out, out.decode()  # the interpreter's own start is not ours
        assert process.returncode in (0, *ENDED) or b"Traceback" in out, out.decode()


@pytest.mark.parametrize("verb", ["serve", "run"])
def test_loading_is_ended_by_the_signal_itself(verb: str) -> None:
    """Python forgets a KeyboardInterrupt that meets a weak reference's callback; no Python code may be between signal and end."""
    found = _handler_while_loading(verb)
    assert found and all(one == "SIG_DFL" for one in found), found


def test_a_command_started_with_the_signal_ignored_goes_on_ignoring_it() -> None:
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); from appliance.__main__ import main; main(['--version'])"
    code += "; print(signal.getsignal(signal.SIGINT).name)"
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.endswith("SIG_IGN\n"), done.stdout


def _handler_while_loading(verb: str) -> list[str]:
    """What SIGINT does at each module of ours that the command loads before it becomes the server."""
    code = (
        "import builtins, signal, sys, os\n"
        "real, seen = builtins.__import__, []\n"
        "def watched(name, *rest):\n"
        "    if name.startswith('appliance.c'): seen.append(signal.getsignal(signal.SIGINT))\n"
        "    return real(name, *rest)\n"
        "from appliance.__main__ import main\n"
        "builtins.__import__ = watched\n"
        f"main(['{verb}', '--no-such-option'])\n"
        "print(*(getattr(one, 'name', one) for one in seen))\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True, check=True)
    return done.stdout.split()
