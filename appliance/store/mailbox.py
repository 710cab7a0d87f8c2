"""CONTRACT SKELETON (owner: helper E2 fills it in; signatures fixed, additions welcome).

The narrow door: Store and Mailbox, all that servers may hold of mail.

Everything raises StoreError with its `Trouble`; nothing here knows a protocol. Mailbox names are str with
"/" between levels; INBOX is matched without regard to case and always spelled "INBOX".
"""

from array import array
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum, Flag, auto
from typing import Any

from appliance.mail.description import Description
from appliance.mail.ids import BodyId, MailboxId, MessageId, ModSeq, PersonId, Uid, UidValidity


@dataclass(slots=True)
class MailboxInfo:
    """One row of the mailbox tree; counts are of the last commit. `special_use` is "\\Sent" and so on, or ""."""

    id: MailboxId
    person: PersonId
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


class Want(Flag):
    """Column groups of a Row, so that a window reads no more than it must."""

    FLAGS = auto()      # flags, modseq (always cheap)
    DATES = auto()      # internal_at, octets, message
    FACTS = auto()      # envelope, bodystructure
    BODY = auto()       # prefix, body, parts: what open_message needs


@dataclass(slots=True)
class Row:
    """One message as read in one window; fields outside the `Want` asked for are None/0.

    `octets` is RFC822.SIZE: prefix and body. `internal_at` is UTC seconds.
    """

    uid: Uid
    flags: int
    modseq: ModSeq
    internal_at: int
    octets: int
    message: MessageId
    envelope: bytes
    bodystructure: bytes
    prefix: bytes
    body: BodyId
    parts: bytes
    sent_at: int | None


@dataclass(slots=True)
class Changes:
    """All that happened in a mailbox after `since`, up to and including `modseq`; ascending UIDs.

    `flags`: (uid, flags, modseq) of messages that existed at `since` and changed, and of new ones.
    `expunged`: UIDs gone. `uid_next` of the same instant. `keywords` is the mailbox's table of that instant.
    """

    modseq: ModSeq
    uid_next: Uid
    flags: list[tuple[Uid, int, ModSeq]]
    expunged: list[Uid]
    keywords: tuple[str, ...]


class Mode(Enum):
    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


@dataclass(slots=True)
class FlagsResult:
    """`changed`: (uid, flags, modseq) after the change, of every message that was there (changed or not);
    `modified`: UIDs refused because their MODSEQ is above `unchanged_since` (RFC 7162 §3.1.3); `gone`: UIDs not there."""

    changed: list[tuple[Uid, int, ModSeq]]
    modified: list[Uid]
    gone: list[Uid]


@dataclass(slots=True)
class Copied:
    """COPYUID's facts (RFC 4315 §3): sources and copies pair up in order."""

    uid_validity: UidValidity
    sources: list[Uid]
    copies: list[Uid]


class Incoming:
    """One letter being received, in constant memory. Made by `Store.receive`."""

    octets: int

    async def write(self, piece: bytes) -> None:
        """Take octets; raises StoreError TOO_BIG over the limit, FULL, BUSY."""
        raise NotImplementedError

    async def finish(self) -> "StagedBody":
        """All octets are in: compressed, hashed, described; large ones synced in their file. Not yet referenced."""
        raise NotImplementedError


class StagedBody:
    """A body waiting for the commit that names it; given back when `Store.receive`'s block ends uncommitted."""

    octets: int
    description: Description

    def describe(self, prefix: bytes) -> Description:
        """The facts of prefix + body (RFC822.SIZE is len(prefix) + octets)."""
        raise NotImplementedError


@dataclass(slots=True)
class Filing:
    """One letter's place in one mailbox. `flags` are names. Mailbox by id."""

    mailbox: MailboxId
    prefix: bytes
    flags: tuple[str, ...] = ()
    internal_at: int = 0


@dataclass(slots=True)
class Filed:
    mailbox: MailboxId
    uid_validity: UidValidity
    uid: Uid
    modseq: ModSeq
    message: MessageId


class Letter:
    """A stored message opened for reading: prefix and body joined. No transaction is held between reads."""

    octets: int
    header_octets: int
    """Prefix and the body's header, up to and including the blank line."""
    parts: bytes
    """Packed part map; offsets count from the start of the body: add `len(prefix)`."""
    prefix: bytes

    async def read(self, offset: int, octets: int) -> bytes:
        """Up to `octets` octets of prefix + body from `offset`; shorter only at the end; at most 1 MiB a call."""
        raise NotImplementedError


