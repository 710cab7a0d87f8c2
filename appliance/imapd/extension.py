"""What a command and an extension may contribute to IMAP; the registry folds them into frozen look-ups.

A command or an extension is one file: grammar, handler, answer and the words it adds stand together, and one line in
a table lists it. Nothing here runs; a clash of two contributions is found by the registry when the server starts.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, Flag, auto
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from appliance.protocol.imap.tokens import Tokens
    from appliance.store.values import MailboxInfo

    from .session import Session


class State(Flag):
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


@dataclass(frozen=True, slots=True)
class Completion:
    """The tagged response: `OK`, `NO` or `BAD`, an optional response code without brackets, and text."""

    word: bytes
    text: bytes
    code: bytes = b""


def ok(text: bytes = b"Done.", code: bytes = b"") -> Completion:
    return Completion(b"OK", text, code)


def no(text: bytes, code: bytes = b"") -> Completion:
    return Completion(b"NO", text, code)


def bad(text: bytes, code: bytes = b"") -> Completion:
    return Completion(b"BAD", text, code)


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its argument grammar, its handler, where it is allowed.

    `parse(tokens)` reads the arguments up to the end of the command and returns whatever `run` wants (MisuseError
    becomes BAD). `run(session, arguments, uid)`: `uid` is True for the `UID X` form, which exists when `uid_form`.
    `streamed`: literals after its first argument are not collected; `run` starts at the first of them and reads them
    piece by piece (APPEND). The session syncs the selected mailbox after `run`, before the tagged answer.
    """

    name: bytes
    states: State
    parse: "Callable[[Tokens], Any]"
    run: "Callable[[Session, Any, bool], Awaitable[Completion]]"
    seqs: SequenceNumbers = SequenceNumbers.MAY_MOVE
    uid_form: bool = False
    rfc: str = ""
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class StatusItem:
    """One item of STATUS and of LIST's RETURN (STATUS): `value` gives its number as sent.

    `enables` is switched on by asking for the item (RFC 7162 §3.1: HIGHESTMODSEQ switches CONDSTORE on).
    """

    name: bytes
    value: "Callable[[Session, MailboxInfo], int]"
    enables: bytes = b""


@dataclass(frozen=True, slots=True)
class SelectParameter:
    """One parameter of SELECT and EXAMINE (RFC 4466 §2.1): `parse` reads what follows its name, `apply` is called
    before `Selected.open`, which reads from the session what it needs."""

    name: bytes
    apply: "Callable[[Session, Any], Awaitable[None]]"
    parse: "Callable[[Tokens], Any]" = lambda tokens: None


@dataclass(frozen=True, slots=True)
class Extension:
    """One IMAP extension in one file: the file exports `EXTENSION`, the table lists it.

    `capability(session)` gives its words for CAPABILITY as of now, so that LOGINDISABLED, AUTH= and the
    like follow the session's state. `fetch_items` and `search_keys` are any objects with a `name`; the registry
    folds them by it (`registry.fetch_items[b"BINARY"]`). `enable`: words ENABLE takes, upper case.
    """

    name: str
    rfc: str
    capability: "Callable[[Session], tuple[bytes, ...]]"
    commands: tuple[Command, ...] = ()
    enable: tuple[bytes, ...] = ()
    fetch_items: tuple[Any, ...] = ()
    search_keys: tuple[Any, ...] = ()
    status_items: tuple[StatusItem, ...] = ()
    select_parameters: tuple[SelectParameter, ...] = ()
    response_codes: tuple[bytes, ...] = ()
