"""One POP3 session: the handlers of all commands (RFC 1939, RFC 2449, RFC 2595, RFC 5034, RFC 6856).

Invariants: one session at a time has an account's maildrop locked, from sign-in to the end of the session whatever ends it (RFC 1939
§3); the lock is in memory only, and a session whose client is lost loses it as soon as another session wants it.
Nothing is deleted except by QUIT. Passwords are accepted over TLS only, unless a setting allows otherwise. A message is sent
unchanged (`protocol.pop3.multiline` lists the exceptions, which sizes include), also one in UTF-8 to a client
that never sent UTF8: RFC 6856 §3 allows refusing or rewriting it, and neither helps to read it.
Failures: ERRORS is the one table from the store's troubles to responses; an error within a message closes the
connection, since a response could not be distinguished from the message.
"""

import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import trio

from appliance.auth.connection_info import ConnectionInfo
from appliance.auth.exchange import SaslFailure
from appliance.auth.identity import APP_PASSWORD_NEEDED, AppPasswordNeeded, Identity
from appliance.auth.login import Login
from appliance.auth.mechanisms import Mechanisms
from appliance.mail.errors import AuthError, MisuseError, StoreError, Trouble
from appliance.mail.ids import AccountId
from appliance.mail.limits import READ_OCTETS
from appliance.network.stream import STILL_THERE_S, Stream
from appliance.protocol.dot_stuffing import END, DotStuffer
from appliance.protocol.pop3.grammar import Pop3Command, err, ok, parse_number, parse_text
from appliance.protocol.pop3.multiline import Top
from appliance.protocol.pop3.server import Pop3ServerState, Pop3State
from appliance.store.body_readers import StoredMessage
from appliance.store.store import Store

from .maildrop import Maildrop, MessageMissing

T = TypeVar("T")

UPDATE_S = 4.0
"""How long a new session waits for one that is expunging messages at its QUIT."""
LIST_CHUNK = 500
"""Lines of a long listing passed to the connection at once."""
ERRORS: dict[Trouble, tuple[str, str]] = {
    Trouble.NO_MAILBOX: ("SYS/PERM", "There is no INBOX."),
    Trouble.EXISTS: ("SYS/PERM", "The mailbox refused this."),
    Trouble.BAD_NAME: ("SYS/PERM", "The mailbox refused this."),
    Trouble.NOT_ALLOWED: ("SYS/PERM", "The mailbox refused this."),
    Trouble.NO_RIGHT: ("SYS/PERM", "The mailbox refused this."),
    Trouble.HAS_CHILDREN: ("SYS/PERM", "The mailbox refused this."),
    Trouble.READ_ONLY: ("SYS/PERM", "The mailbox is read-only."),
    Trouble.GONE: ("", "The message no longer exists."),
    Trouble.OVER_QUOTA: ("SYS/PERM", "The mailbox is full."),
    Trouble.TOO_BIG: ("SYS/PERM", "The message is too large."),
    Trouble.TOO_MANY: ("SYS/PERM", "The mailbox refused this."),
    Trouble.FULL: ("SYS/TEMP", "The storage is full."),
    Trouble.BUSY: ("SYS/TEMP", "The server is busy, try again."),
    Trouble.BROKEN: ("SYS/TEMP", "The mailbox could not be read or written, try again."),
}
"""Response codes of RFC 3206."""
TLS_FIRST = "Passwords are accepted over TLS only: send STLS first."
REFUSED = "The name or the password is wrong."


NOT_NOW = err("Signing in is not possible just now, try again later.", "SYS/TEMP")
FAILURES: dict[SaslFailure, bytes] = {
    SaslFailure.NO_MECHANISM: err("No such mechanism."),
    SaslFailure.NEEDS_TLS: err(TLS_FIRST),
    SaslFailure.REFUSED: err(REFUSED, "AUTH"),
    SaslFailure.NEEDS_APP_PASSWORD: err(APP_PASSWORD_NEEDED, "AUTH"),
    SaslFailure.CANCELLED: err("AUTH was cancelled."),
    SaslFailure.NOT_BASE64: err("The response is not base64."),
    SaslFailure.TOO_LONG: err("The line is too long."),
    SaslFailure.UNAVAILABLE: NOT_NOW,
}


class Next(enum.Enum):
    """What the connection does after a response."""

    GO_ON = enum.auto()
    START_TLS = enum.auto()
    CLOSE = enum.auto()


