"""Hostile input to the running server: bombs, nesting, endless lines and names get a clear reply; all costs stay bounded."""

import os
import random
import re
import threading
import time

import pytest

from tests.support.figures import report_figure
from tests.support.server import PASSWORD, Pillarbox
from tests.support.wire import Imap, Pop3, Smtp, Wire, cpu_s, memory_octets, message

MIB = 2**20
CPU_S = 5.0
GROWTH_OCTETS = 48 * MIB
"""Promise 4: one message, one command, one session."""
HEAD = (
    b"From: a@elsewhere.example\r\nTo: ada@home.example\r\nSubject: bomb\r\nDate: Tue, 1 Jul 2025 10:00:00 +0000\r\nMIME-Version: 1.0\r\n"
)
FOUR_GIB = 4294967295


def many_parts(count: int) -> bytes:
    return HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * count + b"--b--\r\n"


def many_levels(levels: int) -> bytes:
    opening = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(levels))
    return HEAD + opening + b"\r\nx\r\n" + b"".join(b"--b%d--\r\n" % n for n in reversed(range(levels)))


def messages_in_messages(levels: int) -> bytes:
    return HEAD + b"Content-Type: message/rfc822\r\n\r\n" * levels + b"Subject: innermost\r\n\r\nx\r\n"


def many_parameters(count: int) -> bytes:
    return HEAD + b"Content-Type: text/plain;\r\n" + b"".join(b" name*%d=x;\r\n" % n for n in range(count)) + b" charset=utf-8\r\n\r\nx\r\n"


BOMBS = {
    "10,000 parts": many_parts(10_000),
    "500 levels of multipart": many_levels(500),
    "500 messages in messages": messages_in_messages(500),
    "10,000 parameters (RFC 2231)": many_parameters(10_000),
    "a header of 200 KB": HEAD + b"X-Long: " + b"x" * 900 + b"\r\n" + b"X-Many: y\r\n" * 18_000 + b"\r\nx\r\n",
}
TOO_MUCH = {
    "a header of 8 MB": HEAD + b"X-Many: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 150_000 + b"\r\nx\r\n",
    "100,000 From fields": HEAD + b"From: a@b.example\r\n" * 100_000 + b"\r\nx\r\n",
    "one line of 8 MB": HEAD + b"\r\n" + b"x" * 8 * MIB + b"\r\n",
    "100 hops": b"Received: from a by b; Tue, 1 Jul 2025 10:00:00 +0000\r\n" * 100 + HEAD + b"\r\nx\r\n",
}
COMMANDS = (
    b"UID FETCH * (ENVELOPE BODYSTRUCTURE RFC822.SIZE)",
    b"UID FETCH * (BODY[1] BODY[1.1.1.1] BODY[HEADER.FIELDS (SUBJECT)] BODY[9999.MIME])",
    b"UID SEARCH TEXT innermost",
)


class Spent:
    """Measures and checks CPU time and memory of the server during a block."""

    def __init__(self, server: Pillarbox, what: str) -> None:
        self.server, self.what = server, what

    def __enter__(self) -> None:
        self.cpu, self.memory = cpu_s(self.server.pid), memory_octets(self.server.pid)

    def __exit__(self, kind: object, *_: object) -> None:
        if kind:
            return
        cpu = cpu_s(self.server.pid) - self.cpu
        growth = memory_octets(self.server.pid) - self.memory
        if cpu > CPU_S / 10 or growth > GROWTH_OCTETS / 10:
            report_figure(f"{self.what}, 5 s of processor, 48 MiB", f"{cpu:.2f} s, {growth / MIB:+.1f} MiB")
        assert cpu < 10 * CPU_S
        assert growth < GROWTH_OCTETS


