"""Any octets on any port: no crash, no hang, no malformed or internal-error response, no growth; bounded time, any seed."""

import os
import random
from collections.abc import Iterator

import pytest

from tests.support.cable import Cable
from tests.support.server import Pillarbox

from .__main__ import attack, fuzzed_server

SEED = int(os.environ.get("PILLARBOX_SEED", "0")) or random.randrange(1 << 30)
SECONDS = 7.0
"""For each port, and five before, while caches fill."""


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[tuple[Pillarbox, Cable]]:
    with fuzzed_server() as server_and_cable:
        yield server_and_cable


@pytest.mark.parametrize("port", ["imap", "pop3", "smtp", "console"])
def test_hostile_octets_on_every_port(fuzzed: tuple[Pillarbox, Cable], port: str) -> None:
    server, cable = fuzzed
    assert attack(server, cable, SECONDS, SEED, [port]) == 0
    assert server.process and server.process.poll() is None, "the server ended"
