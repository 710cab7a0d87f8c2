"""One POP3 session: what each command does (RFC 1939, RFC 2449, RFC 2595, RFC 5034, RFC 6856).

Promises: one session at a time holds a person's maildrop, from sign-in to the end of the session whatever ends it (RFC 1939
§3); the lock is in memory only, and a holder whose client is lost gives it up as soon as somebody else wants it.
Nothing is removed but by QUIT. Passwords are taken over TLS only, unless a setting allows otherwise. A message leaves with
its own octets (`protocol.pop3.multiline` names the exceptions, and sizes are told with them), also one in UTF-8 to a client
that never said UTF8: RFC 6856 §3 allows refusing or rewriting it, and neither helps anybody read it.
How it fails: ERRORS is the one table from the store's troubles to answers; what breaks in the middle of a message closes the
connection, for no answer can be told from the message there.
"""

import enum
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

import trio

from appliance.auth.identity import Identity
from appliance.auth.login import Login
from appliance.auth.mechanisms import Exchange, Mechanisms
from appliance.mail.errors import AuthError, MisuseError, StoreError, Trouble
from appliance.mail.ids import AccountId
from appliance.mail.limits import READ_OCTETS
from appliance.network import liveness
from appliance.network.stream import Stream
from appliance.protocol.dot_stuffing import END, DotStuffer
from appliance.protocol.pop3.grammar import Command, err, ok, parse_number, parse_text
from appliance.protocol.pop3.multiline import Top
from appliance.protocol.pop3.server import CommandReceived, Pop3ServerState, State
from appliance.store.body_readers import StoredMessage
from appliance.store.store import Store

from .maildrop import Maildrop, MessageMissing

UPDATE_S = 4.0
"""How long a newcomer waits for a session that is removing messages at its QUIT."""
LIST_CHUNK = 500
"""Lines of a long listing handed on at once."""
ERRORS: dict[Trouble, tuple[str, str]] = {
    Trouble.NO_MAILBOX: ("SYS/PERM", "There is no Inbox."),
    Trouble.EXISTS: ("SYS/PERM", "The mailbox refused this."),
    Trouble.BAD_NAME: ("SYS/PERM", "The mailbox refused this."),
    Trouble.NOT_ALLOWED: ("SYS/PERM", "The mailbox refused this."),
    Trouble.READ_ONLY: ("SYS/PERM", "The mailbox is for reading only."),
    Trouble.GONE: ("", "The message is no longer there."),
    Trouble.OVER_QUOTA: ("SYS/PERM", "The mailbox is full."),
    Trouble.TOO_BIG: ("SYS/PERM", "The message is too large."),
    Trouble.TOO_MANY: ("SYS/PERM", "The mailbox refused this."),
    Trouble.FULL: ("SYS/TEMP", "The card is full."),
    Trouble.BUSY: ("SYS/TEMP", "Too much is going on, try again."),
    Trouble.BROKEN: ("SYS/TEMP", "The mailbox could not be read or written, try again."),
}
"""Response codes of RFC 3206."""
TLS_FIRST = "Passwords are taken over TLS only: STLS comes first."
REFUSED = "Name or password is wrong."


class Next(enum.Enum):
    """What the connection does after an answer."""

    GO_ON = enum.auto()
    START_TLS = enum.auto()
    CLOSE = enum.auto()


class Output(Protocol):
    """Where answers go: gathered, and sent when there are enough of them."""

    async def write(self, octets: bytes) -> None: ...