class Meanwhile:
    """Another session during a block: checks how long its responses take at most, by promise 3."""

    def __init__(self, server: Pillarbox, what: str) -> None:
        self.imap, self.what = Imap(server.ports["imap"]), what
        self.over = threading.Event()
        self.slowest_s = 0.0
        self.asking = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        while not self.over.wait(0.01):
            since = time.monotonic()
            self.imap.ok(b"NOOP")
            self.slowest_s = max(self.slowest_s, time.monotonic() - since)

    def __enter__(self) -> None:
        self.asking.start()

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.asking.join()
        self.imap.close()
        if self.slowest_s > 0.3:
            report_figure(f"others delayed by {self.what}", f"{self.slowest_s:.2f} s")
        assert self.slowest_s < 5.0


@pytest.mark.parametrize("what", BOMBS)
def test_mime_bombs_are_stored_unchanged(server: Pillarbox, what: str) -> None:
    """Accepted by SMTP and APPEND, described up to a depth, and returned octet for octet."""
    octets = BOMBS[what]
    with Imap(server.ports["imap"]) as imap:
        imap.ok(b"CREATE " + (box := b"Bombs-%d" % list(BOMBS).index(what)))
        with Spent(server, f"{what} by SMTP"), Smtp(server.ports["smtp"]) as smtp:
            assert smtp.deliver(octets).startswith(b"250")
        with Spent(server, f"{what} by APPEND"):
            assert imap.append(octets, mailbox=box).startswith(b"OK")
        for name in (b"INBOX", box):
            imap.ok(b"SELECT " + name)
            for command in COMMANDS if name == box else COMMANDS[:2]:
                with Spent(server, f"{what}: {command[:16].decode()}"), Meanwhile(server, what):
                    imap.ok(command)
            whole = next(line for line in imap.ok(b"UID FETCH * BODY.PEEK[]") if b"BODY[]" in line)
            assert octets in whole


@pytest.mark.parametrize("what", TOO_MUCH)
def test_excessive_headers_are_refused(server: Pillarbox, what: str) -> None:
    """Over SMTP a 5xx with a reason; APPEND accepts them, and reading them costs little."""
    octets = TOO_MUCH[what]
    with Spent(server, what):
        with Smtp(server.ports["smtp"]) as smtp:
            assert re.match(rb"5[0-9][0-9] 5\.", smtp.deliver(octets))
        with Imap(server.ports["imap"]) as imap:
            box = b"Much-%d" % list(TOO_MUCH).index(what)
            imap.ok(b"CREATE " + box)
            said = imap.append(octets, mailbox=box)
            assert said.startswith((b"OK", b"NO")), said
            if said.startswith(b"OK"):
                imap.ok(b"SELECT " + box)
                for command in COMMANDS:
                    imap.ok(command)


def test_four_gib_are_refused_before_the_continuation(server: Pillarbox) -> None:
    """Synchronizing: NO [TOOBIG] or a 552 and no continuation; non-synchronizing: BYE. Nothing is allocated."""
    with Spent(server, "announced messages of 4 GiB"):
        with Imap(server.ports["imap"]) as imap:
            assert imap.run(b"APPEND INBOX {%d}" % FOUR_GIB)[1].startswith(b"NO [TOOBIG]")
            assert imap.run(b"APPEND INBOX {99999999999999999999999}")[1].startswith((b"BAD", b"NO [TOOBIG]"))
            assert imap.run(b"CREATE {%d}" % FOUR_GIB)[1].startswith((b"BAD", b"NO [TOOBIG]"))
            imap.ok(b"NOOP")
            imap.send(b"b APPEND INBOX {%d+}\r\n" % FOUR_GIB)
            imap.try_send(b"x" * 100_000)
            assert b"* BYE" in imap.rest()
        with Smtp(server.ports["smtp"]) as smtp:
            assert smtp.ask(b"MAIL FROM:<a@elsewhere.example> SIZE=%d" % FOUR_GIB).startswith(b"552 5.3.4")
            assert smtp.ask(b"MAIL FROM:<a@elsewhere.example>").startswith(b"250")
            assert smtp.ask(b"RCPT TO:<ada@home.example>").startswith(b"250")
            assert smtp.ask(b"BDAT %d LAST" % FOUR_GIB).startswith(b"5")


