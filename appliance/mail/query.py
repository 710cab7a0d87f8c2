"""Search query tree, independent of IMAP's grammar and of the store.

Needles are text; the matcher folds both sides with `folded`, so that all users compare text alike. Days are counted from
1970-01-01 (day 0).
"""

from dataclasses import dataclass
from enum import Enum

ENVELOPE_FIELDS = ("from", "to", "cc", "bcc", "subject")
"""Searched in the ENVELOPE (RFC 9051 §6.4.4)."""


@dataclass(frozen=True, slots=True)
class Everything:
    """Matches every message."""


@dataclass(frozen=True, slots=True)
class And:
    """Matches when all `terms` do; without terms: every message."""

    terms: "tuple[Query, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """Matches when any of `terms` does; without terms: no message."""

    terms: "tuple[Query, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    term: "Query"


@dataclass(frozen=True, slots=True)
class Flagged:
    """Has all system flags in the bits `system` (mail.flags), or the keyword of that name when one is given."""

    system: int = 0
    keyword: str = ""


@dataclass(frozen=True, slots=True)
class RecentFlag:
    """\\Recent in the searching session (RFC 3501 §2.3.2)."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """Message sequence numbers: ranges as `protocol.imap.sequence` parses them, 0 for the largest in use."""

    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Identified:
    """UIDs; ranges as in Numbered."""

    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Saved:
    """The saved result of an earlier search, `$` (RFC 5182)."""


@dataclass(frozen=True, slots=True)
class Size:
    """More than `above` and fewer than `below` octets; None: no limit on that side."""

    above: int | None = None
    below: int | None = None


class DateKind(Enum):
    """Internal date, Date field, or when it was saved in this mailbox (RFC 8514)."""

    ARRIVED = "arrived"
    SENT = "sent"
    SAVED = "saved"


@dataclass(frozen=True, slots=True)
class Dated:
    """`first` <= day < `end`, time of day and zone disregarded (RFC 9051 §6.4.4); None: open on that side."""

    clock: DateKind
    first: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class ArrivedAt:
    """Arrived from `first_s` to `last_s`, UTC seconds with both ends (RFC 5032); None: open on that side."""

    first_s: int | None = None
    last_s: int | None = None


@dataclass(frozen=True, slots=True)
class HeaderHas:
    """A field of that name (lower case) exists and contains the needle; "" matches any value."""

    field: str
    needle: str


@dataclass(frozen=True, slots=True)
class FieldResembles:
    """One of the fields of these names (lower case) resembles the words as `mail.resemblance` has it (RFC 6203)."""

    fields: "tuple[str, ...]"
    words: "tuple[str, ...]"


@dataclass(frozen=True, slots=True)
class BodyHas:
    """The text of the body, without the message's header, contains the needle."""

    needle: str


@dataclass(frozen=True, slots=True)
class TextHas:
    """Header or body contains the needle."""

    needle: str


@dataclass(frozen=True, slots=True)
class ShownHas:
    """What a reader sees contains the needle: an address or subject of ENVELOPE_FIELDS, the name of a file, or the text of the body.

    A forwarded message within it is seen alike. TextHas finds the names of servers and programs in nearly every message besides.
    """

    needle: str


@dataclass(frozen=True, slots=True)
class ChangedSince:
    """The message's MODSEQ is `modseq` or above (RFC 7162 §3.1.5)."""

    modseq: int


@dataclass(frozen=True, slots=True)
class MessageIs:
    """The message with this MessageId: it and its copies (RFC 8474 §5.1)."""

    message: int


@dataclass(frozen=True, slots=True)
class ThreadIs:
    """Of the thread that began with this MessageId (RFC 8474 §5.2)."""

    thread: int


Query = (
    Everything | And | Or | Not | Flagged | RecentFlag | Numbered | Identified | Saved | Size | Dated | ArrivedAt
    | HeaderHas | FieldResembles | BodyHas | TextHas | ShownHas | ChangedSince | MessageIs | ThreadIs
)  # fmt: skip


def folded(text: str) -> str:
    """Text folded for comparison: compatibility decomposition and case folding (much as RFC 5051 i;unicode-casemap).

    An accent becomes a combining character after its base: "CAFÉ" and "cafe" match "café", "café" does not match "cafe". Whatever two
    characters i;unicode-casemap holds equal are equal here: so dotless i is i.
    """
    if text.isascii():
        return text.lower()
    from unicodedata import normalize  # its tables are large and most text is ASCII

    return normalize("NFKD", normalize("NFKD", text).casefold()).replace("\u0131", "i")


def terms_of(query: Query) -> "tuple[Query, ...]":
    """A node's children, so that a traversal needs no case for each class."""
    if isinstance(query, And | Or):
        return query.terms
    return (query.term,) if isinstance(query, Not) else ()


def leaves(query: Query) -> "list[Query]":
    """All nodes without children, left to right, without recursion."""
    found: list[Query] = []
    todo = [query]
    while todo:
        node = todo.pop()
        inner = terms_of(node)
        if inner:
            todo.extend(reversed(inner))
        elif not isinstance(node, And | Or):
            found.append(node)
    return found
