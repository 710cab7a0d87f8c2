"""The mailboxes one account may see, its own and those that others share with it, as IMAP names them (`sharing` has the rules).

    | what is asked for        | rights needed (RFC 4314 §4; metadata: RFC 5464 §3.3)                                   |
    |--------------------------|----------------------------------------------------------------------------------------|
    | list                     | l                                                                                      |
    | find, open               | r, or what the caller says                                                             |
    | create                   | k on the mailbox above                                                                 |
    | delete                   | x                                                                                      |
    | rename                   | x, and k above the new name; the owner stays the same                                  |
    | metadata, set_metadata   | l and r; to set shared values l and w                                                  |
    | rights given, set_rights | a                                                                                      |

On its own mailboxes an account has every right. All is checked in the transaction or reading that does it. Raises StoreError: NO_RIGHT
where the mailbox may be seen, else NO_MAILBOX.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from appliance.database.writer import Transaction
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.flags import INBOX
from appliance.mail.ids import AccountId, MailboxId
from appliance.mail.rights import Rights

from . import mailboxes, metadata, sharing, tree_changes
from .account_watch import AccountWatch
from .changes import UidSnapshot, snapshot
from .mailbox import Mailbox
from .sharing import Seen
from .store import Store
from .values import MailboxInfo, Mode

# `VisibleMailboxes.list` hides the built-in name inside the class
Infos = list[MailboxInfo]
Names = list[str]
PRIVATE = "/private/"
"""Begins the names of values that each account keeps for itself."""


class VisibleMailboxes:
    """The store as one account sees it. Names are the account's: `Shared/...` for mailboxes of others."""

    __slots__ = ("_store", "account")

    def __init__(self, store: Store, account: AccountId) -> None:
        self._store = store
        self.account = account

    # --- reading -----------------------------------------------------------------------------------------

    async def list(self) -> Infos:
        """Which mailboxes the account may see, each with its rights: its own by name, INBOX first, then those of others."""
        recent_from = self._store.mailbox_cache.recent_from()
        return await self._store.database.read(lambda connection: sharing.visible(connection, self.account, recent_from))

    async def find(self, name: str, needed: str = "r") -> MailboxInfo:
        """What STATUS reports of a mailbox on which the account has these rights."""
        recent_from = self._store.mailbox_cache.recent_from()

        def work(connection: Any) -> MailboxInfo:
            return self._info(connection, sharing.found(connection, self.account, name, needed), recent_from)

        return await self._store.database.read(work)

    def _info(self, connection: Any, seen: Seen, recent_from: mailboxes.RecentFrom) -> MailboxInfo:
        if seen.row.account == self.account:
            return mailboxes.info_of(connection, seen.row, recent_from)
        in_sight = [one.name for one in sharing.shared_with(connection, self.account) if "l" in one.rights]
        parents = {seen.name} if any(name.startswith(seen.name + "/") for name in in_sight) else set()
        return sharing.info_of(connection, seen, mailboxes.subscribed_names(connection, self.account), parents, recent_from)

    async def open(self, name: str, *, read_only: bool = False) -> Mailbox:
        """Raises NO_MAILBOX also for names that cannot be selected."""
        cache = self._store.mailbox_cache
        cache.begin_opening()
        try:
            there = cache.opened(self.account, name)
            if there is None:
                there = await self._store.database.read(lambda connection: self._opened(connection, name))
            info, as_of, recent_from = there
            known = cache.hold(info.id, as_of, recent_from)
            viewer = self.account if info.account != self.account else None
            if viewer is None:
                cache.remember(known, info)
        finally:
            cache.end_opening()
        info = replace(info, recent=len(as_of.uids) - bisect_left(as_of.uids, known.recent_from))
        return Mailbox(self._store, known, info, as_of, read_only=read_only, viewer=viewer)

    def _opened(self, connection: Any, name: str) -> tuple[MailboxInfo, UidSnapshot, int]:
        seen = sharing.found(connection, self.account, name, "r")
        if not seen.row.selectable:
            raise StoreError(Trouble.NO_MAILBOX)
        number = seen.row.id
        as_of = snapshot(connection, number, self._store.mailbox_cache.peek(number))
        return self._info(connection, seen, {number: seen.row.uid_next}), as_of, seen.row.recent_from

    # --- the tree ----------------------------------------------------------------------------------------

    async def create(self, name: str, special_use: str = "") -> MailboxInfo:
        """A special use is for the account's own mailboxes alone. Raises as `Store.create`."""

        def work(transaction: Transaction) -> None:
            owner, own_name = sharing.place_for(transaction, self.account, name)
            if special_use and owner != self.account:
                raise StoreError(Trouble.NOT_ALLOWED, "a mailbox of another has its uses from its owner")
            tree_changes.create(transaction, owner, own_name, special_use, self._store.effects)

        await self._store.database.write(work)
        return await self.find(name.removesuffix("/"), "")

    async def delete(self, name: str) -> None:
        """Raises as `Store.delete`."""

        def work(transaction: Transaction) -> None:
            seen = sharing.found(transaction, self.account, name, "x")
            tree_changes.delete(transaction, seen.row.account, seen.row.name, self._store.effects)

        await self._store.database.write(work)

    async def rename(self, old: str, new: str) -> None:
        """Raises as `Store.rename`; NOT_ALLOWED also for another's INBOX, and where the mailbox would get another owner."""

        def work(transaction: Transaction) -> None:
            seen = sharing.found(transaction, self.account, old, "x")
            owner, own_name = sharing.place_for(transaction, self.account, new)
            if owner != seen.row.account or (owner != self.account and seen.row.name == INBOX):
                raise StoreError(Trouble.NOT_ALLOWED, "a mailbox stays with its owner; copy the messages instead")
            if sharing.resolve(transaction, self.account, new) is not None:
                raise StoreError(Trouble.EXISTS)
            tree_changes.rename(transaction, owner, seen.row.name, own_name, self._store.effects)

        await self._store.database.write(work)

    async def subscribe(self, name: str, subscribed: bool) -> None:
        """Any name may be subscribed, whether or not there is such a mailbox (RFC 9051 §6.3.7). Raises BAD_NAME, TOO_MANY."""

        def work(transaction: Transaction) -> None:
            seen = sharing.resolve(transaction, self.account, name)
            of_another = seen is not None and seen.row.account != self.account and "l" in seen.rights
            if mailboxes.subscribe(transaction, self.account, name, subscribed) and seen is not None and of_another:
                sharing.mark_changed(transaction, seen.row.account, seen.row.id)
            self._store.effects.mailbox_changed(transaction, self.account)

        await self._store.database.write(work)

    async def subscriptions(self) -> Names:
        """Subscribed names."""
        return await self._store.subscriptions(self.account)

    # --- metadata ----------------------------------------------------------------------------------------

    async def metadata(self, name: str) -> dict[str, bytes]:
        """The values kept with a mailbox, or with the account for the name "": shared ones are the owner's, private ones the account's."""
        if not name:
            return await self._store.metadata(self.account, name)

        def work(connection: Any) -> dict[str, bytes]:
            row = sharing.found(connection, self.account, name, "lr").row
            values = metadata.values_of(connection, row.account, row.id)
            if row.account == self.account:
                return values
            own = metadata.values_of(connection, self.account, row.id)
            shared = {entry: value for entry, value in values.items() if not entry.startswith(PRIVATE)}
            return shared | {entry: value for entry, value in own.items() if entry.startswith(PRIVATE)}

        return await self._store.database.read(work)

    async def set_metadata(self, name: str, changes: Mapping[str, bytes | None], by: AccountWatch | None = None) -> None:
        """Set values, or remove those that are None; `by` need not be told of it. Raises TOO_BIG, TOO_MANY, OVER_QUOTA."""
        if not name:
            await self._store.set_metadata(self.account, name, changes, by)
            return
        private = {entry: value for entry, value in changes.items() if entry.startswith(PRIVATE)}
        shared = {entry: value for entry, value in changes.items() if entry not in private}

        def work(transaction: Transaction) -> MailboxId:
            row = sharing.found(transaction, self.account, name, "lw" if shared else "lr").row
            if private:
                metadata.change(transaction, self.account, row.id, private)
            if shared:
                metadata.change(transaction, row.account, row.id, shared)
            return row.id

        mailbox = await self._store.database.write(work)
        if private:
            self._store.watches.metadata_changed(self.account, mailbox, tuple(private), by)
        if shared:
            self._store.watches.metadata_changed(None, mailbox, tuple(shared), by)

    # --- rights ------------------------------------------------------------------------------------------

    async def rights_given(self, name: str) -> tuple[AccountId, dict[AccountId, Rights]]:
        """The owner of a mailbox, and who else has which rights on it."""

        def work(connection: Any) -> tuple[AccountId, dict[AccountId, Rights]]:
            row = sharing.found(connection, self.account, name, "a").row
            return row.account, sharing.given(connection, row.id)

        return await self._store.database.read(work)

    async def set_rights(self, name: str, account: AccountId, mode: Mode, rights: Rights) -> Rights:
        """Give or take rights; what the account has then. Raises NOT_ALLOWED for the owner's rights and for an Outbox, TOO_MANY."""

        def work(transaction: Transaction) -> Rights:
            row = sharing.found(transaction, self.account, name, "a").row
            return sharing.change_rights(transaction, row, account, mode, rights, self._store.effects)

        return await self._store.database.write(work)
