"""SORT and THREAD beside Dovecot from Debian, on a mailbox where a third of the messages are replies: CPU, and the ratio.

    python -m tests.bench.orders [--messages 20000] [--rounds 5] [--only WORD,...]

"first": the server was started anew, and Dovecot's cache of header fields is gone; "repeated": the same command once more. A row is
the median of the rounds' ratios to the better of Dovecot's maildir and mdbox. Needs root and dovecot-imapd.
"""

import argparse
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

from tests.support.server import Pillarbox, new_data

from .beside import USER, Side, show
from .clients import Imap
from .dovecot import Dovecot, installed
from .messages import prose
from .meters import Process

COMMANDS = (
    ("SORT (DATE)", "UID SORT (DATE) UTF-8 ALL", 0.5, 2),
    ("THREAD REFERENCES", "UID THREAD REFERENCES UTF-8 ALL", 0.5, 2),
    ("SORT (SUBJECT)", "UID SORT (SUBJECT) UTF-8 ALL", 0, 0),
    ("THREAD ORDEREDSUBJECT", "UID THREAD ORDEREDSUBJECT UTF-8 ALL", 0, 0),
)
"""Name, command, bars for the first and the repeated one; 0: no bar."""


def messages(count: int) -> Iterator[bytes]:
    """A third are replies to one of the last hundred."""
    chance = random.Random(5)
    recent: list[tuple[str, str, str]] = []
    for number in range(count):
        own = f"<{chance.getrandbits(96):024x}@example.net>"
        subject, references = f"{prose(chance, 20)[:40]}", ""
        if recent and not number % 3:
            parent, refers, subject = chance.choice(recent)
            references = f"{refers} {parent}".strip()
        written = f"Re: {subject}" if references else subject
        lines = [
            f"From: Sender {number % 50} <s{number % 50}@example.net>",
            f"To: <{USER}>",
            f"Subject: {written}",
            f"Date: {formatdate(1_700_000_000 + number * 613 + chance.randrange(5000))}",
            f"Message-ID: {own}",
            *([f"References: {references}", f"In-Reply-To: {references.split()[-1]}"] if references else []),
            "",
            prose(chance, 600),
            "",
        ]
        recent = [*recent[-99:], (own, " ".join(references.split()[-8:]), subject)]
        yield "\r\n".join(lines).encode()


def begin_anew(side: Side) -> None:
    """A fresh process, and for Dovecot no cached header field."""
    side.imap.close()
    side.server.stop()
    if isinstance(side.server, Dovecot):
        for cache in side.server.place.rglob("dovecot.index.cache*"):
            cache.unlink()
    side.server.start()
    side.process = Process(side.server.pid)
    side.imap = Imap(side.server.ports["imap"], USER)
    side.imap.ask("SELECT INBOX")


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--messages", type=int, default=20_000)
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--only", default="", help="names that hold one of these words, separated by commas")
    options = words.parse_args()
    if not installed():
        print("Dovecot is not installed, or this is not root.")
        return 2
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="pillarbox-orders-", dir=base) as work:
        return compare(Path(work), options)


def compare(work: Path, options: argparse.Namespace) -> int:
    data = new_data(work / "data", "u1", domain="bench.test")
    sides = [Side("pillarbox", Pillarbox(data, domain="bench.test", log=work / "log"), work)]
    sides += [Side(store, Dovecot(work / store, store), work) for store in ("maildir", "mdbox")]
    try:
        for side in sides:
            side.imap.append_many("INBOX", messages(options.messages))
        for name, command, first_bar, repeated_bar in COMMANDS:
            if options.only and not any(word in name for word in options.only.split(",")):
                continue
            first, repeated = [], []
            for _ in range(options.rounds):
                for side in sides:
                    begin_anew(side)
                first.append([side.cpu_ms(lambda side: side.imap.ask(command, keep=False) and None) for side in sides])  # noqa: B023
                repeated.append([side.cpu_ms(lambda side: side.imap.ask(command, keep=False) and None) for side in sides])  # noqa: B023
            show(f"{name}, first", first_bar, first)
            show(f"{name}, repeated", repeated_bar, repeated)
    finally:
        for side in sides:
            side.imap.close()
            side.server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
