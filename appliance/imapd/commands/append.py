"""APPEND, with several messages at once (RFC 9051 §6.3.12, RFC 3502, RFC 4315 §3, RFC 7889).

A message goes into the store in chunks, as it is received; none is held here. What can be refused is refused before the
continuation request. All messages of one APPEND are stored in one commit or none is, and the tagged OK follows the commit.
A message of no octets cancels the command (RFC 3502 §6.3.11): NO.
"""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.mail.errors import MisuseError, StoreError, Trouble
from appliance.protocol.imap.sequence import encode_set
from appliance.protocol.imap.server import Message, Refused, Rest
from appliance.store.values import Placement

from ..completion import Completion, no, ok
from ..connection import CHUNK_S
from ..contract import Command, State
from ..errors import answer_of
from .store import checked

if TYPE_CHECKING:
    from appliance.protocol.imap.tokens import Tokens
    from appliance.store.incoming import Incoming as Arrival
    from appliance.store.incoming import StagedBody
    from appliance.store.values import MailboxInfo

    from ..contract import Session

MESSAGES = 1000
"""Messages of one APPEND: each holds a staged body until all are stored."""

CANCELLED = no(b"A message without octets cancels APPEND: nothing was stored.")


@dataclass(slots=True)
class Received:
    """One message, completely received."""

    flags: tuple[str, ...]
    internal_at: int
    body: "StagedBody"


def read_append(tokens: "Tokens") -> None:
    """Reached only when no message followed."""
    raise MisuseError("APPEND needs a message as a literal.")


def read_options(tokens: "Tokens") -> tuple[tuple[str, ...], int | None]:
    """`[(flags) ]["date" ]` before a literal; flags by STORE's rule (`store.checked`). Raises MisuseError."""
    flags: tuple[str, ...] = ()
    at = None
    if tokens.peek() == b"(":
        flags = checked(tokens.flag_list())
        tokens.space()
    if tokens.peek() == b'"':
        at = tokens.date_time()
        tokens.space()
    tokens.end()
    return flags, at


async def append(session: "Session", message: Message, uid: bool) -> Completion:
    stream = session.stream
    stream.uninterrupted = True  # a server that shuts down still accepts the message being sent
    try:
        async with AsyncExitStack() as stack:
            return await _Append(session, stack).run(message)
    finally:
        stream.uninterrupted = False


class _Append:
    """One APPEND in progress."""

    def __init__(self, session: "Session", stack: AsyncExitStack) -> None:
        self.session = session
        self.stack = stack
        self.messages: list[Received] = []
        self.octets = 0

    async def run(self, message: Message) -> Completion:
        connection = self.session.connection
        try:
            message.tokens.space()
            target = await self._target(message.tokens.mailbox())
        except (StoreError, MisuseError) as error:
            answer = answer_of(error, creating=True)
            await self.session.refuse(message, answer)
            return answer
        while True:
            if not message.octets:
                await self.session.refuse(message, CANCELLED)
                return CANCELLED
            try:
                flags, at, incoming = await self._prepare(message)
            except (StoreError, MisuseError) as error:
                answer = answer_of(error)
                await self.session.refuse(message, answer)
                return answer
            if message.synchronising:
                self.session.queue(b"+ Ready.\r\n")
            failure = await self._receive(incoming, flags, at)
            event = await connection.event(CHUNK_S)
            if isinstance(event, Refused):
                return Completion(event.word, event.text, event.code)
            if failure is not None:
                if isinstance(event, Message):
                    await self.session.refuse(event, answer_of(failure))
                return answer_of(failure)
            if isinstance(event, Message):
                message = event
                continue
            assert isinstance(event, Rest)  # noqa: S101
            event.tokens.end()
            return await self._commit(target)

    async def _target(self, name: str) -> "MailboxInfo":
        info = await self.session.store.find(self.session.account, name)
        if not info.selectable:
            raise StoreError(Trouble.NO_MAILBOX)
        return info

    async def _prepare(self, message: Message) -> "tuple[tuple[str, ...], int, Arrival]":
        """The message's options, and a body to receive it into. Raises before any of its octets is requested."""
        message.tokens.space()
        while message.tokens.accept(b" "):  # imapclient 3.0 puts two spaces before the second message
            pass
        flags, at = read_options(message.tokens)
        limit = self.session.options.message_octets
        if message.octets > limit:
            raise StoreError(Trouble.TOO_BIG)
        if len(self.messages) >= MESSAGES:
            raise StoreError(Trouble.TOO_MANY)
        self.octets += message.octets
        used, allowed = self.session.store.quota(self.session.account)
        if allowed is not None and used + self.octets > allowed:
            raise StoreError(Trouble.OVER_QUOTA)
        incoming = await self.stack.enter_async_context(self.session.store.receive(limit))
        self.session.connection.reader.accept()
        return flags, int(self.session.clock.wall_s()) if at is None else at, incoming

    async def _receive(self, incoming: "Arrival", flags: tuple[str, ...], at: int) -> StoreError | None:
        """Read all octets of the message, also when the store fails meanwhile: what follows them is a command again."""
        failure: StoreError | None = None
        while chunk := await self.session.connection.chunk():
            if failure is None:
                try:
                    await incoming.write(chunk)
                except StoreError as error:
                    failure = error
        if failure is None:
            try:
                self.messages.append(Received(flags, at, await incoming.finish()))
            except StoreError as error:
                failure = error
        return failure

    async def _commit(self, target: "MailboxInfo") -> Completion:
        store = self.session.store
        pairs = [(one.body, Placement(target.id, b"", one.flags, one.internal_at)) for one in self.messages]
        try:
            filed = await store.file(pairs[0][0], [pairs[0][1]]) if len(pairs) == 1 else await store.file_all(pairs)
        except StoreError as error:
            return answer_of(error, creating=True)
        uids = encode_set(one.uid for one in filed)
        return ok(b"APPEND completed.", b"APPENDUID %d %s" % (filed[0].uid_validity, uids))


COMMANDS = (Command(b"APPEND", State.SIGNED_IN, read_append, append, rfc="RFC 9051 §6.3.12", streamed=True),)
