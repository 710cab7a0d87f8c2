"""The messages of APPEND and REPLACE as they come from the client (RFC 9051 §6.3.12, RFC 3502; other forms of a message: RFC 4466 §2.2).

A message goes into the store in chunks, as it is received; none is held here. What can be refused is refused before the
continuation request. Whoever appends reads all messages first and stores them in one commit.
Invariant: `message` is an announced literal that is neither accepted nor refused yet; whatever fails, `decline` reads the command to its
end, so that no octet of a message is ever taken for a command.
"""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.mail.errors import MisuseError, PillarboxError, StoreError, Trouble
from appliance.protocol.imap.server import Message, Refused, Rest

from .completion import Completion, no
from .connection import CHUNK_S
from .flag_texts import checked

if TYPE_CHECKING:
    from appliance.protocol.imap.tokens import Tokens
    from appliance.store.incoming import Incoming, StagedBody
    from appliance.store.values import MailboxInfo

    from .contract import CommandSession, Writable

MESSAGES = 1000
"""Messages of one APPEND: each holds a staged body until all are stored."""

CANCELLED = no(b"A message without octets cancels APPEND: nothing was stored.")
"""RFC 3502 §6.3.11."""


class Declined(PillarboxError):
    """The command ends with this completion."""

    def __init__(self, completion: Completion) -> None:
        super().__init__(completion.text.decode("ascii", "replace"))
        self.completion = completion


@dataclass(slots=True)
class Received:
    """One message, completely received."""

    flags: tuple[str, ...]
    internal_at: int
    body: "StagedBody"


def read_options(tokens: "Tokens") -> tuple[tuple[str, ...], int | None]:
    """`[(flags) ]["date" ]` before a message; flags by STORE's rule (`store.checked`). Raises MisuseError."""
    flags: tuple[str, ...] = ()
    at = None
    if tokens.peek() == b"(":
        flags = checked(tokens.flag_list())
        tokens.space()
    if tokens.peek() == b'"':
        at = tokens.date_time()
        tokens.space()
    return flags, at


class Appending:
    """One command's messages. `tokens` are those that follow the last message."""

    __slots__ = ("_octets", "_owner", "_stack", "freed_octets", "message", "messages", "session", "tokens")

    def __init__(self, session: "CommandSession", stack: AsyncExitStack, source: "Message | Tokens") -> None:
        self.session = session
        self._stack = stack
        self._octets = 0
        self._owner = session.account
        """Whose quota the messages count against."""
        self.freed_octets = 0
        """What the command will free, of the quota of the target's owner."""
        self.messages: list[Received] = []
        self.message = source if isinstance(source, Message) else None
        self.tokens = source.tokens if isinstance(source, Message) else source

    async def target(self) -> "MailboxInfo":
        """The mailbox named next. Raises StoreError NO_MAILBOX, NO_RIGHT; MisuseError."""
        self.tokens.space()
        info = await self.session.mailboxes.find(self.tokens.mailbox(), "i")
        if not info.selectable:
            raise StoreError(Trouble.NO_MAILBOX)
        self._owner = info.account
        return info

    async def read_messages(self, most: int = MESSAGES) -> None:
        """All messages up to the end of the command. Raises MisuseError, StoreError and Declined; then call `decline`."""
        while True:
            self.tokens.space()
            while self.tokens.accept(b" "):  # imapclient 3.0 puts two spaces before the second message
                pass
            if self.message is not None and not self.message.octets and not self.tokens.peek():
                raise Declined(CANCELLED)
            flags, at = read_options(self.tokens)
            if len(self.messages) >= most:
                if most == 1:
                    raise MisuseError("the command takes one message, nothing was stored")
                raise Declined(no(b"At most %d messages: nothing was stored." % most, b"MESSAGELIMIT %d" % most))  # RFC 9738 §3.1
            internal_at = int(self.session.clock.wall_s()) if at is None else at
            incoming = await self._read_message()
            self.messages.append(Received(flags, internal_at, await incoming.finish()))
            if self.message is None and not self.tokens.peek():
                return

    async def _read_message(self) -> "Incoming":
        """One message, as a literal or in a form that an extension knows."""
        name = self.tokens.copy().keyword() if self.tokens.peek().isalpha() else b""
        form = self.session.registry.append_data.get(name)
        if form is not None:
            self.tokens.keyword()
            incoming = await self._incoming(self.message.octets if form.one_literal and self.message else 0)
            await form.read(self, incoming)
            return incoming
        if self.message is None:
            raise MisuseError("APPEND needs a message as a literal.")
        self.tokens.end()
        if not self.message.octets:
            raise Declined(CANCELLED)
        incoming = await self._incoming(self.message.octets)
        await self.receive(incoming)
        return incoming

    async def _incoming(self, octets: int) -> "Incoming":
        """A body to receive so many octets into. Raises StoreError."""
        limit = self.session.options.message_octets
        if octets > limit:
            raise StoreError(Trouble.TOO_BIG)
        self._octets += octets
        used, allowed = self.session.store.quota(self._owner)
        if allowed is not None and used + self._octets - self.freed_octets > allowed:
            raise StoreError(Trouble.OVER_QUOTA)
        return await self._stack.enter_async_context(self.session.store.receive(limit))

    async def receive(self, incoming: "Writable") -> None:
        """Read the announced literal, all of it also when the store fails meanwhile: what follows it is read next. Raises StoreError."""
        connection, message = self.session.connection, self.message
        if message is None:
            raise MisuseError("a literal is missing")
        connection.reader.accept()
        self.message = None
        if message.synchronising:
            self.session.queue(b"+ Ready.\r\n")
        failure: StoreError | None = None
        while chunk := await connection.chunk():
            if failure is None:
                try:
                    await incoming.write(chunk)
                except StoreError as error:
                    failure = error
        event = await connection.event(CHUNK_S)
        if isinstance(event, Refused):
            raise Declined(Completion(event.word, event.text, event.code))
        assert isinstance(event, Message | Rest)  # noqa: S101 the command goes on
        self.message = event if isinstance(event, Message) else None
        self.tokens = event.tokens
        if failure is not None:
            raise failure

    async def decline(self, completion: Completion) -> Completion:
        """Read the rest of the command; its answer."""
        message, self.message = self.message, None
        if message is not None:
            await self.session.refuse(message, completion)
        return completion
