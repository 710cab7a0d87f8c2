"""A scripted SMTP server on a real socket: refuses, delays, breaks off or answers nonsense at any step.

`script[step]` is the reply at a step instead of the usual one: one reply, several (the last is repeated), DROP, SILENT, or ENDLESS. Steps
are greeting, EHLO, HELO, STARTTLS, HANDSHAKE, MAIL, RCPT, DATA, BODY (said after the first line of the message, and closed without
reading on), MESSAGE (the reply to the final dot), RSET, QUIT; a step may be narrowed to one recipient: "RCPT bob@far.example". A reply
that begins with 421 closes the connection when `closes` says so. Runs in a thread; the messages it accepted are in `messages`.
"""

import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field

from appliance.outbound.smtp_client import SmtpTimes

DROP, SILENT, ENDLESS = "<drop>", "<silent>", "<endless>"
USUAL = {
    "greeting": "220 mx.far.example ESMTP", "HELO": "250 mx.far.example", "STARTTLS": "220 go ahead", "MAIL": "250 2.1.0 ok",
    "RCPT": "250 2.1.5 ok", "DATA": "354 go ahead", "MESSAGE": "250 2.0.0 queued as 1", "RSET": "250 ok", "QUIT": "221 bye",
}  # fmt: skip

QUICK = SmtpTimes(connect_s=2.0, greeting_s=1.0, command_s=1.0, data_s=1.0, final_s=1.0, quit_s=1.0)
"""How long a client of a Peer waits where that one says nothing."""


@dataclass
class Taken:
    sender: str
    recipients: list[str]
    octets: bytes
    tls: bool


@dataclass
class Peer:
    offer: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 1000000", "DSN")
    script: dict[str, str | list[str]] = field(default_factory=dict)
    context: ssl.SSLContext | None = None
    messages: list[Taken] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    host: str = "127.0.0.1"
    most_recipients: int = 1000
    too_many: str = "452 4.5.3 too many recipients"
    """What is said to RCPT when a transaction has `most_recipients`."""
    most_of_connection: int = 10_000
    """The same for all transactions of a connection."""
    closes: bool = False
    implicit_tls: bool = False
    """TLS from the start."""
    octets_in: int = 0
    """Of messages, also of those that were not taken."""

    def __enter__(self) -> "Peer":
        self._listener = socket.create_server((self.host, self.port), family=socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with suppress(OSError, EOFError, ValueError):
            _Session(self, sock).run()
        with suppress(OSError):
            sock.close()

    def answer(self, step: str, about: str = "") -> str:
        key = f"{step} {about}" if f"{step} {about}" in self.script else step
        replied = self.script.get(key)
        if isinstance(replied, list):
            return replied.pop(0) if len(replied) > 1 else replied[0]
        if replied is not None:
            return replied
        if step == "EHLO":
            offer = self.offer + (("STARTTLS",) if self.context or "STARTTLS" in self.script or "HANDSHAKE" in self.script else ())
            lines = ["mx.far.example", *offer]
            return "\r\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"])
        return USUAL.get(step, "500 5.5.1 what?")


class _Session:
    def __init__(self, peer: Peer, sock: socket.socket) -> None:
        self._peer = peer
        self._sock = sock
        self._tls = peer.implicit_tls
        if peer.implicit_tls and peer.context is not None:
            self._sock = peer.context.wrap_socket(sock, server_side=True)
        self._file = self._sock.makefile("rb")

    def reply(self, step: str, about: str = "") -> str:
        text = self._peer.answer(step, about)
        self.speak(text)
        return text

    def speak(self, text: str) -> None:
        if text == DROP:
            self._sock.shutdown(socket.SHUT_RDWR)
            raise EOFError
        if text == SILENT:
            threading.Event().wait(60)
            raise EOFError
        if text == ENDLESS:
            while True:
                self._sock.sendall(b"250-and another thing\r\n" * 500)
        self._sock.sendall(text.encode() + b"\r\n")
        if text.startswith("421") and self._peer.closes:
            raise EOFError

    def run(self) -> None:
        if not self.reply("greeting").startswith("220"):
            return
        sender, recipients, mailed, count = "", [], False, 0
        while line := self._file.readline():
            words = line.decode("utf-8", "replace").strip()
            self._peer.commands.append(words)
            verb = words.split(" ", 1)[0].upper()
            address = words.partition("<")[2].partition(">")[0]
            if verb == "DATA":
                if self.reply("DATA").startswith("354"):
                    self._message(sender, recipients)
                continue
            if verb == "RCPT" and not mailed:
                self.speak("503 5.5.1 MAIL comes first")
                continue
            count += verb == "RCPT"
            if verb == "RCPT" and (len(recipients) >= self._peer.most_recipients or count > self._peer.most_of_connection):
                self.speak(self._peer.too_many)
                continue
            replied = self.reply(verb, address)
            if verb == "MAIL":
                sender, recipients, mailed = address, [], replied.startswith("2")
            elif verb == "RCPT" and replied.startswith("2"):
                recipients.append(address)
            elif verb == "STARTTLS" and replied.startswith("220"):
                self._start_tls()
            elif verb == "QUIT":
                return

    def _start_tls(self) -> None:
        if self._peer.context is None or self._peer.script.get("HANDSHAKE") == DROP:
            self._file.read1(4096)  # the client's first words
            self._sock.sendall(b"this is no handshake\r\n")
            raise EOFError
        self._file.close()
        self._sock = self._peer.context.wrap_socket(self._sock, server_side=True)
        self._file = self._sock.makefile("rb")
        self._tls = True

    def _message(self, sender: str, recipients: list[str]) -> None:
        lines = []
        while (line := self._file.readline()) != b".\r\n":
            if not line:
                raise EOFError
            self._peer.octets_in += len(line)
            if "BODY" in self._peer.script:
                self.speak(self._peer.answer("BODY"))
                self._file.close()  # with octets unread: the kernel answers what follows with a reset
                raise EOFError
            lines.append(line[1:] if line.startswith(b".") else line)
        replied = self._peer.answer("MESSAGE")
        if replied.startswith("2") and recipients:
            self._peer.messages.append(Taken(sender, list(recipients), b"".join(lines), self._tls))
        self.speak(replied)
