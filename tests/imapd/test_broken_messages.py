"""Messages that break the rules of their format, as ENVELOPE, BODYSTRUCTURE, sections, BINARY and SEARCH tell them: all alike."""

from pathlib import Path

import pytest

from tests.support.rooms import some_rooms

from .client import signed_in
from .picture import ok


async def found(client: object, keys: bytes) -> list[bytes]:
    """The UIDs a search finds."""
    return (await ok(client, b"UID SEARCH " + keys))[0].split()[2:]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("header", "addresses"),
    [
        (b"To: Ann [Home] <f@x.example>, z@x.example", (b"f@x.example", b"z@x.example")),
        (b"To: ann@home.test <f@x.example>, z@x.example", (b"f@x.example", b"z@x.example")),
        (b"To: Ann (Home <f@x.example>, z@x.example", (b"f@x.example", b"z@x.example")),
        (b'To: "Ann <f@x.example>,\r\n z@x.example', (b"f@x.example", b"z@x.example")),
        (b"To: friends: Ann [x] <f@x.example>; , z@x.example", (b"f@x.example", b"z@x.example")),
    ],
)
async def test_an_address_behind_a_broken_name_is_told_and_found(tmp_path: Path, header: bytes, addresses: tuple[bytes, ...]) -> None:
    async with some_rooms(tmp_path) as rooms:
        await rooms.deliver(header + b"\r\n\r\nx\r\n")
        client = await signed_in(rooms, b"INBOX")
        (told,) = await ok(client, b"FETCH 1 ENVELOPE")
        for address in addresses:
            mailbox, _, domain = address.partition(b"@")
            assert b'NIL "%b" "%b")' % (mailbox, domain) in told
            assert await found(client, b"TO " + address) == [b"1"]
