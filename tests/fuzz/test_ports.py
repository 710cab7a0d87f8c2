"""Any octets on any port: no crash, no hang, no malformed or internal-error response, no growth; bounded time, any seed."""

import os
import random

import pytest

from .__main__ import run

SEED = int(os.environ.get("PILLARBOX_SEED", "0")) or random.randrange(1 << 30)


@pytest.mark.parametrize("port", ["imap", "pop3", "smtp"])
def test_hostile_octets_on_every_port(port: str) -> None:
    assert run(9, SEED, [port]) == 0  # and 5 s before, while caches fill


def test_noise_on_the_serial_console() -> None:
    assert run(8, SEED, ["console"]) == 0
