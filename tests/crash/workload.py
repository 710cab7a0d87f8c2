"""A small workload: messages by SMTP and APPEND, flags, copies, moves, expunges, mailboxes, POP3 deletions.

Each message has a token. Every request is recorded as a Step before it is sent; the octets of its response, unique by tag or
message id, locate in the trace the instant at which the promise was given.
"""

import imaplib
import poplib
import random
import re
import smtplib
import threading
from dataclasses import dataclass, field

from tests.support.server import PASSWORD, Pillarbox

ACCOUNT = "ada@home.example"
BOXES = ("INBOX", "Archive", "Sent")


@dataclass(slots=True)
class Step:
    """A request about one message and, once answered, the octets of the response that promised it.

    kind: deliver | append | flag | unflag | copy | move | expunge | fetch-delete. `uid` is the one reported (0: none).
    """

    token: str
    kind: str
    box: str = ""
    flag: str = ""
    uid: int = 0
    promise: bytes = b""


@dataclass(slots=True)
class Seen:
    """The state of a mailbox as a client read it: MODSEQ sent, {uid: (token, flags)}."""

    box: str
    validity: int
    modseq: int
    uid_next: int
    messages: dict[int, tuple[str, frozenset[str]]]
    promise: bytes


@dataclass(slots=True)
class Ledger:
    steps: list[Step] = field(default_factory=list)
    looks: list[Seen] = field(default_factory=list)
    bodies: dict[str, bytes] = field(default_factory=dict)
    """Token to the message's octets after the server's own prefix."""

    def step(self, step: Step) -> Step:
        """Record a request before it is sent (appending to the list is atomic: several threads do it)."""
        self.steps.append(step)
        return step


def message(token: str, chance: random.Random) -> bytes:
    """Small ones, and now and then one large enough for a file of its own."""
    kind = chance.random()
    head = (
        f"From: b@outside.example\r\nTo: {ACCOUNT}\r\nSubject: {token}\r\nX-Token: {token}\r\n"
        f"Message-ID: <{token}@x>\r\nDate: Mon, 6 Oct 2025 12:00:00 +0000\r\n\r\n"
    )
    if kind < 0.8:
        body = "\r\n".join(f"line {n} of {token} {chance.random()}" for n in range(chance.randint(1, 60)))
    else:
        body = "\r\n".join(chance.randbytes(36).hex() for _ in range(3000))
    return (head + body + "\r\n").encode()


