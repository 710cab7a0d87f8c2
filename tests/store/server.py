"""A store on a real database in a directory of its own, for the tests of this package."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from appliance.database.database import Database
from appliance.mail.description import Description
from appliance.mail.ids import AccountId
from appliance.store.bodies import Bodies
from appliance.store.store import Store
from appliance.store.values import Placed, Placement

ANN, BEN = AccountId(1), AccountId(2)


class PlainScanner:
    """Enough of a scanner: `version` stands in the envelope, so that a row shows who described it."""

    version = 1

    def __init__(self) -> None:
        self.octets = 0

    def feed(self, chunk: bytes) -> None:
        self.octets += len(chunk)

    def finish(self, prefix: bytes = b"") -> Description:
        return Description(
            self.octets, 0, b"(%d %d)" % (self.version, self.octets + len(prefix)), b"(text)", b"", 1_700_000_000, 0, "preview",
            True, True, 0, False, self.version,
        )  # fmt: skip


class LaterScanner(PlainScanner):
    version = 2


@asynccontextmanager
async def a_server(
    directory: Path,
    *,
    quota: Callable[[AccountId], int | None] = lambda _: None,
    accounts: bool = True,
    scanner: type[PlainScanner] = PlainScanner,
) -> AsyncIterator[Store]:
    async with await Database.open(directory / "pillarbox.db", migrate_in_child=False, lazy_s=0.02) as database:
        store = await Store.start(database, await Bodies.open(database, directory / "bodies"), describe=scanner, quota_of=quota)
        if accounts and not await store.list(ANN):
            await database.write(lambda transaction: (store.make_mailboxes(transaction, ANN), store.make_mailboxes(transaction, BEN)))
        yield store


async def put(store: Store, *placements: Placement, octets: bytes = b"Subject: a\r\n\r\nb\r\n") -> list[Placed]:
    async with store.receive(2**20) as incoming:
        await incoming.write(octets)
        return await store.file(await incoming.finish(), placements)


async def deliver(
    store: Store,
    account: AccountId = ANN,
    mailbox: str = "INBOX",
    *,
    flags: tuple[str, ...] = (),
    prefix: bytes = b"P: 1\r\n",
    octets: bytes = b"Subject: a\r\n\r\nb\r\n",
) -> Placed:
    number = (await store.find(account, mailbox)).id
    return (await put(store, Placement(number, prefix, flags, 1_700_000_000), octets=octets))[0]
