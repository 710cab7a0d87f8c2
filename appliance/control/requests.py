"""The admin API as a port: requests and responses as frozen values, and the protocol `Control`.

Command line, panel and web use nothing else of the server; `appliance.app.admin_api` is the one implementation. A request that
cannot be done raises SetupError with a sentence and a remedy, and has changed nothing. Import and export are streams of
messages, one after another. `codec` carries every value here over the local socket.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from appliance.mail.archive import ImportedMessage


@dataclass(frozen=True, slots=True)
class Status:
    """The snapshot, as `pillarbox status` shows it."""


@dataclass(frozen=True, slots=True)
class AddAccount:
    """`password` "": one is generated and is in the response. `quota_mb` 0 is the server's default."""

    address: str
    password: str = field(default="", repr=False)
    quota_mb: int = 0


@dataclass(frozen=True, slots=True)
class SetUp:
    """The first account of a fresh server, by whoever knows the setup code, which is used up by it. `source`: who asks, as an
    address, for the throttle; "" is the box itself."""

    code: str = field(repr=False)
    address: str
    password: str = field(default="", repr=False)
    source: str = ""


@dataclass(frozen=True, slots=True)
class CheckSetupCode:
    """Is this the setup code? Throttled by `source`, as `SetUp` is; it is used up by nothing but `SetUp`. A wrong one is refused."""

    code: str = field(repr=False)
    source: str = ""


@dataclass(frozen=True, slots=True)
class SendServerMessage:
    """A short plain text of the server's own. `recipient` "": to the account `address` itself. An address elsewhere: sent in the account's
    name, to try how messages leave. Facts: `message`, its id, for `TrackMessage`."""

    address: str
    subject: str
    text: str
    recipient: str = ""


@dataclass(frozen=True, slots=True)
class ShowSettings:
    """What the settings file says, every editable field with its explanation, and the relays; never a secret."""


@dataclass(frozen=True, slots=True)
class ChangeSettings:
    """Fields of one section as they were typed. `digest`: of the file as it was shown; "" for whatever it is now."""

    section: str
    values: dict[str, Any]
    digest: str = ""


@dataclass(frozen=True, slots=True)
class SetRelay:
    """A relay, changed or added, by its `name` among the values; a field that is left out stays."""

    values: dict[str, Any] = field(repr=False)
    digest: str = ""


@dataclass(frozen=True, slots=True)
class RemoveRelay:
    name: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class ShowSetupCode:
    """The setup code of a fresh server; for the box itself only, never for the network."""


@dataclass(frozen=True, slots=True)
class RemoveAccount:
    """The mail is kept for a month and `RestoreAccount` brings all of it back; with `purge` it is erased at once."""

    address: str
    purge: bool = False


@dataclass(frozen=True, slots=True)
class RestoreAccount:
    address: str


@dataclass(frozen=True, slots=True)
class SetAccount:
    """`quota_mb` -1 leaves the quota as it is, 0 is the server's default. `name` is the display name, "" for none; it is changed
    only when `named`."""

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
    """Messages arrive; nobody can sign in."""

    address: str


@dataclass(frozen=True, slots=True)
class EnableAccount:
    address: str


@dataclass(frozen=True, slots=True)
class SetAdmin:
    """Give an account the role of an administrator, or take it away. Refused for the last one."""

    address: str
    is_admin: bool


@dataclass(frozen=True, slots=True)
class ListAccounts:
    pass


@dataclass(frozen=True, slots=True)
class SetPassword:
    """`by_owner`: the owner, signed in with the present one, chose it. Otherwise it is a reset by an administrator: the owner is told by a
    message, and has to choose another at the next sign-in in a browser."""

    address: str
    password: str = field(default="", repr=False)
    by_owner: bool = False


@dataclass(frozen=True, slots=True)
class EnableSecondFactor:
    """By the owner: `secret` of TOTP in hexadecimal, and a `code` of it. Facts: `recovery_codes`, which only this response has."""

    address: str
    secret: str = field(repr=False)
    code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewRecoveryCodes:
    """In place of all there are. Facts as those of `EnableSecondFactor`."""

    address: str


@dataclass(frozen=True, slots=True)
class RemoveSecondFactor:
    """The account's own password is enough again. The owner is told; `by_owner`: in other words."""

    address: str
    by_owner: bool = False


@dataclass(frozen=True, slots=True)
class AddPasskey:
    """By the owner, in a browser that has made it for `host`; checked before (`accounts/passkeys`). Octets are in hexadecimal. `by`: the
    number of what the owner's session signed in with. The owner is told."""

    address: str
    name: str
    host: str
    credential: str = field(repr=False)
    algorithm: int
    public_key: str = field(repr=False)
    sign_count: int
    by: int


@dataclass(frozen=True, slots=True)
class RemovePasskey:
    """The sessions it opened end. The owner is told, unless it is `by_owner`."""

    address: str
    name: str
    by_owner: bool = False


@dataclass(frozen=True, slots=True)
class ListPasskeys:
    address: str


@dataclass(frozen=True, slots=True)
class AddAppPassword:
    """The password is generated; only the response has it."""

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
    targets: tuple[str, ...]


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
class ShareMailbox:
    """Give `account`, or "anyone", rights on a mailbox of `address` in place of the earlier: read, write, all, or RFC 4314's characters."""

    address: str
    name: str
    account: str
    rights: str


@dataclass(frozen=True, slots=True)
class UnshareMailbox:
    address: str
    name: str
    account: str


