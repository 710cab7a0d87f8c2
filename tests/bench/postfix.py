"""Postfix from Debian, started in the foreground: relaying to the same sink as Pillarbox, or delivering the same messages into maildirs;
figures side by side; needs root.

No service of the machine is touched: configuration, queue and logs are below one directory.
"""

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tests.support.peer import Peer
from tests.support.server import free_ports

from .clients import deliver
from .meters import LoopDevice

MAIN = """
compatibility_level = 3.6
queue_directory = {place}/spool
data_directory = {place}/lib
maillog_file = /dev/null
maillog_file_prefixes = /dev, /var
myhostname = bench.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
relayhost = [127.0.0.1]:{sink}
smtpd_relay_restrictions = permit_mynetworks reject
smtpd_client_connection_count_limit = 0
disable_dns_lookups = yes
smtp_dns_support_level = disabled
alias_maps =
"""
MAILDIRS = """
virtual_mailbox_domains = bench.test
virtual_mailbox_base = {place}/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:8
virtual_gid_maps = static:8
virtual_minimum_uid = 8
"""
DIST = Path("/usr/share/postfix/master.cf.dist")


def installed() -> bool:
    return os.geteuid() == 0 and DIST.exists() and shutil.which("postfix", path="/usr/sbin:/usr/bin") is not None


class Postfix:
    """Takes mail on `port`; relays it to the sink, except what `more` of its configuration says."""

    def __init__(self, place: Path, sink: int, more: str = "") -> None:
        self.place = place
        for name in ("", "spool", "lib", "mail"):
            (place / name).mkdir(exist_ok=True)
        shutil.chown(place / "mail", "mail", "mail")
        shutil.chown(place / "lib", "postfix", "root")
        for parent in (place, *place.parents):
            if str(parent).startswith(("/tmp/", "/dev/shm/")):
                parent.chmod(parent.stat().st_mode | 0o011)
        (self.port,) = free_ports(1)
        (place / "main.cf").write_text((MAIN + more).format(place=place, sink=sink))
        lines = []
        for line in DIST.read_text().splitlines():
            fields = line.split()
            if len(fields) >= 8 and not line.startswith(("#", " ")):
                fields[4] = "n"
                if fields[:2] == ["smtp", "inet"]:
                    fields[0] = f"127.0.0.1:{self.port}"
                line = " ".join(fields)
            lines.append(line)
        (place / "master.cf").write_text("\n".join(lines) + "\n")

    def __enter__(self) -> "Postfix":
        subprocess.run(["postfix", "-c", str(self.place), "check"], check=True, capture_output=True)
        self.process = subprocess.Popen(["postfix", "-c", str(self.place), "start-fg"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(1200):  # a minute: the machine may be busy
            try:
                socket.create_connection(("127.0.0.1", self.port), 5).close()
                return self
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("Postfix did not start")

    def __exit__(self, *_: object) -> None:
        subprocess.run(["postfix", "-c", str(self.place), "stop"], capture_output=True, check=False)
        self.process.wait(20)


def relayed(work: Path, count: int, sessions: int) -> tuple[float, float]:
    """(flushes, octets written) a message: `count` of 4 kB from so many sessions through Postfix to a sink."""
    place = work / f"postfix{sessions}"
    place.mkdir()
    device = LoopDevice(place)
    text = b"From: <ada@bench.test>\r\nTo: <bob@far.example>\r\nSubject: many\r\n\r\n" + b"some words of a message\r\n" * 166 + b".\r\n"
    try:
        with Peer() as sink, Postfix(device.place / "postfix", sink.port) as relay:
            device.sync()
            start = device.counts()
            shares = [count // sessions + (number < count % sessions) for number in range(sessions)]
            threads = [threading.Thread(target=_submit, args=(relay.port, share, text)) for share in shares]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            deadline = time.monotonic() + 120
            while len(sink.messages) < count and time.monotonic() < deadline:
                time.sleep(0.1)
            time.sleep(1)
            device.sync()
            end = device.counts()
    finally:
        device.close()
    return (end[1] - start[1]) / count, (end[0] - start[0]) / count


def delivered(work: Path, messages: Sequence[tuple[str, bytes]], sessions: int) -> list[float]:
    """Seconds from each message's final dot to its reply, ascending: Postfix delivers them into a maildir."""
    place = work / f"maildirs{sessions}"
    place.mkdir()
    device = LoopDevice(place)
    try:
        with Postfix(device.place / "postfix", 9, MAILDIRS) as server:
            return sorted(deliver(server.port, messages, sessions))
    finally:
        device.close()


def _submit(port: int, count: int, text: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), 60) as sock:
        file = sock.makefile("rb")

        def ask(words: bytes, code: bytes) -> None:
            sock.sendall(words)
            while (line := file.readline())[3:4] == b"-":
                pass
            if not line.startswith(code):
                raise RuntimeError(f"wanted {code!r}, got {line!r}")

        ask(b"", b"220")
        ask(b"EHLO client.example\r\n", b"250")
        for _ in range(count):
            ask(b"MAIL FROM:<ada@bench.test>\r\n", b"250")
            ask(b"RCPT TO:<bob@far.example>\r\n", b"250")
            ask(b"DATA\r\n", b"354")
            ask(text, b"250")
        ask(b"QUIT\r\n", b"221")
