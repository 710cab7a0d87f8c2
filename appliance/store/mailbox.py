"""The narrow door: Store and Mailbox, all that servers may hold of mail.

Every change takes a new MODSEQ and is durable when its call returns, `see` excepted. No cursor and no transaction
outlives a call. Everything raises StoreError with its `Trouble`, BROKEN when the card fails; nothing here knows a
protocol. Mailbox names are str with "/" between levels; INBOX is matched without regard to case and always so spelled.
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from appliance.database.database import AnyDatabase
from appliance.database.writer import Transaction
from appliance.mail.description import Describe
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.flags import INBOX, KEYWORDS_PER_MAILBOX
from appliance.mail.ids import AccountId, BodyId, MailboxId, ModSeq, Uid

from . import append as placement
from . import copy_move as copies
from . import expunge as removal
from . import flag_changes as marks
from . import loading as opening
from . import mailboxes, messages, wire_sizes
from .bodies import Bodies, Incoming, StagedBody
from .body_readers import StoredMessage
from .changes import UidSnapshot, changes_since, snapshot
from .keywords import keywords_of, unused
from .loading import OPENING
from .mailbox_cache import CachedMailbox, MailboxCache
from .outbox import UNSEEN_YET, Outboxes
from .quota import Quota, QuotaOf
from .redescription import old_ones, remade
from .values import Changes, Copied, FlagsResult, MailboxInfo, Mode, Placed, Placement, Row, Want
from .view import SequenceView

__all__ = (
    "Changes",
    "Copied",
    "FlagsResult",
    "Incoming",
    "Mailbox",
    "MailboxInfo",
    "Mode",
    "Placed",
    "Placement",
    "Row",
    "SequenceView",
    "StagedBody",
    "Store",
    "StoredMessage",
    "Want",
)  # fmt: skip

# `Store.list` hides the built-in name inside the class
Names = list[str]
Messages = list[StoredMessage]
Numbers = list[int]


class Mailbox:
    """One mailbox as one session holds it. Many sessions may hold the same; UID snapshots are shared."""

    __slots__ = ("_known", "_store", "first_unseen", "info", "keywords", "modseq", "read_only", "recent", "uids")

    def __init__(self, store: "Store", known: CachedMailbox, info: MailboxInfo, as_of: UidSnapshot, *, read_only: bool) -> None:
        self._store = store
        self._known: CachedMailbox | None = known
        self.info = info
        """As of `open`."""
        self.uids: array[int] = as_of.uids
        """Ascending UIDs of the messages at `modseq`; shared: never change it in place."""
        self.modseq: ModSeq = as_of.modseq
        self.keywords: tuple[str, ...] = as_of.keywords
        """`keywords[i]` is the name of flag bit KEYWORD_SHIFT + i."""
        self.first_unseen: Uid | None = Uid(as_of.first_unseen) if as_of.first_unseen else None
        self.read_only = read_only
        self.recent: frozenset[int] | range = self.claim_recent(as_of.uid_next)
        """UIDs that are \\Recent to this session (RFC 3501 §2.3.2); numbers of no message may be among them."""

    # --- reading -----------------------------------------------------------------------------------------

    async def rows(self, lo: Uid, hi: Uid, want: Want, limit: int = 500) -> list[Row]:
        """One read window: up to `limit` rows with lo <= uid <= hi, ascending, of the state now.

        Messages a session has not heard of yet may show: the caller skips UIDs outside its view. Ask again from
        the last UID + 1 until the list comes back empty.
        """
        number = self.info.id

        def work(connection: Any) -> list[Row]:
            return messages.batch(connection, number, lo, hi, want, limit)

        while True:
            rows = await self._store.database.read(work)
            described = await remade(self._store, number, rows, want) if want & (Want.FACTS | Want.BODY) else rows
            if described or not rows:
                return described
            lo = Uid(rows[-1].uid + 1)  # as in `named_rows`

    async def some_rows(self, uids: Sequence[Uid], want: Want) -> list[Row]:
        """The rows of these UIDs that are there, ascending, in one window; at most a few hundred UIDs a call."""
        number = self.info.id
        rows = await self._store.database.read(lambda connection: messages.some(connection, number, uids, want))
        return await remade(self._store, number, rows, want) if want & (Want.FACTS | Want.BODY) else rows

    async def flag_rows(self, lo: Uid, hi: Uid, limit: int = 500) -> list[tuple[Uid, int, ModSeq]]:
        """`rows` for flags alone, as plain tuples: (uid, flags, modseq)."""
        number = self.info.id
        return await self._store.database.read(lambda connection: messages.flag_rows(connection, number, lo, hi, limit))

    async def named_rows(
        self, lo: Uid, hi: Uid, want: Want, limit: int, as_of: ModSeq
    ) -> tuple[Sequence[tuple[Any, ...]], tuple[str, ...] | None]:
        """`rows` and, from the same reading, the keywords when a row changed after `as_of` (else None: those of `as_of` name its bits).

        Without Want.BODY the rows are plain tuples of a Row's first fields, no further than `want` reaches: for 20,000 with facts
        10 ms less.
        """
        number = self.info.id

        def work(connection: Any) -> tuple[list[tuple[Any, ...]], tuple[str, ...] | None, ModSeq]:
            rows = messages.raw_rows(connection, number, lo, hi, want, limit)
            newest = max([row[2] for row in rows], default=as_of)
            return rows, keywords_of(connection, number) if newest > as_of else None, newest

        while True:
            rows, names, newest = await self._store.database.read(work)
            self._held().wake(newest)  # no answer older than what is told now may follow it
            if Want.BODY not in want and (Want.FACTS not in want or not old_ones(self._store, rows)):
                return rows, names
            described = await remade(self._store, number, messages.filled(rows, messages.columns(want)[1]), want)
            if described or not rows:
                return described, names
            lo = Uid(rows[-1][0] + 1)  # all of them were expunged before they could be described anew

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
        """UIDs below `uid_next` no read-write session was told of as \\Recent; from now on they are this one's."""
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
        """Octets that messages from `lo` to `hi` (a window of `rows`) grow by when POP3 sends them; most do not and are left out."""
        number = self.info.id
        return await self._store.database.read(lambda connection: wire_sizes.growth(connection, number, lo, hi))

    # --- messages -----------------------------------------------------------------------------------------

    async def open_message(self, uid: Uid) -> StoredMessage:
        """Raises StoreError GONE."""
        found = await self.open_batch(uid, uid, 1)
        if not found:
            raise StoreError(Trouble.GONE)
        return found[0][1]

    async def open_batch(self, lo: Uid, hi: Uid, limit: int, octets: int = 256 * 1024) -> list[tuple[Row, StoredMessage]]:
        """Rows (BODY, DATES) with their messages in one reading: the first with lo <= uid <= hi that fit in `octets`, at least one."""
        number, store = self.info.id, self._store

        def work(connection: Any) -> tuple[list[Row], Any]:
            rows = opening.fitting(messages.batch(connection, number, lo, hi, OPENING, limit), octets)
            return list(rows), opening.load(connection, store.bodies, rows, octets)

        rows, bodies = await store.database.read(work)
        rows = await remade(store, number, rows, OPENING)
        return list(zip(rows, opening.messages(rows, bodies), strict=True))

    async def open_row(self, row: Row) -> StoredMessage:
        """The same from a Row read with Want.BODY | Want.DATES (saves a look-up); small bodies are read at once."""
        return (await self.open_rows([row], 0))[0]

    async def open_rows(self, rows: Sequence[Row], octets: int = 256 * 1024) -> list[StoredMessage]:
        """Letters of the first rows, as many as fit in `octets` (at least one), read in one go: FETCH and RETR in bulk."""
        return await self._store.messages(rows, octets)

    # --- changing ----------------------------------------------------------------------------------------

    async def set_flags(
        self, uids: Sequence[Uid], mode: Mode, names: Iterable[str], *, unchanged_since: ModSeq | None = None
    ) -> FlagsResult:
        """Durable when it returns. Raises READ_ONLY, NO_MAILBOX, TOO_MANY when the mailbox has no room for another keyword."""
        number, flags = self._writable(), tuple(names)
        return await self._store.database.write(
            lambda transaction: marks.set_flags(transaction, number, uids, mode, flags, unchanged_since)
        )

    def see(self, uids: Sequence[Uid]) -> None:
        """\\Seen by reading: lazy, nobody waits, done when the next commit is (CARD rule 6). Nothing in a read-only mailbox."""
        if uids and not self.read_only:
            number, seen = self.info.id, tuple(uids)
            self._store.database.write_lazily(lambda transaction: marks.set_flags(transaction, number, seen, Mode.ADD, ("\\Seen",), None))

    async def copy(self, uids: Sequence[Uid], target: str, *, complete: bool = False) -> Copied:
        """All that are there or nothing; flags, keywords and INTERNALDATE kept (RFC 9051 §6.4.7).

        Raises NO_MAILBOX, OVER_QUOTA, TOO_MANY, and GONE when one is not there and the copy must be `complete`.
        """
        return await self._copy(uids, target, move=False, complete=complete)

    async def move(self, uids: Sequence[Uid], target: str) -> Copied:
        """One commit (RFC 6851); the message's identity is kept. Raises READ_ONLY and what `copy` raises."""
        self._writable()
        return await self._copy(uids, target, move=True)

    async def _copy(self, uids: Sequence[Uid], target: str, *, move: bool, complete: bool = False) -> Copied:
        number, account, store, quota = self.info.id, self.info.account, self._store, self._store.quotas

        def work(transaction: Transaction) -> Copied:
            row = mailboxes.row_named(transaction, account, target)
            if row is None or not row[4]:
                raise StoreError(Trouble.NO_MAILBOX)
            store.outboxes.expect_open(row[0])
            copied = copies.copy(transaction, number, uids, MailboxId(row[0]), quota, move=move, complete=complete)
            if move:
                store.outboxes.left(transaction, number, copied.sources)
            return copied

        return await self._store.database.write(work)

    async def expunge(self, uids: Sequence[Uid] | None = None) -> list[Uid]:
        """Remove those that carry \\Deleted (of `uids` only, if given); the UIDs removed. Raises READ_ONLY."""
        return await self._remove(uids, marked=True)

    async def remove(self, uids: Sequence[Uid]) -> list[Uid]:
        """Remove whatever their flags: POP3's UPDATE state. Raises READ_ONLY."""
        return await self._remove(uids, marked=False)

    async def _remove(self, uids: Sequence[Uid] | None, *, marked: bool) -> list[Uid]:
        number, store = self._writable(), self._store

        def work(transaction: Transaction) -> list[int]:
            gone = removal.remove(transaction, number, uids, store.bodies.release, store.quotas, marked=marked)
            store.outboxes.left(transaction, number, gone)
            return gone

        return [Uid(uid) for uid in await store.database.write(work)]

    # --- the session's share -----------------------------------------------------------------------------

    def close(self) -> None:
        """Give back this session's share; a second time does nothing."""
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