class Output(Protocol):
    """Takes responses, collects and sends them."""

    async def write(self, octets: bytes) -> None: ...
    async def ask(self, challenge: bytes) -> bytes:
        """Send a SASL challenge; the client's response line. Raises Overlong, PeerError."""
        ...


class Pop3Channel:
    """The connection as `auth.exchange` uses it (RFC 5034 §4)."""

    def __init__(self, stream: Stream, output: Output) -> None:
        self.ask = output.ask
        self._stream = stream

    async def attend(self, work: Callable[[], Awaitable[T]]) -> T:
        return await self._stream.attend(work)


@dataclass(frozen=True, slots=True)
class Pop3Context:
    """What all sessions of the service share. `locks`: which session has an account's maildrop locked."""

    store: Store
    login: Login
    mechanisms: Mechanisms
    locks: "dict[AccountId, Pop3Session]"
    mark_seen: bool


class Pop3Session:
    """One client."""

    def __init__(self, context: Pop3Context, stream: Stream, output: Output, protocol: Pop3ServerState) -> None:
        self._context = context
        self._stream = stream
        self._output = output
        self._protocol = protocol
        self.scope = trio.CancelScope()
        """Around the whole session; the service enters it."""
        self._unlocked = trio.Event()
        """Set when this session no longer has a maildrop locked."""
        self._name = ""
        self._identity: Identity | None = None
        self._drop: Maildrop | None = None

    async def handle(self, event: Pop3Command) -> Next:
        """Execute a command and respond."""
        try:
            if event.verb != b"PASS":
                name, self._name = self._name, ""
                if event.verb in (b"CAPA", b"NOOP", b"UTF8"):
                    self._name = name
            return await _HANDLERS[event.verb](self, event.arguments)
        except (MisuseError, MessageMissing) as e:
            await self._respond(err(str(e)))
        except StoreError as e:
            code, text = ERRORS[e.trouble]
            await self._respond(err(text, code))
        except AuthError:
            await self._respond(NOT_NOW)
        return Next.GO_ON

    def release_buffers(self) -> None:
        """The client is idle: hold no messages for it."""
        if self._drop is not None:
            self._drop.release_buffers()

    def close(self) -> None:
        """The session is over, whatever ended it: unlock the maildrop."""
        if self._drop is not None:
            if self._context.mark_seen:
                self._drop.see_fetched()
            self._drop.close()
            self._drop = None
        if self._identity is not None:
            del self._context.locks[self._identity.account]
            self._identity = None
        self._unlocked.set()

    async def give_up(self) -> bool:
        """Another session wants this session's maildrop: True when it is unlocked, False while this session's client is alive.

        A session whose client is lost is cancelled. Not in UPDATE: its QUIT was received, so its deletions are
        done (RFC 1939 §6), and the maildrop is unlocked right after.
        """
        alive = False
        with trio.move_on_after(STILL_THERE_S + UPDATE_S):
            if self._protocol.state is not Pop3State.UPDATE:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._watch_unlocked, nursery.cancel_scope)
                    alive = await self._stream.still_there()
                    nursery.cancel_scope.cancel()
            if alive and not self._unlocked.is_set():
                return False
            if self._protocol.state is not Pop3State.UPDATE:
                self.scope.cancel()
            await self._unlocked.wait()
        return self._unlocked.is_set()

    async def _watch_unlocked(self, scope: trio.CancelScope) -> None:
        await self._unlocked.wait()
        scope.cancel()

    async def _respond(self, octets: bytes) -> None:
        await self._output.write(octets)

    # --- any state -------------------------------------------------------------------------------

    async def _capa(self, _: tuple[bytes, ...]) -> Next:
        """RFC 2449 §5."""
        capabilities = [
            "TOP",
            "UIDL",
            "RESP-CODES",
            "AUTH-RESP-CODE",
            "PIPELINING",
            "EXPIRE NEVER",
            "IMPLEMENTATION Pillarbox",
            "UTF8 USER",
        ]
        if self._context.mechanisms.plaintext_allowed(self._stream.secure):
            capabilities += ["USER", "SASL " + " ".join(self._offered())]
        if self._protocol.state is Pop3State.AUTHORIZATION and self._stream.can_start_tls:
            capabilities.append("STLS")
        await self._respond(ok("Capabilities follow.") + "".join(f"{word}\r\n" for word in capabilities).encode() + END)
        return Next.GO_ON

    async def _noop(self, _: tuple[bytes, ...]) -> Next:
        await self._respond(ok())
        return Next.GO_ON

    async def _quit(self, _: tuple[bytes, ...]) -> Next:
        """Before sign-in it only ends the session; afterwards UPDATE comes first (RFC 1939 §6)."""
        self._protocol.state = Pop3State.UPDATE
        if self._drop is None:
            await self._respond(ok("Goodbye."))
            return Next.CLOSE
        try:
            removed = await self._drop.update()
        except StoreError as e:
            code, text = ERRORS[e.trouble]
            await self._respond(err(f"Nothing was deleted. {text}", code))
        else:
            await self._respond(ok(f"Goodbye, {removed} deleted." if removed else "Goodbye."))
        self.close()  # before the response is sent: a client that signs in again at once must not find the maildrop locked
        return Next.CLOSE

    # --- AUTHORIZATION ---------------------------------------------------------------------------

    def _offered(self) -> tuple[str, ...]:
        return self._context.mechanisms.offered(ConnectionInfo.of(self._stream))

    async def _stls(self, _: tuple[bytes, ...]) -> Next:
        if not self._stream.can_start_tls:
            raise MisuseError("TLS is already on." if self._stream.secure else "TLS is not available.")
        await self._respond(ok("Begin TLS."))
        return Next.START_TLS

    async def _utf8(self, _: tuple[bytes, ...]) -> Next:
        """RFC 6856 §2.1: nothing changes, since UTF-8 is always accepted and sent."""
        await self._respond(ok("UTF-8 is enabled."))
        return Next.GO_ON

    async def _user(self, arguments: tuple[bytes, ...]) -> Next:
        if not self._context.mechanisms.plaintext_allowed(self._stream.secure):
            raise MisuseError(TLS_FIRST)
        self._name = parse_text(arguments[0])
        await self._respond(ok("Send PASS."))
        return Next.GO_ON

    async def _pass(self, arguments: tuple[bytes, ...]) -> Next:
        name, self._name = self._name, ""
        if not name:
            raise MisuseError("USER comes first.")
        stream = self._stream
        password = parse_text(arguments[0])
        check = partial(self._context.login.check, name, password, peer=stream.peer_host, protocol=stream.protocol, mechanism="USER")
        try:
            identity = await stream.attend(check)
        except AppPasswordNeeded:
            await self._respond(FAILURES[SaslFailure.NEEDS_APP_PASSWORD])
            return Next.GO_ON
        return await self._enter(identity)

    async def _auth(self, arguments: tuple[bytes, ...]) -> Next:
        """RFC 5034 §4; without an argument it lists the mechanisms, for clients older than CAPA."""
        if not self._context.mechanisms.plaintext_allowed(self._stream.secure):
            raise MisuseError(TLS_FIRST)
        if not arguments:
            await self._respond(ok("Mechanisms follow.") + "".join(f"{name}\r\n" for name in self._offered()).encode() + END)
            return Next.GO_ON
        mechanism, initial = arguments[0].decode("latin-1"), arguments[1] if len(arguments) > 1 else None
        connection = ConnectionInfo.of(self._stream)
        outcome = await self._context.mechanisms.authenticate(mechanism, initial, connection, Pop3Channel(self._stream, self._output))
        if isinstance(outcome, SaslFailure):
            await self._respond(FAILURES[outcome])
            return Next.GO_ON
        return await self._enter(outcome)

    async def _enter(self, identity: Identity | None) -> Next:
        """Finish a sign-in: lock the maildrop and open it, or respond why not (RFC 2449 §8.1.1, RFC 3206)."""
        if identity is None or not self._context.login.is_current(identity):
            await self._respond(err(REFUSED, "AUTH"))
            return Next.GO_ON
        while (owner := self._context.locks.get(identity.account)) is not None:
            if not await self._stream.attend(owner.give_up):
                await self._respond(err("Another session has this maildrop open.", "IN-USE"))
                return Next.GO_ON
        self._context.locks[identity.account] = self
        self._identity = identity
        try:
            self._drop = await Maildrop.open(self._context.store, identity.account)
        except StoreError:
            self.close()
            raise
        if not self._context.login.is_current(identity):  # the account or password was changed or removed meanwhile
            self.close()
            await self._respond(err(REFUSED, "AUTH"))
            return Next.GO_ON
        self._stream.who = identity.address
        self._stream.login = (identity.account, identity.password)
        self._protocol.state = Pop3State.TRANSACTION
        await self._respond(ok(f"Welcome, {self._drop.messages} messages."))
        return Next.GO_ON

    # --- TRANSACTION -----------------------------------------------------------------------------

    @property
    def _open(self) -> Maildrop:
        assert self._drop is not None  # noqa: S101 - the state table allows commands of TRANSACTION after sign-in only
        return self._drop

    async def _stat(self, _: tuple[bytes, ...]) -> Next:
        await self._respond(b"+OK %d %d\r\n" % (self._open.messages, self._open.octets))
        return Next.GO_ON

    async def _list(self, arguments: tuple[bytes, ...]) -> Next:
        return await self._listing(arguments, lambda drop, number: str(drop.octets_of(number)))

    async def _uidl(self, arguments: tuple[bytes, ...]) -> Next:
        return await self._listing(arguments, lambda drop, number: drop.unique_id(number))

    async def _listing(self, arguments: tuple[bytes, ...], value: Callable[[Maildrop, int], str]) -> Next:
        """The line of one message, or of all (RFC 1939 §5, §7)."""
        drop = self._open
        if arguments:
            number = parse_number(arguments[0])
            await self._respond(ok(f"{number} {value(drop, number)}"))
            return Next.GO_ON
        numbers = drop.numbers()
        await self._respond(ok(f"{len(numbers)} messages"))
        for start in range(0, len(numbers), LIST_CHUNK):
            lines = (f"{number} {value(drop, number)}\r\n" for number in numbers[start : start + LIST_CHUNK])
            await self._respond("".join(lines).encode())
        await self._respond(END)
        return Next.GO_ON

    async def _retr(self, arguments: tuple[bytes, ...]) -> Next:
        number = parse_number(arguments[0])
        drop = self._open
        message = await drop.message(number)
        next_step = await self._send_message(message, b"+OK %d octets\r\n" % drop.octets_of(number), None)
        if next_step is Next.GO_ON:
            drop.fetched(number)
        return next_step

    async def _top(self, arguments: tuple[bytes, ...]) -> Next:
        number, lines = parse_number(arguments[0]), parse_number(arguments[1])
        message = await self._open.message(number)
        return await self._send_message(message, ok("The top of the message follows."), Top(message.header_octets, lines))

    async def _send_message(self, message: StoredMessage, first_line: bytes, top: Top | None) -> Next:
        """Send a message in chunks; a small one together with its first line and its end."""
        stuffer = DotStuffer()
        at = 0
        waiting = first_line
        while True:
            try:
                chunk = await message.read(at, READ_OCTETS)
            except StoreError:
                if waiting:  # nothing of the response is sent yet
                    raise
                return Next.CLOSE
            at += len(chunk)
            wanted = chunk if top is None else top.feed(chunk)
            if not chunk or at >= message.octets or (top is not None and top.done):
                await self._respond(b"".join((waiting, stuffer.feed(wanted), stuffer.finish())))
                return Next.GO_ON
            await self._respond(waiting + stuffer.feed(wanted))
            waiting = b""

    async def _dele(self, arguments: tuple[bytes, ...]) -> Next:
        number = parse_number(arguments[0])
        self._open.mark(number)
        await self._respond(ok(f"Message {number} will be deleted at QUIT."))
        return Next.GO_ON

    async def _rset(self, _: tuple[bytes, ...]) -> Next:
        self._open.reset()
        await self._respond(ok(f"{self._open.messages} messages"))
        return Next.GO_ON


_HANDLERS: dict[bytes, Callable[[Pop3Session, tuple[bytes, ...]], Awaitable[Next]]] = {
    b"USER": Pop3Session._user,
    b"PASS": Pop3Session._pass,
    b"AUTH": Pop3Session._auth,
    b"STLS": Pop3Session._stls,
    b"UTF8": Pop3Session._utf8,
    b"CAPA": Pop3Session._capa,
    b"NOOP": Pop3Session._noop,
    b"QUIT": Pop3Session._quit,
    b"STAT": Pop3Session._stat,
    b"LIST": Pop3Session._list,
    b"RETR": Pop3Session._retr,
    b"DELE": Pop3Session._dele,
    b"RSET": Pop3Session._rset,
    b"TOP": Pop3Session._top,
    b"UIDL": Pop3Session._uidl,
}
"""A handler for each row of `protocol.pop3.server.VERBS`."""
