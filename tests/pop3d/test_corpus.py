"""RETR sends every message of the corpus unchanged, and LIST gives the size of what RETR sends."""

import re
from pathlib import Path

import pytest
import trio

from tests.support.corpus import messages, need_corpus
from tests.support.services import some_components

from .pop_client import PopClient

AT_ONCE = 500
"""Messages of one maildrop."""


def as_sent(octets: bytes) -> bytes:
    """RETR sends lines: each ends in CRLF, the last one too; a message without octets has none (RFC 1939 §3, §11)."""
    lines = re.sub(rb"(?<!\r)\n", b"\r\n", octets)
    return lines if lines.endswith(b"\r\n") or not lines else lines + b"\r\n"


@pytest.mark.corpus
async def test_same_octets(tmp_path: Path) -> None:
    need_corpus()
    batch: list[tuple[str, bytes]] = []
    compared = 0
    async with some_components(tmp_path, "fred@example.org") as components:

        async def compare() -> None:
            for _, octets in batch:
                await components.deliver(octets)
            async with PopClient(components.connect("pop3"), patience_s=60) as client:
                assert await client.sign_in() == b"+OK Welcome, %d messages." % len(batch)
                await client.command(b"LIST")
                sizes = [int(line.split()[1]) for line in (await client.body()).splitlines()]
                wholes = [as_sent(octets) for _, octets in batch]
                assert sizes == [len(whole) for whole in wholes]
                async with trio.open_nursery() as nursery:
                    commands = (b"RETR %d\r\nDELE %d\r\n" % (number, number) for number in range(1, len(batch) + 1))
                    nursery.start_soon(client.stream.send_all, b"".join(commands))
                    for (name, _), whole in zip(batch, wholes, strict=True):
                        assert (await client.line()).startswith(b"+OK")
                        assert await client.body() == whole, name
                        assert (await client.line()).startswith(b"+OK")
                assert await client.command(b"QUIT") == b"+OK Goodbye, %d deleted." % len(batch)

        for message in messages():
            batch.append((message.id, message.octets))
            if len(batch) == AT_ONCE:
                await compare()
                compared += len(batch)
                batch.clear()
        await compare()
        compared += len(batch)
    assert compared > 4000
