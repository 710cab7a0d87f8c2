"""The process is killed or stopped during transfers: nothing acknowledged is lost, duplicated or truncated, and it is back soon.

Power cuts, where storage loses writes as well, are tested in `tests/crash`; here the kernel keeps what was written.
"""

import random
import re
import socket
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.support.figures import report_figure
from tests.support.server import Pillarbox, new_data
from tests.support.wire import Imap, Smtp, eventually, faults, message

BACK_S = 5.0
"""Promise 2."""


def names_in(server: Pillarbox) -> Counter[str]:
    """How often each message is in Ada's INBOX, by its name; checks that each is complete."""
    with Imap(server.ports["imap"], select="INBOX") as imap:
        found: Counter[str] = Counter()
        for response in imap.ok(b"UID FETCH 1:* (UID BODY.PEEK[])"):
            if b"BODY[]" not in response:
                continue
            octets = response.partition(b"}\r\n")[2].removesuffix(b")")
            subject = re.search(rb"\r\nSubject: (\S+)\r\n", octets)
            assert subject and octets.endswith(b"\r\n" + subject[1] * 50 + b"\r\n"), f"half a message: {octets[:300]!r}"
            found[subject[1].decode()] += 1
        return found


def whole(name: str) -> bytes:
    return message(name, b"first\r\n" + name.encode() * 50 + b"\r\n")


class Sender(threading.Thread):
    """Sends or appends messages one after the other until the connection breaks; records which were acknowledged."""

    def __init__(self, server: Pillarbox, route: str, number: int) -> None:
        super().__init__(daemon=True)
        self.route, self.number, self.server = route, number, server
        self.acknowledged: list[str] = []
        self.uids: list[int] = []
        self.tried = 0

    def run(self) -> None:
        try:
            self._smtp() if self.route == "smtp" else self._imap()
        except (OSError, AssertionError):
            return

    def _next(self) -> str:
        self.tried += 1
        return f"{self.route}-{self.number}-{time.monotonic_ns()}"

    def _smtp(self) -> None:
        with Smtp(self.server.ports["smtp"]) as smtp:
            while smtp.deliver(whole(name := self._next())).startswith(b"250"):
                self.acknowledged.append(name)

    def _imap(self) -> None:
        with Imap(self.server.ports["imap"]) as imap:
            while (said := imap.append(whole(name := self._next()))).startswith(b"OK"):
                self.acknowledged.append(name)
                self.uids.append(int(said.split()[3].rstrip(b"]")))


def restarted(server: Pillarbox) -> float:
    """Start again after a crash; seconds until a client was served."""
    since = time.monotonic()
    server.start()
    with Imap(server.ports["imap"], select="INBOX"), Smtp(server.ports["smtp"]):
        pass
    return time.monotonic() - since


def test_killed_while_receiving(tmp_path: Path) -> None:
    """SIGKILL at any moment of DATA, APPEND and their commits, several times over."""
    server = Pillarbox(new_data(tmp_path / "data")).start()
    chance = random.Random(1)
    acknowledged: list[str] = []
    top, slowest = 0, 0.0
    try:
        for round_ in range(4):
            senders = [Sender(server, route, number + 10 * round_) for number in range(3) for route in ("smtp", "imap")]
            for sender in senders:
                sender.start()
            assert eventually(lambda running=senders: any(sender.acknowledged for sender in running)), "nothing was being transferred"
            time.sleep(0.5 * chance.random())
            server.kill()
            for sender in senders:
                sender.join(30)
                acknowledged += sender.acknowledged
                assert all(uid > top for uid in sender.uids), "a UID was given twice"
            top = max([top, *(uid for sender in senders for uid in sender.uids)])
            slowest = max(slowest, restarted(server))
            found = names_in(server)
            assert not [name for name in acknowledged if found[name] != 1], "acknowledged, but not there exactly once"
            assert not [name for name, count in found.items() if count > 1]
        report_figure("back after SIGKILL, 5 s", f"{slowest:.2f} s, {len(acknowledged)} messages acknowledged, none lost")
        assert slowest < 10 * BACK_S
        assert not faults(server.log)
    finally:
        server.stop()


def test_killed_during_a_message(tmp_path: Path) -> None:
    """Large messages partly received by DATA, BDAT and APPEND: afterwards they are in no mailbox and leave no files."""
    server = Pillarbox(new_data(tmp_path / "data")).start()
    try:
        chunk = b"x" * 70 + b"\r\n"
        smtp, chunked, imap = Smtp(server.ports["smtp"]), Smtp(server.ports["smtp"]), Imap(server.ports["imap"])
        assert smtp.begin(b"ada@home.example").startswith(b"354")
        smtp.send(message("half") + chunk * 20_000)
        assert chunked.ask(b"MAIL FROM:<a@elsewhere.example>").startswith(b"250")
        assert chunked.ask(b"RCPT TO:<ada@home.example>").startswith(b"250")
        chunked.send(b"BDAT 1440000 LAST\r\n" + chunk * 10_000)
        imap.send(b"a APPEND INBOX {1440000+}\r\n" + chunk * 10_000)
        time.sleep(0.3)
        server.kill()
        restarted(server)
        assert not names_in(server)
        with Smtp(server.ports["smtp"]) as again:
            assert again.deliver(whole("next")).startswith(b"250")
        assert names_in(server) == Counter(["next"])
        files = [path for path in (server.data / "bodies").rglob("*") if path.is_file() and path.stat().st_size]
        left = [path for path in files if path.name != "server-id"]
        assert not left, f"files of messages that were never accepted: {left}"
    finally:
        server.stop()


def test_sigterm_finishes_the_message_in_progress(tmp_path: Path) -> None:
    """SIGTERM: no new connections, idle clients get BYE, the message in progress is accepted, exit status 0."""
    server = Pillarbox(new_data(tmp_path / "data")).start()
    with Imap(server.ports["imap"], select="INBOX") as idle, Imap(server.ports["imap"]) as quiet, Smtp(server.ports["smtp"]) as busy:
        tag = idle.start(b"IDLE")
        assert idle.line().startswith(b"+")
        assert busy.begin(b"ada@home.example").startswith(b"354")
        octets = whole("under-way")
        busy.send(octets[:200])
        said: list[bytes] = []

        def finish() -> None:
            said.extend((idle.rest(), quiet.rest()))
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", server.ports["smtp"]), 5)
            busy.send(octets[200:] + b".\r\n")
            said.append(busy.reply())

        other = threading.Thread(target=finish)
        other.start()
        since = time.monotonic()
        status = server.stop()
        other.join(30)
        report_figure("SIGTERM with a message in progress", f"{time.monotonic() - since:.2f} s")
    assert status == 0
    assert b"* BYE" in said[0] and tag not in said[0]
    assert b"* BYE" in said[1]
    assert said[2].startswith(b"250"), said
    with Pillarbox(server.data) as again:
        assert names_in(again) == Counter(["under-way"])