class Store:
    """All mail of all people. Made by `Store.start`; holds no thread and no file of its own."""

    def __init__(self, database: AnyDatabase, bodies: Bodies, *, describe: Describe, quota_of: QuotaOf) -> None:
        self.database = database
        self.bodies = bodies
        self.describe = describe
        self.described_by = describe().finish().described_by
        self.mailbox_cache = MailboxCache()
        self.quotas = Quota(quota_of)
        self.outboxes = Outboxes(bodies, self.quotas)
        self._inboxes: dict[AccountId, MailboxId] = {}

    @classmethod
    async def start(cls, database: AnyDatabase, bodies: Bodies, *, describe: Describe, quota_of: QuotaOf = lambda _: None) -> "Store":
        """`describe` makes a message's scanner; `quota_of` gives a person's limit in octets or None, from any thread, at once."""
        store = cls(database, bodies, describe=describe, quota_of=quota_of)
        database.watch(store.mailbox_cache.touched)
        await database.read(store.quotas.load)
        await database.read(store.outboxes.load)
        return store

    # --- arrival -----------------------------------------------------------------------------------------

    def receive(self, limit_octets: int) -> AbstractAsyncContextManager[Incoming]:
        """`async with store.receive(n) as incoming:` — an uncommitted body is given back at the end of the block.

        Draws on the server's budget of octets in flight: waits up to RECEIVE_WAIT_S, then StoreError BUSY.
        """
        return self.bodies.receive(limit_octets, self.describe)

    async def file(
        self,
        body: StagedBody,
        placements: Sequence[Placement],
        also: "Callable[[Any, BodyId], object] | None" = None,
        *,
        passed: "Numbers | None" = None,
    ) -> list[Placed]:
        """Put one body into several mailboxes in ONE durable commit; `also(transaction, body_id)` joins the commit (the queue).

        Raises FULL, OVER_QUOTA (checked for each person; nothing filed), NO_MAILBOX, TOO_MANY, NOT_ALLOWED (the Outbox).
        With a list `passed` nobody's want of space fails the others: it gets the numbers of the placements passed over for it, before
        `also` is called.
        """
        self._expect_open(placements)
        described = {prefix: body.describe(prefix) for prefix in {placement.prefix for placement in placements}}

        def work(transaction: Transaction) -> list[Placed]:
            chosen = placements
            if passed is not None:
                passed[:] = self.quotas.without_room(transaction, placements, body.octets)
                chosen = [one for number, one in enumerate(placements) if number not in passed]
            number = self.bodies.hold(transaction, body, len(chosen))
            filed = placement.file(transaction, number, body.octets, chosen, described.__getitem__, self.quotas)
            if also is not None:
                also(transaction, number)
            return filed

        return await self.database.write(work, octets=body.stored_octets)

    async def file_all(
        self, messages: Sequence[tuple[StagedBody, Placement]], also: "Callable[[Any], object] | None" = None
    ) -> list[Placed]:
        """Several bodies, each into one mailbox, in ONE durable commit or not at all; `also(transaction)` joins it. Raises as `file`."""
        self._expect_open([place for _, place in messages])
        described = [{place.prefix: body.describe(place.prefix)} for body, place in messages]

        def work(transaction: Transaction) -> list[Placed]:
            filed = []
            for (body, place), facts in zip(messages, described, strict=True):
                number = self.bodies.hold(transaction, body, 1)
                filed += placement.file(transaction, number, body.octets, [place], facts.__getitem__, self.quotas)
            if also is not None:
                also(transaction)
            return filed

        return await self.database.write(work, octets=sum(body.stored_octets for body, _ in messages))

    def file_kept(self, transaction: Any, body: BodyId, octets: int, placements: Sequence[Placement]) -> Numbers:
        """Put a body that is kept already into mailboxes, inside somebody's commit. Facts are made when it is first read.

        The numbers of the placements passed over because their person has no room.
        """
        passed = self.quotas.without_room(transaction, placements, octets)
        chosen = [one for number, one in enumerate(placements) if number not in passed]
        self.bodies.hold_more(transaction, body, len(chosen))
        placement.file(transaction, body, octets, chosen, lambda _: UNSEEN_YET, self.quotas)
        return passed

    def _expect_open(self, placements: Sequence[Placement]) -> None:
        for one in placements:
            self.outboxes.expect_open(one.mailbox)

    async def inbox_of(self, account: AccountId) -> MailboxId:
        """Cached in memory; the mailboxes of a new person are made with the person. Raises NO_MAILBOX."""
        number = self._inboxes.get(account)
        if number is None:
            number = self._inboxes[account] = (await self.find(account, INBOX)).id
        return number

    # --- the tree ----------------------------------------------------------------------------------------

    async def list(self, account: AccountId) -> list[MailboxInfo]:
        """All mailboxes of a person by name, INBOX first."""
        recent_from = self.mailbox_cache.recent_from()
        return await self.database.read(lambda connection: mailboxes.listed(connection, account, recent_from))

    async def subscriptions(self, account: AccountId) -> Names:
        """Subscribed names, whether or not the mailbox exists (RFC 9051 §6.3.7)."""
        return await self.database.read(lambda connection: mailboxes.subscribed_names(connection, account))

    async def find(self, account: AccountId, name: str) -> MailboxInfo:
        """STATUS's facts, at the cost of a row. Raises NO_MAILBOX."""
        recent_from = self.mailbox_cache.recent_from()

        def work(connection: Any) -> MailboxInfo:
            row = mailboxes.row_named(connection, account, name)
            if row is None:
                raise StoreError(Trouble.NO_MAILBOX)
            return mailboxes.info_of(connection, row, recent_from)

        return await self.database.read(work)

    async def create(self, account: AccountId, name: str, special_use: str = "") -> MailboxInfo:
        """Missing superiors are made as well. Raises EXISTS, BAD_NAME, TOO_MANY, NOT_ALLOWED (a special use unknown or taken)."""
        await self.database.write(lambda transaction: mailboxes.create(transaction, account, name, special_use))
        return await self.find(account, name.removesuffix("/"))

    async def delete(self, account: AccountId, name: str) -> None:
        """Raises NO_MAILBOX, NOT_ALLOWED (INBOX; a \\Noselect name with children). With children the name stays, not selectable."""

        def work(transaction: Transaction) -> None:
            row = mailboxes.deletable(transaction, account, name)
            self._expect_movable(row[0])
            removal.remove(transaction, MailboxId(row[0]), None, self.bodies.release, self.quotas, marked=False)
            mailboxes.forget(transaction, row)

        await self.database.write(work)

    async def rename(self, account: AccountId, old: str, new: str) -> None:
        """Children follow. INBOX's messages move and INBOX stays, empty (RFC 9051 §6.3.6).

        Subscriptions follow; INBOX stays subscribed, and where it is, what takes its messages becomes so.
        Raises NO_MAILBOX, EXISTS, BAD_NAME, TOO_MANY, NOT_ALLOWED (below itself).
        """

        def work(transaction: Transaction) -> None:
            row, name = mailboxes.renamable(transaction, account, old, new)
            self._expect_movable(row[0])
            if row[2] == INBOX:
                target = mailboxes.create(transaction, account, name)
                mailboxes.subscribe_alike(transaction, account, INBOX, name)
                copies.copy(transaction, MailboxId(row[0]), None, target, self.quotas, move=True)
            else:
                mailboxes.rename(transaction, row, name)

        await self.database.write(work)

    def _expect_movable(self, mailbox: int) -> None:
        if mailbox in self.outboxes:
            raise StoreError(Trouble.NOT_ALLOWED, "the Outbox stays where it is")

    async def subscribe(self, account: AccountId, name: str, subscribed: bool) -> None:
        """Raises BAD_NAME, TOO_MANY."""
        await self.database.write(lambda transaction: mailboxes.subscribe(transaction, account, name, subscribed))

    async def open(self, account: AccountId, name: str, *, read_only: bool = False) -> Mailbox:
        """Raises NO_MAILBOX (also for names that cannot be selected)."""
        self.mailbox_cache.begin_opening()
        try:
            info, as_of, recent_from = await self.database.read(lambda connection: self._opened(connection, account, name))
            known = self.mailbox_cache.hold(info.id, as_of, recent_from)
        finally:
            self.mailbox_cache.end_opening()
        info.recent = len(as_of.uids) - bisect_left(as_of.uids, known.recent_from)
        return Mailbox(self, known, info, as_of, read_only=read_only)

    def _opened(self, connection: Any, account: AccountId, name: str) -> tuple[MailboxInfo, UidSnapshot, int]:
        row = mailboxes.row_named(connection, account, name)
        if row is None or not row[4]:
            raise StoreError(Trouble.NO_MAILBOX)
        number = MailboxId(row[0])
        as_of = snapshot(connection, number, self.mailbox_cache.peek(number))
        return mailboxes.info_of(connection, row, {number: row[6]}), as_of, row[12]

    # --- messages -----------------------------------------------------------------------------------------

    async def messages(self, rows: Sequence[Row], octets: int) -> Messages:
        """The first rows' messages, at least one, as many as fit in `octets`; one reading. One that is gone raises GONE when read."""
        chosen = opening.fitting(rows, octets)
        bodies = await self.database.read(lambda connection: opening.load(connection, self.bodies, chosen, octets))
        return opening.messages(chosen, bodies)

    # --- people ------------------------------------------------------------------------------------------

    def quota(self, account: AccountId) -> tuple[int, int | None]:
        """(octets used, limit or None), from memory, as of the last commit or the one before."""
        return self.quotas.of(account)

    def make_mailboxes(self, transaction: Any, account: AccountId) -> None:
        """INBOX and the special-use mailboxes, subscribed: joins the commit that adds a person."""
        mailboxes.make_first(transaction, account)

    def remove_mailboxes(self, transaction: Any, account: AccountId) -> None:
        """All of a person's mail: joins the commit that removes a person."""
        for number in mailboxes.ids_of(transaction, account):
            removal.remove(transaction, number, None, self.bodies.release, self.quotas, marked=False)
            mailboxes.drop_row(transaction, number)
        mailboxes.forget_account(transaction, account)
        transaction.after_commit(lambda: self._forget(account))

    def _forget(self, account: AccountId) -> None:
        self._inboxes.pop(account, None)
        self.quotas.forget(account)
