"""A message to be relayed to the next server: envelope, options, and its octets, readable from the start as often as needed."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from .address import Address
from .envelope import Options, Recipient
from .ids import BodyId

Chunks = Callable[[], AbstractAsyncContextManager[AsyncIterator[bytes]]]
"""`async with chunks() as octets: async for chunk in octets`: the same octets each time, in chunks of at most 64 KiB."""


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """`message` is the message's id, as its sender got it in the 250 reply. `body`, `smtputf8`, `ret`, `envid`, `require_tls` as in
    Envelope. `author` is the local domain the message is DKIM-signed for, "" for none (forwarded messages). `stored` is where the
    octets are in the store: a body, and the header lines in front of it."""

    message: str
    sender: Address | None
    recipients: tuple[Recipient, ...]
    octets: int
    chunks: Chunks
    body: str = "7BIT"
    smtputf8: bool = False
    ret: str = ""
    envid: str = ""
    require_tls: bool = False
    author: str = ""
    stored: tuple[BodyId, bytes] | None = None

    def options(self) -> Options:
        return Options(body=self.body, smtputf8=self.smtputf8, ret=self.ret, envid=self.envid, require_tls=self.require_tls)
