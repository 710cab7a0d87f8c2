"""The Controls port: what a person may ask of the server, as frozen requests and one kind of answer.

Command line, panel and web hold nothing else of the server; `appliance.app.admin_api` is the one implementation. A request that
cannot be done raises SetupError with a sentence and a remedy, and has changed nothing. Import and export are
conversations: messages stream through, one after another.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Protocol

from appliance.mail.archive import ImportedMessage
from appliance.mail.errors import SetupError


@dataclass(frozen=True, slots=True)
class Status:
    """The one picture, as `pillarbox status` shows it."""


@dataclass(frozen=True, slots=True)
class AddAccount:
    """`password` "" has one generated and told in the answer. `quota_mb` 0 is the server's default."""

    address: str
    password: str = field(default="", repr=False)
    quota_mb: int = 0


@dataclass(frozen=True, slots=True)
class RemoveAccount:
    """The mail is kept for a month, and `RestorePerson` takes all back; with `purge` it is erased at once."""

    address: str
    purge: bool = False


@dataclass(frozen=True, slots=True)
class RestoreAccount:
    address: str


@dataclass(frozen=True, slots=True)
class SetAccount:
    """`quota_mb` -1 leaves the quota as it is, 0 is the server's default. `name` counts only when `named`; "" is none."""

    address: str
    quota_mb: int = -1
    name: str = ""
    named: bool = False


@dataclass(frozen=True, slots=True)
class RenameAccount:
    """Another address for the same account; the old one stays as an alias."""

    address: str
    new: str


@dataclass(frozen=True, slots=True)
class DisableAccount:
    """Messages arrive; nobody signs in."""

    address: str


@dataclass(frozen=True, slots=True)
class EnableAccount:
    address: str


@dataclass(frozen=True, slots=True)
class ListAccounts:
    pass


@dataclass(frozen=True, slots=True)
class SetPassword:
    address: str
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class AddAppPassword:
    """The password is generated and told once."""

    address: str
    label: str


@dataclass(frozen=True, slots=True)
class RemoveAppPassword:
    address: str
    label: str


@dataclass(frozen=True, slots=True)
class ListAppPasswords:
    address: str


@dataclass(frozen=True, slots=True)
class AddAlias:
    address: str
    target: str


@dataclass(frozen=True, slots=True)
class RemoveAlias:
    """`target` "" removes all of them."""

    address: str
    target: str = ""


@dataclass(frozen=True, slots=True)
class ListAliases:
    pass


@dataclass(frozen=True, slots=True)
class AddDomain:
    name: str


@dataclass(frozen=True, slots=True)
class RemoveDomain:
    name: str


@dataclass(frozen=True, slots=True)
class ListDomains:
    pass


@dataclass(frozen=True, slots=True)
class SetCatchAll:
    """Messages to unknown names of the domain go to `address`; "" refuses them again."""

    name: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class ListMailboxes:
    address: str


@dataclass(frozen=True, slots=True)
class ShowCertificate:
    pass


@dataclass(frozen=True, slots=True)
class ExportCertificate:
    """The server's authority in PEM form, for devices to trust."""


@dataclass(frozen=True, slots=True)
class RenewCertificate:
    """A new server certificate of the same authority."""


@dataclass(frozen=True, slots=True)
class NewAuthority:
    """A new authority and a server certificate of it; whoever asks has made sure that every device may have to trust it anew."""


@dataclass(frozen=True, slots=True)
class ListQueue:
    """Everything that waits to leave, the oldest first."""


@dataclass(frozen=True, slots=True)
class ShowMessage:
    """`word` is a row's number or a message's name, or enough of its beginning; so everywhere below."""

    word: str


@dataclass(frozen=True, slots=True)
class RetryMessage:
    word: str


@dataclass(frozen=True, slots=True)
class HoldMessage:
    word: str


@dataclass(frozen=True, slots=True)
class ReleaseMessage:
    word: str


@dataclass(frozen=True, slots=True)
class RerouteMessage:
    """`route` is "direct" or a relay's name."""

    word: str
    route: str


@dataclass(frozen=True, slots=True)
class CancelMessage:
    word: str


@dataclass(frozen=True, slots=True)
class FlushQueue:
    """Try everything that waits now."""


