"""SEARCH beside Dovecot from Debian: CPU and the ratio; the search index's size, CPU and writes; growth with the mailbox.

    python -m tests.bench.searches [--messages 20000] [--rounds 5] [--growth 100000] [--only growth]

A row is the median of the rounds' ratios to the better of Dovecot's maildir and mdbox, once the index holds all messages. Needs root
and dovecot-imapd for the comparison. The growth table needs neither.
"""

import argparse
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.server import Pillarbox, new_data

from . import growth
from .beside import USER, Side, show
from .clients import Imap, Smtp
from .dovecot import Dovecot, installed
from .messages import message, random, small
from .meters import LoopDevice, Process

RARE, RARE_SUBJECT, ABSENT, COMMON = "quicksilver", "heirloom", "zzyzxqv", "that"
COMMANDS = (
    ("SUBJECT, one in a hundred", f"SEARCH SUBJECT {RARE_SUBJECT}", 0.1),
    ("FROM, one in fifty", "SEARCH FROM s17@example.net", 0.15),
    ("BODY, one in a hundred", f"SEARCH BODY {RARE}", 0.02),
    ("TEXT, one in a hundred", f"SEARCH TEXT {RARE}", 0.02),
    ("TEXT without a hit", f"SEARCH TEXT {ABSENT}", 0.005),
    ("BODY, in most messages", f"SEARCH BODY {COMMON}", 1.0),
    ("BODY, a common phrase", 'SEARCH BODY "in the"', 0),
    ("UNSEEN, all", "SEARCH UNSEEN", 2),
)
INDEX_BARS = (("size / text", 0.65), ("CPU ms a kB of text", 0.5), ("octets written / text", 3.5))


def messages(count: int) -> Iterator[bytes]:
    for number, octets in enumerate(small(count, USER)):
        if number % 100 == 7:
            octets = octets.replace(b"\r\nSubject: ", b"\r\nSubject: %b " % RARE_SUBJECT.encode(), 1)
        yield octets + b"The %b is here.\r\n" % RARE.encode() if number % 100 == 11 else octets


def spent_s(process: Process) -> float:
    """CPU of all threads, those that have ended among them: the index's threads end when they are idle."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def index_figures(data: Path, texts: int, spent_s: float, written: int) -> None:
    octets = sum(path.stat().st_size for path in (data / "search").rglob("*.db"))
    figures = (octets / texts, 1e6 * spent_s / texts, written / texts)
    for (name, bar), figure in zip(INDEX_BARS, figures, strict=True):
        print(f"index: {name:<29}{figure:>11.3f}  at most {bar:<5g} {'kept' if figure <= bar else 'MISSED'}", flush=True)


def index(side: Side, data: Path, count: int) -> None:
    """Let a fresh process index all messages; what it costs."""
    side.imap.close()
    side.server.stop()
    shutil.rmtree(data / "search", ignore_errors=True)
    side.server.start()
    side.process = Process(side.server.pid)
    side.imap = Imap(side.server.ports["imap"], USER)
    side.imap.ask("SELECT INBOX")
    before = spent_s(side.process), side.written()
    growth.wait_for_index(data, count)
    index_figures(data, sum(map(len, messages(count))), spent_s(side.process) - before[0], side.written() - before[1])


def compare(work: Path, options: argparse.Namespace) -> None:
    device = LoopDevice(work)
    data = new_data(device.place / "data", "u1", domain="bench.test")
    sides = [Side("pillarbox", Pillarbox(data, domain="bench.test", log=work / "log"), work, device)]
    try:
        sides += [Side(store, Dovecot(work / store, store), work, device) for store in ("maildir", "mdbox")]
        for side in sides:
            side.imap.append_many("INBOX", messages(options.messages))
            side.imap.ask("SELECT INBOX")
        index(sides[0], data, options.messages)
        ours = sides[0].process
        for name, words, bar in COMMANDS:
            rounds = []
            for number in range(options.rounds + 1):
                row = [side.cpu_ms(lambda side, words=words: side.imap.ask(words, keep=False) and None) for side in sides]  # type: ignore[misc]
                if number:  # the first one fills every server's caches
                    rounds.append(row)
            show(name, bar, rounds)
        print(f"PSS {ours.memory_kb()['Pss'] / 1024:.1f} MB; ", end="", flush=True)
        time.sleep(50)
        print(f"{ours.memory_kb()['Pss'] / 1024:.1f} MB when its files are closed", flush=True)
    finally:
        for side in sides:
            side.imap.close()
            side.server.stop()
        device.close()


def growing(work: Path, most: int) -> None:
    """The cost of SEARCH TEXT as a mailbox grows, before and after it is indexed."""
    print("CPU in ms\n messages    scan, no hit   index, no hit   index, a hit", flush=True)
    for count in (1_000, 10_000, 100_000):
        if count > most:
            break
        place = work / str(count)
        place.mkdir()
        data = new_data(place / "data", "u1", domain="bench.test")
        with Pillarbox(data, domain="bench.test", log=place / "log") as server:
            Smtp(server.ports["smtp"]).send(USER, message(random.Random(1), 1, USER, "text"))
        growth.fill(data, count)
        with Pillarbox(data, domain="bench.test", log=place / "log") as server:
            process = Process(server.pid)
            Smtp(server.ports["smtp"]).send(USER, messages_with(RARE))
            imap = Imap(server.ports["imap"], USER)
            imap.ask("SELECT INBOX")
            figures = [growth.measured(process, lambda: imap.ask(f"SEARCH TEXT {ABSENT}"))]  # noqa: B023
            with sqlite3.connect(f"file:{data / 'pillarbox.db'}?mode=ro", uri=True) as connection:
                (last,) = connection.execute("SELECT max(message_data) FROM message").fetchone()
            growth.wait_for_index(data, last)
            imap.ask(f"SEARCH TEXT {ABSENT}")
            for word in (ABSENT, RARE):
                figures.append(growth.measured(process, lambda: imap.ask(f"SEARCH TEXT {word}"), 5))  # noqa: B023
            imap.close()
        print(f"{count:>9,}" + "".join(f"{figure:>15.2f}" for figure in figures), flush=True)
        shutil.rmtree(place)


def messages_with(word: str) -> bytes:
    return message(random.Random(2), 2, USER, "text") + f"The {word} is here.\r\n".encode()


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--messages", type=int, default=20_000)
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--growth", type=int, default=100_000)
    words.add_argument("--only", default="")
    options = words.parse_args()
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="pillarbox-searches-", dir=base) as work:
        if options.only != "growth":
            if installed():
                compare(Path(work), options)
            else:
                print("Dovecot is not installed, or this is not root.")
        growing(Path(work), options.growth)
    return 0


if __name__ == "__main__":
    sys.exit(main())
