"""delivery/body_chunks: the octets of a stored message, from the start as often as asked, and what a vanished body does."""

from pathlib import Path

import pytest

from appliance.delivery.body_chunks import chunks_of
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import BodyId
from appliance.mail.limits import READ_OCTETS
from tests.support.services import Components, some_components

PREFIX = b"Return-Path: <ada@home.example>\r\n"


async def stored(components: Components, octets: bytes) -> BodyId:
    await components.deliver(octets)
    newest = "SELECT id FROM body ORDER BY id DESC LIMIT 1"
    ((body,),) = await components.store.database.read(lambda connection: connection.execute(newest).fetchall())
    return BodyId(body)


@pytest.mark.parametrize("octets", [20, 5000, READ_OCTETS, READ_OCTETS + 1, 3 * READ_OCTETS + 7])
async def test_the_same_octets_each_time_in_bounded_chunks(tmp_path: Path, octets: int) -> None:
    """Small bodies are in the database, large ones in files: neither shows here."""
    message = (b"Subject: a\r\n\r\n" + b"0123456789abcde\r\n" * (octets // 17 + 1))[:octets]
    async with some_components(tmp_path) as components:
        chunks = chunks_of(components.store, await stored(components, message), PREFIX)
        for _ in range(2):
            async with chunks() as pieces:
                read = [chunk async for chunk in pieces]
            assert read[0] == PREFIX and b"".join(read[1:]) == message
            assert all(0 < len(chunk) <= READ_OCTETS for chunk in read)


async def test_without_a_prefix_there_is_no_empty_chunk(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        chunks = chunks_of(components.store, await stored(components, b"Subject: a\r\n\r\n"))
        async with chunks() as pieces:
            assert [chunk async for chunk in pieces] == [b"Subject: a\r\n\r\n"]


async def test_two_readers_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    message = b"Subject: a\r\n\r\n" + b"x" * (2 * READ_OCTETS)
    async with some_components(tmp_path) as components:
        chunks = chunks_of(components.store, await stored(components, message))
        async with chunks() as one, chunks() as other:
            first = await anext(one)
            assert b"".join([chunk async for chunk in other]) == message
            assert first + b"".join([chunk async for chunk in one]) == message


async def test_a_body_that_was_deleted_is_gone(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        body = await stored(components, b"Subject: a\r\n\r\n")
        with pytest.raises(StoreError) as caught:
            async with chunks_of(components.store, BodyId(body + 1000))() as pieces:
                await anext(pieces)
        assert caught.value.trouble is Trouble.GONE
