"""Prepare a message for one server: rewrite its author, convert it, sign it.

In this order: the author (for a relay that knows the account by another address), conversion (for servers without 8BITMIME or
SMTPUTF8), and DKIM last, since a signature covers the message as it arrives. A message that cannot be converted is an Outcome
(RFC 3463: 5.6.1, 5.6.3, 5.6.7).
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

from .author_rewriting import rewrite_author
from .conversion import convert


class MessageSigner(Protocol):
    """`mailauth.dkim_sign.Signer`."""

    async def sign(self, domain: str, chunks: Chunks) -> bytes:
        """The DKIM-Signature fields to prepend, or b""."""
        ...


class Preparation:
    """`signer` None: nothing is signed. `same_account(sender, address)`: are both delivered to the same account?"""

    def __init__(
        self,
        signer: MessageSigner | None = None,
        same_account: Callable[[Address, Address], bool] = lambda sender, address: sender == address,
    ) -> None:
        self._signer = signer
        self._same_account = same_account

    async def prepare(self, outgoing: OutgoingMessage, offer: Offer, route: Route) -> OutgoingMessage | Outcome:
        """The message as it is sent to this server, or why it cannot be."""
        signed_for = outgoing.author
        if route.author is not None and outgoing.sender is not None:
            is_own = partial(self._same_account, outgoing.sender)
            chunks = rewrite_author(outgoing.chunks, route.author, is_own)
            outgoing = replace(outgoing, sender=route.author, chunks=chunks)
            signed_for = ""
        made = await convert(outgoing, offer)
        if isinstance(made, Outcome):
            return made
        outgoing = made
        if self._signer is not None and signed_for:
            signature = await self._signer.sign(ascii_domain(signed_for), outgoing.chunks)
            if signature:
                outgoing = replace(outgoing, chunks=prepend(signature, outgoing.chunks), octets=outgoing.octets + len(signature))
        return outgoing


def prepend(lines: bytes, chunks: Chunks) -> Chunks:
    """The same message with these lines prepended."""

    @asynccontextmanager
    async def more() -> AsyncIterator[AsyncIterator[bytes]]:
        async with chunks() as octets:

            async def each() -> AsyncIterator[bytes]:
                yield lines
                async for chunk in octets:
                    yield chunk

            yield each()

    return more
