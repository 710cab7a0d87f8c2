"""A letter made ready for one server: written by the author's address there, put into a form the server takes, signed last.

Order: author (a relay that knows the person by another address), conversion (servers without 8BITMIME, BINARYMIME or SMTPUTF8), DKIM
in front of everything, since a signature covers what arrives. A refusal to convert is an Outcome (RFC 3463: 5.6.1, 5.6.3, 5.6.7).
What was made ready for a letter is kept for the next server of the same attempt that takes the same.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Protocol

from appliance.delivery.route import Way
from appliance.mail.address import Address, ascii_domain
from appliance.mail.outcome import Outcome
from appliance.mail.outgoing import Parcel, Pieces
from appliance.protocol.smtp.client import Offer

from .author_rewriting import under_address
from .conversion import convert


class Signs(Protocol):
    """`mailauth.dkim_sign.Signer`."""

    async def sign(self, domain: str, pieces: Pieces) -> bytes: ...


class Preparing:
    """See above. `signer` None: nothing is signed."""

    def __init__(self, signer: Signs | None, is_theirs: Callable[[Address, Address], bool]) -> None:
        self._signer = signer
        self._is_theirs = is_theirs

    async def prepare(self, parcel: Parcel, offer: Offer, way: Way) -> Parcel | Outcome:
        """The parcel as this server gets it, or why it cannot have it."""
        signed_for = parcel.author
        if way.author is not None and parcel.sender is not None:
            theirs = partial(self._is_theirs, parcel.sender)
            pieces = under_address(parcel.pieces, way.author, theirs)
            parcel = replace(parcel, sender=way.author, pieces=pieces)
            signed_for = ""
        made = await convert(parcel, offer)
        if isinstance(made, Outcome):
            return made
        parcel = made
        if self._signer is not None and signed_for:
            signature = await self._signer.sign(ascii_domain(signed_for), parcel.pieces)
            if signature:
                parcel = replace(parcel, pieces=in_front(signature, parcel.pieces), octets=parcel.octets + len(signature))
        return parcel


def in_front(lines: bytes, pieces: Pieces) -> Pieces:
    """The same letter with these lines first."""

    @asynccontextmanager
    async def more() -> AsyncIterator[AsyncIterator[bytes]]:
        async with pieces() as octets:

            async def each() -> AsyncIterator[bytes]:
                yield lines
                async for piece in octets:
                    yield piece

            yield each()

    return more
