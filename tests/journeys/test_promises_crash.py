"""The process is killed or told to stop in the middle of things: nothing acknowledged is lost, doubled or halved, and it is back soon.

Power cuts, where the card forgets as well, are judged in `tests/crash`; here the kernel keeps what was written.
"""

import random
import re
import socket
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.support.figures import tell
from tests.support.house import House, new_data
from tests.support.wire import Imap, Smtp, eventually, faults, letter

BACK_S = 5.0
"""Promise 2."""


def names_in(house: House) -> Counter[str]:
    """How often each letter is in Ada's INBOX, by its name; every one whole."""
    with Imap(house.ports["imap"], select="INBOX") as imap:
        found: Counter[str] = Counter()
        for response in imap.ok(b"UID FETCH 1:* (UID BODY.PEEK[])"):
            if b"BODY[]" not in response:
                continue
            octets = response.partition(b"}\r\n")[2].removesuffix(b")")
            told = re.search(rb"\r\nSubject: (\S+)\r\n", octets)
            assert told and octets.endswith(b"\r\n" + told[1] * 50 + b"\r\n"), f"half a letter: {octets[:300]!r}"
            found[told[1].decode()] += 1
        return found


def whole(name: str) -> bytes:
    return letter(name, b"first\r\n" + name.encode() * 50 + b"\r\n")


class Sender(threading.Thread):
    """Hands in letters one after the other until the connection breaks; remembers which were acknowledged."""

    def __init__(self, house: House, way: str, number: int) -> None:
        super().__init__(daemon=True)
        self.way, self.number, self.house = way, number, house
        self.acknowledged: list[str] = []
        self.uids: list[int] = []
        self.tried = 0

    def run(self) -> None:
        try:
            self._smtp() if self.way == "smtp" else self._imap()
        except (OSError, AssertionError):
            return

    def _next(self) -> str:
        self.tried += 1
        return f"{self.way}-{self.number}-{time.monotonic_ns()}"

    def _smtp(self) -> None:
        with Smtp(self.house.ports["smtp"]) as smtp:
            while smtp.deliver(whole(name := self._next())).startswith(b"250"):
                self.acknowledged.append(name)

    def _imap(self) -> None:
        with Imap(self.house.ports["imap"]) as imap:
            while (said := imap.append(whole(name := self._next()))).startswith(b"OK"):
                self.acknowledged.append(name)
                self.uids.append(int(said.split()[3].rstrip(b"]")))


def restarted(house: House) -> float:
    """Start again after a crash; seconds until a client was served."""
    since = time.monotonic()
    house.start()
    with Imap(house.ports["imap"], select="INBOX"), Smtp(house.ports["smtp"]):
        pass
    return time.monotonic() - since


def test_killed_while_letters_come_in(tmp_path: Path) -> None:
    """SIGKILL at any moment of DATA, APPEND and their commits, several times over."""
    house = House(new_data(tmp_path / "data")).start()
    chance = random.Random(1)
    acknowledged: list[str] = []
    top, slowest = 0, 0.0
    try:
        for round_ in range(4):
            senders = [Sender(house, way, number + 10 * round_) for number in range(3) for way in ("smtp", "imap")]
            for sender in senders:
                sender.start()
            assert eventually(lambda under_way=senders: any(sender.acknowledged for sender in under_way)), "nothing was under way"
            time.sleep(0.5 * chance.random())
            house.kill()
            for sender in senders:
                sender.join(30)
                acknowledged += sender.acknowledged
                assert all(uid > top for uid in sender.uids), "a UID was given twice"
            top = max([top, *(uid for sender in senders for uid in sender.uids)])
            slowest = max(slowest, restarted(house))
            found = names_in(house)
            assert not [name for name in acknowledged if found[name] != 1], "acknowledged, but not there exactly once"
            assert not [name for name, count in found.items() if count > 1]
        tell("back after SIGKILL, 5 s", f"{slowest:.2f} s, {len(acknowledged)} letters acknowledged, none lost")
        assert slowest < 10 * BACK_S
        assert not faults(house.log)
    finally:
        house.stop()


def test_killed_in_the_middle_of_one_letter(tmp_path: Path) -> None:
    """Large letters of which a part has come by DATA, BDAT and APPEND: none of it shows afterwards, and none of it stays on the card."""
    house = House(new_data(tmp_path / "data")).start()
    try:
        piece = b"x" * 70 + b"\r\n"
        smtp, chunked, imap = Smtp(house.ports["smtp"]), Smtp(house.ports["smtp"]), Imap(house.ports["imap"])
        assert smtp.begin(b"ada@home.example").startswith(b"354")
        smtp.send(letter("half") + piece * 20_000)
        assert chunked.ask(b"MAIL FROM:<a@elsewhere.example>").startswith(b"250")
        assert chunked.ask(b"RCPT TO:<ada@home.example>").startswith(b"250")
        chunked.send(b"BDAT 1440000 LAST\r\n" + piece * 10_000)
        imap.send(b"a APPEND INBOX {1440000+}\r\n" + piece * 10_000)
        time.sleep(0.3)
        house.kill()
        restarted(house)
        assert not names_in(house)
        with Smtp(house.ports["smtp"]) as again:
            assert again.deliver(whole("next")).startswith(b"250")
        assert names_in(house) == Counter(["next"])
        files = [path for path in (house.data / "bodies").rglob("*") if path.is_file() and path.stat().st_size]
        left = [path for path in files if path.name != "server-id"]
        assert not left, f"what is left of letters that never were: {left}"
    finally:
        house.stop()


def test_stopped_in_order(tmp_path: Path) -> None:
    """SIGTERM: nobody new, the idle are told, the letter under way is taken, the exit is 0."""
    house = House(new_data(tmp_path / "data")).start()
    with Imap(house.ports["imap"], select="INBOX") as idle, Imap(house.ports["imap"]) as quiet, Smtp(house.ports["smtp"]) as busy:
        tag = idle.start(b"IDLE")
        assert idle.line().startswith(b"+")
        assert busy.begin(b"ada@home.example").startswith(b"354")
        octets = whole("under-way")
        busy.send(octets[:200])
        said: list[bytes] = []

        def finish() -> None:
            said.extend((idle.rest(), quiet.rest()))
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", house.ports["smtp"]), 5)
            busy.send(octets[200:] + b".\r\n")
            said.append(busy.reply())

        other = threading.Thread(target=finish)
        other.start()
        since = time.monotonic()
        status = house.stop()
        other.join(30)
        tell("orderly end with a letter under way", f"{time.monotonic() - since:.2f} s")
    assert status == 0
    assert b"* BYE" in said[0] and tag not in said[0]
    assert b"* BYE" in said[1]
    assert said[2].startswith(b"250"), said
    with House(house.data) as again:
        assert names_in(again) == Counter(["under-way"])
