"""One SMTP session, from the greeting to QUIT: lines in, commands looked up, checked and carried out (RFC 5321 §3).

Invariant: a session sends one reply to each command, in order; it ends after QUIT, after ERRORS bad commands, after a line
whose end is not CRLF or that belongs to another protocol (an HTTP request; nothing after it is obeyed), when a deadline
passes or the server shuts down (421, RFC 5321 §3.8), and leaves nothing of an unfinished message behind, however it ends.
Raises PeerGone when the client is gone.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from appliance.accounts.directory import Directory, Resolution
from appliance.accounts.send_quota import SendQuota
from appliance.auth.identity import Identity
from appliance.auth.mechanisms import Mechanisms
from appliance.delivery.intake import Intake
from appliance.delivery.rights import NO_REMOTE_ADDRESSES, RemoteAddresses, judge_sending
from appliance.mail.address import Address
from appliance.mail.clock import Clock
from appliance.mail.errors import MisuseError, PeerError, PeerSlow
from appliance.mail.limits import SMTP_COMMAND_OCTETS, SMTP_LINGER_S
from appliance.mail.protocols import PROTOCOLS
from appliance.mail.reply import Reply
from appliance.network.stream import Draining, Stream
from appliance.protocol.foreign import is_header_field, words_for
from appliance.protocol.framing import Overlong
from appliance.protocol.smtp.data import DotStream
from appliance.protocol.smtp.grammar import CommandLine, parse_command
from appliance.protocol.smtp.server import SmtpEvent, SmtpServerState, SmtpState
from appliance.status.board import Board
from appliance.status.events import MessageRefused

from .connection import BrokenLine, ForeignClient, SmtpConnection
from .extension import CommandTables, SmtpCommand
from .inspection import Inspector
from .inspectors import INSPECTORS
from .options import SmtpOptions
from .own_names import OwnNames, no_addresses
from .transaction import MailTransaction

UNKNOWN = Reply(500, "5.5.1", ("This command is not known here; HELP lists those that are.",))
NO_COMMAND = Reply(500, "5.5.2", ("This is not a command; HELP lists them.",))
LONG_LINE = Reply(500, "5.5.2", (f"The command is longer than {SMTP_COMMAND_OCTETS} octets.",))
NOT_HERE = Reply(502, "5.5.1", ("This server does not do that.",))
BAD_LINE_END = Reply(500, "5.5.2", ("A line must end in CRLF, and CR or LF stand nowhere else; goodbye.",))
TOO_SLOW = Reply(421, "4.4.2", ("Nothing came for too long; goodbye.",))
TOO_WRONG = Reply(421, "4.7.0", ("Too many commands went wrong; goodbye.",))
REVOKED = Reply(421, "4.7.0", ("The password you signed in with was changed or removed; goodbye.",))
CLOSING = Reply(421, "4.3.2", ("The server is shutting down for a moment; please come back.",))
EARLY = Reply(554, "5.5.1", ("You sent something before the greeting; goodbye.",))

UNWANTED = frozenset({b"ETRN", b"TURN", b"SEND", b"SOML", b"SAML", b"EXPN"})
"""Commands of the standards that this server leaves out (EXPN would list accounts, RFC 5321 §7.3)."""
SUBMISSION = frozenset(row.name for row in PROTOCOLS if row.service == "smtp" and row.sign_in == "always")


@dataclass(frozen=True, slots=True)
class SmtpContext:
    """What all sessions of the service share.

    `relay_check` knows how messages leave the server and whose rewritten senders lead where; without it none leave. `sending`
    counts what each account sends; None for no limits. `own_addresses` are those of the interfaces (`user@[address]`). `inspectors`
    judge each message before its commit.
    """

    intake: Intake
    directory: Directory
    mechanisms: Mechanisms
    board: Board
    clock: Clock
    options: SmtpOptions
    relay_check: RemoteAddresses = NO_REMOTE_ADDRESSES
    sending: SendQuota | None = None
    own_addresses: Callable[[], Iterable[str]] = no_addresses
    inspectors: tuple[Inspector, ...] = INSPECTORS


class SmtpServerSession:
    """The state of one client's session; `extension.SmtpSession` is what commands and extensions may use of it."""

    __slots__ = (
        "_closing",
        "_context",
        "_errors",
        "clock",
        "connection",
        "directory",
        "extended",
        "greeted_as",
        "identity",
        "intake",
        "mechanisms",
        "options",
        "peer",
        "protocol",
        "relay_check",
        "state",
        "submission",
        "tables",
        "transaction",
    )  # fmt: skip

    def __init__(self, context: SmtpContext, tables: CommandTables, stream: Stream) -> None:
        self._context = context
        self.tables = tables
        self.clock = context.clock
        self.intake = context.intake
        self.directory = context.directory
        self.mechanisms = context.mechanisms
        self.options = context.options
        self.relay_check = context.relay_check
        self.connection = SmtpConnection(stream)
        self.state = SmtpServerState()
        self.protocol: str = stream.protocol
        self.peer = stream.peer_host
        self.submission = stream.protocol in SUBMISSION
        self.greeted_as = ""
        """The word after EHLO or HELO, as it came."""
        self.extended = False
        """EHLO was sent, not HELO."""
        self.identity: Identity | None = None
        self.transaction: MailTransaction | None = None
        self._errors = 0
        self._closing = False

    # --- the command loop ------------------------------------------------------------------------

    async def run(self) -> None:
        """To its end. The listener closes the stream."""
        try:
            await self._greet()
            while not self._closing:
                await self._serve_one()
            await self.connection.flush()
        except BrokenLine:
            await self.end_with(BAD_LINE_END)
        except ForeignClient as foreign:
            await self.end_with(Reply(500, "5.5.2", (str(foreign),)))
        except PeerSlow:
            await self.end_with(TOO_SLOW)
        except Draining:
            await self.end_with(REVOKED if self.connection.stream.revoked else CLOSING)
        finally:
            await self.end_transaction()

    async def _greet(self) -> None:
        if self.options.greet_pause_s > 0 and not self.submission:
            with suppress(PeerSlow):
                await self.connection.chunk(self.options.greet_pause_s)
                await self.end_with(EARLY)
                return
        self.connection.queue(Reply(220, "", (f"{self.options.host_name} ESMTP Pillarbox, ready",)))

    async def _serve_one(self) -> None:
        try:
            line = await self.connection.line(self.options.command_s)
        except Overlong:
            self.answer(LONG_LINE)
            return
        if self.state.state is SmtpState.GREETED and is_header_field(line):  # before EHLO: an HTTP request with a method nobody knows
            raise ForeignClient(words_for("HTTP"))
        try:
            received = parse_command(line)
        except MisuseError:
            self.answer(NO_COMMAND)
            return
        if len(line) > SMTP_COMMAND_OCTETS and received.verb != b"AUTH":
            self.answer(LONG_LINE)
            return
        command = self.tables.commands.get(received.verb)
        if command is None:
            self.answer(NOT_HERE if received.verb in UNWANTED else UNKNOWN)
            return
        reply = await self._carry_out(command, received)
        if reply is not None:
            self.answer(reply, counts=reply.permanent and not (command.event is SmtpEvent.RCPT and self.identity is not None))

    async def _carry_out(self, command: SmtpCommand, received: CommandLine) -> Reply | None:
        refusal = self.state.check(command.event)
        checked = refusal if refusal is not None else command.check(self, received.argument)
        if isinstance(checked, Reply):
            if command.octets_follow is not None:
                await self.discard_octets(command.octets_follow(received.argument))
            return checked
        return await command.proceed(self, checked)

    def answer(self, reply: Reply, *, counts: bool = True) -> None:
        """Send a reply; one that `counts` as the client's error brings the session nearer to its end."""
        self.connection.queue(reply)
        if counts and reply.permanent:
            self._errors += 1
            if self._errors >= self.options.errors and not self._closing:
                self.connection.queue(TOO_WRONG)
                self.close_after_replies()

    # --- for commands and extensions (`extension.SmtpSession`) ---------------------------------------

    def close_after_replies(self) -> None:
        """End the session once the replies have left."""
        self._closing = True
        if self.state.open:
            self.state.proceed(SmtpEvent.CLOSE)

    async def end_with(self, reply: Reply) -> None:
        """Send the last reply and end the session."""
        self.close_after_replies()
        await self.connection.send_last(reply)

    async def refuse_and_close(self, reply: Reply, rest: int | DotStream) -> None:
        """Refuse what the client is in the middle of sending, and end: the rest is read for a little, so that it gets the reply."""
        await self.end_with(reply)
        await self.end_transaction()
        with suppress(PeerError):
            await self.connection.discard(rest, SMTP_LINGER_S)

    async def discard_octets(self, octets: int | None) -> None:
        """Discard the octets after a refused command; when they are too many, or their number is unknown, the session ends."""
        if octets is None or octets > self.options.message_octets:
            self.close_after_replies()
        elif octets and not await self.connection.discard(octets, self.options.message_s):
            raise PeerSlow("octets that were announced did not come")

    async def end_transaction(self) -> None:
        """Forget sender, recipients and octets."""
        transaction, self.transaction = self.transaction, None
        self.connection.stream.uninterrupted = False
        if transaction is not None:
            await transaction.drop()

    async def forget(self) -> None:
        """Everything sent before TLS counts for nothing (RFC 3207 §4.2)."""
        await self.end_transaction()
        self.greeted_as = ""
        self.extended = False
        self.identity = None
        self.connection.stream.who = ""
        self.connection.stream.login = None

    def sign_in(self, identity: Identity) -> bool:
        """False when the password was changed or removed meanwhile."""
        if not self.mechanisms.is_current(identity):
            return False
        self.identity = identity
        self.connection.stream.who = identity.address
        self.connection.stream.login = (identity.account, identity.password)
        return True

    def at_this_server(self, address: Address | None) -> Resolution | None:
        """Where an address leads that names the server itself and none of its domains; None for any other."""
        if address is None or self.directory.is_local(address.domain):
            return None
        own = OwnNames(self.options.host_name, self._context.own_addresses)
        return own.resolve(self.directory, address, self.connection.stream.local_host)

    @property
    def inspectors(self) -> tuple[Inspector, ...]:
        return self._context.inspectors

    def sending_refusal(self, recipients: int, *, take: bool = False) -> Reply | None:
        """Is this account over its limit for a message to so many outside? `take`: this one counts from now on."""
        if self.identity is None or self._context.sending is None:
            return None
        return judge_sending(self._context.sending, self.identity, recipients, self.clock.mono_s(), take=take)

    def give_back(self, recipients: int) -> None:
        """A message to so many outside was not accepted after it counted."""
        if self.identity is not None and self._context.sending is not None and recipients:
            self._context.sending.give_back(self.identity.account, recipients, self.clock.mono_s())

    def announce_refusal(self, reply: Reply, *, sender: str | None = None, recipient: str = "") -> None:
        """Publish that a message or one of its recipients was refused."""
        if sender is None:
            sender = str(self.transaction.envelope.sender or "") if self.transaction else ""
        self._context.board.publish(MessageRefused(self.protocol, self.peer, sender, recipient, str(reply)))
