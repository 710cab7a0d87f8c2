"""Noise on the serial line of a running server: random octets and keys, flow control among them, from a far end that reads as it likes.

Promise: messages go in and are listed all the while, each within PATIENCE_S; nobody without the password changes anything; and
whoever comes afterwards finds a console that works.
"""

import os
import random
import select
import time
from contextlib import suppress

from tests.support.cable import Cable
from tests.support.server import Pillarbox, pillarbox
from tests.support.vt100 import Vt100Screen
from tests.support.wire import Imap, Smtp

from .machine import Outcome

WORDS = (b"2c", b"y", b"\x1b[A", b"\x1b", b"4a", b"\r", b"9s", b"9b", b"3\r", b"8", b"t", b"q", b"\x13", b"\x11", b"\x0c", b"guess\r")
MESSAGE_EVERY_S = 1.0
PATIENCE_S = 5.0
BACK_S = 40.0
"""For whoever comes after: what was noise may have stopped the line, which is let go after ten seconds of somebody typing."""


def shake(server: Pillarbox, cable: Cable, *, seconds: float, seed: int) -> Outcome:
    """`sessions` counts the messages, `octets` the noise; the worst wait for a message is in `worst_s`."""
    chance, outcome = random.Random(seed), Outcome()
    os.set_blocking(cable.end, False)
    until, message_at = time.monotonic() + seconds, 0.0
    while time.monotonic() < until:
        octets = chance.choice(WORDS) if chance.random() < 0.6 else chance.randbytes(chance.randrange(1, 200))
        with suppress(BlockingIOError):
            outcome.octets += os.write(cable.end, octets)
        if chance.random() < 0.8:
            with suppress(BlockingIOError):
                os.read(cable.end, 4096)
        if time.monotonic() >= message_at:
            message_at = time.monotonic() + MESSAGE_EVERY_S
            outcome.sessions += 1
            took_s = _message(server)
            outcome.worst_s = max(outcome.worst_s, took_s)
            if took_s > PATIENCE_S:
                outcome.faults.append(f"message {outcome.sessions} took {took_s:.1f} s (seed {seed})\n")
        time.sleep(0.002)
    if "phase=draining" in server.log.read_text(errors="replace"):
        outcome.faults.append(f"the server was closed by noise, without the password (seed {seed})\n")
    if len(pillarbox("account", "list", data=server.data).stdout.splitlines()) != 1:
        outcome.faults.append(f"noise changed who lives here, without the password (seed {seed})\n")
    if not _works(cable):
        outcome.faults.append(f"the console did not come back (seed {seed})\n")
    return outcome


def _message(server: Pillarbox) -> float:
    """One message in by SMTP and read by IMAP; the seconds."""
    begun, mark = time.monotonic(), b"mark %d" % time.monotonic_ns()
    with Smtp(server.ports["smtp"]) as smtp:
        assert smtp.deliver(b"Subject: noise\r\n\r\n%b\r\n" % mark).startswith(b"250")
    with Imap(server.ports["imap"], select="INBOX") as imap:
        assert any(mark in chunk for chunk in imap.ok(b"FETCH * BODY[TEXT]"))
    return time.monotonic() - begun


def _works(cable: Cable) -> bool:
    """Somebody comes, types, and sees the first screen."""
    until = time.monotonic() + BACK_S
    while time.monotonic() < until:
        with suppress(BlockingIOError):
            while os.read(cable.end, 65536):
                pass
        with suppress(BlockingIOError):
            os.write(cable.end, b"\x11\x1b\x1b\x1bq1\x0c")
        screen, quiet_at = Vt100Screen(), time.monotonic() + 1.0
        try:
            while time.monotonic() < quiet_at and select.select([cable.end], [], [], 0.5)[0]:
                screen.feed(os.read(cable.end, 65536))
        except AssertionError:  # what was still on its way is no picture
            continue
        if "Overview" in screen.text() and "9 Power" in screen.text():
            return True
        with suppress(BlockingIOError):
            os.write(cable.end, b"t")  # it may show plain lines
    return False
