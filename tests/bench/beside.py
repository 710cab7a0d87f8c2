"""The mail commands of a household's programs beside Dovecot from Debian: CPU of both servers, and their ratio.

    python -m tests.bench.beside [--messages 20000] [--rounds 5] [--only WORD,...]

Each round does the same work on every server, one after the other; a row is the median of the rounds' ratios to the better of
Dovecot's maildir and mdbox. The search index follows arriving mail at its own pace, for a minute or more: what it does while mail
arrives counts as APPEND's, the rest is printed by itself, and the other rows are measured when it is done. Needs root, dovecot-imapd
and dovecot-pop3d, and mbsync for its row.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.support.server import PASSWORD, Pillarbox, new_data

from . import growth
from .clients import Imap, Pop3
from .dovecot import Dovecot, installed
from .messages import small
from .meters import LoopDevice, Process

USER = "u1@bench.test"
STORES = ("maildir", "mdbox")
OVERVIEW = "FETCH 1:* (FLAGS UID INTERNALDATE ENVELOPE BODYSTRUCTURE RFC822.SIZE)"
MBSYNC = """FSync no

IMAPAccount a
Host 127.0.0.1
Port {port}
User {user}
Pass {password}
SSLType None
AuthMechs LOGIN
DisableExtension COMPRESS=DEFLATE

IMAPStore far
Account a

MaildirStore near
Path {place}/
Inbox {place}/INBOX

Channel c
Far :far:
Near :near:
Patterns INBOX
Create Near
Sync Pull
SyncState *
"""
Work = Callable[["Side"], None]


class Side:
    """One server with a mailbox of so many messages, and a session that has it selected."""

    def __init__(self, name: str, server: Pillarbox | Dovecot, work: Path, device: LoopDevice) -> None:
        self.name, self.server, self.work, self.device = name, server, work, device
        server.start()
        self.process = Process(server.pid)
        self.imap = Imap(server.ports["imap"], USER)

    def fill(self, messages: int) -> float:
        before = self.process.tree_cpu_s()
        self.imap.append_many("INBOX", small(messages, USER))
        spent = self.process.tree_cpu_s() - before
        self.imap.ask("SELECT INBOX")
        self.imap.ask(OVERVIEW, keep=False)
        return spent

    def written(self) -> int:
        """Octets written to the server's own file system so far, what it was about to write among them."""
        self.process.settle()
        self.device.sync()
        return self.device.counts()[0]

    def cpu_ms(self, work: Work) -> float:
        before = self.process.tree_cpu_s()
        work(self)
        return 1000 * (self.process.tree_cpu_s() - before)


def ask(words: str) -> Work:
    return lambda side: side.imap.ask(words, keep=False) and None


def retrieve(side: Side, count: int) -> None:
    pop = Pop3(side.server.ports["pop3"], USER)
    for number in range(1, count + 1):
        pop.retrieve(number)
    pop.close()


def one_by_one(side: Side, words: str, count: int) -> None:
    for number in range(1, count + 1):
        side.imap.ask(words % number, keep=False)


def first_sync(side: Side) -> None:
    place = Path(tempfile.mkdtemp(dir=side.work))
    conf = place / "mbsyncrc"
    conf.write_text(MBSYNC.format(port=side.server.ports["imap"], user=USER, password=PASSWORD, place=place))
    subprocess.run(["mbsync", "-q", "-c", str(conf), "-a"], check=True)
    shutil.rmtree(place)


def works(messages: int) -> dict[str, tuple[float, Work]]:
    """Name to bar and work; those that change the mailbox leave it as it was."""
    few, most, quarter = min(500, messages), min(2000, messages), f"1:{messages // 4}"
    return {
        "mbsync, first sync": (1.0, first_sync),
        f"{few} full bodies in one FETCH": (2.3, ask(f"FETCH 1:{few} BODY.PEEK[]")),
        f"POP3 RETR of {most}": (3, lambda side: retrieve(side, most)),
        "overview FETCH 1:*, warm": (0.6, ask(OVERVIEW)),
        "FETCH 1:* (UID FLAGS)": (1.5, ask("FETCH 1:* (UID FLAGS)")),
        "SELECT, warm": (1.2, ask("SELECT INBOX")),
        "STORE \\Flagged of a quarter": (4, ask(f"STORE {quarter} +FLAGS.SILENT (\\Flagged)")),
        "STORE off": (4, ask(f"STORE {quarter} -FLAGS.SILENT (\\Flagged)")),
        "COPY of a quarter": (0.4, ask(f"COPY {quarter} Archive")),
        "COPY again": (0.4, ask(f"COPY {quarter} Trash")),
        "MOVE of a quarter": (0.5, moved),
        "EXPUNGE of a quarter": (2.5, expunged),
        "FETCH of one: FLAGS, 500 times": (0, lambda side: one_by_one(side, "FETCH %d FLAGS", few)),
        "FETCH of one: body, 500 times": (0, lambda side: one_by_one(side, "FETCH %d BODY.PEEK[]", few)),
        "NOOP, 500 times": (0, lambda side: [side.imap.ask("NOOP") for _ in range(500)] and None),
    }


