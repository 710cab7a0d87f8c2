"""The contract of IMAP's session with its commands and extensions.

A command or an extension is one file: grammar, handler, responses and the words it adds stand together, and one line in a table lists
it. It receives a `CommandSession`, the protocol class below, and uses nothing else of a session; `session.py` implements it and imports
neither commands nor extensions: `service.py` gives it their tables, folded into look-ups (`registry.py`). So imports point one way:
values and FETCH items, then this file, then commands and extensions, then the service.

Nothing here runs; two contributions of one name are found by the registry when the server starts.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, Flag, auto
from typing import TYPE_CHECKING, Any, Protocol

from .client import ExpungeEncoder, FlagItem, UpdateFormat
from .completion import Completion

if TYPE_CHECKING:
    from array import array

    from appliance.accounts.directory import Directory
    from appliance.auth.identity import Identity
    from appliance.auth.login import Login
    from appliance.auth.mechanisms import Mechanisms
    from appliance.mail.clock import Clock
    from appliance.mail.ids import AccountId
    from appliance.network.stream import Stream
    from appliance.protocol.imap.search import SearchKey
    from appliance.protocol.imap.server import Message
    from appliance.protocol.imap.sort import SortCriterion
    from appliance.protocol.imap.tokens import Tokens
    from appliance.store.account_watch import AccountWatch
    from appliance.store.incoming import Incoming
    from appliance.store.store import Store
    from appliance.store.values import MailboxInfo
    from appliance.store.visible import VisibleMailboxes

    from .body_items import BodyItem
    from .connection import ImapConnection
    from .matching import Matches
    from .options import ImapOptions
    from .plans import FetchPlan, StorePlan
    from .row_items import RowItem
    from .selected import Selected


class ImapState(Flag):
    """States a command is allowed in (RFC 9051 §3)."""

    NOT_AUTHENTICATED = auto()
    AUTHENTICATED = auto()
    SELECTED = auto()
    SIGNED_IN = AUTHENTICATED | SELECTED
    ANY = NOT_AUTHENTICATED | AUTHENTICATED | SELECTED
    LOGOUT = 8


class SequenceNumbers(Enum):
    """May untagged EXPUNGE be sent while the command runs? (RFC 9051 §7.5.1: not during FETCH, STORE, SEARCH)."""

    MAY_MOVE = "may move"
    MUST_STAY = "must stay"


class Background(Protocol):
    """What is sent while the client sends nothing. `wait` and `send` may raise StoreError; `send` PeerGone and PeerSlow as well."""

    async def wait(self) -> None:
        """Return once there is something to send."""

    async def send(self) -> None:
        """Send it."""

    def close(self) -> None:
        """Nothing more is watched."""


class Notifying(Background, Protocol):
    """What the client asked to be notified of, until it says otherwise (RFC 5465)."""

    watch: "AccountWatch"

    async def arrived(self, uids: "Sequence[int]") -> None:
        """Messages of others, ascending, are new in the selected mailbox and announced. Raises StoreError, PeerGone, PeerSlow."""

    async def own(self, *names: str) -> None:
        """The client itself made, renamed, deleted, subscribed or unsubscribed these mailboxes. Raises StoreError."""


class CommandSession(Protocol):
    """What a command may use of the session it runs in.

    One command runs at a time. A handler may raise MisuseError (BAD), StoreError (NO with the response code of `errors.CODES`),
    AuthError (NO [UNAVAILABLE]) and SessionOver (BYE); PeerGone and PeerSlow pass through it. Anything else ends the session.
    """

    selected: "Selected | None"
    """The selected mailbox; never None in a command that is allowed in State.SELECTED only."""
    enabled: set[bytes]
    """Words of ENABLE in upper case; changed by `enable` alone."""
    updates: UpdateFormat
    """How changes of the selected mailbox are sent; changed by `enable` alone."""
    after_completion: Callable[[], Awaitable[None]] | None
    """Called once, when the tagged response of this command has been sent: STARTTLS's handshake."""
    login_failures: int
    background: "Notifying | None"
    """What is sent while the client sends nothing, also between commands; ended by `end_background`."""

    # --- the client ---------------------------------------------------------------------------

    @property
    def state(self) -> ImapState: ...
    @property
    def tag(self) -> bytes:
        """Tag of the command that runs: ESEARCH responses name it (RFC 4731 §2)."""
        ...

    @property
    def connection(self) -> "ImapConnection":
        """For commands that read more than their own line: APPEND, AUTHENTICATE, IDLE."""
        ...

    @property
    def stream(self) -> "Stream": ...
    @property
    def account(self) -> "AccountId":
        """The account signed in to; RuntimeError before that."""
        ...

    @property
    def mailboxes(self) -> "VisibleMailboxes":
        """The store as the account sees it: its own mailboxes and those shared with it, with its rights."""
        ...

    @property
    def utf8(self) -> bool:
        """Mailbox names are UTF-8 on the wire (RFC 9051 §5.1, RFC 9755 §3)."""
        ...

    # --- the server ---------------------------------------------------------------------------

    @property
    def store(self) -> "Store": ...
    @property
    def directory(self) -> "Directory": ...
    @property
    def login(self) -> "Login": ...
    @property
    def mechanisms(self) -> "Mechanisms": ...
    @property
    def clock(self) -> "Clock": ...
    @property
    def options(self) -> "ImapOptions": ...
    @property
    def registry(self) -> "Tables": ...

    # --- output -------------------------------------------------------------------------------

    async def send(self, *parts: bytes) -> None:
        """Untagged output with its CRLF, in parts; waits while the client reads slowly. Raises PeerGone, PeerSlow."""

    def queue(self, *parts: bytes) -> None:
        """Small untagged output that is sent with the next flush."""

    async def flush(self) -> None:
        """Send what is queued. Raises PeerGone, PeerSlow."""

    async def arrived(self, uids: "Sequence[int]") -> None:
        """See `client.ImapClient`."""

    def following(self, name: bytes) -> "list[tuple[Tokens, bool]]":
        """The commands of that name that the client has pipelined right behind this one and that run next: arguments, and whether
        in UID form. For answering them together (`answer`)."""
        ...

    def answer(self, completion: Completion) -> None:
        """Queue the tagged response of the command that runs, and go on with the first of `following`: its tag is `tag` now."""

    async def refuse(self, message: "Message", completion: Completion) -> None:
        """Read a refused message to its end; where that is too much, answer `completion` and raise SessionOver."""

    # --- state --------------------------------------------------------------------------------

    def signed_in(self, identity: "Identity") -> None:
        """To State.AUTHENTICATED, as `identity`."""

    def select(self, selected: "Selected") -> None:
        """To State.SELECTED; the session closes `selected` in the end."""

    def deselect(self) -> None:
        """Close the selected mailbox, if there is one, and return to State.AUTHENTICATED; nothing is expunged."""

    def end_background(self) -> None:
        """Send nothing more between commands."""

    def sign_out(self) -> None:
        """Back to State.NOT_AUTHENTICATED, with nothing kept of what was enabled or selected (RFC 8437 §3)."""

    def log_out(self) -> None:
        """To State.LOGOUT: the session ends after the tagged response."""

    def forget(self) -> None:
        """Drop what the client said before TLS was on (RFC 9051 §6.2.1)."""

    async def enable(self, word: bytes) -> None:
        """Switch an extension and what it implies on (RFC 5161), for ENABLE and for each command that implies it (RFC 7162 §3.1).

        Nothing happens the second time. Raises StoreError; KeyError for a word that no extension contributes.
        """


