"""What one mail transaction carries to the next server: envelope, options, and the message's octets to be read from the start."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from .address import Address
from .envelope import Options, Recipient
from .ids import BodyId

Chunks = Callable[[], AbstractAsyncContextManager[AsyncIterator[bytes]]]
"""`async with pieces() as octets: async for piece in octets`: the same octets each time, in pieces of at most 64 KiB."""


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """`letter` is the name told to its sender. `body`, `smtputf8`, `ret`, `envid`, `require_tls` as in Envelope; each recipient's
    address is outside the server. `author` is the domain of ours the message is signed for, "" for none (forwarded messages). `kept` is
    where the octets lie in the server: a body, and the lines in front of it."""

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
    kept: tuple[BodyId, bytes] | None = None

    def options(self) -> Options:
        return Options(body=self.body, smtputf8=self.smtputf8, ret=self.ret, envid=self.envid, require_tls=self.require_tls)