@dataclass(frozen=True, slots=True)
class ListShares:
    """What an account shares with others, and they with it."""

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
    """A new authority and a server certificate of it. The caller has confirmed that every device must then trust the new authority."""


@dataclass(frozen=True, slots=True)
class ListQueue:
    """Queue entries, the oldest first: those after the entry `after`, and no more than `most`; 0 for as many as one answer holds."""

    after: int = 0
    most: int = 0


@dataclass(frozen=True, slots=True)
class ShowMessage:
    """`word` is the number of a queue entry or a message id, or enough of its beginning; so in all requests below."""

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
    """Try every waiting entry now."""


@dataclass(frozen=True, slots=True)
class ReadLog:
    """The newest lines of the journal in memory, oldest first; `since` is the `count` of the previous response."""

    since: int = 0


@dataclass(frozen=True, slots=True)
class ShutDown:
    """Shut down in order; with LEDs, the process then stays to show that the plug may be pulled."""


@dataclass(frozen=True, slots=True)
class Restart:
    """Shut down in order and start again with the settings as they are then."""


@dataclass(frozen=True, slots=True)
class CheckNetwork:
    """Connect to every listener of the server and check outbound connectivity. Takes up to a minute."""


@dataclass(frozen=True, slots=True)
class TrackMessage:
    """The history of a message, also long after it left. An address, or "", lists the messages refused during SMTP lately."""

    word: str


@dataclass(frozen=True, slots=True)
class DomainRecords:
    """The DNS records to publish; `name` "" is the first domain."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class DomainCheck:
    name: str = ""


@dataclass(frozen=True, slots=True)
class Import:
    """Messages come in as a stream, each counted in the commit that stores it; `source` names where they come from,
    so that the same import, started again, resumes where it stopped. `mailbox` "" keeps the mailboxes of the source."""

    address: str
    source: str
    mailbox: str = ""


@dataclass(frozen=True, slots=True)
class Export:
    """`mailbox` "" is all of them."""

    address: str
    mailbox: str = ""


@dataclass(frozen=True, slots=True)
class ShowForwarding:
    """Facts: `target` and `keep` of what is on, `asked` and `asked_keep` of what waits for its code; addresses are "" for none."""

    address: str


@dataclass(frozen=True, slots=True)
class AskForwarding:
    """Send a code to `target`; `language`: of the messages, "" for that of the account."""

    address: str
    target: str
    keep: bool = True
    language: str = ""


@dataclass(frozen=True, slots=True)
class ConfirmForwarding:
    """With the code it begins."""

    address: str
    code: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class StopForwarding:
    address: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class ChangeListeners:
    """Where the server listens, by protocol, as typed. The server restarts, and without `ConfirmListeners` within a minute the settings
    before are back."""

    values: dict[str, str]
    digest: str = ""


@dataclass(frozen=True, slots=True)
class ConfirmListeners:
    """The listeners on trial stay; `trial` is its id, as `ShowSettings` tells it."""

    trial: str


Request = (
    Status | SetUp | CheckSetupCode | ShowSetupCode | SendServerMessage
    | ShowSettings | ChangeSettings | SetRelay | RemoveRelay
    | AddAccount | RemoveAccount | RestoreAccount | SetAccount | RenameAccount | DisableAccount | EnableAccount | SetAdmin
    | EnableSecondFactor | NewRecoveryCodes | RemoveSecondFactor | AddPasskey | RemovePasskey | ListPasskeys
    | ListAccounts | SetPassword | AddAppPassword | RemoveAppPassword | ListAppPasswords
    | AddAlias | RemoveAlias | ListAliases | AddDomain | RemoveDomain | ListDomains | SetCatchAll | ListMailboxes
    | ShareMailbox | UnshareMailbox | ListShares
    | ShowCertificate | ExportCertificate | RenewCertificate | NewAuthority | ListQueue | ShowMessage | RetryMessage | HoldMessage
    | ReleaseMessage | RerouteMessage | CancelMessage | FlushQueue | TrackMessage | DomainRecords | DomainCheck | Import | Export
    | ChangeListeners | ConfirmListeners
    | ShowForwarding | AskForwarding | ConfirmForwarding | StopForwarding | ReadLog | ShutDown | Restart | CheckNetwork
)  # fmt: skip
REQUESTS: tuple[type, ...] = Request.__args__


@dataclass(frozen=True, slots=True)
class Response:
    """`text` is for people, one or more lines; `facts` the same for programs (JSON values)."""

    text: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """Why a request was not done and what to do; `failed`: the request was right and the server could not do it."""

    problem: str
    remedy: str = ""
    failed: bool = False


class ImportSink(Protocol):
    """An import under way."""

    position: str
    """Where to resume: "" at the beginning."""

    async def make(self, mailboxes: Iterable[str]) -> None:
        """Create the source's mailboxes, those without a message as well; to be called once, first."""
        ...

    async def take(self, message: ImportedMessage, chunks: AsyncIterator[bytes]) -> bool:
        """Store one message with its position; False when it was skipped (too large, for example)."""
        ...


class Control(Protocol):
    """The running server, or one opened for a single command."""

    async def ask(self, request: Request) -> Response: ...

    def import_messages(self, request: Import) -> AbstractAsyncContextManager[ImportSink]: ...

    def export_messages(self, request: Export) -> AsyncIterator[tuple[ImportedMessage, AsyncIterator[bytes]]]: ...
