"""UIDBATCHES over more messages than one batch has (RFC 10022)."""

from pathlib import Path

import pytest

from appliance.imapd.extensions import uidbatches
from tests.imapd.client import signed_in
from tests.support.services import some_components


async def test_the_batches_are_a_partition_the_newest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uidbatches, "BATCH_MESSAGES", 2)
    async with some_components(tmp_path) as components:
        for _ in range(9):
            await components.deliver(b"Subject: x\r\n\r\n")
        client = await signed_in(components, b"INBOX")
        await client.command(b"UID STORE 3,8 +FLAGS.SILENT (\\Deleted)")
        await client.command(b"EXPUNGE")  # leaves 1,2,4:7,9

        async def batches(words: bytes) -> bytes:
            untagged, tagged = await client.command(b"UIDBATCHES " + words)
            assert tagged.startswith(b"OK")
            return untagged[0].partition(b") ")[2]

        assert await batches(b"3") == b"9:6,5:2,1:1"
        assert await batches(b"2") == b"9:7,6:5,4:2,1:1"
        assert await batches(b"7") == b"9:1"
        assert await batches(b"100") == b"9:1"
        assert await batches(b"2 2:3") == b"6:5,4:2"
        assert await batches(b"2 3:3") == b"4:2"
        assert await batches(b"2 4:9") == b"1:1"
        assert await batches(b"2 5:9") == b""
        for part in (await batches(b"3")).split(b","):
            untagged, _ = await client.command(b"UID SEARCH UID " + part)
            assert len(untagged[0].split()) - 2 in (3, 1)


async def test_a_mailbox_whose_first_message_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last range says that it is the last (RFC 10022 §3.1.4)."""
    monkeypatch.setattr(uidbatches, "BATCH_MESSAGES", 2)
    async with some_components(tmp_path) as components:
        for _ in range(6):
            await components.deliver(b"Subject: x\r\n\r\n")
        client = await signed_in(components, b"INBOX")
        await client.command(b"UID STORE 1,2 +FLAGS.SILENT (\\Deleted)")
        await client.command(b"EXPUNGE")
        assert await client.command(b"UIDBATCHES 2") == ([b'* UIDBATCHES (TAG "t5") 6:5,4:1'], b"OK UIDBATCHES completed.")
        assert await client.command(b"UIDBATCHES 3 1:1") == ([b'* UIDBATCHES (TAG "t6") 6:4'], b"OK UIDBATCHES completed.")
