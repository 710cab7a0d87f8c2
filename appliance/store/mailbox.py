"""One mailbox as one session has it open: rows, changes, messages, flags, copy, move and expunge.

Every change takes a new MODSEQ and is durable when its call returns, `see` excepted. No cursor and no transaction
outlives a call. Everything raises StoreError with its `Trouble`, BROKEN when storage fails; nothing here knows a
protocol. Mailbox names are str with "/" between levels; INBOX is matched without regard to case and always so spelled.
"""

from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from appliance.database.writer import Transaction
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.flags import KEYWORDS_PER_MAILBOX
from appliance.mail.ids import AccountId, MailboxId, ModSeq, Uid
from appliance.mail.query import Query
from appliance.mail.rights import ALL, WRITING, Rights, changeable, flag_mask

from . import columns, copy_move, expunge, flag_changes, loading, messages, row_search, sharing, wire_sizes
from .base import StoreBase
from .body_readers import StoredMessage
from .changes import UidSnapshot, changes_since
from .copy_between import copy_between
from .keywords import keywords_of, unused
from .loading import OPENING
from .mailbox_cache import CachedMailbox
from .message_ids import MessageIds, grown
from .redescription import old_ones, remade
from .search_found import TextHits
from .values import Changes, Column, Copied, FlagChange, FlagsResult, MailboxInfo, Mode, Row, ThreadRows, Want

DESCRIBED = Want.FACTS | Want.BODY | Want.RARE
"""Columns that a scanner made."""
T = TypeVar("T")