def moved(side: Side) -> None:
    side.imap.ask("MOVE 1:5000 Trash", keep=False)


def expunged(side: Side) -> None:
    side.imap.ask("EXPUNGE", keep=False)


def prepare(side: Side, name: str) -> None:
    """What must be so before the work, outside its measure."""
    if name.startswith(("MOVE", "EXPUNGE")):
        side.imap.ask("SELECT Archive")
        if name.startswith("EXPUNGE"):
            side.imap.ask("STORE 1:5000 +FLAGS.SILENT (\\Deleted)", keep=False)


def restore(side: Side, name: str) -> None:
    if name.startswith(("MOVE", "EXPUNGE")):
        side.imap.ask("SELECT INBOX")
        side.imap.ask("COPY 1:5000 Archive", keep=False)


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--messages", type=int, default=20_000)
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--only", default="")
    options = words.parse_args()
    if not installed():
        print("Dovecot is not installed, or this is not root.")
        return 2
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="pillarbox-beside-", dir=base) as work:
        return compare(Path(work), options)


def compare(work: Path, options: argparse.Namespace) -> int:
    devices = []
    for name in ("pillarbox", *STORES):
        (work / name).mkdir()
        devices.append(LoopDevice(work / name))
    data = new_data(devices[0].place / "data", "u1", domain="bench.test")
    sides = [Side("pillarbox", Pillarbox(data, domain="bench.test", log=work / "log"), work, devices[0])]
    sides += [Side(name, Dovecot(device.place / name, name), work, device) for name, device in zip(STORES, devices[1:], strict=True)]
    try:
        before = [side.written() for side in sides]
        spent = [1000 * side.fill(options.messages) for side in sides]
        show(f"APPEND of {options.messages} (MULTIAPPEND)", 8, [spent])
        show("APPEND, MB written", 1.0, [[(side.written() - was) / 1e6 for side, was in zip(sides, before, strict=True)]])
        index(sides[0], data)
        for side in sides:
            side.imap.ask("COPY 1:5000 Archive", keep=False)
        if not options.only:
            octets(sides, options.rounds)
        chosen = works(options.messages)
        for name in chosen:
            if options.only and not any(word in name for word in options.only.split(",")):
                continue
            bar, call = chosen[name]
            rounds = []
            for _ in range(options.rounds if not name.startswith("mbsync") else min(3, options.rounds)):
                row = []
                for side in sides:
                    prepare(side, name)
                    row.append(side.cpu_ms(call))
                    restore(side, name)
                rounds.append(row)
            show(name, bar, rounds)
    finally:
        for side in sides:
            side.imap.close()
            side.server.stop()
            side.device.close()
    return 0


def index(side: Side, data: Path) -> None:
    """Wait until the search index has all messages."""
    spent, written = side.process.tree_cpu_s(), side.written()
    side.imap.ask("SEARCH TEXT nosuchword")  # else the newest few wait for others
    growth.wait_for_index(data, growth.newest_message(data))
    spent, written = side.process.tree_cpu_s() - spent, side.written() - written
    print(f"{'what the search index did behind it':<36}{1000 * spent:>11.1f} ms {written / 1e6:>11.1f} MB written", flush=True)


def octets(sides: list[Side], rounds: int) -> None:
    """Of a quarter flagged, copied, moved and expunged, so many times."""
    found = []
    for side in sides:
        before = side.written()
        for _ in range(rounds):
            for sign in "+-":
                side.imap.ask(f"STORE 1:5000 {sign}FLAGS.SILENT (\\Flagged)", keep=False)
            side.imap.ask("COPY 1:5000 Archive", keep=False)
            side.imap.ask("SELECT Archive")
            side.imap.ask("MOVE 1:2500 Trash", keep=False)
            side.imap.ask("STORE 1:2500 +FLAGS.SILENT (\\Deleted)", keep=False)
            side.imap.ask("EXPUNGE", keep=False)
            side.imap.ask("SELECT INBOX")
        found.append((side.written() - before) / 1e6 / rounds)
    show("STORE, COPY, MOVE, EXPUNGE: MB written", 0.4, [found])


def show(name: str, bar: float, rounds: list[list[float]]) -> None:
    ratio = statistics.median(row[0] / max(min(row[1:]), 0.001) for row in rounds)
    columns = "".join(f"{statistics.median(column):>11.1f}" for column in zip(*rounds, strict=True))
    state = "" if not bar else f"at most {bar:<5g} {'kept' if ratio <= bar else 'MISSED'}"
    print(f"{name:<36}{columns}  ratio {ratio:>6.2f}  {state}  load {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
