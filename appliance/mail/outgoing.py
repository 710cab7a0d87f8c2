"""A message to be relayed to the next server: envelope, options, and its octets, readable from the start as often as needed."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from .address import Address
from .envelope import Recipient
from .ids import BodyId
from .options import NO_OPTIONS, EnvelopeOptions

Chunks = Callable[[], AbstractAsyncContextManager[AsyncIterator[bytes]]]
"""`async with chunks() as octets: async for chunk in octets`: the same octets each time, in chunks of at most 64 KiB."""


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """`message` is the message's id, as its sender got it in the 250 reply. `author` is the local domain the message is DKIM-signed for,
    "" for none (forwarded messages). `stored` is where the
    octets are in the store: a body, and the header lines in front of it."""

    message: str
    sender: Address | None
    recipients: tuple[Recipient, ...]
    octets: int
    chunks: Chunks
    options: EnvelopeOptions = NO_OPTIONS
    author: str = ""
    stored: tuple[BodyId, bytes] | None = None
