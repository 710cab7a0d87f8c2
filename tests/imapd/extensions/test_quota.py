"""QUOTA: usage follows what is stored and expunged; limits refuse (RFC 9208)."""

from pathlib import Path

import pytest

from appliance.store import quota
from tests.imapd.client import Client, signed_in
from tests.support.services import some_components

MESSAGE = b"Subject: x\r\n\r\n" + b"x" * 2030 + b"\r\n"
"""2048 octets less 2."""


async def used(client: Client) -> bytes:
    untagged, tagged = await client.command(b'GETQUOTA ""')
    assert tagged.startswith(b"OK") and len(untagged) == 1
    return untagged[0].partition(b'"" ')[2]


async def append(client: Client, mailbox: bytes = b"INBOX") -> bytes:
    await client.send(b"a APPEND %b {%d+}\r\n%b\r\n" % (mailbox, len(MESSAGE), MESSAGE))
    return (await client.until_tag(b"a"))[1]


async def test_usage_is_exact_through_append_copy_move_and_expunge(tmp_path: Path) -> None:
    async with some_components(tmp_path, quota_octets=10 * 1024) as components:
        client = await signed_in(components, b"INBOX")
        assert await used(client) == b"(STORAGE 0 10 MESSAGE 0 10000000)"
        for _ in range(2):
            assert (await append(client)).startswith(b"OK")
        assert await used(client) == b"(STORAGE 4 10 MESSAGE 2 10000000)"
        await client.command(b"COPY 1 Archive")
        await client.command(b"MOVE 2 Archive")
        assert await used(client) == b"(STORAGE 6 10 MESSAGE 3 10000000)"
        await client.command(b"STORE 1 +FLAGS.SILENT (\\Deleted)")
        untagged, _ = await client.command(b"STATUS INBOX (DELETED DELETED-STORAGE SIZE)")
        assert untagged == [b"* STATUS INBOX (DELETED 1 DELETED-STORAGE %d SIZE %d)" % (len(MESSAGE), len(MESSAGE))]
        untagged, _ = await client.command(b'LIST "" Archive RETURN (STATUS (DELETED-STORAGE))')
        assert untagged[1] == b"* STATUS Archive (DELETED-STORAGE 0)"
        await client.command(b"EXPUNGE")
        assert await used(client) == b"(STORAGE 4 10 MESSAGE 2 10000000)"
        while (answer := await append(client)).startswith(b"OK"):
            pass
        assert answer.startswith(b"NO [OVERQUOTA]")
        assert await used(client) == b"(STORAGE 10 10 MESSAGE 5 10000000)"
        await client.command(b"DELETE Archive")
        assert await used(client) == b"(STORAGE 6 10 MESSAGE 3 10000000)"


async def test_no_more_messages_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "ACCOUNT_MESSAGES", 3)
    async with some_components(tmp_path) as components:
        client = await signed_in(components, b"INBOX")
        for _ in range(3):
            assert (await append(client)).startswith(b"OK")
        assert (await append(client)).startswith(b"NO [OVERQUOTA]")
        assert (await client.command(b"COPY 1 Archive"))[1].startswith(b"NO [OVERQUOTA]")
        assert (await client.command(b"MOVE 1 Archive"))[1].startswith(b"OK")
        assert await used(client) == b"(MESSAGE 3 3)"
        await client.command(b"STORE 1 +FLAGS.SILENT (\\Deleted)")
        await client.command(b"EXPUNGE")
        assert (await append(client)).startswith(b"OK")
        other = await signed_in(components, b"INBOX", b"mary@example.org")
        assert (await append(other)).startswith(b"OK")
