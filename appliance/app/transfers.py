"""Exports and imports of the running server: one service for the pages and for the task that brings files in.

Its code is loaded when a page first asks for it, or at a start that finds a file from before.
"""

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.mail.clock import Clock
    from appliance.mail.ids import AccountId
    from appliance.store.store import Store
    from appliance.store.transfer_service import TransferService

IMPORTS = "imports"
"""`store/received_files.DIRECTORY`, without loading it."""


class Transfers:
    """`service()` makes it at the first call; `run` is the task."""

    def __init__(self, store: "Store", directory: "Path", clock: "Clock") -> None:
        self._store, self._directory, self._clock = store, directory, clock
        self._service: TransferService | None = None
        self._made = trio.Event()

    def service(self) -> "TransferService":
        if self._service is None:
            from appliance.store.transfer_service import TransferService

            self._service = TransferService(self._store, self._directory, self._clock)
            self._made.set()
        return self._service

    async def forget(self, account: "AccountId") -> None:
        """The account was erased: so is the file it sent."""
        if self._may_have_files():
            await self.service().imports.forget(account)

    def _may_have_files(self) -> bool:
        return self._directory.joinpath(IMPORTS).is_dir()

    async def run(self) -> None:
        """For ever: bring in what users sent, also before a restart."""
        if not self._may_have_files():
            await self._made.wait()
        await self.service().imports.run()
