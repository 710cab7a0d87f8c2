"""QEMU with a card: a board that starts, is spoken to over its network, shown a console, and has its plug pulled.

A shell of root is started by systemd's own means (a unit given as credential on the kernel's command line) on a serial line
that only the test has: the image itself has no such thing.
"""

import base64
import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from .card import Start

PORTS = {"smtp": 25, "submissions": 465, "https": 443, "imaps": 993, "pop3s": 995}
SHELL_UNIT = """[Unit]
DefaultDependencies=no
[Service]
Environment=PATH=/usr/sbin:/usr/bin HOME=/root
ExecStart=/bin/sh -c 'stty -echo raw -F /dev/ttyS0; exec /bin/sh </dev/ttyS0 >/dev/ttyS0 2>&1'
Restart=always
"""
PROMPTS = re.compile("^(# )+")
"""The shell's, one for each line of a command."""
LOOK_S = 0.5


class MachineError(AssertionError):
    """The machine did not do what was waited for; the end of its console is in the text."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Startable(Protocol):
    """What a machine starts from: a disk, and what the firmware loads from it."""

    path: Path

    def start(self, folder: Path, machine: str) -> Start: ...


class Machine:
    """One power-on. `network`, `gpio` and `clock` say what the board has; `options` go to QEMU as they are."""

    def __init__(
        self, card: Startable, folder: Path, *, board: str = "virt", network: bool = True, extra: str = "", options: Sequence[str] = ()
    ) -> None:
        self.card, self.board, self.folder = card, board, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.ports = {name: free_port() for name in PORTS}
        self._console = folder / "console.log"
        self._console_socket, self._shell_socket = folder / "console.sock", folder / "shell.sock"
        start = card.start(folder / "start", board)
        self.started = time.monotonic()
        self._qemu = subprocess.Popen(
            [*self._machine(start), *self._devices(network), "-append", f"{start.command_line} {self._shell_words()} {extra}", *options],
            stdin=subprocess.DEVNULL,
            stdout=(folder / "qemu.log").open("w"),
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, _: object, fault: BaseException | None, __: object) -> None:
        if fault is not None:
            print("\n".join(["The console ended with:", *self.console().splitlines()[-25:]]))
        self.pull_plug()

    def _machine(self, start: Start) -> list[str]:
        kind = (
            ["-M", "virt", "-cpu", "cortex-a53", "-smp", "2", "-m", "512"]
            if self.board == "virt"
            else ["-M", "raspi3b", "-dtb", str(start.tree)]
        )
        console = f"socket,id=console,path={self._console_socket},server=on,wait=off,logfile={self._console}"
        shell = f"socket,id=shell,path={self._shell_socket},server=on,wait=off"
        serial = ["-serial", "chardev:console"]
        if self.board == "virt":
            serial += ["-chardev", shell, "-device", "pci-serial,chardev=shell"]
        return [
            "qemu-system-aarch64",
            *kind,
            "-nodefaults",
            "-display",
            "none",
            "-no-reboot",
            "-kernel",
            str(start.kernel),
            "-initrd",
            str(start.initrd),
            "-chardev",
            console,
            *serial,
        ]

    def _devices(self, network: bool) -> list[str]:
        forwards = ",".join(f"hostfwd=tcp:127.0.0.1:{self.ports[name]}-:{port}" for name, port in PORTS.items())
        if self.board == "virt":
            disk = [
                "-drive",
                f"file={self.card.path},format=raw,if=none,id=card,cache=writethrough",
                "-device",
                "virtio-blk-pci,drive=card",
            ]
            net = ["-netdev", f"user,id=net,{forwards}", "-device", "virtio-net-pci,netdev=net"] if network else []
            return [*disk, *net, "-device", "virtio-rng-pci", "-device", "i6300esb"]
        disk = ["-drive", f"file={self.card.path},format=raw,if=sd,cache=writethrough"]
        return disk + (["-netdev", f"user,id=net,{forwards}", "-device", "usb-net,netdev=net,mac=00:16:3e:50:42:58"] if network else [])

    def _shell_words(self) -> str:
        if self.board != "virt":  # the model of the watchdog resets the board as soon as it is armed
            return "module_blacklist=bcm2835_wdt"
        unit = base64.b64encode(SHELL_UNIT.encode()).decode()
        return f"systemd.wants=test-shell.service systemd.set_credential_binary=systemd.extra-unit.test-shell.service:{unit}"

    def age_s(self) -> float:
        return time.monotonic() - self.started

    def cpu_s(self) -> float:
        """Processor time that QEMU has taken: what a start costs, however busy this machine is."""
        fields = Path(f"/proc/{self._qemu.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def console(self) -> str:
        """All that the serial console has shown."""
        return self._console.read_text(errors="replace") if self._console.exists() else ""

    def type(self, keys: str) -> None:
        """Keys on the serial console."""
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(self._console_socket))
            line.sendall(keys.encode())
            time.sleep(LOOK_S)

    def shows(self, key: str, words: str) -> bool:
        """Whether the console has shown the words after a key."""
        self.type(key)
        return words in self.console()

    def wait_banner(self, timeout_s: float = 1200, service: str = "smtp") -> float:
        """Seconds from power-on to the server's greeting."""
        while self.age_s() < timeout_s:
            if self._qemu.poll() is not None:
                raise self._fault("QEMU ended before the server greeted")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.ports[service]), timeout=20) as peer:
                if peer.recv(4).startswith(b"220"):
                    return self.age_s()
            time.sleep(LOOK_S)
        raise self._fault(f"no greeting in {timeout_s:.0f} s")

    def wait_console(self, words: str, timeout_s: float = 120, after: int = 0) -> int:
        """Where in the console's text the words end, once it has shown them at or behind `after`."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if (place := self.console().find(words, after)) >= 0:
                return place + len(words)
            time.sleep(LOOK_S)
        raise self._fault(f"the console did not show {words!r} in {timeout_s:.0f} s")

    def wait_end(self, timeout_s: float = 600) -> float:
        """Seconds from power-on until the machine is off or asked for a restart."""
        try:
            self._qemu.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise self._fault(f"it did not switch off in {timeout_s:.0f} s") from None
        return self.age_s()

    def wait_shell(self, timeout_s: float = 600) -> float:
        """Seconds from power-on until the shell answers."""
        while self.age_s() < timeout_s:
            with contextlib.suppress(OSError, MachineError):
                if self.shell("echo there", timeout_s=10).endswith("there"):
                    return self.age_s()
            time.sleep(LOOK_S)
        raise self._fault(f"the shell did not answer in {timeout_s:.0f} s")

    def shell(self, command: str, timeout_s: float = 300) -> str:
        """What a shell of root on the machine prints for a command."""
        mark = f"end-{time.monotonic_ns()}"
        answer = b""
        end = time.monotonic() + timeout_s
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(self._shell_socket))
            line.settimeout(LOOK_S)
            line.sendall(f"{command}\nprintf '%s\\n' {mark[:4]}''{mark[4:]}\n".encode())
            while mark.encode() not in answer:
                if time.monotonic() > end:
                    raise self._fault(f"the shell did not answer {command!r} in {timeout_s:.0f} s: {answer[-300:]!r}")
                with contextlib.suppress(TimeoutError):
                    answer += line.recv(65536)
        text = answer.decode(errors="replace").replace("\r", "").split(mark)[0]
        return "\n".join(PROMPTS.sub("", part) for part in text.splitlines()).strip()

    def pull_plug(self) -> None:
        """Off, now: nothing is written any more."""
        if self._qemu.poll() is None:
            self._qemu.send_signal(signal.SIGKILL)
            self._qemu.wait()

    def _fault(self, what: str) -> MachineError:
        last = "\n".join(self.console().splitlines()[-25:])
        return MachineError(f"{self.board}: {what}. The console ends with:\n{last}")