@pytest.mark.parametrize("literal", [b"{%d}", b"{%d+}", b"{5000}", b"{5000+}", b"{1025}"])
def test_literals_before_login(server: Pillarbox, literal: bytes) -> None:
    """At most 1 KiB, whichever way it is announced."""
    literal = literal % FOUR_GIB if b"%d" in literal else literal
    with Imap(server.ports["imap"], "") as imap:
        imap.send(b"a LOGIN " + literal + b"\r\n")
        if b"+" in literal:
            imap.try_send(b"x" * 5000 + b" {3+}\r\nabc\r\n")
        said = imap.line()
        assert not said.startswith(b"+"), said
        assert re.match(rb"a (?:BAD|NO) |\* BYE ", said), said


@pytest.mark.parametrize("port", ["smtp", "submission", "imap", "pop3", "submissions", "imaps", "pop3s"])
def test_endless_lines(server: Pillarbox, port: str) -> None:
    """A line that never ends gets a reply or closes the connection; it is not buffered."""
    with Spent(server, f"an endless line on {port}"), Wire(server.ports[port], tls=port.endswith("s")) as wire:
        went = 0
        try:
            for _ in range(1024):
                wire.send(b"x" * 2**16)
                went += 1
        except OSError:
            pass
        if went == 1024:  # read and discarded: then there is a reply
            wire.send(b"\r\n")
        assert wire.line(), "not even a greeting"


NESTED = (
    b"FETCH 1 " + b"(" * 50_000,
    b"SEARCH " + b"(" * 30_000 + b"ALL" + b")" * 30_000,
    b"SEARCH " + b"NOT " * 15_000 + b"ALL",
    b"SEARCH " + b"OR " * 15_000 + b"ALL",
    b'LIST "" ' + b"(" * 60_000,
    b'LIST "" "' + b"*a" * 400 + b'"',
    b"STORE 1 +FLAGS " + b"(" * 60_000,
    b"FETCH " + b"1:*," * 15_000 + b"1 UID",
    b"UID SEARCH UID " + b"1:4294967295," * 4000 + b"1",
)


@pytest.mark.parametrize("command", NESTED, ids=lambda command: command[:12].decode())
def test_deeply_nested_commands(server: Pillarbox, command: bytes) -> None:
    """CVE-2026-42006 and similar: a reply after bounded work, and the session continues."""
    with Spent(server, f"depth {command[:12].decode()!r}"), Imap(server.ports["imap"], select="INBOX") as imap:
        assert imap.run(command)[1].startswith((b"BAD", b"NO", b"OK"))
        imap.ok(b"NOOP")


NAMES = (
    b"../../etc/passwd", b"..", b"/etc/passwd", b"a/../b", b"./a", b"a//b", b"/", b"~mary/INBOX", b"mary@home.example/INBOX",
    b"#shared/mary/INBOX", b"user/mary@home.example", b"a\\x00b", b"&", b"&AC8-", b"&AAA-", b"&2AA-", b"INBOX/../Trash",
    b"x" * 2000, b"/".join([b"l"] * 200), b"a*b", b"a%b",
)  # fmt: skip


