"""A message made ready for one server: written by the author's address there, put into a form the server takes, signed last.

Order: author (a relay that knows the person by another address), conversion (servers without 8BITMIME, BINARYMIME or SMTPUTF8), DKIM
in front of everything, since a signature covers what arrives. A refusal to convert is an Outcome (RFC 3463: 5.6.1, 5.6.3, 5.6.7).
What was made ready for a message is kept for the next server of the same attempt that takes the same.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Protocol

from appliance.delivery.route import Route
from appliance.mail.address import Address, ascii_domain
from appliance.mail.outcome import Outcome
from appliance.mail.outgoing import Chunks, OutgoingMessage
from appliance.protocol.smtp.client import Offer

from .author_rewriting import under_address
from .conversion import convert


class Signing_(Protocol):
    """`mailauth.dkim_sign.Signer`."""

    async def sign(self, domain: str, chunks: Chunks) -> bytes: ...


class Preparation:
    """See above. `signer` None: nothing is signed."""

    def __init__(self, signer: Signing_ | None, is_theirs: Callable[[Address, Address], bool]) -> None:
        self._signer = signer
        self._is_theirs = is_theirs

    async def prepare(self, outgoing: OutgoingMessage, offer: Offer, route: Route) -> OutgoingMessage | Outcome:
        """The message as this server gets it, or why it cannot have it."""
        signed_for = outgoing.author
        if route.author is not None and outgoing.sender is not None:
            theirs = partial(self._is_theirs, outgoing.sender)
            chunks = under_address(outgoing.chunks, route.author, theirs)
            outgoing = replace(outgoing, sender=route.author, chunks=chunks)
            signed_for = ""
        made = await convert(outgoing, offer)
        if isinstance(made, Outcome):
            return made
        outgoing = made
        if self._signer is not None and signed_for:
            signature = await self._signer.sign(ascii_domain(signed_for), outgoing.chunks)
            if signature:
                outgoing = replace(outgoing, chunks=in_front(signature, outgoing.chunks), octets=outgoing.octets + len(signature))
        return outgoing


def in_front(lines: bytes, chunks: Chunks) -> Chunks:
    """The same message with these lines first."""

    @asynccontextmanager
    async def more() -> AsyncIterator[AsyncIterator[bytes]]:
        async with chunks() as octets:

            async def each() -> AsyncIterator[bytes]:
                yield lines
                async for chunk in octets:
                    yield chunk

            yield each()

    return more