class Session:
    """One client. `locks` holds whose maildrops are in use, and by which session, the whole service's."""

    def __init__(
        self,
        stream: Stream,
        output: Output,
        conversation: Pop3ServerState,
        *,
        store: Store,
        login: Login,
        mechanisms: Mechanisms,
        locks: "dict[AccountId, Session]",
        mark_seen: bool,
    ) -> None:
        self._stream = stream
        self._output = output
        self._conversation = conversation
        self._store = store
        self._login = login
        self._mechanisms = mechanisms
        self._locks = locks
        self._mark_seen = mark_seen
        self.scope = trio.CancelScope()
        """Around the whole session; the service enters it."""
        self._unlocked = trio.Event()
        """The maildrop is no longer this session's."""
        self._name = ""
        self._exchange: Exchange | None = None
        self._identity: Identity | None = None
        self._drop: Maildrop | None = None

    async def act(self, event: Command | CommandReceived) -> Next:
        """Do what the client asked and answer it."""
        try:
            if isinstance(event, CommandReceived):
                return await self._answer_exchange(event.octets)
            if event.verb != b"PASS":
                name, self._name = self._name, ""
                if event.verb in (b"CAPA", b"NOOP", b"UTF8"):
                    self._name = name
            return await _ACTS[event.verb](self, event.arguments)
        except (MisuseError, MessageMissing) as e:
            await self._say(err(str(e)))
        except StoreError as e:
            code, text = ERRORS[e.trouble]
            await self._say(err(text, code))
        except AuthError:
            self._conversation.state, self._exchange = State.AUTHORIZATION, None
            await self._say(err("Signing in is not possible just now, try again later.", "SYS/TEMP"))
        return Next.GO_ON

    def rest(self) -> None:
        """The client is quiet: hold no messages for it."""
        if self._drop is not None:
            self._drop.rest()

    def close(self) -> None:
        """The session is over, whatever ended it: the maildrop is free again."""
        if self._drop is not None:
            if self._mark_seen:
                self._drop.see_fetched()
            self._drop.close()
            self._drop = None
        if self._identity is not None:
            del self._locks[self._identity.account]
            self._identity = None
        self._unlocked.set()

    async def gives_up(self) -> bool:
        """Somebody else wants this session's maildrop: True when it is free, False while the client is there.

        A session whose client is lost is cancelled where it stands. Not in UPDATE: its QUIT came, so what it asked for is
        done (RFC 1939 §6), and the maildrop is free right after.
        """
        alive = False
        with trio.move_on_after(liveness.ASK_S + UPDATE_S):
            if self._conversation.state is not State.UPDATE:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._watch_unlocked, nursery.cancel_scope)
                    alive = await self._stream.still_there()
                    nursery.cancel_scope.cancel()
            if alive and not self._unlocked.is_set():
                return False
            if self._conversation.state is not State.UPDATE:
                self.scope.cancel()
            await self._unlocked.wait()
        return self._unlocked.is_set()

    async def _watch_unlocked(self, scope: trio.CancelScope) -> None:
        await self._unlocked.wait()
        scope.cancel()

    async def _say(self, octets: bytes) -> None:
        await self._output.write(octets)

    # --- any state -------------------------------------------------------------------------------

    async def _capa(self, _: tuple[bytes, ...]) -> Next:
        """RFC 2449 §5."""
        words = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "IMPLEMENTATION Pillarbox", "UTF8 USER"]
        if self._mechanisms.plaintext_allowed(self._stream.secure):
            words += ["USER", "SASL " + " ".join(self._offered())]
        if self._conversation.state is State.AUTHORIZATION and self._stream.can_start_tls:
            words.append("STLS")
        await self._say(ok("This is what is here.") + "".join(f"{word}\r\n" for word in words).encode() + END)
        return Next.GO_ON

    async def _noop(self, _: tuple[bytes, ...]) -> Next:
        await self._say(ok())
        return Next.GO_ON

    async def _quit(self, _: tuple[bytes, ...]) -> Next:
        """Before signing in it only ends the session; after, UPDATE comes first (RFC 1939 §6)."""
        self._conversation.state = State.UPDATE
        if self._drop is None:
            await self._say(ok("Goodbye."))
            return Next.CLOSE
        try:
            removed = await self._drop.update()
        except StoreError as e:
            code, text = ERRORS[e.trouble]
            await self._say(err(f"Nothing was deleted. {text}", code))
        else:
            await self._say(ok(f"Goodbye, {removed} deleted." if removed else "Goodbye."))
        self.close()  # before the answer leaves: who signs in again at once must not find the maildrop in use
        return Next.CLOSE

    # --- AUTHORIZATION ---------------------------------------------------------------------------

    def _offered(self) -> tuple[str, ...]:
        return self._mechanisms.offered(self._stream.secure, self._stream.channel_binding())

    async def _stls(self, _: tuple[bytes, ...]) -> Next:
        if not self._stream.can_start_tls:
            raise MisuseError("TLS is on already." if self._stream.secure else "There is no TLS here.")
        await self._say(ok("Begin TLS."))
        return Next.START_TLS

    async def _utf8(self, _: tuple[bytes, ...]) -> Next:
        """RFC 6856 §2.1: nothing changes, for UTF-8 is spoken in any case."""
        await self._say(ok("UTF-8 it is."))
        return Next.GO_ON

    async def _user(self, arguments: tuple[bytes, ...]) -> Next:
        if not self._mechanisms.plaintext_allowed(self._stream.secure):
            raise MisuseError(TLS_FIRST)
        self._name = parse_text(arguments[0])
        await self._say(ok("And the password?"))
        return Next.GO_ON

    async def _pass(self, arguments: tuple[bytes, ...]) -> Next:
        name, self._name = self._name, ""
        if not name:
            raise MisuseError("USER comes first.")
        stream = self._stream
        password = parse_text(arguments[0])
        check = partial(self._login.check, name, password, peer=stream.peer_host, protocol=stream.protocol, mechanism="USER")
        return await self._enter(await stream.attend(check))

    async def _auth(self, arguments: tuple[bytes, ...]) -> Next:
        """RFC 5034 §4; without an argument it lists the mechanisms, as clients from before CAPA expect."""
        if not self._mechanisms.plaintext_allowed(self._stream.secure):
            raise MisuseError(TLS_FIRST)
        if not arguments:
            await self._say(ok("Mechanisms follow.") + "".join(f"{name}\r\n" for name in self._offered()).encode() + END)
            return Next.GO_ON
        self._exchange = self._mechanisms.start(
            arguments[0].decode("latin-1"),
            peer=self._stream.peer_host,
            protocol=self._stream.protocol,
            secure=self._stream.secure,
            channel_binding=self._stream.channel_binding(),
        )
        if self._exchange is None:
            raise MisuseError("There is no such mechanism here.")
        if len(arguments) < 2:
            return await self._step(None)
        return await self._step(b"" if arguments[1] == b"=" else _decode(arguments[1]))

    async def _answer_exchange(self, line: bytes) -> Next:
        self._conversation.state = State.AUTHORIZATION
        if line == b"*":
            raise MisuseError("Given up, as you say.")
        return await self._step(_decode(line))

    async def _step(self, response: bytes | None) -> Next:
        assert self._exchange is not None  # noqa: S101 - only called during one
        outcome = await self._stream.attend(partial(self._exchange.step, response))
        if isinstance(outcome, bytes):
            self._conversation.state = State.EXCHANGE
            await self._say(b"+ " + b2a_base64(outcome, newline=False) + b"\r\n")
            return Next.GO_ON
        self._exchange = None
        return await self._enter(outcome)

    async def _enter(self, identity: Identity | None) -> Next:
        """A sign-in's end: lock the maildrop and open it, or say why not (RFC 2449 §8.1.1, RFC 3206)."""
        if identity is None or not self._login.is_current(identity):
            await self._say(err(REFUSED, "AUTH"))
            return Next.GO_ON
        while (holder := self._locks.get(identity.account)) is not None:
            if not await self._stream.attend(holder.gives_up):
                await self._say(err("Another session has this maildrop open.", "IN-USE"))
                return Next.GO_ON
        self._locks[identity.account] = self
        self._identity = identity
        try:
            self._drop = await Maildrop.open(self._store, identity.account)
        except StoreError:
            self.close()
            raise
        if not self._login.is_current(identity):  # changed or removed while another session was asked, or the maildrop opened
            self.close()
            await self._say(err(REFUSED, "AUTH"))
            return Next.GO_ON
        self._stream.who = identity.address
        self._stream.login = (identity.account, identity.password)
        self._conversation.state = State.TRANSACTION
        await self._say(ok(f"Welcome, {self._drop.messages} messages."))
        return Next.GO_ON

    # --- TRANSACTION -----------------------------------------------------------------------------

    @property
    def _open(self) -> Maildrop:
        assert self._drop is not None  # noqa: S101 - the state table lets nothing of TRANSACTION in before
        return self._drop

    async def _stat(self, _: tuple[bytes, ...]) -> Next:
        await self._say(b"+OK %d %d\r\n" % (self._open.messages, self._open.octets))
        return Next.GO_ON

    async def _list(self, arguments: tuple[bytes, ...]) -> Next:
        return await self._listing(arguments, lambda drop, number: str(drop.octets_of(number)))

    async def _uidl(self, arguments: tuple[bytes, ...]) -> Next:
        return await self._listing(arguments, lambda drop, number: drop.unique_id(number))

    async def _listing(self, arguments: tuple[bytes, ...], fact: Callable[[Maildrop, int], str]) -> Next:
        """One message's line, or all of them (RFC 1939 §5, §7)."""
        drop = self._open
        if arguments:
            number = parse_number(arguments[0])
            await self._say(ok(f"{number} {fact(drop, number)}"))
            return Next.GO_ON
        numbers = drop.numbers()
        await self._say(ok(f"{len(numbers)} messages"))
        for start in range(0, len(numbers), LIST_CHUNK):
            lines = (f"{number} {fact(drop, number)}\r\n" for number in numbers[start : start + LIST_CHUNK])
            await self._say("".join(lines).encode())
        await self._say(END)
        return Next.GO_ON

    async def _retr(self, arguments: tuple[bytes, ...]) -> Next:
        number = parse_number(arguments[0])
        drop = self._open
        message = await drop.message(number)
        after = await self._send_message(message, b"+OK %d octets\r\n" % drop.octets_of(number), None)
        if after is Next.GO_ON:
            drop.fetched(number)
        return after

    async def _top(self, arguments: tuple[bytes, ...]) -> Next:
        number, lines = parse_number(arguments[0]), parse_number(arguments[1])
        message = await self._open.message(number)
        return await self._send_message(message, ok("The top of it."), Top(message.header_octets, lines))

    async def _send_message(self, message: StoredMessage, greeting: bytes, top: Top | None) -> Next:
        """A message in pieces; a small one leaves with its greeting and its end at once."""
        stuffer = DotStuffer()
        at = 0
        waiting = greeting
        while True:
            try:
                chunk = await message.read(at, READ_OCTETS)
            except StoreError:
                if waiting:  # nothing of the answer is out yet
                    raise
                return Next.CLOSE
            at += len(chunk)
            wanted = chunk if top is None else top.feed(chunk)
            if not chunk or at >= message.octets or (top is not None and top.done):
                await self._say(b"".join((waiting, stuffer.feed(wanted), stuffer.finish())))
                return Next.GO_ON
            await self._say(waiting + stuffer.feed(wanted))
            waiting = b""

    async def _dele(self, arguments: tuple[bytes, ...]) -> Next:
        number = parse_number(arguments[0])
        self._open.mark(number)
        await self._say(ok(f"Message {number} is deleted at QUIT."))
        return Next.GO_ON

    async def _rset(self, _: tuple[bytes, ...]) -> Next:
        self._open.reset()
        await self._say(ok(f"{self._open.messages} messages"))
        return Next.GO_ON


def _decode(octets: bytes) -> bytes:
    try:
        return a2b_base64(octets, strict_mode=True)
    except Base64Error:
        raise MisuseError("This is not base64.") from None


_ACTS: dict[bytes, Callable[[Session, tuple[bytes, ...]], Awaitable[Next]]] = {
    b"USER": Session._user,
    b"PASS": Session._pass,
    b"AUTH": Session._auth,
    b"STLS": Session._stls,
    b"UTF8": Session._utf8,
    b"CAPA": Session._capa,
    b"NOOP": Session._noop,
    b"QUIT": Session._quit,
    b"STAT": Session._stat,
    b"LIST": Session._list,
    b"RETR": Session._retr,
    b"DELE": Session._dele,
    b"RSET": Session._rset,
    b"TOP": Session._top,
    b"UIDL": Session._uidl,
}
"""One act for each row of `protocol.pop3.server.VERBS`."""