def test_mailbox_names_give_no_access_to_other_accounts(server: Pillarbox) -> None:
    """Path traversal, NUL, invalid UTF-7 and other accounts' mailboxes: whatever is created is in the own account, and only a name."""
    files = {path for path in server.data.rglob("*") if "bodies" not in path.parts}
    with Imap(server.ports["imap"], "mary@home.example") as mary:
        mary.ok(b"CREATE Private")
        assert mary.append(message("secret"), mailbox=b"Private").startswith(b"OK")
        before = sorted(mary.ok(b'LIST "" "*"'))
        with Imap(server.ports["imap"]) as ada:
            for name in NAMES:
                for command in (b"SELECT", b"STATUS", b"CREATE", b"DELETE", b"SUBSCRIBE", b"RENAME"):
                    more = {b"STATUS": b" (MESSAGES)", b"RENAME": b" Other"}.get(command, b"")
                    assert ada.run(b"%b {%d+}\r\n%b%b" % (command, len(name), name, more))[1][:2] in (b"OK", b"NO", b"BA"), name
                    ada.run(b"DELETE Other")
            for command in (
                b"CREATE a\0b",
                b"CREATE {3+}\r\na\0b",
                b'CREATE "a\0b"',
                b"SELECT Private",
                b"STATUS Private (MESSAGES)",
                b"DELETE Private",
            ):
                said = ada.run(command)[1]
                assert said.startswith((b"NO", b"BAD")), (command, said)
            listed = b"\n".join(ada.ok(b'LIST "" "*"') + ada.ok(b'LIST "" "../*"') + ada.ok(b'LSUB "" "*"'))
            assert b"Private" not in listed
            assert b"secret" not in b"\n".join(ada.run(b"SELECT INBOX")[0] + ada.run(b"UID FETCH 1:* (ENVELOPE)")[0])
        assert sorted(mary.ok(b'LIST "" "*"')) == before
        assert any(b"MESSAGES 1" in line for line in mary.ok(b"STATUS Private (MESSAGES)"))
    assert {path for path in server.data.rglob("*") if "bodies" not in path.parts} <= files | {server.data / "pillarbox.db-journal"}


def test_random_octets_on_every_port(server: Pillarbox) -> None:
    """Any octets, TLS ports with and without a handshake: the connection ends in time and others are served. `tests/fuzz` runs longer."""
    seed = int(os.environ.get("PILLARBOX_SEED", "0")) or random.randrange(2**30)
    print(f"PILLARBOX_SEED={seed}")
    chance = random.Random(seed)
    with Spent(server, "random octets on seven ports"):
        for round_ in range(70):
            port = sorted(server.ports)[round_ % 7]
            tls = chance.random() < 0.5 and port in ("imaps", "pop3s", "submissions")
            with Wire(server.ports[port], tls=tls, source=f"127.0.5.{1 + round_}") as wire:
                wire.try_send(chance.randbytes(chance.randrange(1, 20_000)))
                wire.try_send(b"\r\n" * 100)
        since = time.monotonic()
        with Imap(server.ports["imap"], select="INBOX"), Pop3(server.ports["pop3"]), Smtp(server.ports["smtp"]):
            report_figure("served after random octets", f"{time.monotonic() - since:.2f} s")


@pytest.mark.parametrize("port", ["smtp", "submission", "imap", "pop3"])
def test_commands_pipelined_with_starttls_are_not_executed(server: Pillarbox, port: str) -> None:
    """Plaintext commands in one packet with STARTTLS get no response inside TLS."""
    start, injected = {
        "imap": (b"a STARTTLS\r\n", b"b LOGIN ada@home.example %b\r\nc CAPABILITY\r\n" % PASSWORD.encode()),
        "pop3": (b"STLS\r\n", b"CAPA\r\n"),
    }.get(port, (b"EHLO x\r\nSTARTTLS\r\n", b"NOOP\r\nMAIL FROM:<a@elsewhere.example>\r\n"))
    with Wire(server.ports[port]) as wire:
        wire.send(start + injected)
        wire.socket.settimeout(3)
        try:
            while not re.search(rb"(?m)^(?:a OK|\+OK Beg|220 2|\+OK)[^\n]*\n\Z", wire.held) and wire.more():
                pass
            wire.held = b""
            wire.start_tls()
            wire.send({"imap": b"z NOOP\r\n", "pop3": b"NOOP\r\n"}.get(port, b"RSET\r\n"))
            inside = wire.rest()
        except OSError:
            return  # it closed the connection: correct as well
        assert not inside.startswith((b"b ", b"c ", b"* CAP")), inside
        assert inside.count(b"\n") <= 1, inside
