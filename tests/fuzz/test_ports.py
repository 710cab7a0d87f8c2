"""No crash, no hang, no garbled or internal-error answer, no growth, whatever octets come: bounded time, any seed."""

import os
import random

import pytest

from .__main__ import run

SEED = int(os.environ.get("PILLARBOX_SEED", "0")) or random.randrange(1 << 30)


@pytest.mark.parametrize("port", ["imap", "pop3", "smtp"])
def test_hostile_octets_on_every_port(port: str) -> None:
    assert run(9, SEED, [port]) == 0  # and 5 before them, while caches fill


def test_noise_on_the_serial_line() -> None:
    assert run(8, SEED, ["console"]) == 0