class Mailbox:
    """One mailbox as one session holds it. Many sessions may hold the same; UID snapshots are shared.

    `info` is as of `open`; `uids` an ascending array("I") of the messages at `modseq` (shared: never change it
    in place). `keywords[i]` is the name of flag bit KEYWORD_SHIFT + i.
    """

    info: MailboxInfo
    uids: "array[int]"
    modseq: ModSeq
    keywords: tuple[str, ...]
    recent: "frozenset[int] | range"
    """UIDs that are \\Recent to this session (RFC 3501 §2.3.2)."""
    first_unseen: Uid | None
    read_only: bool

    async def rows(self, lo: Uid, hi: Uid, want: Want, limit: int = 500) -> list[Row]:
        """One read window: up to `limit` rows with lo <= uid <= hi, ascending, of the state now.

        Messages a session has not heard of yet may show: the caller skips UIDs outside its view. Ask again from
        the last UID + 1 while the list came back full.
        """
        raise NotImplementedError

    async def changes(self, since: ModSeq) -> Changes:
        raise NotImplementedError

    async def wait(self, since: ModSeq) -> None:
        """Return once the mailbox's committed MODSEQ is above `since`; raises StoreError NO_MAILBOX when it was deleted."""
        raise NotImplementedError

    def newest(self) -> ModSeq:
        """The committed MODSEQ as this process knows it, without reading: NOOP costs nothing when it equals yours."""
        raise NotImplementedError

    async def open_message(self, uid: Uid) -> Letter:
        """Raises StoreError GONE."""
        raise NotImplementedError

    async def open_row(self, row: Row) -> Letter:
        """The same from a Row read with Want.BODY | Want.DATES (saves a look-up); small bodies are read at once."""
        raise NotImplementedError

    async def open_rows(self, rows: Sequence[Row], octets: int = 256 * 1024) -> "list[Letter]":
        """Letters of the first rows, as many as fit in `octets` (at least one), read in one go: FETCH and RETR in bulk."""
        raise NotImplementedError

    async def set_flags(self, uids: Sequence[Uid], mode: Mode, names: Iterable[str], *, unchanged_since: ModSeq | None = None) -> FlagsResult:
        """Durable when it returns. Raises StoreError TOO_MANY when the mailbox has no room for another keyword."""
        raise NotImplementedError

    def see(self, uids: Sequence[Uid]) -> None:
        """\\Seen by reading: lazy, nobody waits (CARD rule 6)."""
        raise NotImplementedError

    async def copy(self, uids: Sequence[Uid], target: str) -> Copied:
        """Raises NO_MAILBOX, OVER_QUOTA. All or nothing; flags, keywords and INTERNALDATE kept (RFC 9051 §6.4.7)."""
        raise NotImplementedError

    async def move(self, uids: Sequence[Uid], target: str) -> Copied:
        """One commit (RFC 6851)."""
        raise NotImplementedError

    async def expunge(self, uids: Sequence[Uid] | None = None) -> list[Uid]:
        """Remove those that carry \\Deleted (of `uids` only, if given); the UIDs removed."""
        raise NotImplementedError

    async def remove(self, uids: Sequence[Uid]) -> list[Uid]:
        """Remove whatever their flags: POP3's UPDATE state."""
        raise NotImplementedError

    def close(self) -> None:
        """Give back this session's share."""
        raise NotImplementedError


class Store:
    """All mail of all people."""

    def receive(self, limit_octets: int) -> "AbstractAsyncContextManager[Incoming]":
        """`async with store.receive(n) as incoming:` — an uncommitted body is given back at the end of the block.

        Draws on the house's budget of octets in flight: waits up to RECEIVE_WAIT_S, then StoreError BUSY.
        """
        raise NotImplementedError

    async def file(self, body: StagedBody, filings: Sequence[Filing], also: "Callable[[Any, BodyId], object] | None" = None) -> list[Filed]:
        """Put one body into several mailboxes in ONE durable commit; `also(transaction, body_id)` joins the commit (the queue).

        Raises FULL, OVER_QUOTA (checked for each person; nothing filed), NO_MAILBOX.
        """
        raise NotImplementedError

    async def list(self, person: PersonId) -> list[MailboxInfo]:
        """All mailboxes of a person by name, INBOX first."""
        raise NotImplementedError

    async def subscriptions(self, person: PersonId) -> list[str]:
        """Subscribed names, whether or not the mailbox exists (RFC 9051 §6.3.7)."""
        raise NotImplementedError

    async def find(self, person: PersonId, name: str) -> MailboxInfo:
        """Raises NO_MAILBOX."""
        raise NotImplementedError

    async def create(self, person: PersonId, name: str, special_use: str = "") -> MailboxInfo:
        """Missing superiors are made as well. Raises EXISTS, BAD_NAME, TOO_MANY."""
        raise NotImplementedError

    async def delete(self, person: PersonId, name: str) -> None:
        """Raises NO_MAILBOX, NOT_ALLOWED (INBOX; a \\Noselect name with children). With children the name stays, not selectable."""
        raise NotImplementedError

    async def rename(self, person: PersonId, old: str, new: str) -> None:
        """Children follow. INBOX's messages move and INBOX stays, empty (RFC 9051 §6.3.6)."""
        raise NotImplementedError

    async def subscribe(self, person: PersonId, name: str, subscribed: bool) -> None:
        raise NotImplementedError

    async def open(self, person: PersonId, name: str, *, read_only: bool = False) -> Mailbox:
        """Raises NO_MAILBOX (also for names that cannot be selected)."""
        raise NotImplementedError

    async def inbox_of(self, person: PersonId) -> MailboxId:
        """Cached in memory; the mailboxes of a new person are made with the person."""
        raise NotImplementedError

    def quota(self, person: PersonId) -> tuple[int, int | None]:
        """(octets used, limit or None), from memory."""
        raise NotImplementedError

    def make_mailboxes(self, transaction: Any, person: PersonId) -> None:
        """INBOX and the special-use mailboxes, subscribed: joins the commit that adds a person."""
        raise NotImplementedError

    def remove_mailboxes(self, transaction: Any, person: PersonId) -> None:
        raise NotImplementedError
