"""A running server for tests: the real command in a process of its own, on free ports of the loopback."""

import os
import pty
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

COMMAND = [sys.executable, "-m", "appliance"]
PASSWORD = "Correct-Horse-7"
ROOT = Path(__file__).resolve().parents[2]
START_S = 120
PROCESSES = 16
"""Most processes of tests (pytest-xdist) that have ports of their own."""


def environment() -> dict[str, str]:
    """The environment of commands run by tests. Compiled code is cached, since some hundred processes start."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "TZ": "UTC", "PYTHONDONTWRITEBYTECODE": ""}


def _numbers() -> Iterator[int]:
    """Numbers of ports that no other process of these tests chooses, below those the kernel gives to clients (ip(7), 32768 and up)."""
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    lowest, count = 10_000, 22_000 // PROCESSES
    first = secrets.randbelow(count)
    while True:
        for number in range(count):
            yield lowest + process % PROCESSES * count + (first + number) % count


_NUMBERS = _numbers()


def free_ports(count: int) -> list[int]:
    """Ports of the loopback where nobody listens, each chosen once in a long while."""
    ports: list[int] = []
    while len(ports) < count:
        port = next(_NUMBERS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports.append(port)
    return ports


def pillarbox(*words: str, data: Path | None = None, password: str | None = None, check: bool = True) -> "subprocess.CompletedProcess[str]":
    """Run one command and wait for it."""
    arguments = [*COMMAND, *words]
    if data is not None:
        arguments += ["--data", str(data)]
    if password is not None:
        arguments += ["--password-file", "-"]
    done = subprocess.run(arguments, input=password, capture_output=True, text=True, env=environment(), timeout=120, cwd=ROOT, check=False)
    if check and done.returncode:
        raise AssertionError(f"pillarbox {' '.join(words)}: exit {done.returncode}: {done.stderr}{done.stdout}")
    return done


def on_terminal(*words: str, data: Path) -> str:
    """Run one command on a terminal; its output."""
    return in_terminal([*COMMAND, *words, "--data", str(data)], environ=environment(), cwd=ROOT)


def in_terminal(arguments: list[str], *, environ: dict[str, str], cwd: Path) -> str:
    """The same for any program; its exit status must be 0."""
    main, side = pty.openpty()
    process = subprocess.Popen(arguments, stdin=side, stdout=side, stderr=side, env=environ, cwd=cwd)
    os.close(side)
    shown = b""
    try:
        while select.select([main], [], [], 60)[0] and (chunk := os.read(main, 4096)):
            shown += chunk
    except OSError:  # the other end is closed
        pass
    os.close(main)
    assert process.wait(60) == 0, f"{' '.join(arguments)}: {shown.decode()}"
    return shown.decode()


def new_data(place: Path, *accounts: str, domain: str = "home.example") -> Path:
    """A data directory with accounts, each with PASSWORD."""
    for name in accounts or ("ada",):
        pillarbox("account", "add", f"{name}@{domain}", data=place, password=PASSWORD)
    return place


class Pillarbox:
    """`with Pillarbox(data) as server:` — server.ports["imap"] and so on. Plain-text login is allowed by default."""

    def __init__(
        self,
        data: Path,
        *words: str,
        protocols: tuple[str, ...] = ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s"),
        plaintext: bool = True,
        domain: str = "home.example",
        wrapper: list[str] | None = None,
        log: Path | None = None,
        command: list[str] | None = None,
    ) -> None:
        self.data = data
        self.ports = dict(zip(protocols, free_ports(len(protocols)), strict=True))
        self.log = log or data.with_name(data.name + ".log")
        self.words = [*(command or COMMAND), "serve", "--data", str(data), "--domain", domain, *words]
        for protocol, port in self.ports.items():
            self.words += ["--listen", f"{protocol}=127.0.0.1:{port}"]
        if plaintext:
            self.words.append("--plaintext-login")
        self.wrapper = wrapper or []
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Pillarbox":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, *self.words], stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, env=environment(), cwd=ROOT
            )
        assert self.process.stdout
        said = b""
        deadline = time.monotonic() + START_S
        while b"ready" not in said:
            readable, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            more = os.read(self.process.stdout.fileno(), 4096) if readable else b""
            if not more:
                self.kill()
                raise AssertionError(f"the server did not become ready: {said.decode()}\n{self.log.read_text()[-4000:]}")
            said += more
        return self

    @property
    def pid(self) -> int:
        """The serving process (below a wrapper such as strace, its child)."""
        assert self.process
        if not self.wrapper:
            return self.process.pid
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0])

    def stop(self) -> int:
        """Send SIGTERM and wait; the exit status."""
        assert self.process
        os.kill(self.pid, signal.SIGTERM)
        try:
            return self.process.wait(30)
        finally:
            self._forget()

    def kill(self) -> None:
        """SIGKILL, as a crash of the process would."""
        assert self.process
        if self.process.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
        self.process.wait(30)
        self._forget()

    def _forget(self) -> None:
        if self.process and self.process.stdout:
            self.process.stdout.close()

    def __enter__(self) -> "Pillarbox":
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process and self.process.poll() is None:
            self.stop()
