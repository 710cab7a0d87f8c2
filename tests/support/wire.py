"""Blocking clients over real sockets for tests of the running server, and figures of its process from /proc.

Any address of 127/8 may be the `source`: the server counts each as another client.
"""

import os
import re
import socket
import ssl
import time
from base64 import b64encode
from pathlib import Path

from .server import PASSWORD

PATIENCE_S = 50.0
_LITERAL = re.compile(rb"~?\{([0-9]+)\}\r\n$")
_TICKS = os.sysconf("SC_CLK_TCK")


class Wire:
    """A connection that sends octets and reads lines. Waiting longer than `patience_s` raises TimeoutError."""

    def __init__(self, port: int, *, source: str = "127.0.0.1", patience_s: float = PATIENCE_S, tls: bool = False) -> None:
        self.socket: socket.socket = socket.create_connection(("127.0.0.1", port), patience_s, (source, 0))
        if tls:
            self.start_tls()
        self.held = b""

    def start_tls(self) -> None:
        """Without verification: other tests verify."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def try_send(self, octets: bytes) -> bool:
        """False when the server closed before it read everything."""
        try:
            self.socket.sendall(octets)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def more(self) -> bool:
        try:
            octets = self.socket.recv(2**18)
        except ConnectionResetError:
            octets = b""
        self.held += octets
        return bool(octets)

    def line(self) -> bytes:
        """A line with its CRLF; b"" at the end."""
        while b"\n" not in self.held:
            if not self.more():
                rest, self.held = self.held, b""
                return rest
        line, _, self.held = self.held.partition(b"\n")
        return line + b"\n"

    def octets(self, count: int) -> bytes:
        parts = [self.held]
        have = len(self.held)
        while have < count:
            more = self.socket.recv(2**18)
            assert more, "the server closed in the middle"
            parts.append(more)
            have += len(more)
        whole = b"".join(parts)
        self.held = whole[count:]
        return whole[:count]

    def rest(self) -> bytes:
        """Everything up to the end."""
        while self.more():
            pass
        rest, self.held = self.held, b""
        return rest


class Smtp(Wire):
    def __init__(self, port: int, *, source: str = "127.0.0.1", patience_s: float = PATIENCE_S, greet: bool = True) -> None:
        super().__init__(port, source=source, patience_s=patience_s)
        if greet:
            assert self.reply().startswith(b"220")
            assert self.ask(b"EHLO client.example").startswith(b"250")

    def reply(self) -> bytes:
        """The lines of one reply; b"" at the end."""
        lines = b""
        while line := self.line():
            lines += line
            if line[3:4] != b"-":
                break
        return lines

    def ask(self, line: bytes) -> bytes:
        self.send(line + b"\r\n")
        return self.reply()

    def sign_in(self, who: str, password: str) -> None:
        plain = b64encode(f"\0{who}\0{password}".encode())
        reply = self.ask(b"AUTH PLAIN " + plain)
        assert reply.startswith(b"235"), reply

    def begin(self, *recipients: bytes, sender: bytes = b"someone@elsewhere.example") -> bytes:
        """Up to the reply to DATA."""
        for line in (b"MAIL FROM:<%b>" % sender, *(b"RCPT TO:<%b>" % one for one in recipients)):
            reply = self.ask(line)
            if not reply.startswith(b"250"):
                return reply
        return self.ask(b"DATA")

    def deliver(self, message: bytes, *recipients: bytes) -> bytes:
        """The last reply. The message has no line that begins with a dot."""
        reply = self.begin(*(recipients or (b"ada@home.example",)))
        if not reply.startswith(b"354"):
            return reply
        self.send(message + b".\r\n")
        return self.reply()


class Imap(Wire):
    def __init__(
        self, port: int, who: str = "ada@home.example", *, source: str = "127.0.0.1", patience_s: float = PATIENCE_S, select: str = ""
    ) -> None:
        super().__init__(port, source=source, patience_s=patience_s)
        assert self.line().startswith(b"* OK")
        self.tag = 0
        if who:
            self.ok(b"LOGIN %b %b" % (who.encode(), PASSWORD.encode()))
        if select:
            self.ok(b"SELECT " + select.encode())

    def response(self) -> bytes:
        """One response, its literals in place; b"" at the end."""
        parts = [self.line()]
        while literal := _LITERAL.search(parts[-1]):
            parts += [self.octets(int(literal[1])), self.line()]
        return b"".join(parts)

    def start(self, command: bytes, end: bytes = b"\r\n") -> bytes:
        self.tag += 1
        tag = b"t%d" % self.tag
        self.send(tag + b" " + command + end)
        return tag

    def until(self, tag: bytes) -> tuple[list[bytes], bytes]:
        """The untagged responses and what follows the tag (b"" at the end of the connection)."""
        untagged: list[bytes] = []
        while response := self.response():
            if response.startswith(tag + b" "):
                return untagged, response[len(tag) + 1 : -2]
            untagged.append(response[:-2])
        return untagged, b""

    def run(self, command: bytes) -> tuple[list[bytes], bytes]:
        return self.until(self.start(command))

    def ok(self, command: bytes) -> list[bytes]:
        untagged, tagged = self.run(command)
        assert tagged.startswith(b"OK"), (command[:200], tagged, untagged[-3:])
        return untagged

    def append(self, *messages: bytes, mailbox: bytes = b"INBOX") -> bytes:
        """Several messages are one MULTIAPPEND; what follows the tag."""
        parts = [b"APPEND " + mailbox]
        for message in messages:
            parts += [b" {%d+}\r\n" % len(message), message]
        return self.until(self.start(b"".join(parts)))[1]


class Pop3(Wire):
    def __init__(self, port: int, who: str = "ada@home.example", *, source: str = "127.0.0.1", patience_s: float = PATIENCE_S) -> None:
        super().__init__(port, source=source, patience_s=patience_s)
        assert self.line().startswith(b"+OK")
        if who:
            assert self.ask(b"USER " + who.encode()).startswith(b"+OK")
            assert self.ask(b"PASS " + PASSWORD.encode()).startswith(b"+OK")

    def ask(self, line: bytes) -> bytes:
        self.send(line + b"\r\n")
        return self.line()


# --- the process ----------------------------------------------------------------------------------


def memory_octets(pid: int) -> int:
    """Proportional set size (PSS) of the process."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the kernel does not report PSS")


def cpu_s(pid: int) -> float:
    """Processor time of all threads so far."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / _TICKS


def eventually(holds: "object", patience_s: float = 20.0, every_s: float = 0.05) -> bool:
    """Whether `holds()` becomes true in time."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if holds():  # type: ignore[operator]
            return True
        time.sleep(every_s)
    return False


def message(name: str, body: bytes = b"Hello.\r\n") -> bytes:
    """A plain message with `name` in Subject and Message-ID."""
    return (
        b"From: Someone <someone@elsewhere.example>\r\nTo: ada@home.example\r\nSubject: " + name.encode() + b"\r\n"
        b"Message-ID: <" + name.encode() + b"@elsewhere.example>\r\nDate: Tue, 1 Jul 2025 10:00:00 +0000\r\n\r\n" + body
    )


FAULTS = ("session failed", "task crashed", "Traceback")


def faults(log: Path) -> list[str]:
    """Log lines of internal errors, with the lines after them."""
    lines = log.read_text(errors="replace").splitlines()
    return ["\n".join(lines[at : at + 8]) for at, line in enumerate(lines) if any(fault in line for fault in FAULTS)]
