"""Benchmark clients with little work of their own, so that the server is what is measured."""

import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import islice

from tests.support.server import PASSWORD

TIMEOUT_S = 300


def tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def connect(port: int, context: ssl.SSLContext | None = None) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(sock) if context else sock


class Smtp:
    def __init__(self, port: int) -> None:
        self.sock = connect(port)
        self.file = self.sock.makefile("rb")
        self.expect(b"220")
        self.ask(b"EHLO client.example.net", b"250")

    def expect(self, code: bytes) -> bytes:
        while True:
            line = self.file.readline()
            if line[3:4] != b"-":
                if not line.startswith(code):
                    raise RuntimeError(f"wanted {code!r}, got {line!r}")
                return line

    def ask(self, words: bytes, code: bytes) -> bytes:
        self.sock.sendall(words + b"\r\n")
        return self.expect(code)

    def send(self, to: str, message: bytes, number: int = 0) -> float:
        """One message; the seconds from the final dot to its reply."""
        self.ask(b"MAIL FROM:<s%d@d%d.example.net>" % (number % 1009, number % 97), b"250")
        self.ask(f"RCPT TO:<{to}>".encode(), b"250")
        self.ask(b"DATA", b"354")
        self.sock.sendall(message if message.find(b"\r\n.") < 0 else message.replace(b"\r\n.", b"\r\n.."))
        start = time.perf_counter()
        self.sock.sendall(b".\r\n")
        self.expect(b"250")
        return time.perf_counter() - start

    def quit(self) -> None:
        self.ask(b"QUIT", b"221")
        self.file.close()
        self.sock.close()


def deliver(port: int, messages: Sequence[tuple[str, bytes]], sessions: int) -> list[float]:
    """All messages over so many sessions; the latencies in seconds."""
    todo = iter(enumerate(messages))
    lock = threading.Lock()
    took: list[float] = []
    faults: list[BaseException] = []

    def one() -> None:
        try:
            smtp = Smtp(port)
            while True:
                with lock:
                    item = next(todo, None)
                if item is None:
                    break
                took.append(smtp.send(*item[1], item[0]))
            smtp.quit()
        except (OSError, RuntimeError) as fault:
            faults.append(fault)

    threads = [threading.Thread(target=one) for _ in range(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return took


class Imap:
    def __init__(self, port: int, account: str, context: ssl.SSLContext | None = None) -> None:
        self.sock = connect(port, context)
        self._until(rb"^\* OK[^\n]*\n")
        self.ask(f'LOGIN "{account}" "{PASSWORD}"')

    def _until(self, pattern: bytes) -> bytes:
        got = b""
        while not re.search(pattern, got, re.M):
            more = self.sock.recv(65536)
            if not more:
                raise ConnectionError(got[-200:])
            got += more
        return got

    def ask(self, words: str | bytes, keep: bool = True) -> bytes:
        """One command; its answer (or only its tail, when `keep` is false: memory of our own is not what is measured)."""
        self.sock.sendall(b"Zq7x1 " + (words.encode() if isinstance(words, str) else words) + b"\r\n")
        return self.answer(keep)

    def answer(self, keep: bool = True) -> bytes:
        parts, tail = [], b"\n"
        while True:
            more = self.sock.recv(1 << 20)
            if not more:
                raise ConnectionError(tail[-200:])
            if keep:
                parts.append(more)
            tail = (tail + more)[-4096:]
            at = tail.rfind(b"\nZq7x1 ")
            if at >= 0 and tail.endswith(b"\r\n") and tail.find(b"\n", at + 1) == len(tail) - 1:
                if not tail[at + 7 :].startswith(b"OK"):
                    raise RuntimeError(tail[at:])
                return b"".join(parts) if keep else tail

    def idle(self) -> None:
        self.sock.sendall(b"Zq7x1 IDLE\r\n")
        self._until(rb"^\+")

    def append_many(self, box: str, messages: Iterator[bytes], batch: int = 100) -> None:
        while True:
            some = list(islice(messages, batch))
            if not some:
                return
            self.sock.sendall(b"".join([b"Zq7x1 APPEND ", box.encode(), *(b" {%d+}\r\n%b" % (len(m), m) for m in some), b"\r\n"]))
            self.answer()

    def append_large(self, box: str, octets: int, chunk: bytes) -> None:
        self.sock.sendall(f"Zq7x1 APPEND {box} {{{octets}}}\r\n".encode())
        self._until(rb"^\+")
        for at in range(0, octets, len(chunk)):
            self.sock.sendall(chunk[: octets - at])
        self.sock.sendall(b"\r\n")
        self.answer()

    def close(self) -> None:
        self.sock.close()


class Pop3:
    def __init__(self, port: int, account: str) -> None:
        self.sock = connect(port)
        self.sock.recv(1000)
        for words in (f"USER {account}", f"PASS {PASSWORD}"):
            self.sock.sendall(words.encode() + b"\r\n")
            if not self.sock.recv(1000).startswith(b"+OK"):
                raise RuntimeError(words.split()[0])

    def retrieve(self, number: int) -> int:
        """One message; its octets on the wire."""
        self.sock.sendall(b"RETR %d\r\n" % number)
        count, tail = 0, b""
        while tail[-5:] != b"\r\n.\r\n":
            more = self.sock.recv(1 << 20)
            if not more or (not count and not more.startswith(b"+OK")):
                raise ConnectionError(more[:80])
            count += len(more)
            tail = (tail + more)[-5:]
        return count

    def close(self) -> None:
        self.sock.close()