@dataclass(frozen=True, slots=True)
class ImapCommand:
    """One command: its argument grammar, its handler, where it is allowed.

    `parse(tokens)` reads the arguments up to the end of the command and returns whatever `run` wants (MisuseError
    becomes BAD); a grammar that extensions add to returns `tokens.fork()`, and `run` parses it with the registry.
    `run(session, arguments, uid)`: `uid` is True for the `UID X` form, which exists when `uid_form`.
    `streamed`: literals after so many arguments are not collected; `run` starts at the first of them and reads them
    chunk by chunk (`appending`); 0: all are collected. `numbered`: without UID it takes or returns sequence numbers, so that
    UIDONLY refuses it (RFC 9586 §3). The session syncs the selected mailbox after `run`, before the tagged response.
    """

    name: bytes
    states: ImapState
    parse: "Callable[[Tokens], Any]"
    run: "Callable[[CommandSession, Any, bool], Awaitable[Completion]]"
    seqs: SequenceNumbers = SequenceNumbers.MAY_MOVE
    uid_form: bool = False
    rfc: str = ""
    streamed: int = 0
    numbered: bool = True


@dataclass(frozen=True, slots=True)
class StatusItem:
    """One item of STATUS and of LIST's RETURN (STATUS): `value` gives its number, or its octets as sent, after reading if need be.

    `enables`: word of ENABLE that requesting the item implies (RFC 7162 §3.1: HIGHESTMODSEQ enables CONDSTORE).
    """

    name: bytes
    value: "Callable[[CommandSession, MailboxInfo], int | bytes | Awaitable[int]]"
    enables: bytes = b""


def no_value(tokens: "Tokens") -> None:
    """The name stands alone."""


