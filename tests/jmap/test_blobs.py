"""Blobs: messages, their parts, parts of messages in parts, uploads; whose they are and what is none."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

from appliance.jmap.blobs import Blobs
from appliance.store.scope import own

from .server import ANN, BEN, JmapClient, a_client

INNER = (
    b"Subject: inner\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n"
    b"--i\r\n\r\nfirst\r\n--i\r\nContent-Type: text/x\r\n\r\nsecond\r\n--i--\r\n"
)
OUTER = (
    b"Subject: outer\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Transfer-Encoding: base64\r\n\r\naGk=\r\n"
    b"--o\r\nContent-Type: message/rfc822\r\n\r\n" + INNER + b"\r\n--o\r\nContent-Type: message/rfc822\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(INNER).replace(b"\n", b"\r\n") + b"\r\n--o--\r\n"
)


async def chunks(octets: bytes) -> AsyncIterator[bytes]:
    yield octets


async def octets_of(client: JmapClient, blob: str) -> bytes | None:
    found = await Blobs(client.store).find(own(ANN), blob)
    if found is None:
        return None
    octets = b"".join([chunk async for chunk in found.chunks])
    assert found.length in (None, len(octets))
    return octets


async def test_messages_and_their_parts(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        blob = f"B{(await client.append(OUTER)).message}"
        assert await octets_of(client, blob) == OUTER
        assert await octets_of(client, f"{blob}-1") == b"hi" and (await octets_of(client, f"{blob}-2") or b"").strip() == INNER.strip()
        for part in (2, 3):
            assert await octets_of(client, f"{blob}-{part}-1") == b"first" and await octets_of(client, f"{blob}-{part}-2") == b"second"
        for section in ("-4", "-2-3", "-1-1", "-", "-0", "-2-", "-2" * 9):
            assert await octets_of(client, blob + section) is None, section
        for nothing in ("B999", "", "x", "-", "B0"):
            assert await octets_of(client, nothing) is None, nothing
        assert await Blobs(client.store).find(own(BEN), blob) is None


async def test_uploads_and_parts_of_an_uploaded_message(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        kept = await client.store.uploads.keep(ANN, chunks(OUTER), 2**20, "message/rfc822; x=y")
        other = await client.store.uploads.keep(ANN, chunks(b"\0\1"), 2**20, "image/png")
        assert await octets_of(client, f"U{kept.id}") == OUTER and await octets_of(client, f"U{kept.id}-3-2") == b"second"
        found = await Blobs(client.store).find(own(ANN), f"U{other.id}")
        assert found is not None and (found.media_type, found.length) == ("image/png", 2)
        assert await octets_of(client, f"U{other.id}-1-1") is None
        assert await Blobs(client.store).find(own(BEN), f"U{kept.id}") is None
