"""Values of the store: mailbox and message rows, changes, results of STORE, COPY and append; they name no protocol.

Names of mailboxes are str with "/" between levels.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, Flag, auto
from itertools import chain, repeat
from typing import NamedTuple

from appliance.mail.ids import AccountId, BodyId, MailboxId, MessageId, ModSeq, Uid, UidValidity
from appliance.mail.rights import ALL, Rights


@dataclass(slots=True)
class MailboxInfo:
    """One row of the mailbox tree; counts are of the last commit. `special_use` is "\\Sent" and so on, or ""."""

    id: MailboxId
    account: AccountId
    name: str
    special_use: str
    selectable: bool
    subscribed: bool
    uid_validity: UidValidity
    uid_next: Uid
    highest_modseq: ModSeq
    messages: int
    unseen: int
    deleted: int
    octets: int
    recent: int
    has_children: bool
    own_name: str = ""
    """Of a mailbox that another account shares: its name there; `name` is what it is called here (store/sharing)."""
    rights: Rights = ALL
    """What the account that asked may do with it."""


OUTBOX = "\\Scheduled"
"""The special use of an Outbox (RFC 9979)."""


class Want(Flag):
    """Column groups of a Row, so that a batch reads no more than it must."""

    FLAGS = auto()
    """flags, modseq (always there)"""
    DATES = auto()
    """internal_at, octets, message"""
    FACTS = auto()
    """envelope, bodystructure, sent_at"""
    BODY = auto()
    """prefix, body, parts: what opening a message needs"""
    RARE = auto()
    """thread, saved_at, preview: what few clients ask for"""


class Row(NamedTuple):
    """One message as read in one batch; fields outside the `Want` asked for are empty.

    `octets` is RFC822.SIZE: prefix and body. `internal_at`, `sent_at` and `saved_at` are UTC seconds, None where not known.
    The order of the fields follows Want, so that a batch reads no column in vain and the rest is filled up (20,000 rows with
    envelopes: 58 ms, not 75).
    """

    uid: Uid
    flags: int
    modseq: ModSeq
    internal_at: int = 0
    octets: int = 0
    message: MessageId = MessageId(0)
    envelope: bytes = b""
    bodystructure: bytes = b""
    sent_at: int | None = None
    described_by: int = 0
    """Version of the scanner that described the message."""
    prefix: bytes = b""
    body: BodyId = BodyId(0)
    parts: bytes = b""
    thread: MessageId = MessageId(0)
    """Identity of the thread's first message."""
    saved_at: int | None = None
    """When the message was saved in this mailbox."""
    preview: str = ""


class Column(Enum):
    """A column of numbers of messages, by its SQL expression."""

    ARRIVAL = "internal_at"
    SIZE = "octets"
    SENT = "ifnull(sent_at, internal_at)"
    """The sent date, or the internal date where it is not known (RFC 5256 §2.2)."""


MISSING = -(2**63)
"""Stands in a column for the number of a message that was expunged meanwhile; no date and no size is so small."""


class ThreadRows:
    """Columns of messages, parallel, ascending by UID; hashes of ids and base subjects, 0 for none (RFC 5256 §3).

    `references` are those that REFERENCES uses: of References, else the first of In-Reply-To.
    """

    __slots__ = ("is_reply", "message_ids", "references", "sent", "subjects", "uids")

    def __init__(self) -> None:
        self.uids = array("I")
        self.sent = array("q")
        self.subjects = array("q")
        self.message_ids = array("q")
        self.is_reply = array("b")
        self.references: list[tuple[int, ...]] = []


@dataclass(slots=True)
class Changes:
    """All that happened in a mailbox after `since`, up to and including `modseq`; ascending UIDs.

    `flags`: (uid, flags, modseq) of messages that existed at `since` and changed, and of new ones.
    `expunged`: UIDs gone; when `since` is older than the runs of expunged UIDs kept, every UID below `uid_next` that is not there
    (RFC 7162 §3.2.5.2 allows that), so a session that removes those it knows is right. `uid_next` of the same instant.
    `keywords` is the mailbox's table of that instant. Shared by sessions: not to be changed in place.
    """

    modseq: ModSeq
    uid_next: Uid
    flags: list[tuple[Uid, int, ModSeq]]
    expunged: Sequence[Uid]
    keywords: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MailboxChanges:
    """Changes of an account's mailboxes themselves up to MODSEQ `modseq`. One that was created and deleted since is in `deleted` alone."""

    modseq: ModSeq
    created: tuple[MailboxId, ...]
    changed: tuple[MailboxId, ...]
    deleted: tuple[MailboxId, ...]


class Mode(Enum):
    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


class FlagChange(NamedTuple):
    """A change of flags by their names; REPLACE changes the bits of `mask` alone."""

    mode: Mode
    names: tuple[str, ...]
    mask: int = -1


class FlagGroup(NamedTuple):
    """Messages that had the same flags `before` a change and have the same `after`. `modseqs`: what they had before, in the order of
    `uids`, as the text SQLite gave; few ask for it. `changed`: they got the change's own MODSEQ."""

    before: int
    after: int
    changed: bool
    uids: list[int]
    modseqs: str


@dataclass(slots=True)
class FlagsResult:
    """`groups`: every message that was there, changed or not; `modified`: UIDs refused because their MODSEQ is above
    `unchanged_since` (RFC 7162 §3.1.3); `gone`: UIDs not there; `keywords`: the mailbox's table when the change was made; `since` and
    `modseq`: the mailbox's MODSEQ before and after it, the same when nothing changed."""

    groups: list[FlagGroup]
    modified: list[int]
    gone: list[int]
    keywords: tuple[str, ...]
    since: ModSeq
    modseq: ModSeq
    uid_next: Uid

    def rows(self) -> list[tuple[int, int, int, int, int]]:
        """(uid, flags, modseq, flags before, MODSEQ before) of all messages that were there, ascending."""
        found: list[tuple[int, int, int, int, int]] = []
        for before, after, changed, uids, text in self.groups:
            modseqs = list(map(int, text.split(",")))
            found += zip(uids, repeat(after), repeat(self.modseq) if changed else modseqs, repeat(before), modseqs)
        return sorted(found)

    def changes(self) -> Changes:
        """What happened in the mailbox after `since`, for those who know all up to there."""
        changed = [zip(uids, repeat(after), repeat(self.modseq)) for _, after, changed, uids, _ in self.groups if changed]
        return Changes(self.modseq, self.uid_next, sorted(chain(*changed)), (), self.keywords)  # type: ignore[arg-type]


@dataclass(slots=True)
class Copied:
    """What COPYUID reports (RFC 4315 §3): sources and copies pair up in order."""

    uid_validity: UidValidity
    sources: list[Uid]
    copies: list[Uid]


@dataclass(slots=True)
class Placement:
    """One message's place in one mailbox. `flags` are names. `internal_at` is UTC seconds. `beyond`: octets by which it may pass
    the account's limit. `by`: the account that puts it there; in another's mailbox it needs the rights (store/sharing)."""

    mailbox: MailboxId
    prefix: bytes
    flags: tuple[str, ...] = ()
    internal_at: int = 0
    beyond: int = 0
    by: AccountId | None = None


@dataclass(slots=True)
class Placed:
    mailbox: MailboxId
    uid_validity: UidValidity
    uid: Uid
    modseq: ModSeq
    message: MessageId
