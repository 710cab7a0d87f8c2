"""One IMAP client from greeting to goodbye: which command is allowed when, and what it is answered.

MOVES is the flow of RFC 9051 §3. Commands run strictly one after the other, so pipelined ones can never be ambiguous
(RFC 9051 §5.5). Changes made elsewhere are told before each tagged answer, EXPUNGE only where sequence numbers may
move (RFC 9051 §7.5.1). Refusals are Answers; errors become Answers in one place (`errors.py`); a fault of ours ends
this session alone, through the listener's guard.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import trio

from appliance.mail.errors import AuthError, MisuseError, StoreError
from appliance.protocol.imap.server import Command as CommandRead
from appliance.protocol.imap.server import Message, Refused, Rest
from appliance.protocol.imap.tokens import Tokens

from .completion import Completion, bad
from .connection import Connection
from .contract import Command, SequenceNumbers, State
from .errors import SessionOver, answer_of

if TYPE_CHECKING:
    from appliance.auth.identity import Identity
    from appliance.auth.login import Login
    from appliance.auth.mechanisms import Mechanisms
    from appliance.mail.clock import Clock
    from appliance.mail.ids import AccountId
    from appliance.network.stream import Stream
    from appliance.store.store import Store

    from .options import Options
    from .registry import Registry
    from .selected import Selected


class Happening(Enum):
    """What moves a session from one state to another."""

    SIGNED_IN = "LOGIN or AUTHENTICATE succeeded"
    SELECTED = "SELECT or EXAMINE succeeded"
    DESELECTED = "CLOSE, UNSELECT, or a SELECT that failed"
    ENDED = "LOGOUT, BYE or the connection is gone"


MOVES: dict[tuple[State, Happening], State] = {
    (State.NOT_AUTHENTICATED, Happening.SIGNED_IN): State.AUTHENTICATED,
    (State.NOT_AUTHENTICATED, Happening.ENDED): State.LOGOUT,
    (State.AUTHENTICATED, Happening.SELECTED): State.SELECTED,
    (State.AUTHENTICATED, Happening.ENDED): State.LOGOUT,
    (State.SELECTED, Happening.DESELECTED): State.AUTHENTICATED,
    (State.SELECTED, Happening.ENDED): State.LOGOUT,
}


@dataclass(frozen=True, slots=True)
class ImapContext:
    """What all sessions of the service share."""

    store: "Store"
    login: "Login"
    mechanisms: "Mechanisms"
    board: Any
    clock: "Clock"
    options: "Options"
    registry: "Registry"


class ImapSession:
    """One client's session: `contract.Session` for its commands. `enabled`: words of ENABLE in upper case."""

    __slots__ = (
        "after_completion",
        "connection",
        "enabled",
        "errors",
        "identity",
        "login_failures",
        "opened_mono",
        "selected",
        "context",
        "state",
        "tag",
    )  # fmt: skip

    def __init__(self, context: ImapContext, stream: "Stream") -> None:
        self.context = context
        self.connection = Connection(stream, context.registry.streamed)
        self.state = State.NOT_AUTHENTICATED
        self.identity: Identity | None = None
        self.selected: Selected | None = None
        self.enabled: set[bytes] = set()
        self.after_completion: Callable[[], Awaitable[None]] | None = None
        """What a command wants done once its tagged answer has left: STARTTLS's handshake."""
        self.tag = b""
        """Of the command that runs: ESEARCH answers name it (RFC 4731 §2)."""
        self.errors = 0
        self.login_failures = 0
        self.opened_mono = trio.current_time()

    # --- the server, for commands -------------------------------------------------------------

    @property
    def stream(self) -> "Stream":
        return self.connection.stream

    @property
    def store(self) -> "Store":
        return self.context.store

    @property
    def login(self) -> "Login":
        return self.context.login

    @property
    def mechanisms(self) -> "Mechanisms":
        return self.context.mechanisms

    @property
    def clock(self) -> "Clock":
        return self.context.clock

    @property
    def options(self) -> "Options":
        return self.context.options

    @property
    def registry(self) -> "Registry":
        return self.context.registry

    @property
    def account(self) -> "AccountId":
        """Who signed in; only commands of signed-in states ask."""
        if self.identity is None:
            raise RuntimeError("nobody is signed in")
        return self.identity.account

    @property
    def utf8(self) -> bool:
        """Mailbox names go as UTF-8 to this client (RFC 9051 §5.1, RFC 6855 §3)."""
        return self.connection.reader.utf8

    # --- output ------------------------------------------------------------------------------

    async def send(self, *parts: bytes) -> None:
        """Untagged output with its CRLF, in parts; waits when the client reads slowly."""
        await self.connection.send(*parts)

    def queue(self, *parts: bytes) -> None:
        """Small untagged output that leaves with the next flush."""
        self.connection.queue(*parts)

    async def flush(self) -> None:
        await self.connection.flush()

    # --- states ------------------------------------------------------------------------------

    def move(self, happening: Happening) -> None:
        self.state = MOVES[self.state, happening]

    def signed_in(self, identity: "Identity") -> None:
        self.identity = identity
        self.stream.who = identity.address
        self.stream.login = (identity.account, identity.password)
        self.connection.reader.signed_in = True
        self.move(Happening.SIGNED_IN)

    def select(self, selected: "Selected") -> None:
        self.selected = selected
        self.move(Happening.SELECTED)

    def deselect(self) -> None:
        """Give the selected mailbox back, if there is one; nothing is expunged."""
        if self.selected is not None:
            selected, self.selected = self.selected, None
            selected.close()
            self.move(Happening.DESELECTED)

    def log_out(self) -> None:
        self.move(Happening.ENDED)

    def forget(self) -> None:
        """What the client said before TLS counts for nothing (RFC 9051 §6.2.1)."""
        self.enabled.clear()
        self.errors = 0

    async def enable(self, word: bytes) -> None:
        """Switch an extension on (RFC 5161): the one way in, for ENABLE and for each command that implies it (RFC 7162 §3.1)."""
        if word in self.enabled:
            return
        self.enabled.add(word)
        if word in (b"IMAP4REV2", b"UTF8=ACCEPT"):
            self.connection.reader.utf8 = True
        if word == b"CONDSTORE" and self.selected is not None:
            await self.selected.begin_condstore(self)

    # --- the conversation --------------------------------------------------------------------

    async def run(self) -> None:
        """From greeting to goodbye. Raises PeerGone and PeerSlow when the client breaks off."""
        try:
            self.queue(b"* OK [CAPABILITY ", self.registry.capability(self), b"] ", self.options.host.encode(), b" Pillarbox ready.\r\n")
            while self.state is not State.LOGOUT:
                await self._react(await self.connection.event(self._patience_s()))
            await self.flush()
        except SessionOver as over:
            code = b"[" + over.code + b"] " if over.code else b""
            await self.connection.say_bye(b"* BYE " + code + over.text + b"\r\n")
        finally:
            self.deselect()
            self.state = State.LOGOUT

    def _patience_s(self) -> float:
        """How long the next command may take to come: autologout (RFC 9051 §5.4)."""
        if self.state is State.NOT_AUTHENTICATED:
            return self.opened_mono + self.options.before_login_s - trio.current_time()
        return self.options.idle_s

    async def _react(self, event: CommandRead | Message | Rest | Refused) -> None:
        assert not isinstance(event, Rest), "APPEND reads its command to the end"  # noqa: S101
        answer = Completion(event.word, event.text, event.code) if isinstance(event, Refused) else await self._obey(event)
        self.answer(event.tag, answer)
        if self.after_completion is not None:
            await self.flush()
            what, self.after_completion = self.after_completion, None
            await what()
        if answer.word == b"BAD":
            self.errors += 1
            if self.errors >= self.options.errors:
                raise SessionOver(b"", b"Too many errors.")
        else:
            self.errors = 0

    def answer(self, tag: bytes, answer: Completion) -> None:
        """Queue a tagged answer."""
        code = b" [" + answer.code + b"] " if answer.code else b" "
        self.queue(tag + b" " + answer.word + code + answer.text + b"\r\n")

    async def _obey(self, event: CommandRead | Message) -> Completion:
        tokens, uid = event.tokens, False
        self.tag = event.tag
        try:
            if event.name == b"UID":
                tokens.space()
                uid = True
                command = self.registry.uid_commands.get(tokens.keyword())
            else:
                command = self.registry.commands.get(event.name)
            refusal = self._objection(command)
            if command is None or refusal is not None:
                return await self._refuse_event(event, refusal or bad(b"No such command."))
            if isinstance(event, Message):
                answer = await command.run(self, event, uid)
            else:
                answer = await self._call(command, tokens, uid)
        except (MisuseError, StoreError, AuthError) as error:
            answer = answer_of(error)
        if self.selected is not None and answer.word != b"BAD":
            await self._sync(uid or command is None or command.seqs is SequenceNumbers.MAY_MOVE)
        return answer

    def _objection(self, command: Command | None) -> Completion | None:
        if command is None:
            return bad(b"No such command.")
        if self.state in command.states:
            return None
        if self.state is State.NOT_AUTHENTICATED:
            return bad(b"Sign in first.")
        return bad(b"Select a mailbox first." if State.SELECTED in command.states else b"You are signed in already.")

    async def _refuse_event(self, event: CommandRead | Message, answer: Completion) -> Completion:
        if isinstance(event, Message):
            await self.refuse(event, answer)
        return answer

    async def refuse(self, message: Message, answer: Completion) -> None:
        """Refuse a message; where its octets are too many to be thrown away the answer is said before BYE."""
        try:
            await self.connection.refuse(message)
        except SessionOver:
            self.answer(message.tag, answer)
            raise

    async def _call(self, command: Command, tokens: Tokens, uid: bool) -> Completion:
        arguments = command.parse(tokens)
        tokens.end()
        return await command.run(self, arguments, uid)

    async def _sync(self, may_expunge: bool) -> None:
        """Tell what changed in the selected mailbox."""
        if self.selected is None:
            return
        try:
            await self.selected.sync(self, may_expunge)
        except StoreError as error:
            raise SessionOver(b"UNAVAILABLE", b"The selected mailbox can no longer be read: " + answer_of(error).text) from error
