"""Mutated sessions for a running server, and the grammar that its responses must follow."""

import random
import re
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

DIALOGS = Path(__file__).resolve().parents[1] / "dialogs"

WORDS: dict[str, tuple[bytes, ...]] = {
    "smtp": (
        b"EHLO x\r\n", b"HELO x\r\n", b"MAIL FROM:<a@b.example>\r\n", b"MAIL FROM:<>\r\n", b"RCPT TO:<ada@home.example>\r\n", b"DATA\r\n",
        b"BDAT 5 LAST\r\nhello", b"BDAT 0 LAST\r\n", b"RSET\r\n", b"NOOP\r\n", b"VRFY ada\r\n", b"HELP\r\n", b"AUTH PLAIN\r\n",
        b"AUTH LOGIN\r\n", b"*\r\n", b".\r\n", b"\r\n.\r\n", b"Subject: x\r\n\r\nbody\r\n.\r\n", b" SIZE=99999999999", b" BODY=BINARYMIME", b"QUIT\r\n",
    ),
    "imap": (
        b"a LOGIN ada@home.example Correct-Horse-7\r\n", b"a CAPABILITY\r\n", b"a SELECT INBOX\r\n", b'a LIST "" "*"\r\n', b"a NOOP\r\n",
        b"a FETCH 1:* (UID FLAGS BODY.PEEK[]<0.10>)\r\n", b"a UID SEARCH RETURN (MIN MAX) OR SEEN NOT (TEXT x)\r\n", b"a STORE 1 +FLAGS (\\Seen x)\r\n",
        b"a APPEND INBOX {5+}\r\nhello\r\n", b"a APPEND INBOX {5}\r\n", b"{4294967295}\r\n", b"{1000+}\r\n", b"((((((((", b"))))", b"a IDLE\r\n", b"DONE\r\n",
        b"a AUTHENTICATE PLAIN\r\n", b"*\r\n", b"a STATUS INBOX (MESSAGES SIZE)\r\n", b"a COPY 1 Trash\r\n", b"a UID MOVE 1:4294967295 Trash\r\n",
        b"a CREATE &AOk-/x\r\n", b"a RENAME x y\r\n", b"a DELETE x\r\n", b"a EXPUNGE\r\n", b"a LOGOUT\r\n", b"a ENABLE CONDSTORE\r\n", b"~{3+}\r\nabc",
        b"a ENABLE QRESYNC UIDONLY IMAP4rev2\r\n", b"a SELECT INBOX (QRESYNC (1 1 1:5 (1 1)))\r\n", b"a UNAUTHENTICATE\r\n",
        b"a UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)\r\n", b"a NOTIFY SET (personal (MessageNew MessageExpunge))\r\n",
        b"a REPLACE 1 INBOX {3+}\r\nabc\r\n", b"a UID REPLACE 1 INBOX {3}\r\n", b"a APPEND INBOX CATENATE (TEXT {3+}\r\nabc URL ;UID=1)\r\n",
        b"a GETMETADATA INBOX (DEPTH infinity) /private/a\r\n", b"a SETMETADATA INBOX (/private/a NIL /private/b {3+}\r\nabc)\r\n",
        b"a GETQUOTAROOT INBOX\r\n", b"a UIDBATCHES 500 1:2\r\n",
    ),
    "pop3": (
        b"USER ada@home.example\r\n", b"PASS Correct-Horse-7\r\n", b"CAPA\r\n", b"STAT\r\n", b"LIST\r\n", b"UIDL 1\r\n", b"RETR 1\r\n", b"TOP 1 5\r\n",
        b"DELE 1\r\n", b"RSET\r\n", b"NOOP\r\n", b"AUTH PLAIN\r\n", b"*\r\n", b"QUIT\r\n", b"RETR 99999999999999999999\r\n", b"TOP -1 -1\r\n",
    ),
}  # fmt: skip
BITS = (
    b"\0",
    b"\r",
    b"\n",
    b"\r\n",
    b"\xff\xfe",
    b'"',
    b"\\",
    b"{",
    b"}",
    b"(",
    b")",
    b"%",
    b"*",
    b"<",
    b">",
    b"A" * 3000,
    b"1:" * 50,
    b" " * 100,
    b"\t",
)
ANSWERS: dict[str, "re.Pattern[bytes]"] = {
    "smtp": re.compile(rb"[2-5][0-5][0-9][ -][^\r\n]*\r\n"),
    "imap": re.compile(rb"(?:\+ ?[^\r\n]*|\* [^\r\n]*|[!-~]+ (?:OK|NO|BAD) [^\r\n]*)\r\n"),
    "pop3": re.compile(rb"(?:\+OK|-ERR|\+ )[^\r\n]*\r\n"),
}
FAULTS = (b"SERVERBUG", b"Traceback", b"451 4.3.0")
"""What a fault of ours would say; broken input must never lead to it."""
SESSION_S = 5.0


