"""One client from the greeting to QUIT: lines in, commands looked up, checked and carried out (RFC 5321 §3).

Promise: a session says one reply to each command, in order; it ends after QUIT, after ERRORS bad commands, after a line
whose end is not CRLF or that belongs to another protocol (an HTTP request; nothing behind it is obeyed), when a deadline
passes or the server closes (421, RFC 5321 §3.8), and leaves nothing of an unfinished message behind, however it ends.
Raises PeerGone when the client is gone.
"""

from contextlib import suppress
from typing import TYPE_CHECKING

from appliance.mail.errors import MisuseError, PeerError, PeerSlow
from appliance.mail.limits import SMTP_COMMAND_OCTETS, SMTP_LINGER_S
from appliance.mail.reply import Reply
from appliance.network.stream import Draining
from appliance.protocol.foreign import is_header_field, words_for
from appliance.protocol.framing import Overlong
from appliance.protocol.smtp.data import DotStream
from appliance.protocol.smtp.grammar import CommandLine, parse_command
from appliance.protocol.smtp.server import Event, SmtpServerState, State
from appliance.status.events import MessageRefused

from .connection import BrokenLine, Connection, ForeignClient
from .extension import Command, Parameter, RecipientParameter
from .rights import judge_sending
from .transaction import MailTransaction

if TYPE_CHECKING:
    from appliance.accounts.directory import Resolution
    from appliance.auth.identity import Identity
    from appliance.mail.address import Address
    from appliance.network.stream import Stream

    from .service import SmtpContext

UNKNOWN = Reply(500, "5.5.1", ("This command is not known here; HELP lists those that are.",))
NO_COMMAND = Reply(500, "5.5.2", ("This is not a command; HELP lists them.",))
LONG_LINE = Reply(500, "5.5.2", (f"The command is longer than {SMTP_COMMAND_OCTETS} octets.",))
NOT_HERE = Reply(502, "5.5.1", ("This server does not do that.",))
BAD_LINE_END = Reply(500, "5.5.2", ("A line must end in CRLF, and CR or LF stand nowhere else; goodbye.",))
TOO_SLOW = Reply(421, "4.4.2", ("Nothing came for too long; goodbye.",))
TOO_WRONG = Reply(421, "4.7.0", ("Too many commands went wrong; goodbye.",))
REVOKED = Reply(421, "4.7.0", ("The password you signed in with was changed or removed; goodbye.",))
CLOSING = Reply(421, "4.3.2", ("The server is closing for a moment; please come back.",))
EARLY = Reply(554, "5.5.1", ("You spoke before the greeting; goodbye.",))

UNWANTED = frozenset({b"ETRN", b"TURN", b"SEND", b"SOML", b"SAML", b"EXPN"})
"""Commands the world knows and this server leaves out (EXPN would name people, RFC 5321 §7.3)."""
SUBMISSION = frozenset({"submission", "submissions"})