@dataclass(frozen=True, slots=True)
class SelectParameter:
    """A parameter of SELECT and EXAMINE (RFC 4466 §2.1): `parse` reads what follows its name.

    `apply` is called before the mailbox is opened; what needs the selected mailbox is done by the extension's `after_select`.
    """

    name: bytes
    apply: "Callable[[CommandSession, Any], Awaitable[None]]"
    parse: "Callable[[Tokens], Any]" = no_value


@dataclass(frozen=True, slots=True)
class FetchModifier:
    """A modifier of FETCH (RFC 4466 §2.4): `apply(plan, value)` changes what will be fetched and may raise MisuseError."""

    name: bytes
    parse: "Callable[[Tokens], Any]"
    apply: "Callable[[FetchPlan, Any], None]"


@dataclass(frozen=True, slots=True)
class StoreModifier:
    """A modifier of STORE (RFC 4466 §2.5): `apply(plan, value)` changes what will be stored and may raise MisuseError."""

    name: bytes
    parse: "Callable[[Tokens], Any]"
    apply: "Callable[[StorePlan, Any], None]"


class Writable(Protocol):
    """Where the octets of a message go: a body in the store."""

    async def write(self, chunk: bytes) -> None: ...


class Appended(Protocol):
    """A command that appends, for the forms of a message: `appending.Appending`."""

    session: CommandSession
    message: "Message | None"
    """An announced literal that is neither accepted nor refused yet."""
    tokens: "Tokens"
    """Those before that literal, or up to the end of the command."""

    async def receive(self, incoming: Writable) -> None:
        """Read the announced literal and go on to what follows it. Raises StoreError; MisuseError when there is none."""


@dataclass(frozen=True, slots=True)
class AppendData:
    """Another form of a message in APPEND (RFC 4466 §2.2): `read(appending, incoming)` reads what follows its name, up to the end of the
    message, and writes the message's octets. Raises what `Appending.read_messages` raises."""

    name: bytes
    read: "Callable[[Appended, Incoming], Awaitable[None]]"
    one_literal: bool = False
    """The message is one literal, of whose announced size the limits are asked before it is accepted."""


@dataclass(frozen=True, slots=True)
class ListReturn:
    """A RETURN option of LIST that sends data of its own behind each LIST response (RFC 5258 §3, RFC 9590)."""

    name: bytes
    send: "Callable[[CommandSession, MailboxInfo, Any], Awaitable[None]]"
    parse: "Callable[[Tokens], Any]" = no_value


@dataclass(frozen=True, slots=True)
class Answered:
    """A search that has been done: where, its result in order, whether UIDs name it, and SORT's criteria."""

    selected: "Selected"
    found: "Matches"
    uid: bool
    criteria: "tuple[SortCriterion, ...] | None" = None


@dataclass(frozen=True, slots=True)
class SearchReturn:
    """A RETURN option of SEARCH (RFC 4731 §3.1, RFC 4466 §2.6).

    `encode(numbers, value)` gives its data for the ESEARCH response from the sequence numbers or UIDs found, ascending; b"" for none.
    `reported(count, value)` gives the indexes of the messages it reports, None for all: SAVE keeps those, and SearchReturnData is
    about those. `saves`: keep the result as `$` (RFC 5182); this option reports nothing itself. `excludes`: an
    option that may not be in the same command; `needs`: a search key that must be. `reports` is False for what reports no
    messages itself; `check(session, value)` raises MisuseError before anything is done; `data(session, answered, value)` takes the
    place of `encode` where more than the numbers is needed.
    """

    name: bytes
    encode: "Callable[[Sequence[int], Any], bytes]" = lambda numbers, value: b""
    reported: "Callable[[int, Any], Iterable[int] | None]" = lambda count, value: None
    parse: "Callable[[Tokens], Any]" = no_value
    saves: bool = False
    excludes: bytes = b""
    needs: bytes = b""
    reports: bool = True
    check: "Callable[[CommandSession, Any], None]" = lambda session, value: None
    data: "Callable[[CommandSession, Answered, Any], Awaitable[bytes]] | None" = None


@dataclass(frozen=True, slots=True)
class SearchReturnData:
    """Data of a SEARCH or ESEARCH response that using a search key adds (RFC 7162 §3.1.5, §3.1.10): `name SP value`.

    `encode(found, reported)` gives the value for the messages at the indexes `reported`; b"" for none.
    """

    name: bytes
    key: bytes
    encode: "Callable[[Matches, Sequence[int]], bytes]"


@dataclass(frozen=True, slots=True)
class SortKey:
    """One sort key of SORT (RFC 5256 §3): `values(selected, found)` gives what messages are ordered by, a number of each in `found`.

    MISSING stands for one that was expunged meanwhile. `needs`: a search key that must be in the same command.
    `changes`: a message's number depends on the others found.
    """

    name: bytes
    values: "Callable[[Selected, Matches], Awaitable[array[int]]]"
    needs: bytes = b""
    changes: bool = False


