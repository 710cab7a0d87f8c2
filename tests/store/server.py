"""A store on a real database in a directory of its own, for the tests of this room."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from appliance.database.database import Database
from appliance.mail.description import Description
from appliance.mail.ids import PersonId
from appliance.store.bodies import Bodies
from appliance.store.mailbox import Filed, Filing, Store

ANN, BEN = PersonId(1), PersonId(2)


class PlainScanner:
    """Enough of a scanner: `version` stands in the envelope, so that a row shows who described it."""

    version = 1

    def __init__(self) -> None:
        self.octets = 0

    def feed(self, piece: bytes) -> None:
        self.octets += len(piece)

    def finish(self, prefix: bytes = b"") -> Description:
        return Description(
            self.octets, 0, b"(%d %d)" % (self.version, self.octets + len(prefix)), b"(text)", b"", 1_700_000_000, 0, "preview",
            True, True, True, 0, False, False, False, False, self.version,
        )  # fmt: skip


class LaterScanner(PlainScanner):
    version = 2


@asynccontextmanager
async def a_house(
    directory: Path,
    *,
    quota: Callable[[PersonId], int | None] = lambda _: None,
    people: bool = True,
    scanner: type[PlainScanner] = PlainScanner,
) -> AsyncIterator[Store]:
    async with await Database.open(directory / "house.db", migrate_in_child=False, lazy_s=0.02) as database:
        store = await Store.start(database, await Bodies.open(database, directory / "bodies"), describe=scanner, quota_of=quota)
        if people and not await store.list(ANN):
            await database.write(lambda transaction: (store.make_mailboxes(transaction, ANN), store.make_mailboxes(transaction, BEN)))
        yield store


async def put(store: Store, *filings: Filing, octets: bytes = b"Subject: a\r\n\r\nb\r\n") -> list[Filed]:
    async with store.receive(2**20) as incoming:
        await incoming.write(octets)
        return await store.file(await incoming.finish(), filings)


async def deliver(
    store: Store,
    person: PersonId = ANN,
    mailbox: str = "INBOX",
    *,
    flags: tuple[str, ...] = (),
    prefix: bytes = b"P: 1\r\n",
    octets: bytes = b"Subject: a\r\n\r\nb\r\n",
) -> Filed:
    number = (await store.find(person, mailbox)).id
    return (await put(store, Filing(number, prefix, flags, 1_700_000_000), octets=octets))[0]
