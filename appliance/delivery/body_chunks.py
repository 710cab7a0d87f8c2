"""The octets of a stored message as `Chunks`: readable from the start as often as needed.

Memory: one chunk. Fails with StoreError GONE when the body was deleted meanwhile, BROKEN when the storage fails.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from appliance.mail.ids import BodyId
from appliance.mail.limits import READ_OCTETS
from appliance.mail.outgoing import Chunks
from appliance.store.store import Store


def chunks_of(store: Store, body: BodyId, prefix: bytes = b"") -> Chunks:
    """The prefix as one chunk, then the body in chunks of at most READ_OCTETS."""

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
