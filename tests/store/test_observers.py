"""store/observers: each event reaches its observers inside the transaction, and nothing of a failed request lasts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from appliance.database.database import Database
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import AccountId, MailboxId, Uid
from appliance.store.bodies import Bodies
from appliance.store.observers import Observers
from appliance.store.store import Store
from appliance.store.values import OUTBOX, Mode

from .server import ANN, PlainScanner, deliver


def noting(kind: str, refuse: list[str]) -> Any:
    """An observer that writes a row in the same transaction, and raises when it is to."""

    def call(transaction: Any, subject: MailboxId | AccountId, uids: Sequence[int] = ()) -> None:
        text = f"{kind} {','.join(map(str, uids))}".strip()
        transaction.execute("INSERT INTO meta VALUES((SELECT 'seen ' || count(*) FROM meta), ?)", (text,))
        if kind in refuse:
            raise StoreError(Trouble.NOT_ALLOWED)

    return call


async def seen(store: Store) -> list[str]:
    """What was noted since the last time."""

    def work(transaction: Any) -> list[str]:
        rows = transaction.execute("SELECT value FROM meta WHERE key LIKE 'seen %' ORDER BY CAST(substr(key, 6) AS INTEGER)").fetchall()
        transaction.execute("UPDATE meta SET value = '' WHERE key LIKE 'seen %'")
        return [row[0] for row in rows if row[0]]

    return await store.database.write(work)


async def observed(database: Database, directory: Path, refuse: list[str]) -> Store:
    observers = Observers(
        (noting("appended", refuse),), (noting("flags", refuse),), (noting("expunged", refuse),), (noting("mailbox", refuse),)
    )
    store = await Store.start(database, await Bodies.open(database, directory / "bodies"), describe=PlainScanner, observers=observers)
    await database.write(lambda transaction: store.make_mailboxes(transaction, ANN))
    return store


async def test_every_event_in_its_transaction(tmp_path: Path) -> None:
    async with await Database.open(tmp_path / "pillarbox.db", migrate_in_child=False) as database:
        store = await observed(database, tmp_path, [])
        assert await seen(store) == ["mailbox"]
        await deliver(store)
        await deliver(store)
        assert await seen(store) == ["appended 1", "appended 2"]
        inbox = await store.open(ANN, "INBOX")
        await inbox.set_flags([Uid(1), Uid(2)], Mode.ADD, ["\\Flagged"])
        await inbox.set_flags([Uid(1), Uid(2)], Mode.ADD, ["\\Flagged"])
        assert await seen(store) == ["flags 1,2"], "the second request changed nothing"
        await inbox.copy([Uid(1)], "Archive")
        await inbox.move([Uid(1)], "Trash")
        await inbox.remove([Uid(2)])
        assert await seen(store) == ["appended 1", "expunged 1", "appended 1", "expunged 2"]
        await store.create(ANN, "Plans")
        await store.rename(ANN, "Plans", "Old")
        await store.subscribe(ANN, "Old", True)
        await store.delete(ANN, "Old")
        assert await seen(store) == ["mailbox"] * 4
        inbox.close()


@pytest.mark.parametrize("kind", ["appended", "flags", "expunged"])
async def test_an_observer_that_refuses_undoes_the_request(tmp_path: Path, kind: str) -> None:
    refuse: list[str] = []
    async with await Database.open(tmp_path / "pillarbox.db", migrate_in_child=False) as database:
        store = await observed(database, tmp_path, refuse)
        await deliver(store)
        inbox = await store.open(ANN, "INBOX")
        before, used = await store.find(ANN, "INBOX"), store.quota(ANN)
        await seen(store)
        refuse.append(kind)
        with pytest.raises(StoreError):
            if kind == "appended":
                await deliver(store)
            elif kind == "flags":
                await inbox.set_flags([Uid(1)], Mode.ADD, ["\\Seen"])
            else:
                await inbox.remove([Uid(1)])
        refuse.clear()
        assert await store.find(ANN, "INBOX") == before and store.quota(ANN) == used and await seen(store) == []
        inbox.close()


async def test_an_outbox_is_what_its_row_says(tmp_path: Path) -> None:
    """Rolled back with the rest: no memory of an Outbox that was never committed."""
    async with await Database.open(tmp_path / "pillarbox.db", migrate_in_child=False) as database:
        store = await observed(database, tmp_path, [])
        placed = await deliver(store)
        called: list[list[int]] = []
        store.outboxes.called_back = lambda transaction, mailbox, uids: called.append(list(uids))

        def shown(transaction: Any, fail: bool) -> Any:
            body = transaction.execute("SELECT body FROM message WHERE mailbox = ?", (placed.mailbox,)).fetchone()[0]
            found = store.outboxes.show(transaction, ANN, body, b"", store.describe().finish, 0)
            if fail:
                raise ValueError
            return found

        with pytest.raises(ValueError):
            await database.write(lambda transaction: shown(transaction, True))
        with pytest.raises(StoreError):
            await store.find(ANN, "Outbox")
        _, uid = await database.write(lambda transaction: shown(transaction, False))
        assert (await store.find(ANN, "Outbox")).special_use == OUTBOX
        with pytest.raises(StoreError, match="by being sent"):
            await deliver(store, mailbox="Outbox")
        outbox = await store.open(ANN, "Outbox")
        await outbox.remove([uid])
        assert called == [[uid]]
        outbox.close()
        await database.write(lambda transaction: shown(transaction, False))
        await database.write(lambda transaction: store.remove_mailboxes(transaction, ANN))
        assert called == [[uid]], "the account is gone; what is queued is sent all the same"