def seeds(protocol: str) -> list[bytes]:
    """Client lines of the dialogs, and the dictionary."""
    lines = list(WORDS[protocol])
    for path in sorted((DIALOGS / protocol).glob("*.txt")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("C: "):
                lines.append(line[3:].encode() + b"\r\n")
    return lines


def conversation(protocol: str, known: list[bytes], chance: random.Random) -> list[bytes]:
    """Some lines in a new order, some of them mutated."""
    out = []
    if protocol != "smtp" and chance.random() < 0.7:
        out += WORDS[protocol][:2] if protocol == "pop3" else WORDS[protocol][:1]
    for _ in range(chance.randint(1, 12)):
        line = bytearray(chance.choice(known))
        for _ in range(chance.choice((0, 0, 0, 1, 1, 2, 5))):
            at = chance.randint(0, len(line))
            kind = chance.random()
            if kind < 0.5:
                line[at:at] = chance.choice(BITS)
            elif kind < 0.7:
                del line[at : at + chance.randint(1, 8)]
            elif kind < 0.85 and line:
                line[min(at, len(line) - 1)] = chance.randrange(256)
            else:
                line[at:at] = chance.choice(known)
        out.append(bytes(line))
    if chance.random() < 0.1:
        out.append(chance.randbytes(chance.randint(1, 5000)))
    return out


@dataclass(slots=True)
class Outcome:
    sessions: int = 0
    octets: int = 0
    worst_s: float = 0.0
    """The longest time for a message, where messages are sent meanwhile."""
    faults: list[str] = field(default_factory=list)


def converse(protocol: str, port: int, lines: list[bytes]) -> tuple[bytes, bool]:
    """Send all lines and read; (octets received, whether the server closed or answered in time)."""
    with socket.create_connection(("127.0.0.1", port), timeout=SESSION_S) as sock:
        heard = bytearray()
        try:
            for line in lines:
                sock.sendall(line)
                sock.settimeout(0.002)
                with suppress(TimeoutError):
                    heard += sock.recv(1 << 16)
                sock.settimeout(SESSION_S)
            sock.shutdown(socket.SHUT_WR)
            while more := sock.recv(1 << 16):
                heard += more
        except TimeoutError:
            return bytes(heard), False
        except (ConnectionError, ssl.SSLError):
            pass
        return bytes(heard), True


def garbled(protocol: str, heard: bytes) -> bytes:
    """The first response line that is not in the protocol's grammar, or b"" (the check ends at messages and literals)."""
    at = 0
    while at < len(heard):
        match = ANSWERS[protocol].match(heard, at)
        if not match:
            rest = heard[at : at + 200]
            return b"" if rest.find(b"\n") < 0 else rest
        line = match.group()
        if (protocol == "pop3" and line.startswith(b"+OK")) or re.search(rb"\{\d+\}\r\n$", line):
            return b""
        at = match.end()
    return b""


def fuzz(protocol: str, port: int, *, seconds: float, seed: int) -> Outcome:
    """Bounded in time; every fault with the lines that led to it."""
    chance = random.Random(seed)
    known = seeds(protocol)
    outcome = Outcome()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        lines = conversation(protocol, known, chance)
        heard, ended = converse(protocol, port, lines)
        outcome.sessions += 1
        outcome.octets += sum(map(len, lines))
        bad = garbled(protocol, heard)
        internal = next((fault for fault in FAULTS if fault in heard), b"")
        if not ended or bad or internal:
            why = "no end in time" if not ended else f"garbled: {bad!r}" if bad else f"sent {internal!r}"
            outcome.faults.append(f"{protocol} seed {seed} session {outcome.sessions}: {why}; lines {lines!r}"[:3000])
            if len(outcome.faults) > 5:
                break
    return outcome
