"""store/modseq: one counter of MODSEQs an account, creation MODSEQs, and the changes of mailboxes themselves."""

from pathlib import Path

import pytest

from appliance.mail.ids import ModSeq, Uid
from appliance.store import mailboxes
from appliance.store.modseq import account_modseq
from appliance.store.scope import own
from appliance.store.store import Store
from appliance.store.values import Mode

from .server import ANN, BEN, a_server, deliver


async def highest(store: Store, account: object = ANN) -> ModSeq:
    return await store.database.read(lambda connection: account_modseq(connection, account))  # type: ignore[arg-type]


async def test_every_change_of_an_account_takes_a_number_of_its_own(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        seen = [await highest(store)]
        other = await highest(store, BEN)

        async def rose() -> None:
            seen.append(await highest(store))
            assert seen[-1] > seen[-2]

        await deliver(store)
        await rose()
        inbox = await store.open(ANN, "INBOX")
        await inbox.set_flags([Uid(1)], Mode.ADD, ["\\Flagged"])
        await rose()
        await inbox.copy([Uid(1)], "Archive")
        await rose()
        archive = await store.find(ANN, "Archive")
        assert archive.highest_modseq == seen[-1] > inbox.newest()
        await inbox.move([Uid(1)], "Trash")
        await rose()
        await store.create(ANN, "Plans")
        await rose()
        await store.rename(ANN, "Plans", "Old plans")
        await rose()
        await store.subscribe(ANN, "Old plans", True)
        await rose()
        await store.delete(ANN, "Old plans")
        await rose()
        assert await highest(store, BEN) == other
        inbox.close()


async def test_a_message_keeps_the_modseq_of_its_creation(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        placed = await deliver(store)
        inbox = await store.open(ANN, "INBOX")
        await inbox.set_flags([Uid(1)], Mode.ADD, ["\\Seen"])
        await inbox.move([Uid(1)], "Archive")
        inbox.close()
        created = await store.database.read(lambda connection: connection.execute("SELECT created_modseq FROM message_data").fetchall())
        assert created == [(placed.modseq,)]


async def test_changes_of_mailboxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_server(tmp_path) as store:
        since = await highest(store)
        await deliver(store)
        plans, archive = (await store.create(ANN, "Plans")).id, (await store.find(ANN, "Archive")).id
        await store.rename(ANN, "Archive", "Attic")
        changes = await store.mailbox_changes(own(ANN), since)
        assert changes is not None and (changes.created, changes.changed, changes.deleted) == ((plans,), (archive,), ())
        await store.delete(ANN, "Plans")
        await store.subscribe(ANN, "Attic", False)
        later = await store.mailbox_changes(own(ANN), changes.modseq)
        assert later is not None and (later.created, later.changed, later.deleted) == ((), (archive,), (plans,))
        nothing = await store.mailbox_changes(own(ANN), later.modseq)
        assert nothing is not None and not (nothing.created or nothing.changed or nothing.deleted)
        monkeypatch.setattr(mailboxes, "DELETED_MAILBOXES", 2)
        for name in ("a", "b", "c"):
            await store.create(ANN, name)
            await store.delete(ANN, name)
        assert await store.mailbox_changes(own(ANN), since) is None, "not all deletions since are kept"
        assert await store.mailbox_changes(own(ANN), await highest(store)) is not None


async def test_a_restart_goes_on_above(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        before = (await deliver(store)).modseq
    async with a_server(tmp_path) as store:
        assert (await deliver(store)).modseq > before
