"""A small Internet on this machine: hosts in network namespaces of their own, on one wire that leads nowhere else.

Each host has its addresses, a process tree of its own and, if it runs Debian's programs, a root of its own: the machine's files
with the programs unpacked over them (mail servers conflict as packages, so they are never installed) and a layer in memory for
what they write. When the block ends every process and file of it is gone. Needs root.

Addresses are of 44.128.0.0/16 and 3ffe::/16: nobody has them, yet nothing takes them for private ones.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
V4 = "44.128.0."
V6 = "3ffe:44::"
START_S = 20.0


def run(*words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=check)


def possible() -> str:
    """Why namespaces cannot be made here, or ""."""
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    if not shutil.which("ip"):
        return "the program ip is missing (apt install iproute2)"
    name = f"pb{os.getpid()}-try"
    made = run("ip", "netns", "add", name, check=False)
    run("ip", "netns", "del", name, check=False)
    return f"namespaces cannot be made: {made.stderr.strip()}" if made.returncode else ""


@contextmanager
def inside(space: str) -> Iterator[None]:
    """Sockets made by this thread meanwhile belong to the namespace, and so do the processes it starts."""
    with Path("/proc/thread-self/ns/net").open("rb") as home, Path(f"/run/netns/{space}").open("rb") as there:
        _enter(there.fileno())
        try:
            yield
        finally:
            _enter(home.fileno())


def _enter(descriptor: int) -> None:
    if LIBC.setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


class Host:
    """One machine of the small Internet."""

    def __init__(self, space: str, name: str, number: int) -> None:
        self.space = space
        self.name = name
        self.v4 = f"{V4}{number}"
        self.v6 = f"{V6}{number}"
        self._first: subprocess.Popen[bytes] | None = None

    def boot(self, packages: Sequence[Path], name_server: str) -> None:
        """Give it a root and a process tree of its own; `packages` are unpacked trees, the last on top."""
        copies = " && ".join(["true", *(f"cp -a {tree}/. /mnt/up/" for tree in packages)])
        script = f"""set -e
mount -t tmpfs none /mnt && mkdir /mnt/up /mnt/work /mnt/root && {copies}
mount -t overlay none -o lowerdir=/,upperdir=/mnt/up,workdir=/mnt/work /mnt/root
mount --rbind /dev /mnt/root/dev && mount -t proc none /mnt/root/proc
mount -t tmpfs none /mnt/root/tmp && mount -t tmpfs none /mnt/root/run
rm -f /mnt/root/etc/resolv.conf && echo nameserver {name_server} > /mnt/root/etc/resolv.conf
exec chroot /mnt/root sh -c 'touch /run/booted; exec sleep 100000'"""
        words = ["ip", "netns", "exec", self.space, "unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child", "sh", "-c", script]
        self._first = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wait_for(lambda: self._pid() > 0 and (self.root / "run/booted").exists(), f"{self.name} did not boot", self._first)

    def _pid(self) -> int:
        """The first process of its tree."""
        assert self._first
        pid = self._first.pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        found = children.read_text().split() if children.exists() else []
        return int(found[0]) if found else 0

    @property
    def root(self) -> Path:
        """Its files, as this process can reach them."""
        return Path(f"/proc/{self._pid()}/root")

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)

    def run(self, *words: str, stdin: bytes = b"", check: bool = True) -> "subprocess.CompletedProcess[bytes]":
        """Run a program on it to its end (or until it puts itself into the background)."""
        inner = ["nsenter", "-t", str(self._pid()), "-m", "-p", "-n", "-u", "chroot", "/mnt/root", *words]
        done = subprocess.run(inner, input=stdin, capture_output=True, timeout=60, check=False)
        if check and done.returncode:
            raise AssertionError(f"{self.name}: {' '.join(words)}: {done.stderr.decode()}{done.stdout.decode()}")
        return done

    def add_user(self, name: str, *words: str) -> None:
        """Made unless the machine, whose files it shares, has such a user."""
        if self.run("id", name, check=False).returncode:
            self.run("useradd", "-U", *words, name)

    def off(self) -> None:
        """Its wire is pulled: nobody answers at its addresses."""
        run("ip", "-n", self.space, "link", "set", "eth0", "down")

    def on(self) -> None:
        run("ip", "-n", self.space, "link", "set", "eth0", "up")
        run("ip", "-n", self.space, "-6", "address", "replace", f"{self.v6}/64", "dev", "eth0", "nodad")
        run("ip", "-n", self.space, "route", "replace", "default", "dev", "eth0")

    def down(self) -> None:
        if self._first and self._first.poll() is None:
            if self._pid():
                os.kill(self._pid(), signal.SIGKILL)
            self._first.wait(20)
        if self._first and self._first.stderr:
            self._first.stderr.close()


class Internet:
    """`with Internet() as internet: host = internet.host("far")`. Hosts are added one after another."""

    def __init__(self) -> None:
        self._prefix = f"pb{os.getpid()}"
        self._wire = f"{self._prefix}-wire"
        self._ends = ExitStack()
        self.hosts: dict[str, Host] = {}

    def __enter__(self) -> "Internet":
        self._space(self._wire)
        run("ip", "-n", self._wire, "link", "add", "br0", "type", "bridge")
        run("ip", "-n", self._wire, "link", "set", "br0", "up")
        return self

    def __exit__(self, *_: object) -> None:
        for host in self.hosts.values():
            host.down()
        self._ends.close()

    def _space(self, name: str) -> None:
        run("ip", "netns", "add", name)
        self._ends.callback(run, "ip", "netns", "del", name, check=False)
        run("ip", "-n", name, "link", "set", "lo", "up")

    def host(self, name: str) -> Host:
        """One more machine on the wire."""
        number = len(self.hosts) + 10
        host = self.hosts[name] = Host(f"{self._prefix}-{name}", name, number)
        self._space(host.space)
        run("ip", "-n", self._wire, "link", "add", f"to-{number}", "type", "veth", "peer", "name", "eth0", "netns", host.space)
        run("ip", "-n", self._wire, "link", "set", f"to-{number}", "master", "br0", "up")
        run("ip", "-n", host.space, "address", "add", f"{host.v4}/24", "dev", "eth0")
        host.on()
        return host


def wait_for(true: "object", sentence: str, process: "subprocess.Popen[bytes] | None" = None, most_s: float = START_S) -> None:
    """Look until `true()` holds; fail with the sentence when it does not in time or the process ended."""
    deadline = time.monotonic() + most_s
    while True:
        try:
            if true():  # type: ignore[operator]
                return
        except OSError:
            pass
        ended = process is not None and process.poll() is not None
        if ended or time.monotonic() > deadline:
            said = process.stderr.read().decode() if ended and process and process.stderr else ""
            raise AssertionError(f"{sentence}. {said}")
        time.sleep(0.05)