class Session:
    """What one conversation knows."""

    __slots__ = (
        "_closing",
        "_errors",
        "_server",
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
        "transaction",
    )  # fmt: skip

    def __init__(self, server: "SmtpContext", stream: "Stream") -> None:
        self._server = server
        self.clock = server.clock
        self.intake = server.intake
        self.directory = server.directory
        self.mechanisms = server.mechanisms
        self.options = server.options
        self.relay_check = server.relay_check
        self.connection = Connection(stream)
        self.state = SmtpServerState()
        self.protocol = stream.protocol
        self.peer = stream.peer_host
        self.submission = stream.protocol in SUBMISSION
        """This port is for the server's own people."""
        self.greeted_as = ""
        """The word after EHLO or HELO, as it came."""
        self.extended = False
        self.identity: Identity | None = None
        self.transaction: MailTransaction | None = None
        self._errors = 0
        self._closing = False

    # --- the conversation ----------------------------------------------------------------------

    async def run(self) -> None:
        """To its end. The listener closes the stream."""
        try:
            await self._greet()
            while not self._closing:
                await self._serve_one()
            await self.connection.flush()
        except BrokenLine:
            await self.goodbye(BAD_LINE_END)
        except ForeignClient as foreign:
            await self.goodbye(Reply(500, "5.5.2", (str(foreign),)))
        except PeerSlow:
            await self.goodbye(TOO_SLOW)
        except Draining:
            await self.goodbye(REVOKED if self.connection.stream.revoked else CLOSING)
        finally:
            await self.end_transaction()

    async def _greet(self) -> None:
        if self.options.greet_pause_s > 0 and not self.submission:
            with suppress(PeerSlow):
                await self.connection.chunk(self.options.greet_pause_s)
                await self.goodbye(EARLY)
                return
        self.connection.say(Reply(220, "", (f"{self.options.host_name} ESMTP Pillarbox, at your service",)))

    async def _serve_one(self) -> None:
        try:
            line = await self.connection.line(self.options.command_s)
        except Overlong:
            self.answer(LONG_LINE)
            return
        if self.state.state is State.GREETED and is_header_field(line):  # before EHLO: an HTTP request with a method nobody knows
            raise ForeignClient(words_for("HTTP"))
        try:
            said = parse_command(line)
        except MisuseError:
            self.answer(NO_COMMAND)
            return
        if len(line) > SMTP_COMMAND_OCTETS and said.verb != b"AUTH":
            self.answer(LONG_LINE)
            return
        command = self._server.vocabulary.commands.get(said.verb)
        if command is None:
            self.answer(NOT_HERE if said.verb in UNWANTED else UNKNOWN)
            return
        reply = await self._carry_out(command, said)
        if reply is not None:
            self.answer(reply, counts=reply.permanent and not (command.event is Event.RCPT and self.identity is not None))

    async def _carry_out(self, command: Command, said: CommandLine) -> Reply | None:
        refusal = self.state.check(command.event)
        checked = refusal if refusal is not None else command.check(self, said.argument)
        if isinstance(checked, Reply):
            if command.octets_follow is not None:
                await self.read_away(command.octets_follow(said.argument))
            return checked
        return await command.proceed(self, checked)

    def answer(self, reply: Reply, *, counts: bool = True) -> None:
        """Say a reply; one that `counts` as the client's error brings the session nearer to its end."""
        self.connection.say(reply)
        if counts and reply.permanent:
            self._errors += 1
            if self._errors >= self.options.errors and not self._closing:
                self.connection.say(TOO_WRONG)
                self.hang_up()

    # --- what commands use -----------------------------------------------------------------------

    def hang_up(self) -> None:
        """End the session once what was said has left."""
        self._closing = True
        if self.state.open:
            self.state.proceed(Event.CLOSE)

    async def goodbye(self, reply: Reply) -> None:
        """Say the last word and end the session."""
        self.hang_up()
        await self.connection.say_last(reply)

    async def refuse_and_close(self, reply: Reply, rest: int | DotStream) -> None:
        """Refuse what the client is in the middle of sending, and end: the rest is read for a little, so that it hears why."""
        await self.goodbye(reply)
        await self.end_transaction()
        with suppress(PeerError):
            await self.connection.throw_away(rest, SMTP_LINGER_S)

    async def read_away(self, octets: int | None) -> None:
        """Octets behind a refused command; when there are too many, or nobody knows how many, the session ends."""
        if octets is None or octets > self.options.message_octets:
            self.hang_up()
        elif octets and not await self.connection.throw_away(octets, self.options.message_s):
            raise PeerSlow("octets that were announced did not come")

    async def end_transaction(self) -> None:
        """Forget sender, recipients and octets."""
        transaction, self.transaction = self.transaction, None
        self.connection.stream.uninterrupted = False
        if transaction is not None:
            await transaction.drop()

    async def forget(self) -> None:
        """Everything said before TLS counts for nothing (RFC 3207 §4.2)."""
        await self.end_transaction()
        self.greeted_as = ""
        self.extended = False
        self.identity = None
        self.connection.stream.who = ""
        self.connection.stream.login = None

    def sign_in(self, identity: "Identity") -> bool:
        """False when the password was changed or removed meanwhile."""
        if not self.mechanisms.is_current(identity):
            return False
        self.identity = identity
        self.connection.stream.who = identity.address
        self.connection.stream.login = (identity.account, identity.password)
        return True

    def at_this_server(self, address: "Address | None") -> "Resolution | None":
        """Whom an address leads to that names the server itself and none of its domains; None for any other."""
        if address is None or self.directory.is_local(address.domain):
            return None
        return self._server.own_names.resolve(self.directory, address, self.connection.stream.local_host)

    def offered_words(self) -> list[str]:
        return self._server.vocabulary.offered(self)

    def usages(self) -> tuple[str, ...]:
        return tuple(command.usage for command in self._server.vocabulary.commands.values())

    def mail_parameter(self, keyword: bytes) -> Parameter | None:
        return self._server.vocabulary.mail_parameters.get(keyword)

    def recipient_parameter(self, keyword: bytes) -> RecipientParameter | None:
        return self._server.vocabulary.recipient_parameters.get(keyword)

    def sending_refusal(self, recipients: int, *, take: bool = False) -> Reply | None:
        """Has the person who signed in sent too much to send a message to so many outside? `take`: this one counts from now on."""
        if self.identity is None or self._server.sending is None:
            return None
        return judge_sending(self._server.sending, self.identity, recipients, self.clock.mono_s(), take=take)

    def announce_refusal(self, reply: Reply, *, sender: str | None = None, recipient: str = "") -> None:
        """Tell the board that a message or one of its recipients was refused."""
        if sender is None:
            sender = str(self.transaction.envelope.sender or "") if self.transaction else ""
        self._server.board.publish(MessageRefused(self.protocol, self.peer, sender, recipient, str(reply)))

    @property
    def ready(self) -> bool:
        return self.state.state is State.READY
