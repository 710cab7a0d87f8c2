"""A kept message's octets, to be read from the start as often as somebody needs them: `Pieces` over the store.

Memory: one piece. Fails with StoreError GONE when the message was removed meanwhile, BROKEN when the card fails.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from appliance.mail.ids import BodyId
from appliance.mail.limits import READ_OCTETS
from appliance.mail.outgoing import Chunks
from appliance.store.store import Store


def chunks_of(store: Store, body: BodyId, prefix: bytes = b"") -> Chunks:
    """The prefix and the body, in pieces of at most READ_OCTETS (and the prefix's own)."""

    @asynccontextmanager
    async def chunks() -> AsyncIterator[AsyncIterator[bytes]]:
        opened = (await store.database.read(lambda connection: store.bodies.load(connection, [body])))[body]

        async def each() -> AsyncIterator[bytes]:
            if prefix:
                yield prefix
            at = 0
            while chunk := await opened.read(at, READ_OCTETS):
                yield chunk
                at += len(chunk)

        yield each()

    return chunks
