"""A data directory opened by one command that only looks: nothing in it is made or written; part of the composition root.

Works on read-only storage and past damage: what stands only in the write-ahead log is seen (see `database.connection`),
and a part that cannot be read does not keep the others from being shown.
How it fails: SetupError for a directory that cannot be opened, or whose accounts cannot be read.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

import trio

from appliance.accounts.accounts import Accounts
from appliance.accounts.admin_password import Admin
from appliance.accounts.passwords import Passwords
from appliance.certificates.certificates import OwnCertificates
from appliance.config.settings import Settings
from appliance.database.read_only import ReadOnlyDatabase
from appliance.mail.errors import SetupError, StoreError
from appliance.protocol.imap.bodystructure import make_describe
from appliance.runtime.data_directory import DataDirectory
from appliance.runtime.host import Host
from appliance.runtime.identity import BODIES, DATABASE, damaged, refuse_lost_database, refuse_other_bodies
from appliance.store.bodies import Bodies
from appliance.store.store import Store

from .outbound import Outbound
from .server import HASHES_AT_ONCE, POOL_THREADS, Basics, Components, admin_api_of, limited

if TYPE_CHECKING:
    from appliance.control.requests import Control
    from appliance.database.database import Database
    from appliance.mail.ids import AccountId


@asynccontextmanager
async def reading(data: Path) -> AsyncIterator["Control"]:
    """The hands of a server that nobody runs, for a command that changes nothing. Raises SetupError (InUse)."""
    with DataDirectory.open_to_read(data) as directory:
        refuse_lost_database(data)
        async with await ReadOnlyDatabase.open(data / DATABASE) as found:
            database = cast("Database", found)
            components = await _components(directory, database, Basics.make())
            outbound = Outbound(components, b"")
            with suppress(StoreError, SetupError):  # only the commands about the queue need it
                await outbound.queue.open()
            yield admin_api_of(components, outbound, running=False)


async def _components(directory: DataDirectory, database: "Database", around: Basics) -> Components:
    data, clock = directory.path, around.clock
    accounts = Accounts(database, Passwords(limited(HASHES_AT_ONCE)), clock)
    try:
        await database.read(accounts.read)
    except StoreError:
        try:
            await database.read(accounts.read_names)
        except StoreError as trouble:
            raise damaged(data / DATABASE) from trouble
    with suppress(StoreError):
        await refuse_other_bodies(database, data)

    def quota_of(account: "AccountId") -> int | None:
        found = accounts.directory.account(account)
        return found.quota_octets if found else None

    bodies = Bodies(database, data / BODIES, trio.CapacityLimiter(POOL_THREADS))
    store = Store(database, bodies, describe=make_describe, quota_of=quota_of)
    with suppress(StoreError):
        await database.read(store.quotas.load)
    board, journal = around.board, around.journal
    certificates = OwnCertificates(
        data / "certificates", clock=clock, board=board, say=journal.say, want=lambda: components.wanted_certificate()
    )
    components = Components(
        directory, clock, board, journal, database, accounts, store, bodies, certificates, Settings(),
        Admin(database, limited(HASHES_AT_ONCE)), Host(data, clock),
    )  # fmt: skip
    return components