class Mailbox:
    """One mailbox as one session holds it. Many sessions may hold the same; UID snapshots are shared."""

    __slots__ = ("_examined", "_known", "_rights_as_of", "_store", "_viewer", "first_unseen", "info", "keywords", "modseq", "recent",
                 "rights", "uids")  # fmt: skip

    def __init__(
        self, store: StoreBase, known: CachedMailbox, info: MailboxInfo, as_of: UidSnapshot, *, read_only: bool,
        viewer: AccountId | None = None,
    ) -> None:  # fmt: skip
        """`viewer`: the account that has it open, where another owns it: `info` says how it sees the mailbox."""
        self._store = store
        self._known: CachedMailbox | None = known
        self._examined = read_only
        self._viewer = viewer
        self._rights_as_of = as_of.modseq
        self.rights = info.rights
        """Of the account that has it open, as last read; each change checks them once more in its transaction."""
        self.info = info
        """As of `open`."""
        self.uids: array[int] = as_of.uids
        """Ascending UIDs of the messages at `modseq`; shared: never change it in place."""
        self.modseq: ModSeq = as_of.modseq
        self.keywords: tuple[str, ...] = as_of.keywords
        """`keywords[i]` is the name of flag bit KEYWORD_SHIFT + i."""
        self.first_unseen: Uid | None = Uid(as_of.first_unseen) if as_of.first_unseen else None
        self.recent: frozenset[int] | range = self.claim_recent(as_of.uid_next)
        """UIDs that are \\Recent to this session (RFC 3501 §2.3.2); numbers of no message may be among them."""

    # --- rights ------------------------------------------------------------------------------------------

    @property
    def read_only(self) -> bool:
        """Nothing can be changed here: it was opened so, or the rights are no more."""
        return self._examined or not self.rights & WRITING

    @property
    def keeps_seen(self) -> bool:
        """Whether reading a message sets \\Seen."""
        return not self._examined and "s" in self.rights

    @property
    def rights_outdated(self) -> bool:
        """Another's mailbox has changed since its rights were read: they may have, too. Costs nothing."""
        return self._viewer is not None and self._held().newest > self._rights_as_of

    async def read_rights(self) -> bool:
        """Read the rights anew; whether they changed. Raises NO_MAILBOX when the mailbox may no longer be read or is gone."""
        viewer, number = self._viewer, self.info.id
        if viewer is None:
            return False
        as_of, before = self._held().newest, self.rights
        self.rights = await self._store.database.read(lambda connection: sharing.rights_of(connection, number, viewer))
        self._rights_as_of = as_of
        if "r" not in self.rights:
            raise StoreError(Trouble.NO_MAILBOX, "the mailbox is no longer shared with you")
        return self.rights != before

    def _expect(self, transaction: Transaction, needed: str) -> Rights:
        """The rights in this transaction, `needed` among them. Raises NO_RIGHT, NO_MAILBOX."""
        return ALL if self._viewer is None else sharing.expect_rights(transaction, self.info.id, self._viewer, needed)

    # --- reading -----------------------------------------------------------------------------------------

    async def rows(self, lo: Uid, hi: Uid, want: Want, limit: int = 500) -> list[Row]:
        """One read batch: up to `limit` rows with lo <= uid <= hi, ascending, of the state now.

        Messages a session does not know of yet may be among them: the caller skips UIDs outside its view. Ask again from
        the last UID + 1 until the list comes back empty.
        """
        number = self.info.id

        def work(connection: Any) -> list[Row]:
            return messages.batch(connection, number, lo, hi, want, limit)

        while True:
            rows = await self._store.database.read(work)
            described = await remade(self._store, number, rows, want) if want & DESCRIBED else rows
            if described or not rows:
                return described
            lo = Uid(rows[-1].uid + 1)  # as in `named_rows`

    async def some_rows(self, uids: Sequence[Uid], want: Want) -> list[Row]:
        """The rows of these UIDs that are there, ascending, in one batch; at most a few hundred UIDs a call."""
        number = self.info.id
        rows = await self._store.database.read(lambda connection: messages.some(connection, number, uids, want))
        return await remade(self._store, number, rows, want) if want & DESCRIBED else rows

    async def flag_rows(self, lo: Uid, hi: Uid, limit: int = 500) -> list[tuple[Uid, int, ModSeq]]:
        """`rows` for flags alone, as plain tuples: (uid, flags, modseq)."""
        number = self.info.id
        return await self._store.database.read(lambda connection: messages.flag_rows(connection, number, lo, hi, limit))

    async def flags_between(self, lo: Uid, hi: Uid, as_of: ModSeq) -> list[int] | None:
        """The flags of all messages with lo <= uid <= hi, ascending; None when the mailbox changed after `as_of`."""
        number = self.info.id
        return await self._store.database.read(lambda connection: messages.flags_between(connection, number, lo, hi, as_of))

    async def named_rows(
        self, lo: Uid, hi: Uid, want: Want, limit: int, as_of: ModSeq
    ) -> tuple[Sequence[tuple[Any, ...]], tuple[str, ...] | None]:
        """`rows` and, from the same reading, the keywords when a row changed after `as_of` (else None: those of `as_of` name its bits).

        Without Want.BODY the rows are plain tuples of a Row's first fields, no further than `want` reaches: for 20,000 with envelopes
        10 ms less.
        """
        number = self.info.id

        def work(connection: Any) -> tuple[list[tuple[Any, ...]], tuple[str, ...] | None, ModSeq]:
            rows = messages.raw_rows(connection, number, lo, hi, want, limit)
            newest = messages.newest_of(connection, number, rows, as_of)
            return rows, keywords_of(connection, number) if newest > as_of else None, newest

        while True:
            rows, names, newest = await self._store.database.read(work)
            self._held().wake(newest)  # no older answer may follow this one
            if Want.BODY not in want and (not want & DESCRIBED or not old_ones(self._store, rows)):
                return rows, names
            described = await remade(self._store, number, messages.filled(rows, messages.columns(want)[1]), want)
            if described or not rows:
                return described, names
            lo = Uid(rows[-1][0] + 1)  # all of them were expunged before they could be described anew

    async def rows_and_messages(
        self, uids: Sequence[int], want: Want, octets: int, as_of: ModSeq
    ) -> tuple[list[Row], tuple[str, ...] | None, dict[int, StoredMessage]]:
        """`some_rows`, the keywords as `named_rows` gives them and, with Want.BODY, the messages of the first rows: as many as fit in
        `octets`, at least one. All of one reading (rows that had to be described anew come without messages)."""
        number, bodies = self.info.id, self._store.bodies

        def work(connection: Any) -> tuple[list[Row], tuple[str, ...] | None, ModSeq, Any]:
            rows = messages.some(connection, number, uids, want)
            newest = messages.newest_of(connection, number, rows, as_of)
            names = keywords_of(connection, number) if newest > as_of else None
            loaded = loading.load(connection, bodies, loading.fitting(rows, octets), octets) if want & Want.BODY and rows else {}
            return rows, names, newest, loaded

        rows, names, newest, loaded = await self._store.database.read(work)
        self._held().wake(newest)
        if want & (Want.FACTS | Want.BODY) and old_ones(self._store, rows):
            return await remade(self._store, number, rows, want), names, {}
        chosen = [row for row in rows if row.body in loaded]
        return rows, names, {row.uid: opened for row, opened in zip(chosen, loading.messages(chosen, loaded), strict=True)}

    async def uids_where(self, lo: Uid, hi: Uid, query: Query) -> "tuple[array[int], int, ModSeq] | None":
        """Ascending UIDs from `lo` to `hi` whose rows match, how many rows there are in all, and the mailbox's MODSEQ, of the state now;
        None when the rows alone do not decide the query (`row_search`)."""
        number = self.info.id

        def work(connection: Any) -> "tuple[array[int], int, ModSeq] | None":
            where = row_search.condition(query, keywords_of(connection, number))
            if where is None:
                return None
            head = connection.execute("SELECT modseq FROM mailbox WHERE id = ?", (number,)).fetchone()
            return (*row_search.uids_among(connection, number, lo, hi, where), head[0] if head is not None else ModSeq(0))

        return await self._store.database.read(work)

    async def look_up(self, leaves: Sequence[Query]) -> "tuple[TextHits, MessageIds] | None":
        """What the search index knows of text leaves of a query, and the mailbox's messages; None where it knows nothing.

        A message that the index covers matches a leaf only if it is a candidate. Raises StoreError.
        """
        index = self._store.search_index
        if index is None:
            return None
        known = self._held()
        ids = known.message_ids
        if ids is None or ids.modseq < known.newest:
            number, newest, before = self.info.id, known.newest, ids
            ids = await self._store.database.read(lambda connection: grown(connection, number, before, newest, len(known.snapshot.uids)))
            known.message_ids = ids
        if not ids.ids:
            return None
        found = await index.look_up(self.info.account, leaves, ids.lowest, ids.highest)
        if not found.ranges:
            index.scanned(self.info.account, len(ids.ids))
            return None
        return found, ids

    def scanned(self, messages: int) -> None:
        """A search had to scan so many messages that are not indexed yet."""
        if self._store.search_index is not None:
            self._store.search_index.scanned(self.info.account, messages)

    async def has_keyword_room(self) -> bool:
        """Whether a message could get a new keyword now: a bit has no name, or one that no message carries (see `keywords`)."""
        number = self.info.id

        def work(connection: Any) -> bool:
            return len(keywords_of(connection, number)) < KEYWORDS_PER_MAILBOX or bool(unused(connection, number))

        return await self._store.database.read(work)

    async def changes(self, since: ModSeq, *, fresh: bool = False) -> Changes:
        """All after `since`, in one reading; sessions that ask the same share the answer, `fresh` ones do not. Raises NO_MAILBOX."""
        return await self._held().changes(since, self._read_changes, fresh)

    async def _read_changes(self, since: ModSeq) -> Changes:
        number = self.info.id
        return await self._store.database.read(lambda connection: changes_since(connection, number, since))

    async def wait(self, since: ModSeq) -> None:
        """Return once the mailbox's committed MODSEQ is above `since`; raises StoreError NO_MAILBOX when it was deleted."""
        await self._held().wait(since)

    def newest(self) -> ModSeq:
        """The committed MODSEQ as this process knows it, without reading: NOOP costs nothing when it equals yours.

        Above every MODSEQ once the mailbox is gone: `changes` then says so.
        """
        return self._held().newest

    def shared(self) -> "tuple[array[int], ModSeq]":
        """The shared UIDs and their MODSEQ, for `View.share` after taking in changes."""
        known = self._held()
        return known.snapshot.uids, known.snapshot.modseq

    def claim_recent(self, uid_next: int) -> range:
        """UIDs below `uid_next` that were \\Recent in no read-write session; from now on they are this one's."""
        known = self._held()
        recent = range(known.recent_from, uid_next)
        if recent and not self.read_only:
            known.recent_from = uid_next
            number = self.info.id
            self._store.database.write_lazily(
                lambda transaction: transaction.execute(
                    "UPDATE mailbox SET recent_from = ?1 WHERE id = ?2 AND recent_from < ?1", (uid_next, number)
                )
            )
        return recent

    async def growth(self, lo: Uid, hi: Uid) -> dict[Uid, int]:
        """Octets that messages from `lo` to `hi` (a batch of `rows`) grow by when POP3 sends them; most do not and are left out."""
        number = self.info.id
        return await self._store.database.read(lambda connection: wire_sizes.growth(connection, number, lo, hi))

    async def column(self, column: Column, uids: "array[int]") -> "array[int]":
        """One number of each of these messages, in the order of their ascending UIDs; MISSING for those expunged meanwhile."""
        return await columns.read_column(self._store, self.info.id, column, uids)

    def ranks(self, name: str, uids: "array[int]") -> "array[int] | None":
        """Ranks that were kept for these messages (or for more), if they still are."""
        return self._store.columns.values(self.info.id, name, uids)

    @property
    def generation(self) -> int:
        """Of the descriptions of messages: changes when old ones are described anew."""
        return self._store.columns.generation

    def keep(self, name: str, uids: "array[int]", ranks: "array[int]", generation: int) -> None:
        """Cache what follows from messages' descriptions; `generation` from before they were read. Neither array may be changed later."""
        self._store.columns.put(self.info.id, name, (uids, ranks), generation)

    def kept(self, name: str, uids: "array[int]") -> "array[int] | None":
        """What `keep` was given for precisely these messages, if it is still there."""
        return self._store.columns.exact(self.info.id, name, uids)

    async def thread_rows(self, uids: "array[int]") -> ThreadRows:
        """What threads are made of, for those of these messages that are there."""
        return await columns.read_threads(self._store, self.info.id, uids)

    # --- messages -----------------------------------------------------------------------------------------

    async def open_message(self, uid: Uid) -> StoredMessage:
        """Raises StoreError GONE."""
        found = await self.open_batch(uid, uid, 1)
        if not found:
            raise StoreError(Trouble.GONE)
        _, message = found[0]
        return message

    async def open_batch(self, lo: Uid, hi: Uid, limit: int, octets: int = 256 * 1024) -> list[tuple[Row, StoredMessage]]:
        """Rows (BODY, DATES) with their messages in one reading: the first with lo <= uid <= hi that fit in `octets`, at least one."""
        number, store = self.info.id, self._store

        def work(connection: Any) -> tuple[list[Row], Any]:
            rows = loading.fitting(messages.batch(connection, number, lo, hi, OPENING, limit), octets)
            return list(rows), loading.load(connection, store.bodies, rows, octets)

        rows, bodies = await store.database.read(work)
        rows = await remade(store, number, rows, OPENING)
        return list(zip(rows, loading.messages(rows, bodies), strict=True))

    async def open_row(self, row: Row) -> StoredMessage:
        """The same from a Row read with Want.BODY | Want.DATES (saves a look-up); small bodies are read at once."""
        return (await self.open_rows([row], 0))[0]

    async def open_rows(self, rows: Sequence[Row], octets: int = 256 * 1024) -> list[StoredMessage]:
        """The messages of the first rows, as many as fit in `octets` (at least one), in one read: FETCH and RETR in bulk."""
        return await self._store.messages(rows, octets)

    async def examine(self, rows: Sequence[Row], work: Callable[[Row, bytes], T], octets: int = 512 * 1024) -> list[T | StoredMessage]:
        """`work(row, prefix and body)` on the reader's thread for the first rows, as many as fit in `octets` (at least one).

        In place of its result stands the message itself where its octets are not read at once (large, or gone). `work` is short: a scan of
        20,000 small messages costs a hop to the thread for 150 of them, and no other hop.
        """
        store = self._store
        return await store.database.read(lambda connection: loading.examined(connection, store.bodies, rows, octets, work))

    # --- changing ----------------------------------------------------------------------------------------

    async def set_flags(
        self, uids: Sequence[Uid], mode: Mode, names: Iterable[str], *, unchanged_since: ModSeq | None = None
    ) -> FlagsResult:
        """Durable when it returns. Raises READ_ONLY, NO_MAILBOX, TOO_MANY when the mailbox has no room for another keyword.

        Flags for which a right is missing stay as they are; NO_RIGHT when that leaves nothing to change (RFC 4314 §4).
        """
        number, flags = self._writable(), tuple(names)
        result = await self._store.database.write(
            lambda transaction: self._set_flags(transaction, number, uids, mode, flags, unchanged_since=unchanged_since)
        )
        if self._known is not None and result.modseq > result.since:
            self._known.take_in(result.since, result.changes())
        return result

    def _set_flags(
        self, transaction: Transaction, number: MailboxId, uids: Sequence[Uid], mode: Mode, names: tuple[str, ...], *,
        unchanged_since: ModSeq | None = None,
    ) -> FlagsResult:  # fmt: skip
        rights, effects = self._expect(transaction, ""), self._store.effects
        allowed, mask = changeable(names, rights), flag_mask(rights)
        if (names and not allowed) or (mode is Mode.REPLACE and not mask):
            raise StoreError(Trouble.NO_RIGHT)
        return flag_changes.set_flags(transaction, number, uids, FlagChange(mode, allowed, mask), unchanged_since, effects)

    def see(self, uids: Sequence[Uid]) -> None:
        """\\Seen by reading: lazy, it joins the next commit and no caller waits. Nothing in a read-only mailbox or without right `s`."""
        if uids and self.keeps_seen:
            number, seen = self.info.id, tuple(uids)
            self._store.database.write_lazily(lambda transaction: self._see(transaction, number, seen))

    def _see(self, transaction: Transaction, number: MailboxId, uids: tuple[Uid, ...]) -> None:
        if "s" in self._expect(transaction, ""):
            flag_changes.set_flags(transaction, number, uids, FlagChange(Mode.ADD, ("\\Seen",)), None, self._store.effects)

    async def copy(self, uids: Sequence[Uid], target: str, *, complete: bool = False) -> Copied:
        """All that are there or nothing; flags, keywords and INTERNALDATE kept (RFC 9051 §6.4.7).

        Raises NO_MAILBOX, NO_RIGHT, OVER_QUOTA, TOO_MANY, and GONE when one is not there and the copy must be `complete`.
        """
        return await self._copy(uids, target, move=False, complete=complete)

    async def move(self, uids: Sequence[Uid], target: str) -> Copied:
        """One commit (RFC 6851); the message's identity is kept within an account. Raises READ_ONLY and what `copy` raises."""
        self._writable()
        return await self._copy(uids, target, move=True)

    async def _copy(self, uids: Sequence[Uid], target: str, *, move: bool, complete: bool = False) -> Copied:
        number, effects = self.info.id, self._store.effects
        account = self._viewer or self.info.account

        def work(transaction: Transaction) -> Copied:
            self._expect(transaction, "rte" if move else "r")
            seen = sharing.found(transaction, account, target, "i")
            if not seen.row.selectable:
                raise StoreError(Trouble.NO_MAILBOX)
            copy = copy_move.copy if seen.row.account == self.info.account else copy_between
            return copy(transaction, number, uids, seen.row.id, effects, copy_move.Copying(move, complete, seen.rights))

        return await self._store.database.write(work)

    async def expunge(self, uids: Sequence[Uid] | None = None) -> list[Uid]:
        """Remove those that carry \\Deleted (of `uids` only, if given); the UIDs removed. Raises READ_ONLY, NO_RIGHT."""
        return await self._remove(uids, marked=True)

    async def remove(self, uids: Sequence[Uid]) -> list[Uid]:
        """Remove whatever their flags: POP3's UPDATE state. Raises READ_ONLY."""
        return await self._remove(uids, marked=False)

    async def _remove(self, uids: Sequence[Uid] | None, *, marked: bool) -> list[Uid]:
        number, store = self._writable(), self._store

        def work(transaction: Transaction) -> list[int]:
            self._expect(transaction, "e")
            return expunge.expunge(transaction, number, uids, store.effects, marked=marked)

        return [Uid(uid) for uid in await store.database.write(work)]

    # --- closing -----------------------------------------------------------------------------

    def close(self) -> None:
        """Give up this session's reference to the cached mailbox; a second call does nothing."""
        known, self._known = self._known, None
        if known is not None:
            self._store.mailbox_cache.give_back(known)

    def _held(self) -> CachedMailbox:
        if self._known is None:
            raise StoreError(Trouble.NO_MAILBOX, "the mailbox was closed")
        return self._known

    def _writable(self) -> MailboxId:
        if self.read_only:
            raise StoreError(Trouble.READ_ONLY)
        return self.info.id
