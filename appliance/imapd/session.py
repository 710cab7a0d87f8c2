"""One IMAP session from greeting to logout: which command is allowed in which state, and how it is answered.

TRANSITIONS is the state diagram of RFC 9051 §3. Commands run strictly one after the other, so pipelined ones are never ambiguous
(RFC 9051 §5.5). Changes made by other sessions are sent before each tagged response, EXPUNGE only where sequence numbers may
change (RFC 9051 §7.5.1). Refusals are Completions; errors become Completions in one place (`errors.py`); an unexpected exception ends
this session alone, through the listener's guard.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import trio

from appliance.mail.errors import AuthError, MisuseError, StoreError
from appliance.protocol.imap.server import Message, ReceivedCommand, Refused, Rest
from appliance.protocol.imap.tokens import Tokens
from appliance.store.visible import VisibleMailboxes

from .client import UpdateFormat
from .completion import Completion, bad
from .connection import ImapConnection
from .contract import ImapCommand, ImapState, Notifying, SequenceNumbers
from .errors import SessionOver, answer_of
from .watch import watched

if TYPE_CHECKING:
    from appliance.accounts.directory import Directory
    from appliance.auth.identity import Identity
    from appliance.auth.login import Login
    from appliance.auth.mechanisms import Mechanisms
    from appliance.mail.clock import Clock
    from appliance.mail.ids import AccountId
    from appliance.network.stream import Stream
    from appliance.store.store import Store

    from .options import ImapOptions
    from .registry import Registry
    from .selected import Selected


class SessionEvent(Enum):
    """What takes a session from one state to another."""

    SIGNED_IN = "LOGIN or AUTHENTICATE succeeded"
    SELECTED = "SELECT or EXAMINE succeeded"
    DESELECTED = "CLOSE, UNSELECT, or a SELECT that failed"
    SIGNED_OUT = "UNAUTHENTICATE"
    ENDED = "LOGOUT, BYE or the end of the connection"


TRANSITIONS: dict[tuple[ImapState, SessionEvent], ImapState] = {
    (ImapState.NOT_AUTHENTICATED, SessionEvent.SIGNED_IN): ImapState.AUTHENTICATED,
    (ImapState.NOT_AUTHENTICATED, SessionEvent.ENDED): ImapState.LOGOUT,
    (ImapState.AUTHENTICATED, SessionEvent.SELECTED): ImapState.SELECTED,
    (ImapState.AUTHENTICATED, SessionEvent.SIGNED_OUT): ImapState.NOT_AUTHENTICATED,
    (ImapState.AUTHENTICATED, SessionEvent.ENDED): ImapState.LOGOUT,
    (ImapState.SELECTED, SessionEvent.DESELECTED): ImapState.AUTHENTICATED,
    (ImapState.SELECTED, SessionEvent.ENDED): ImapState.LOGOUT,
}


@dataclass(frozen=True, slots=True)
class ImapContext:
    """What all sessions of the service share."""

    store: "Store"
    login: "Login"
    mechanisms: "Mechanisms"
    clock: "Clock"
    options: "ImapOptions"
    registry: "Registry"
    directory: "Directory"


class ImapSession:
    """One client's session: `contract.Session` for its commands. `enabled`: words of ENABLE in upper case."""

    __slots__ = (
        "after_completion",
        "background",
        "connection",
        "context",
        "enabled",
        "errors",
        "identity",
        "login_failures",
        "opened_mono",
        "selected",
        "state",
        "tag",
        "updates",
    )  # fmt: skip

    def __init__(self, context: ImapContext, stream: "Stream") -> None:
        self.context = context
        self.connection = ImapConnection(stream, context.registry.streamed)
        self.state = ImapState.NOT_AUTHENTICATED
        self.identity: Identity | None = None
        self.selected: Selected | None = None
        self.enabled: set[bytes] = set()
        self.updates = UpdateFormat()
        self.after_completion: Callable[[], Awaitable[None]] | None = None
        """Called once, when the tagged response of this command has been sent: STARTTLS's handshake."""
        self.tag = b""
        """Tag of the command that runs or was read last: ESEARCH responses name it (RFC 4731 §2)."""
        self.background: Notifying | None = None
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
    def options(self) -> "ImapOptions":
        return self.context.options

    @property
    def registry(self) -> "Registry":
        return self.context.registry

    @property
    def account(self) -> "AccountId":
        """The account signed in to."""
        if self.identity is None:
            raise RuntimeError("the session is not signed in")
        return self.identity.account

    @property
    def mailboxes(self) -> VisibleMailboxes:
        """The store as the account sees it."""
        return VisibleMailboxes(self.context.store, self.account)

    @property
    def directory(self) -> "Directory":
        return self.context.directory

    @property
    def utf8(self) -> bool:
        """Mailbox names are UTF-8 on the wire (RFC 9051 §5.1, RFC 9755 §3)."""
        return self.connection.reader.utf8

    # --- output ------------------------------------------------------------------------------

    async def send(self, *parts: bytes) -> None:
        """Untagged output with its CRLF, in parts; waits while the client reads slowly."""
        await self.connection.send(*parts)

    def queue(self, *parts: bytes) -> None:
        """Small untagged output that is sent with the next flush."""
        self.connection.queue(*parts)

    async def flush(self) -> None:
        await self.connection.flush()

    async def arrived(self, uids: "Sequence[int]") -> None:
        if self.background is not None:
            await self.background.arrived(uids)

    # --- pipelined commands --------------------------------------------------------------------

    def following(self, name: bytes) -> list[tuple[Tokens, bool]]:
        """See `contract.Session`."""
        found = []
        for event in self.connection.following(lambda event: _is_named(event, name)):
            tokens, uid = event.tokens.copy(), event.name == b"UID"
            if uid:
                tokens.expect(b" " + name)
            found.append((tokens, uid))
        return found

    def answer(self, completion: Completion) -> None:
        """See `contract.Session`. Nothing is synced in between: numbers stay as they were when the commands were sent."""
        self.complete(self.tag, completion)
        self.tag = self.connection.take().tag

    # --- states ------------------------------------------------------------------------------

    def move(self, event: SessionEvent) -> None:
        self.state = TRANSITIONS[self.state, event]

    def signed_in(self, identity: "Identity") -> None:
        self.identity = identity
        self.stream.who = identity.address
        self.stream.login = (identity.account, identity.password)
        self.connection.reader.signed_in = True
        self.move(SessionEvent.SIGNED_IN)

    def select(self, selected: "Selected") -> None:
        self.selected = selected
        self.move(SessionEvent.SELECTED)

    def deselect(self) -> None:
        """Close the selected mailbox, if there is one; nothing is expunged."""
        if self.selected is not None:
            selected, self.selected = self.selected, None
            selected.close()
            self.move(SessionEvent.DESELECTED)

    def end_background(self) -> None:
        if self.background is not None:
            self.background.close()
            self.background = None

    def sign_out(self) -> None:
        self.end_background()
        self.deselect()
        self.forget()
        self.identity = None
        self.stream.who, self.stream.login = "", None
        self.connection.reader.signed_in = self.connection.reader.utf8 = False
        self.opened_mono = trio.current_time()
        self.move(SessionEvent.SIGNED_OUT)

    def log_out(self) -> None:
        self.move(SessionEvent.ENDED)

    def forget(self) -> None:
        """Drop what the client said before TLS was on (RFC 9051 §6.2.1)."""
        self.enabled.clear()
        self.updates = UpdateFormat()
        self.errors = 0

    async def enable(self, word: bytes) -> None:
        """Switch an extension and what it implies on (RFC 5161), for ENABLE and for each command that implies it (RFC 7162 §3.1)."""
        if word in self.enabled:
            return
        enabling = self.registry.enable[word]
        for implied in enabling.implies:
            await self.enable(implied)
        self.enabled.add(word)
        self.updates = enabling.applied(self.updates)
        if enabling.utf8:
            self.connection.reader.utf8 = True
        if enabling.begin is not None:
            await enabling.begin(self)

    # --- commands and responses ------------------------------------------------------------------

    async def run(self) -> None:
        """From greeting to logout. Raises PeerGone and PeerSlow when the connection breaks or the client stops reading."""
        try:
            self.queue(b"* OK [CAPABILITY ", self.registry.capability(self), b"] ", self.options.host.encode(), b" Pillarbox ready.\r\n")
            while self.state is not ImapState.LOGOUT:
                if self.background is not None and not self.connection.pending():
                    await watched(self, self.background, lambda: self.connection.wait(self._timeout_s()))
                await self._handle(await self.connection.event(self._timeout_s()))
            await self.flush()
        except SessionOver as over:
            code = b"[" + over.code + b"] " if over.code else b""
            await self.connection.send_bye(b"* BYE " + code + over.text + b"\r\n")
        finally:
            self.end_background()
            self.deselect()
            self.state = ImapState.LOGOUT

    def _timeout_s(self) -> float:
        """How long to wait for the next command: autologout (RFC 9051 §5.4)."""
        if self.state is ImapState.NOT_AUTHENTICATED:
            return self.opened_mono + self.options.before_login_s - trio.current_time()
        return self.options.idle_s

    async def _handle(self, event: ReceivedCommand | Message | Rest | Refused) -> None:
        assert not isinstance(event, Rest), "APPEND reads its command to the end"  # noqa: S101
        self.tag = event.tag
        completion = Completion(event.word, event.text, event.code) if isinstance(event, Refused) else await self._run_command(event)
        self.complete(self.tag, completion)
        if self.after_completion is not None:
            await self.flush()
            callback, self.after_completion = self.after_completion, None
            await callback()
        if completion.word == b"BAD":
            self.errors += 1
            if self.errors >= self.options.errors:
                raise SessionOver(b"", b"Too many errors.")
        else:
            self.errors = 0

    def complete(self, tag: bytes, completion: Completion) -> None:
        """Queue a tagged response."""
        code = b" [" + completion.code + b"] " if completion.code else b" "
        self.queue(tag + b" " + completion.word + code + completion.text + b"\r\n")

    async def _run_command(self, event: ReceivedCommand | Message) -> Completion:
        tokens, uid = event.tokens, False
        try:
            if event.name == b"UID":
                tokens.space()
                uid = True
                command = self.registry.uid_commands.get(tokens.keyword())
            else:
                command = self.registry.commands.get(event.name)
            refusal = self._refusal(command, uid)
            if command is None or refusal is not None:
                return await self._refuse_event(event, refusal or bad(b"No such command."))
            await self._check_rights()
            if isinstance(event, Message):
                completion = await command.run(self, event, uid)
            else:
                completion = await self._call(command, tokens, uid)
        except (MisuseError, StoreError, AuthError) as error:
            completion = answer_of(error)
        if self.selected is not None and completion.word != b"BAD":
            await self._sync(uid or command is None or command.seqs is SequenceNumbers.MAY_MOVE)
        return completion

    def _refusal(self, command: ImapCommand | None, uid: bool) -> Completion | None:
        if command is None:
            return bad(b"No such command.")
        if self.state in command.states:
            if self.updates.uid_only and command.uid_form and command.numbered and not uid:
                return bad(b"UIDONLY is enabled: the UID form of the command is needed.", b"UIDREQUIRED")
            return None
        if self.state is ImapState.NOT_AUTHENTICATED:
            return bad(b"Sign in first.")
        return bad(b"Select a mailbox first." if ImapState.SELECTED in command.states else b"You are already signed in.")

    async def _refuse_event(self, event: ReceivedCommand | Message, completion: Completion) -> Completion:
        if isinstance(event, Message):
            await self.refuse(event, completion)
        return completion

    async def refuse(self, message: Message, completion: Completion) -> None:
        """Read a refused message to its end; where its octets are too many to be discarded, `completion` is sent before BYE."""
        try:
            await self.connection.refuse(message)
        except SessionOver:
            self.complete(message.tag, completion)
            raise

    async def _call(self, command: ImapCommand, tokens: Tokens, uid: bool) -> Completion:
        arguments = command.parse(tokens)
        tokens.end()
        return await command.run(self, arguments, uid)

    async def _check_rights(self) -> None:
        """Before a command: it must not read or change what is not shared with the account any more."""
        if self.selected is not None and self.selected.mailbox.rights_outdated:
            try:
                await self.selected.check_rights(self)
            except StoreError as error:
                raise _unavailable(error) from error

    async def _sync(self, may_expunge: bool) -> None:
        """Send what changed in the selected mailbox."""
        if self.selected is None:
            return
        try:
            await self.selected.sync(self, may_expunge)
        except StoreError as error:
            raise _unavailable(error) from error


def _unavailable(error: StoreError) -> SessionOver:
    return SessionOver(b"UNAVAILABLE", b"The selected mailbox can no longer be read: " + answer_of(error).text)


def _is_named(event: ReceivedCommand, name: bytes) -> bool:
    """Whether this is that command or its UID form."""
    return event.name == name or (event.name == b"UID" and event.tokens.begins(b" " + name + b" "))
