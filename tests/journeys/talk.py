"""Raw, pipelining SMTP, IMAP and POP3 clients for many messages: cheap for the client."""

import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence

from tests.support.server import PASSWORD
from tests.support.smtp import stuff

PATIENCE_S = 60
_LITERAL = re.compile(rb"~?\{([0-9]+)\}\r\n$")
_ACCEPTED = re.compile(rb"250 2\.0\.0 Accepted, queue ID ([0-9a-f]+)\.\r\n")
PIPELINED = 50
"""RETR commands pipelined at once: they always fit the sockets' buffers."""


class RawConnection:
    """A connection that reads lines and counted octets."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.sock.makefile("rb", 2**18)

    def __enter__(self) -> "RawConnection":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.sock.close()

    def send(self, octets: bytes) -> None:
        self.sock.sendall(octets)

    def line(self) -> bytes:
        line = self.file.readline()
        assert line.endswith(b"\r\n"), f"the server closed after {line!r}"
        return line

    def octets(self, count: int) -> bytes:
        octets = self.file.read(count)
        assert len(octets) == count, "the server closed"
        return octets


# --- SMTP ----------------------------------------------------------------------------------------------------


class Sender(RawConnection):
    """One SMTP session."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        assert self.reply().startswith(b"220")
        self.send(b"EHLO client.example.net\r\n")
        assert self.reply().startswith(b"250")

    def reply(self) -> bytes:
        """The last line of the next reply."""
        while (line := self.line())[3:4] == b"-":
            pass
        return line

    def data(self, to: str, message: bytes) -> bytes:
        """Send one message with DATA; the reply to it."""
        self.send(b"MAIL FROM:<> BODY=8BITMIME\r\nRCPT TO:<%b>\r\nDATA\r\n" % to.encode())
        for code in (b"250", b"250", b"354"):
            assert (got := self.reply()).startswith(code), got
        self.send(stuff(message))
        return self.reply()

    def bdat(self, to: str, message: bytes, body: bytes = b"8BITMIME") -> bytes:
        """The same with BDAT."""
        self.send(
            b"MAIL FROM:<> BODY=%b\r\nRCPT TO:<%b>\r\nBDAT %d LAST\r\n%b" % (body, to.encode(), len(message), message),
        )
        for code in (b"250", b"250"):
            assert (got := self.reply()).startswith(code), got
        return self.reply()


def queue_id_of(reply: bytes) -> bytes:
    """The id that the server gave the message, b"" when it refused."""
    found = _ACCEPTED.fullmatch(reply)
    return found[1] if found else b""


