"""CONTRACT SKELETON (owner: helper B1 fills it in; the shapes are fixed, additions welcome).

What a command and an extension may contribute to IMAP; the registry folds them into frozen look-ups.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, Flag, auto
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .session import Session


class State(Flag):
    """States a command is allowed in (RFC 9051 §3)."""

    NOT_AUTHENTICATED = auto()
    AUTHENTICATED = auto()
    SELECTED = auto()
    SIGNED_IN = AUTHENTICATED | SELECTED
    ANY = NOT_AUTHENTICATED | AUTHENTICATED | SELECTED


class Seqs(Enum):
    """May untagged EXPUNGE be sent while the command runs? (RFC 9051 §7.5.1: not during FETCH, STORE, SEARCH)."""

    MAY_MOVE = "may move"
    MUST_STAY = "must stay"


@dataclass(frozen=True, slots=True)
class Answer:
    """The tagged response: `OK`, `NO` or `BAD`, an optional response code without brackets, and text."""

    word: bytes
    text: bytes
    code: bytes = b""


def ok(text: bytes = b"Done.", code: bytes = b"") -> Answer:
    return Answer(b"OK", text, code)


def no(text: bytes, code: bytes = b"") -> Answer:
    return Answer(b"NO", text, code)


def bad(text: bytes, code: bytes = b"") -> Answer:
    return Answer(b"BAD", text, code)


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its argument grammar, its handler, where it is allowed.

    `parse(tokens)` reads the arguments up to the end of the command and returns whatever `run` wants (MisuseError
    becomes BAD). `run(session, arguments, uid)`: `uid` is True for the `UID X` form, which exists when `uid_form`.
    """

    name: bytes
    states: State
    parse: Callable[[Any], Any]
    run: "Callable[[Session, Any, bool], Awaitable[Answer]]"
    seqs: Seqs = Seqs.MAY_MOVE
    uid_form: bool = False
    rfc: str = ""


@dataclass(frozen=True, slots=True)
class Extension:
    """One IMAP extension in one file: the file exports `EXTENSION`, the table lists it.

    `capability(session)` gives its words for CAPABILITY as of now, so that LOGINDISABLED, AUTH= and the
    like follow the session's state. `select_parameters`, `fetch_modifiers`, ... are folded by the registry.
    """

    name: str
    rfc: str
    capability: "Callable[[Session], tuple[bytes, ...]]"
    commands: tuple[Command, ...] = ()
    enable: tuple[bytes, ...] = ()
    fetch_items: tuple[Any, ...] = ()
    search_keys: tuple[Any, ...] = ()
    status_items: tuple[Any, ...] = ()
    response_codes: tuple[bytes, ...] = ()
