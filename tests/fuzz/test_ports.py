"""No crash, no hang, no garbled or internal-error answer, no growth, whatever octets come: bounded time, any seed."""

import os
import random

from tests.fuzz.__main__ import run

SEED = int(os.environ.get("PILLARBOX_SEED", "0")) or random.randrange(1 << 30)


def test_hostile_octets_on_every_port() -> None:
    assert run(20, SEED, ["imap", "pop3", "smtp"]) == 0


def test_noise_on_the_serial_line() -> None:
    assert run(10, SEED, ["console"]) == 0