def send_all(port: int, to: str, messages: Sequence[bytes], send: Callable[[Sender, str, bytes], bytes], sessions: int = 8) -> list[bytes]:
    """All messages in several concurrent sessions; the reply to each. A session that the server closes is replaced."""
    replies = [b""] * len(messages)
    left: Iterator[int] = iter(range(len(messages)))
    lock = threading.Lock()
    faults: list[BaseException] = []

    def work() -> None:
        sender: Sender | None = None
        try:
            while not faults:
                with lock:
                    number = next(left, None)
                if number is None:
                    break
                sender = sender or Sender(port)
                replies[number] = send(sender, to, messages[number])
                if b" 5.6.0 " in replies[number] and b"CRLF" in replies[number]:
                    assert sender.file.read() == b"", "after a bare CR or LF nothing more is executed as a command"
                    sender.sock.close()
                    sender = None
            if sender is not None:
                sender.send(b"QUIT\r\n")
                assert sender.reply().startswith(b"221")
                sender.sock.close()
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work) for _ in range(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return replies


# --- IMAP ----------------------------------------------------------------------------------------------------


class Reader(RawConnection):
    """One IMAP session, signed in."""

    def __init__(self, port: int, address: str) -> None:
        super().__init__(port)
        self._tag = 0
        self.line()
        self.ok(f"LOGIN {address} {PASSWORD}".encode())

    def ok(self, command: bytes) -> list[bytes]:
        """The untagged responses and, last, the tagged one, which must be OK."""
        self._tag += 1
        self.send(b"t%d %b\r\n" % (self._tag, command))
        return self.responses()

    def responses(self) -> list[bytes]:
        tag = b"t%d " % self._tag
        got = []
        while True:
            parts = [self.line()]
            while literal := _LITERAL.search(parts[-1]):
                parts += [self.octets(int(literal[1])), self.line()]
            got.append(b"".join(parts))
            if got[-1].startswith(tag):
                assert got[-1].startswith(tag + b"OK"), got[-1]
                return got

    def append(self, mailbox: str, messages: Sequence[bytes]) -> list[int]:
        """Append all messages with one MULTIAPPEND and LITERAL+; their UIDs."""
        self._tag += 1
        parts = [b"t%d APPEND %b" % (self._tag, mailbox.encode())]
        for message in messages:
            parts += [b" ~{%d+}\r\n" % len(message) if b"\0" in message else b" {%d+}\r\n" % len(message), message]
        self.send(b"".join([*parts, b"\r\n"]))
        found = re.search(rb"\[APPENDUID \d+ ([\d:,]+)\]", self.responses()[-1])
        assert found
        uids = [uid for run in found[1].split(b",") for uid in expanded(run)]
        assert len(uids) == len(messages)
        return uids

    def bodies(self, mailbox: str) -> dict[int, bytes]:
        """Octets of every message by UID; checks that RFC822.SIZE equals the length of BODY[]."""
        self.ok(b"EXAMINE " + mailbox.encode())
        self._tag += 1
        self.send(b"t%d UID FETCH 1:* (UID RFC822.SIZE BODY.PEEK[])\r\n" % self._tag)
        found = {}
        while not (line := self.line()).startswith(b"t%d " % self._tag):
            if b" FETCH (" not in line:
                continue
            uid = re.search(rb"UID ([0-9]+)", line)
            size = re.search(rb"RFC822\.SIZE ([0-9]+)", line)
            assert uid and size, line
            if literal := _LITERAL.search(line):
                octets = self.octets(int(literal[1]))
                assert self.line() == b")\r\n"
            else:
                assert b'BODY[] ""' in line, line
                octets = b""
            assert int(size[1]) == len(octets)
            found[int(uid[1])] = octets
        assert line.startswith(b"t%d OK" % self._tag), line
        return found


def expanded(run: bytes) -> range:
    low, _, high = run.partition(b":")
    return range(int(low), int(high or low) + 1)


# --- POP3 ----------------------------------------------------------------------------------------------------


def fetched(port: int, address: str) -> list[bytes]:
    """Every message of the maildrop by RETR, in order; checks the sizes of LIST."""
    messages = []
    with RawConnection(port) as connection:
        connection.line()
        connection.send(f"USER {address}\r\nPASS {PASSWORD}\r\nLIST\r\n".encode())
        for _ in range(3):
            assert (said := connection.line()).startswith(b"+OK"), said
        sizes = []
        while (row := connection.line()) != b".\r\n":
            sizes.append(int(row.split()[1]))
        for first in range(1, len(sizes) + 1, PIPELINED):
            numbers = range(first, min(first + PIPELINED, len(sizes) + 1))
            connection.send(b"".join([b"RETR %d\r\n" % number for number in numbers]))
            for _ in numbers:
                messages.append(_one(connection))
        assert len(messages) == len(sizes)
        connection.send(b"QUIT\r\n")
        assert connection.line().startswith(b"+OK")
    for size, message in zip(sizes, messages, strict=True):
        grown = 2 * message.count(b"\r\n")  # at most: bare CR and LF become CRLF
        assert size <= len(message) <= size + grown, "LIST and RETR agree, except for converted line ends"
    return messages


def _one(connection: RawConnection) -> bytes:
    assert (said := connection.line()).startswith(b"+OK"), said
    rows = []
    while (row := connection.line()) != b".\r\n":
        rows.append(row[1:] if row[:1] == b"." else row)
    return b"".join(rows)