@dataclass(frozen=True, slots=True)
class ReadLog:
    """The newest lines of the log in memory, oldest first; `since` is what the answer before called `said`."""

    since: int = 0


@dataclass(frozen=True, slots=True)
class SetAdminPassword:
    """What the serial console asks before it changes anything; "" has one generated and told in the answer."""

    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ShutDown:
    """Close the server in order; with LEDs, it then stays to show that the plug may be pulled."""


@dataclass(frozen=True, slots=True)
class Restart:
    """Close the server in order and start it again, with what its settings say by then."""


@dataclass(frozen=True, slots=True)
class CheckNetwork:
    """Knock at every door of the server, and look whether messages get out. Takes up to a minute."""


@dataclass(frozen=True, slots=True)
class TrackMessage:
    """What became of a message, also long after it left; an address, or "", asks for messages refused at the door lately."""

    word: str


@dataclass(frozen=True, slots=True)
class DomainRecords:
    """What to publish in the DNS; `name` "" is the first domain."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class DomainCheck:
    name: str = ""


@dataclass(frozen=True, slots=True)
class Import:
    """Messages come in as a stream, each counted in the commit that stores it; `source` names where they come from,
    so that the same import, begun again, goes on where it stopped. `mailbox` "" keeps the mailboxes of the source."""

    address: str
    source: str
    mailbox: str = ""


@dataclass(frozen=True, slots=True)
class Export:
    """`mailbox` "" is all of them."""

    address: str
    mailbox: str = ""


Request = (
    Status | AddAccount | RemoveAccount | RestoreAccount | SetAccount | RenameAccount | DisableAccount | EnableAccount
    | ListAccounts | SetPassword | AddAppPassword | RemoveAppPassword | ListAppPasswords
    | AddAlias | RemoveAlias | ListAliases | AddDomain | RemoveDomain | ListDomains | SetCatchAll | ListMailboxes
    | ShowCertificate | ExportCertificate | RenewCertificate | NewAuthority | ListQueue | ShowMessage | RetryMessage | HoldMessage
    | ReleaseMessage | RerouteMessage | CancelMessage | FlushQueue | TrackMessage | DomainRecords | DomainCheck | Import | Export
    | ReadLog | SetAdminPassword | ShutDown | Restart | CheckNetwork
)  # fmt: skip
REQUESTS: tuple[type, ...] = Request.__args__


@dataclass(frozen=True, slots=True)
class Response:
    """`text` is for people, one or more lines; `facts` the same for programs (JSON values)."""

    text: str
    facts: dict[str, Any] = field(default_factory=dict)


class ImportSink(Protocol):
    """An import under way."""

    position: str
    """Where to go on: "" at the beginning."""

    async def make(self, mailboxes: Iterable[str]) -> None:
        """Make the source's mailboxes, those without a message as well; to be called once, first."""
        ...

    async def take(self, message: ImportedMessage, chunks: AsyncIterator[bytes]) -> bool:
        """Store one message with its position; False when it was refused and left out (too large, for one)."""
        ...


class Control(Protocol):
    """What the running server, or a server opened for one command, can be asked."""

    async def ask(self, request: Request) -> Response: ...

    def import_messages(self, request: Import) -> AbstractAsyncContextManager[ImportSink]: ...

    def export_messages(self, request: Export) -> AsyncIterator[tuple[ImportedMessage, AsyncIterator[bytes]]]: ...


def encode_request(request: Request) -> dict[str, Any]:
    """As a JSON object."""
    return {"ask": type(request).__name__, **asdict(request)}


def decode_request(words: dict[str, Any]) -> Request:
    """The request of a JSON object; raises SetupError for one this server does not know."""
    kinds = {kind.__name__: kind for kind in REQUESTS}
    kind = kinds.get(words.get("ask", ""))
    if kind is None:
        raise SetupError("The running server does not know this command.", "It may be of another version: restart it.")
    names = {one.name: one.type for one in fields(kind)}
    given = {key: value for key, value in words.items() if key != "ask"}
    if not given.keys() <= names.keys() or not all(
        type(value).__name__ == getattr(names[key], "__name__", names[key]) for key, value in given.items()
    ):
        raise SetupError("The running server does not understand this command.", "It may be of another version: restart it.")
    request: Request = kind(**given)
    return request
