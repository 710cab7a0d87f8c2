"""A data directory opened by one command that changes nothing: no file in it is made or written.

Works on read-only storage and past damage: what stands only in the write-ahead log is seen (`database/read_only`), and a
part that cannot be read does not keep the others from being shown.
How it fails: SetupError for a directory that cannot be opened, or whose accounts cannot be read.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

import trio

from appliance.accounts.accounts import Accounts
from appliance.accounts.passwords import Passwords
from appliance.config.settings import Settings
from appliance.database.read_only import ReadOnlyDatabase
from appliance.mail.errors import SetupError, StoreError
from appliance.protocol.imap.bodystructure import make_describe
from appliance.runtime.data_directory import DataDirectory
from appliance.runtime.identity import BODIES, DATABASE, damaged, refuse_lost_database, refuse_other_bodies
from appliance.store.bodies import Bodies
from appliance.store.store import Store

from .admin_api import AdminApi
from .components import HASHES_AT_ONCE, POOL_THREADS, Basics, Components, assembled, limited, quota_lookup
from .outbound import Outbound

if TYPE_CHECKING:
    from appliance.control.requests import Control
    from appliance.database.database import Database


@asynccontextmanager
async def reading(data: Path) -> AsyncIterator["Control"]:
    """The admin API of a data directory that no server runs on, for a command that changes nothing. Raises SetupError (InUse)."""
    with DataDirectory.open_to_read(data) as directory:
        refuse_lost_database(data)
        async with await ReadOnlyDatabase.open(data / DATABASE) as found:
            components = await _components(directory, cast("Database", found), Basics.make())
            outbound = Outbound(components, b"")
            with suppress(StoreError, SetupError):  # only the commands about the queue need it
                await outbound.queue.open()
            yield AdminApi(components, outbound)


async def _components(directory: DataDirectory, database: "Database", basics: Basics) -> Components:
    data = directory.path
    accounts = Accounts(database, Passwords(limited(HASHES_AT_ONCE)), basics.clock)
    try:
        await database.read(accounts.read)
    except StoreError:
        try:
            await database.read(accounts.read_names)
        except StoreError as trouble:
            raise damaged(data / DATABASE) from trouble
    with suppress(StoreError):
        await refuse_other_bodies(database, data)
    bodies = Bodies(database, data / BODIES, trio.CapacityLimiter(POOL_THREADS))
    store = Store(database, bodies, describe=make_describe, quota_of=quota_lookup(accounts, lambda: None))
    with suppress(StoreError):
        await database.read(store.quotas.load)
    return assembled(directory, database, Settings(), basics, accounts, store, bodies)
