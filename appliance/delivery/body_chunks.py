"""A kept letter's octets, to be read from the start as often as somebody needs them: `Pieces` over the store.

Memory: one piece. Fails with StoreError GONE when the letter was removed meanwhile, BROKEN when the card fails.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from appliance.mail.ids import BodyId
from appliance.mail.limits import READ_OCTETS
from appliance.mail.outgoing import Pieces
from appliance.store.mailbox import Store


def pieces_of(store: Store, body: BodyId, prefix: bytes = b"") -> Pieces:
    """The prefix and the body, in pieces of at most READ_OCTETS (and the prefix's own)."""

    @asynccontextmanager
    async def pieces() -> AsyncIterator[AsyncIterator[bytes]]:
        opened = (await store.database.read(lambda connection: store.bodies.load(connection, [body])))[body]

        async def each() -> AsyncIterator[bytes]:
            if prefix:
                yield prefix
            at = 0
            while piece := await opened.read(at, READ_OCTETS):
                yield piece
                at += len(piece)

        yield each()

    return pieces
