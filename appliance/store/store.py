"""The store: all that servers may do with mail, apart from what they do in an open `Mailbox`.

Every change takes a new MODSEQ and is durable when its call returns. No cursor and no transaction outlives a call.
Everything raises StoreError with its `Trouble`, BROKEN when storage fails; nothing here knows a protocol.
Mailbox names are str with "/" between levels; INBOX is matched without regard to case and always so spelled.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from appliance.database.database import AnyDatabase
from appliance.database.writer import Transaction
from appliance.mail.clock import Clock
from appliance.mail.description import Describe, DescriptionOf
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.flags import INBOX
from appliance.mail.ids import AccountId, BodyId, MailboxId, MessageId, ModSeq, Uid

from . import append, expunge, mailboxes, metadata, shared_sight, sharing, tree_changes
from .account_changes import MessageChange, Position, message_changes
from .account_watch import OF_ACCOUNT, AccountWatch
from .base import StoreBase
from .bodies import Bodies
from .body_readers import scan
from .changes import UidSnapshot, snapshot
from .incoming import Incoming, StagedBody
from .mailbox import Mailbox
from .message_update import Decide, update_message
from .observers import Observers
from .quota import QuotaOf
from .scope import Scope, StateStep, scope_modseq
from .uploads import Uploads
from .values import MailboxChanges, MailboxInfo, Placed, Placement

# `Store.list` hides the built-in name inside the class
Names = list[str]
Numbers = list[int]
MessageChanges = list[MessageChange]
NO_OBSERVERS = Observers()


class Store(StoreBase):
    """The mail of all accounts. Made by `Store.start`; holds no thread and no file of its own."""

    def __init__(
        self,
        database: AnyDatabase,
        bodies: Bodies,
        *,
        describe: Describe,
        quota_of: QuotaOf,
        observers: Observers = NO_OBSERVERS,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(database, bodies, describe=describe, quota_of=quota_of, observers=observers, clock=clock)
        self._inboxes: dict[AccountId, MailboxId] = {}
        self.uploads = Uploads(database, bodies, clock)

    @classmethod
    async def start(
        cls,
        database: AnyDatabase,
        bodies: Bodies,
        *,
        describe: Describe,
        quota_of: QuotaOf = lambda _: None,
        observers: Observers = NO_OBSERVERS,
        clock: Clock | None = None,
    ) -> "Store":
        """`describe` makes a message's scanner; `quota_of` gives an account's limit in octets or None, from any thread, at once.

        Without a `clock` it is not known when messages are saved.
        """
        store = cls(database, bodies, describe=describe, quota_of=quota_of, observers=observers, clock=clock)
        database.watch(store.mailbox_cache.touched)
        database.watch(store.shared_accounts.touched)
        database.watch(store.watches.touched)
        await database.read(store.quotas.load)
        await database.read(store.shared_accounts.load)
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

        Raises FULL, OVER_QUOTA (checked for each account; nothing is stored), NO_MAILBOX, TOO_MANY, NOT_ALLOWED (the Outbox).
        With a list `passed` an account over its quota does not fail the others: the list gets the numbers of the placements passed over,
        before `also` is called.
        """
        described = {prefix: body.describe(prefix) for prefix in {placement.prefix for placement in placements}}

        def work(transaction: Transaction) -> list[Placed]:
            chosen = placements
            if passed is not None:
                passed[:] = self.quotas.without_room(transaction, placements, body.octets)
                chosen = [one for number, one in enumerate(placements) if number not in passed]
            number = self.bodies.hold(transaction, body, len(chosen) or 1)
            placed = append.append(transaction, number, body.octets, chosen, described.__getitem__, self.effects)
            if also is not None:
                also(transaction, number)
            if not chosen:  # ours, so that the body was never unreferenced, which would write an index
                self.bodies.release(transaction, [(number, 1)])
            return placed

        return await self.database.write(work, octets=body.stored_octets)

    async def file_all(
        self, messages: Sequence[tuple[StagedBody, Placement]], also: "Callable[[Any], object] | None" = None
    ) -> list[Placed]:
        """Several bodies, each into one mailbox, in ONE durable commit or not at all; `also(transaction)` joins it. Raises as `file`."""
        described = [{place.prefix: body.describe(place.prefix)} for body, place in messages]

        def work(transaction: Transaction) -> list[Placed]:
            placed = []
            for (body, place), description in zip(messages, described, strict=True):
                number = self.bodies.hold(transaction, body, 1)
                placed += append.append(transaction, number, body.octets, [place], description.__getitem__, self.effects)
            if also is not None:
                also(transaction)
            return placed

        return await self.database.write(work, octets=sum(body.stored_octets for body, _ in messages))

    async def replace(self, body: StagedBody, placement: Placement, mailbox: MailboxId, uid: Uid) -> Placed:
        """Put a body into a mailbox in place of a message of the same account, in ONE durable commit. Raises as `file`, and GONE."""
        described = {placement.prefix: body.describe(placement.prefix)}

        def work(transaction: Transaction) -> Placed:
            sharing.expect_allowed(transaction, mailbox, placement.by, "te")
            if not expunge.expunge(transaction, mailbox, [uid], self.effects, marked=False):
                raise StoreError(Trouble.GONE)
            number = self.bodies.hold(transaction, body, 1)
            return append.append(transaction, number, body.octets, [placement], described.__getitem__, self.effects)[0]

        return await self.database.write(work, octets=body.stored_octets)

    async def scan(self, body: BodyId) -> DescriptionOf:
        """Read a stored body through the scanner, in chunks: its descriptions, for a commit that puts it into mailboxes.

        Raises StoreError GONE, BROKEN.
        """
        opened = (await self.database.read(lambda connection: self.bodies.load(connection, [body])))[body]
        scanner = await scan(self.describe(), opened)
        return scanner.finish

    def file_stored(self, transaction: Any, body: BodyId, placements: Sequence[Placement], describe: DescriptionOf) -> Numbers:
        """Put a body that is stored already into mailboxes, inside the caller's commit; `describe` comes from `scan`.

        The numbers of the placements passed over because their account has no room.
        """
        octets = describe(b"").octets
        passed = self.quotas.without_room(transaction, placements, octets)
        chosen = [one for number, one in enumerate(placements) if number not in passed]
        self.bodies.hold_more(transaction, body, len(chosen))
        append.append(transaction, body, octets, chosen, describe, self.effects)
        return passed

    async def inbox_of(self, account: AccountId) -> MailboxId:
        """Cached in memory; the mailboxes of a new account are made with it. Raises NO_MAILBOX."""
        number = self._inboxes.get(account)
        if number is None:
            number = self._inboxes[account] = (await self.find(account, INBOX)).id
        return number

    # --- the tree ----------------------------------------------------------------------------------------

    async def mailboxes_in(self, scope: Scope) -> list[MailboxInfo]:
        """The mailboxes of an account that the viewer sees, as `list`, but no \\Recent; special uses are the owner's."""
        return await self.database.read(lambda connection: sharing.listed(connection, scope))

    async def list(self, account: AccountId) -> list[MailboxInfo]:
        """All mailboxes of an account by name, INBOX first."""
        recent_from = self.mailbox_cache.recent_from()
        return await self.database.read(lambda connection: mailboxes.listed(connection, account, recent_from))

    async def subscriptions(self, account: AccountId) -> Names:
        """Subscribed names, whether or not the mailbox exists (RFC 9051 §6.3.7)."""
        return await self.database.read(lambda connection: mailboxes.subscribed_names(connection, account))

    async def mailbox_changes(self, scope: Scope, since: ModSeq) -> MailboxChanges | None:
        """Which mailboxes were created, renamed or (un)subscribed, or deleted after `since`; None when that is too long ago to know."""
        if scope.is_own:
            return await self.database.read(lambda connection: mailboxes.changed_since(connection, scope.account, since))
        return await self.database.read(lambda connection: shared_sight.changed_since(connection, scope, since))

    async def message_changes(self, scope: Scope, since: Position) -> "tuple[ModSeq, MessageChanges] | None":
        """The account's MODSEQ and which messages were created, changed or destroyed after `since`; None when that is too long ago."""
        return await self.database.read(lambda connection: message_changes(connection, scope, since))

    async def update_message(self, scope: Scope, message: MessageId, decide: Decide) -> StateStep:
        """Change flags and mailboxes of one message in ONE durable commit; see `message_update`. Raises what it or `decide` raises."""

        def work(transaction: Transaction) -> StateStep:
            before = scope_modseq(transaction, scope)
            update_message(transaction, scope, message, decide, self.effects)
            return StateStep(before, scope_modseq(transaction, scope))

        return await self.database.write(work)

    async def find(self, account: AccountId, name: str) -> MailboxInfo:
        """What STATUS reports, at the cost of a row. Raises NO_MAILBOX."""
        recent_from = self.mailbox_cache.recent_from()

        def work(connection: Any) -> MailboxInfo:
            row = mailboxes.row_named(connection, account, name)
            if row is None:
                raise StoreError(Trouble.NO_MAILBOX)
            return mailboxes.info_of(connection, row, recent_from)

        return await self.database.read(work)

    async def create(self, account: AccountId, name: str, special_use: str = "") -> MailboxInfo:
        """Missing superiors are made as well. Raises EXISTS, BAD_NAME, TOO_MANY, NOT_ALLOWED (a special use unknown or taken)."""

        await self.database.write(lambda transaction: tree_changes.create(transaction, account, name, special_use, self.effects))
        return await self.find(account, name.removesuffix("/"))

    async def delete(self, account: AccountId, name: str) -> None:
        """Raises NO_MAILBOX, NOT_ALLOWED (INBOX), HAS_CHILDREN (a \\Noselect name). With children the name stays, not selectable."""

        await self.database.write(lambda transaction: tree_changes.delete(transaction, account, name, self.effects))

    async def rename(self, account: AccountId, old: str, new: str) -> None:
        """Children follow. INBOX's messages move and INBOX stays, empty (RFC 9051 §6.3.6).

        Subscriptions follow; INBOX stays subscribed, and where it is, what takes its messages becomes so.
        Raises NO_MAILBOX, EXISTS, BAD_NAME, TOO_MANY, NOT_ALLOWED (below itself).
        """

        await self.database.write(lambda transaction: tree_changes.rename(transaction, account, old, new, self.effects))

    async def metadata(self, account: AccountId, name: str) -> dict[str, bytes]:
        """The values kept with a mailbox, or with the account itself for the name "". Raises NO_MAILBOX."""

        def work(connection: Any) -> dict[str, bytes]:
            return metadata.values_of(connection, account, _metadata_place(connection, account, name))

        return await self.database.read(work)

    async def set_metadata(
        self, account: AccountId, name: str, changes: Mapping[str, bytes | None], by: AccountWatch | None = None
    ) -> None:
        """Set values, or remove those that are None; `by` need not be told of it. Raises NO_MAILBOX, TOO_BIG, TOO_MANY, OVER_QUOTA."""

        def work(transaction: Transaction) -> MailboxId:
            place = _metadata_place(transaction, account, name)
            metadata.change(transaction, account, place, changes)
            return place

        self.watches.metadata_changed(account, await self.database.write(work), tuple(changes), by)

    async def subscribe(self, account: AccountId, name: str, subscribed: bool) -> None:
        """Raises BAD_NAME, TOO_MANY."""

        def work(transaction: Transaction) -> None:
            mailboxes.subscribe(transaction, account, name, subscribed)
            self.effects.mailbox_changed(transaction, account)

        await self.database.write(work)

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
        if row is None or not row.selectable:
            raise StoreError(Trouble.NO_MAILBOX)
        number = row.id
        as_of = snapshot(connection, number, self.mailbox_cache.peek(number))
        return mailboxes.info_of(connection, row, {number: row.uid_next}), as_of, row.recent_from

    # --- accounts ------------------------------------------------------------------------------------------

    def quota(self, account: AccountId) -> tuple[int, int | None]:
        """(octets used, limit or None), from memory, as of the last commit or the one before."""
        return self.quotas.of(account)

    def message_quota(self, account: AccountId) -> tuple[int, int]:
        """(messages, limit), as of the same instant."""
        return self.quotas.messages_of(account)

    def quota_as_of(self, connection: Any, account: AccountId) -> tuple[int, int | None, int, int]:
        """(octets used, limit or None, messages, limit) as a reading sees them."""
        return self.quotas.as_of(connection, account)

    async def deleted_octets(self, mailbox: MailboxId) -> int:
        """What an expunge of the mailbox would free; reads all its rows."""
        statement = "SELECT coalesce(sum(octets), 0) FROM message WHERE mailbox = ? AND flags & 8"
        found: int = await self.database.read(lambda connection: connection.execute(statement, (mailbox,)).fetchone()[0])
        return found

    def make_mailboxes(self, transaction: Any, account: AccountId) -> None:
        """INBOX and the special-use mailboxes, subscribed, as is what others share with all: joins the commit that adds an account."""
        mailboxes.make_first(transaction, account)
        sharing.subscribe_first(transaction, account)
        self.effects.mailbox_changed(transaction, account)

    async def announce_shared(self, account: AccountId) -> None:
        """The account was removed, or is back: what it shares is out of others' sight, or in it again."""
        await self.database.write(lambda transaction: sharing.announce(transaction, account, self.effects))

    def remove_mailboxes(self, transaction: Any, account: AccountId) -> None:
        """All of an account's mail: joins the commit that removes the account."""
        self.outboxes.detach(transaction, account)
        tree_changes.remove_all(transaction, account, self.effects)
        self.uploads.forget(transaction, account)
        transaction.after_commit(lambda: self._forget(account))

    def _forget(self, account: AccountId) -> None:
        self._inboxes.pop(account, None)
        self.quotas.forget(account)
        if self.search_index is not None:
            self.search_index.forget(account)


def _metadata_place(source: Any, account: AccountId, name: str) -> MailboxId:
    if not name:
        return OF_ACCOUNT
    row = mailboxes.row_named(source, account, name)
    if row is None:
        raise StoreError(Trouble.NO_MAILBOX)
    return row.id
