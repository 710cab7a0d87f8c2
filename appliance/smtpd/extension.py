"""The contract between a session and its commands and extensions: what they may use of it, and how they are declared.

A command is two functions. *check* reads the argument and says whether the command may be carried out as things stand: it
changes nothing and cannot wait; a Reply it returns is the refusal. *proceed* carries out what check returned.
`CommandTables` folds the core commands and the extensions into look-ups; a verb or parameter declared twice is a fault of
ours: SetupError at start. Nothing here imports a command, an extension or the session.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from appliance.accounts.directory import Resolution
from appliance.auth.identity import Identity
from appliance.auth.mechanisms import Mechanisms
from appliance.delivery.rights import RemoteAddresses
from appliance.mail.address import Address
from appliance.mail.envelope import Envelope, Recipient
from appliance.mail.errors import SetupError
from appliance.mail.reply import Reply
from appliance.protocol.smtp.data import DotStream
from appliance.protocol.smtp.server import SmtpEvent, SmtpServerState

from .inspection import TransactionSession
from .transaction import MailTransaction


class SmtpSession(TransactionSession, Protocol):
    """What commands and extensions may use of a session."""

    relay_check: RemoteAddresses
    mechanisms: Mechanisms
    state: SmtpServerState
    submission: bool
    """This port is for the server's own users: 587 or 465."""
    transaction: MailTransaction | None

    @property
    def tables(self) -> "CommandTables": ...
    def close_after_replies(self) -> None: ...
    async def end_with(self, reply: Reply) -> None: ...
    async def refuse_and_close(self, reply: Reply, rest: int | DotStream) -> None: ...
    async def discard_octets(self, octets: int | None) -> None: ...
    async def end_transaction(self) -> None: ...
    async def forget(self) -> None: ...
    def sign_in(self, identity: Identity) -> bool: ...
    def at_this_server(self, address: Address | None) -> Resolution | None: ...


@dataclass(frozen=True, slots=True)
class SmtpCommand:
    """One verb. `check(session, argument)` gives a refusal or whatever `proceed(session, it)` wants.

    `octets_follow`: how many octets the client sends after the command without waiting (BDAT); None when that cannot be
    known. They are read and discarded when the command is refused.
    """

    verb: bytes
    event: SmtpEvent
    check: Callable[[SmtpSession, bytes], Any]
    proceed: Callable[[SmtpSession, Any], Awaitable[Reply | None]]
    usage: str
    octets_follow: Callable[[bytes], int | None] | None = None


@dataclass(frozen=True, slots=True)
class Parameter:
    """One ESMTP parameter of MAIL FROM. `take` writes it into the envelope being made, or refuses."""

    keyword: bytes
    take: Callable[[SmtpSession, Envelope, bytes | None], Reply | None]


@dataclass(frozen=True, slots=True)
class RecipientParameter:
    """One ESMTP parameter of RCPT TO. `take` writes it into a recipient that holds nothing else yet, or refuses; the envelope
    is that of the transaction and not to be changed."""

    keyword: bytes
    take: Callable[[SmtpSession, Envelope, Recipient, bytes | None], Reply | None]


def never(session: SmtpSession) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class SmtpExtension:
    """One ESMTP extension in one file: the file exports EXTENSION, the table lists it.

    `keyword(session)` is its line in the reply to EHLO as of now, "" when it is not offered on this connection.
    """

    name: str
    rfc: str
    keyword: Callable[[SmtpSession], str] = never
    commands: tuple[SmtpCommand, ...] = ()
    mail_parameters: tuple[Parameter, ...] = ()
    recipient_parameters: tuple[RecipientParameter, ...] = ()


class CommandTables:
    """Every verb and parameter of the server, made once for each service and never changed."""

    __slots__ = ("commands", "extensions", "mail_parameters", "recipient_parameters")

    def __init__(self, core: Iterable[SmtpCommand], extensions: Iterable[SmtpExtension]) -> None:
        self.extensions = tuple(extensions)
        self.commands: dict[bytes, SmtpCommand] = {}
        self.mail_parameters: dict[bytes, Parameter] = {}
        self.recipient_parameters: dict[bytes, RecipientParameter] = {}
        for command in (*core, *(command for extension in self.extensions for command in extension.commands)):
            if command.verb in self.commands:
                raise SetupError(f"Two commands are called {command.verb.decode()}.")
            self.commands[command.verb] = command
        for parameter in (parameter for extension in self.extensions for parameter in extension.mail_parameters):
            if parameter.keyword in self.mail_parameters:
                raise SetupError(f"Two parameters of MAIL are called {parameter.keyword.decode()}.")
            self.mail_parameters[parameter.keyword] = parameter
        for one in (one for extension in self.extensions for one in extension.recipient_parameters):
            if one.keyword in self.recipient_parameters:
                raise SetupError(f"Two parameters of RCPT are called {one.keyword.decode()}.")
            self.recipient_parameters[one.keyword] = one

    def offered(self, session: SmtpSession) -> list[str]:
        """The lines EHLO lists."""
        return [word for extension in self.extensions if (word := extension.keyword(session))]

    def usages(self) -> tuple[str, ...]:
        """The lines HELP lists."""
        return tuple(command.usage for command in self.commands.values())
