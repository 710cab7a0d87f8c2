"""Every message of the corpus comes out of RETR with its own octets, and out of LIST with its own size."""

from pathlib import Path

import pytest
import trio

from tests.pop3d.pop_client import PopClient
from tests.support.corpus import messages, need_corpus
from tests.support.rooms import some_rooms

AT_ONCE = 500
"""Messages of one maildrop."""


@pytest.mark.corpus
async def test_same_octets(tmp_path: Path) -> None:
    need_corpus()
    batch: list[tuple[str, bytes]] = []
    compared = 0
    async with some_rooms(tmp_path, "fred@example.org") as rooms:

        async def compare() -> None:
            for _, octets in batch:
                await rooms.deliver(octets)
            async with PopClient(rooms.connect("pop3"), patience_s=60) as client:
                assert await client.sign_in() == b"+OK Welcome, %d messages." % len(batch)
                await client.say(b"LIST")
                sizes = [int(line.split()[1]) for line in (await client.body()).splitlines()]
                assert sizes == [len(octets) + 2 * (not octets.endswith(b"\r\n")) for _, octets in batch]  # its last line's end
                async with trio.open_nursery() as nursery:
                    commands = (b"RETR %d\r\nDELE %d\r\n" % (number, number) for number in range(1, len(batch) + 1))
                    nursery.start_soon(client.stream.send_all, b"".join(commands))
                    for name, octets in batch:
                        assert (await client.line()).startswith(b"+OK")
                        whole = octets if octets.endswith(b"\r\n") or not octets else octets + b"\r\n"
                        assert await client.body() == whole, name
                        assert (await client.line()).startswith(b"+OK")
                assert await client.say(b"QUIT") == b"+OK Goodbye, %d deleted." % len(batch)

        for message in messages():
            batch.append((message.id, message.octets))
            if len(batch) == AT_ONCE:
                await compare()
                compared += len(batch)
                batch.clear()
        await compare()
        compared += len(batch)
    assert compared > 4000
