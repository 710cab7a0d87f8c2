"""Fuzzing of the serial console of a running server: random octets and keys, flow control included, with irregular reading.

Checked: messages are received and listed meanwhile, each within PATIENCE_S; nothing changes without the password; and
the console works afterwards.
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
"""To recover: the noise may have stopped the output with XOFF, which is ignored after ten seconds of typing."""


def shake(server: Pillarbox, cable: Cable, *, seconds: float, seed: int) -> Outcome:
    """`sessions` counts the messages, `octets` the noise; `worst_s` is the longest time for a message."""
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
        outcome.faults.append(f"the server was shut down by noise, without the password (seed {seed})\n")
    if len(pillarbox("account", "list", data=server.data).stdout.splitlines()) != 1:
        outcome.faults.append(f"noise changed the accounts, without the password (seed {seed})\n")
    if not _works(cable):
        outcome.faults.append(f"the console did not recover (seed {seed})\n")
    return outcome


def _message(server: Pillarbox) -> float:
    """Seconds to send a message by SMTP and read it by IMAP."""
    begun, text = time.monotonic(), b"text %d" % time.monotonic_ns()
    with Smtp(server.ports["smtp"]) as smtp:
        assert smtp.deliver(b"Subject: noise\r\n\r\n%b\r\n" % text).startswith(b"250")
    with Imap(server.ports["imap"], select="INBOX") as imap:
        assert any(text in chunk for chunk in imap.ok(b"FETCH * BODY[TEXT]"))
    return time.monotonic() - begun


def _works(cable: Cable) -> bool:
    """True once typing brings up the first screen."""
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
        except AssertionError:  # incomplete output from before
            continue
        if "Overview" in screen.text() and "9 Power" in screen.text():
            return True
        with suppress(BlockingIOError):
            os.write(cable.end, b"t")  # it may be in plain-text mode
    return False