class Workload:
    def __init__(self, server: Pillarbox, seed: int) -> None:
        self.server = server
        self.chance = random.Random(seed)
        self.ledger = Ledger()
        self.count = 0
        self.tag = 0

    def new(self) -> tuple[str, bytes]:
        self.count += 1
        token = f"T{self.count:05d}X"
        octets = message(token, self.chance)
        self.ledger.bodies[token] = octets
        return token, octets

    def run(self, rounds: int) -> Ledger:
        imap = imaplib.IMAP4("127.0.0.1", self.server.ports["imap"])
        imap.login(ACCOUNT, PASSWORD)
        imap.tagpre = b"Z"  # tags unlike anything else the server says
        imap._tag = b""
        self.imap = imap
        for n in range(rounds):
            self.deliver_some(self.chance.choice((1, 1, 2, 6)))
            self.append(self.chance.choice(BOXES), self.chance.choice(((), ("\\Seen",), ("\\Flagged", "Blue"))))
            for box in BOXES:
                self.change(box)
            if n % 5 == 4:
                self.fetch_and_delete()
        for box in BOXES:
            self.look(box)
        imap.logout()
        return self.ledger

    def deliver_some(self, sessions: int) -> None:
        messages = [self.new() for _ in range(sessions)]

        def one(token: str, octets: bytes) -> None:
            step = self.ledger.step(Step(token, "deliver", "INBOX"))
            with smtplib.SMTP("127.0.0.1", self.server.ports["smtp"], local_hostname="outside.example") as smtp:
                smtp.ehlo()
                smtp.mail("b@outside.example")
                smtp.rcpt(ACCOUNT)
                code, text = smtp.data(octets)
                assert code == 250, (code, text)
                step.promise = text

        threads = [threading.Thread(target=one, args=pair) for pair in messages]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def ask(self, command: str, *arguments: str, uid: bool = False) -> tuple[bytes, list[bytes]]:
        """Run one command; (the octets of its tagged answer, all untagged lines)."""
        self.imap.untagged_responses.clear()
        words = ["UID", command] if uid else [command]
        tag = self.imap._new_tag()
        self.imap.send(tag + b" " + " ".join([*words, *arguments]).encode() + b"\r\n")
        lines = []
        while True:
            line = self.imap._get_line()
            while (literal := re.search(rb"\{(\d+)\}$", line)) is not None:
                line += b"\r\n" + self.imap.read(int(literal[1])) + self.imap._get_line()
            if line.startswith(tag + b" "):
                assert line.startswith(tag + b" OK"), line
                return line, lines
            lines.append(line)

    def append(self, box: str, flags: tuple[str, ...]) -> None:
        token, octets = self.new()
        step = self.ledger.step(Step(token, "append", box, " ".join(flags)))
        tag = self.imap._new_tag()
        self.imap.send(tag + f" APPEND {box} ({' '.join(flags)}) {{{len(octets)}}}\r\n".encode())
        while not self.imap._get_line().startswith(b"+"):
            pass
        self.imap.send(octets + b"\r\n")
        while not (line := self.imap._get_line()).startswith(tag):
            pass
        assert b"OK [APPENDUID" in line, line
        step.uid = int(line.split(b"]")[0].split()[-1])
        step.promise = line

    def look(self, box: str) -> Seen:
        _, lines = self.ask("SELECT", box)
        text = b"\n".join(lines)

        def number(name: bytes) -> int:
            found = re.search(name + rb" (\d+)\]", text)
            assert found, (name, text)
            return int(found[1])

        messages: dict[int, tuple[str, frozenset[str]]] = {}
        promise, lines = self.ask("FETCH", "1:*", "(UID FLAGS BODY.PEEK[HEADER.FIELDS (X-TOKEN)])", uid=True)
        for line in lines:
            if b"X-Token: " in line:
                uid = int(re.search(rb"UID (\d+)", line)[1])  # type: ignore[index]
                flags = re.search(rb"FLAGS \(([^)]*)\)", line)[1].decode().split()  # type: ignore[index]
                token = re.search(rb"X-Token: (\w+)", line)[1].decode()  # type: ignore[index]
                messages[uid] = (token, frozenset(f for f in flags if f != "\\Recent"))
        seen = Seen(box, number(rb"UIDVALIDITY"), number(rb"HIGHESTMODSEQ"), number(rb"UIDNEXT"), messages, promise)
        self.ledger.looks.append(seen)
        return seen

    def change(self, box: str) -> None:
        """One change to one message of a mailbox."""
        seen = self.look(box)
        if not seen.messages:
            return
        uid = self.chance.choice(list(seen.messages))
        token = seen.messages[uid][0]
        kind = self.chance.choice(("flag", "flag", "unflag", "copy", "move", "expunge"))
        if [t for t, _ in seen.messages.values()].count(token) > 1 or self.copies(token) > 1:
            kind = "flag" if self.copies(token) == 1 else ""
        if not kind:
            return
        if kind in ("flag", "unflag"):
            flag = self.chance.choice(("\\Seen", "\\Flagged", "\\Answered", "Blue", "Green"))
            step = self.ledger.step(Step(token, kind, box, flag, uid))
            step.promise = self.ask("STORE", str(uid), f"{'+' if kind == 'flag' else '-'}FLAGS.SILENT", f"({flag})", uid=True)[0]
        elif kind in ("copy", "move"):
            target = self.chance.choice([b for b in BOXES if b != box])
            step = self.ledger.step(Step(token, kind, box, target))
            answer, lines = self.ask(kind.upper(), str(uid), target, uid=True)
            copied = re.search(rb"\[COPYUID \d+ \d+ (\d+)\]", b"\n".join([answer, *lines]))
            assert copied, (answer, lines)
            step.uid, step.promise = int(copied[1]), answer
        else:
            step = self.ledger.step(Step(token, "flag", box, "\\Deleted", uid))
            step.promise = self.ask("STORE", str(uid), "+FLAGS.SILENT", "(\\Deleted)", uid=True)[0]
            step = self.ledger.step(Step(token, "expunge", box, "", uid))
            step.promise = self.ask("EXPUNGE", str(uid), uid=True)[0]

    def copies(self, token: str) -> int:
        return 1 + sum(step.kind == "copy" for step in self.ledger.steps if step.token == token)

    def fetch_and_delete(self) -> None:
        """POP3: the oldest message of the Inbox goes at QUIT."""
        pop = poplib.POP3("127.0.0.1", self.server.ports["pop3"])
        pop.user(ACCOUNT)
        pop.pass_(PASSWORD)
        count, _ = pop.stat()
        if not count:
            pop.quit()
            return
        _, lines, _ = pop.retr(1)
        token = next(line for line in lines if line.startswith(b"X-Token: "))[9:].decode()
        if self.copies(token) > 1:
            pop.quit()
            return
        # RETR marks as read, lazily: allowed to be there or not from here on
        self.ledger.step(Step(token, "may-see", "INBOX"))
        pop.dele(1)
        step = self.ledger.step(Step(token, "expunge", "INBOX"))
        pop._putcmd("QUIT")
        step.promise = pop._getline()[0]  # not unique: the trace takes the first such octets after the step before it
        pop.close()