@dataclass(frozen=True, slots=True)
class Enabling:
    """A word of ENABLE (RFC 5161) and what it changes from then on; see `UpdateFormat` for the fields from `flag_items` on.

    `implies`: words enabled with it, before it. `begin` is called once, when it is enabled. `utf8`: mailbox names are UTF-8 from
    then on (RFC 9755 §3, RFC 9051 §5.1).
    """

    name: bytes
    implies: tuple[bytes, ...] = ()
    begin: "Callable[[CommandSession], Awaitable[None]] | None" = None
    utf8: bool = False
    flag_items: tuple[FlagItem, ...] = ()
    expunge: ExpungeEncoder | None = None
    expunge_code: Callable[[int], bytes] | None = None
    uid_always: bool = False
    uid_only: bool = False

    def applied(self, updates: UpdateFormat) -> UpdateFormat:
        """The update format with this word enabled."""
        return UpdateFormat(
            updates.flag_items + self.flag_items,
            self.expunge or updates.expunge,
            self.expunge_code or updates.expunge_code,
            self.uid_always or updates.uid_always,
            self.uid_only or updates.uid_only,
        )


@dataclass(frozen=True, slots=True)
class ImapExtension:
    """One IMAP extension in one file: the file exports `EXTENSION`, the table lists it. The core of IMAP is one as well.

    `capability(session)` gives its words for CAPABILITY as of now, so that LOGINDISABLED, AUTH= and the
    like follow the session's state. `after_select(session, parameters)` is called when SELECT or EXAMINE has opened a mailbox and sent
    its untagged responses, with the command's parameters by name. `created_code(info)` is the response code of CREATE's tagged OK, of
    which there is room for one. `response_codes` are those its responses may carry.
    """

    name: str
    rfc: str
    capability: "Callable[[CommandSession], tuple[bytes, ...]]"
    commands: tuple[ImapCommand, ...] = ()
    enable: tuple[Enabling, ...] = ()
    fetch_items: "tuple[RowItem | BodyItem, ...]" = ()
    fetch_modifiers: tuple[FetchModifier, ...] = ()
    store_modifiers: tuple[StoreModifier, ...] = ()
    search_keys: "tuple[SearchKey, ...]" = ()
    search_returns: tuple[SearchReturn, ...] = ()
    search_data: tuple[SearchReturnData, ...] = ()
    sort_keys: tuple[SortKey, ...] = ()
    append_data: tuple[AppendData, ...] = ()
    list_returns: tuple[ListReturn, ...] = ()
    status_items: tuple[StatusItem, ...] = ()
    select_parameters: tuple[SelectParameter, ...] = ()
    after_select: "Callable[[CommandSession, Mapping[bytes, Any]], Awaitable[None]] | None" = None
    created_code: "Callable[[MailboxInfo], bytes] | None" = None
    response_codes: tuple[bytes, ...] = ()


class Tables(Protocol):
    """All contributions by upper-case name; `registry.Registry` makes them once, and they never change."""

    @property
    def enable(self) -> Mapping[bytes, Enabling]: ...
    @property
    def fetch_items(self) -> "Mapping[bytes, RowItem | BodyItem]": ...
    @property
    def fetch_modifiers(self) -> Mapping[bytes, FetchModifier]: ...
    @property
    def store_modifiers(self) -> Mapping[bytes, StoreModifier]: ...
    @property
    def search_keys(self) -> "Mapping[bytes, SearchKey]": ...
    @property
    def search_returns(self) -> Mapping[bytes, SearchReturn]: ...
    @property
    def search_data(self) -> Mapping[bytes, SearchReturnData]: ...
    @property
    def sort_keys(self) -> Mapping[bytes, SortKey]: ...
    @property
    def append_data(self) -> Mapping[bytes, AppendData]: ...
    @property
    def list_returns(self) -> Mapping[bytes, ListReturn]: ...
    @property
    def status_items(self) -> Mapping[bytes, StatusItem]: ...
    @property
    def select_parameters(self) -> Mapping[bytes, SelectParameter]: ...
    @property
    def after_select(self) -> "Sequence[Callable[[CommandSession, Mapping[bytes, Any]], Awaitable[None]]]": ...
    @property
    def created_code(self) -> "Callable[[MailboxInfo], bytes]": ...

    def capability(self, session: CommandSession) -> bytes:
        """The words of CAPABILITY as of now, IMAP4rev1 first (RFC 9051 §7.2.2)."""
        ...
