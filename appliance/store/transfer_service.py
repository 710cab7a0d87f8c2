"""Exports and imports of the running server: for users who have a browser and no folder on the server.

| an export | streamed (`zip_export`); one at a time for an account, EXPORTS in all                 |
| an import | a file is received, then brought in by the background task (`file_imports`)           |

Made at the first request, so that who never exports pays no memory.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from appliance.mail.clock import Clock
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import AccountId

from . import zip_export
from .file_imports import FileImports
from .received_files import DIRECTORY
from .store import Store
from .transfer import export
from .zip_export import Form

EXPORTS = 3
"""At once; each holds some 100 kB and reads from storage as fast as its client takes it."""
HELD_OCTETS = 2**20
"""Of an archive's directory in memory, the rest in a file without a name: enough for 50,000 messages."""


@dataclass(frozen=True, slots=True)
class MailboxSize:
    """What an account has."""

    name: str
    messages: int
    octets: int


class TransferService:
    """`directory` is where files without a name may be made."""

    def __init__(self, store: Store, directory: Path, clock: Clock) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock
        self._exporting: set[AccountId] = set()
        self.imports = FileImports(store, directory / DIRECTORY, clock)

    async def mailboxes(self, account: AccountId) -> list[MailboxSize]:
        """By name, INBOX first."""
        return [MailboxSize(one.name, one.messages, one.octets) for one in await self._store.list(account) if one.selectable]

    def left_octets(self, account: AccountId) -> int | None:
        """Of the account's room; None without a limit."""
        used, limit = self._store.quota(account)
        return None if limit is None else max(0, limit - used)

    # --- exports -----------------------------------------------------------------------------------

    def may_export(self, account: AccountId) -> bool:
        """Is no other export in the way just now?"""
        return account not in self._exporting and len(self._exporting) < EXPORTS

    async def export_zip(self, account: AccountId, form: Form) -> AsyncIterator[bytes]:
        """All mail of an account. Raises StoreError BUSY."""
        chunks = zip_export.zipped(export(self._store, account), form, self._waiting, int(self._clock.wall_s()))
        async with aclosing(self._alone(account, chunks)) as alone:  # type: ignore[type-var]
            async for chunk in alone:
                yield chunk

    async def export_mbox(self, account: AccountId, mailbox: str) -> AsyncIterator[bytes]:
        """One mailbox. Raises StoreError BUSY, SetupError for a mailbox there is not."""
        chunks = zip_export.mbox(export(self._store, account, mailbox))
        async with aclosing(self._alone(account, chunks)) as alone:  # type: ignore[type-var]
            async for chunk in alone:
                yield chunk

    async def _alone(self, account: AccountId, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        if not self.may_export(account):
            raise StoreError(Trouble.BUSY, "other exports are under way")
        self._exporting.add(account)
        try:
            async with aclosing(chunks):  # type: ignore[type-var]
                async for chunk in chunks:
                    yield chunk
        finally:
            self._exporting.discard(account)

    def _waiting(self) -> BinaryIO:
        return cast("BinaryIO", SpooledTemporaryFile(HELD_OCTETS, dir=str(self._directory)))


TransferServices = Callable[[], TransferService]
"""The service, made at the first call."""
