"""Uploads: kept with their octets, bounded room of an account, expiry, and what goes with an account."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.database.database import Database
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import AccountId
from appliance.protocol.imap.bodystructure import make_describe
from appliance.store import uploads
from appliance.store.bodies import Bodies
from appliance.store.store import Store
from appliance.store.uploads import KEPT_S, Upload, uploads_of
from tests.support.clock import HandClock

ANN, BEN = AccountId(1), AccountId(2)


@asynccontextmanager
async def a_store(directory: Path, clock: HandClock) -> AsyncIterator[Store]:
    async with await Database.open(directory / "pillarbox.db", migrate_in_child=False, lazy_s=0.02) as database:
        yield await Store.start(database, await Bodies.open(database, directory / "bodies"), describe=make_describe, clock=clock)


async def chunks(*octets: bytes) -> AsyncIterator[bytes]:
    for one in octets:
        yield one


async def keep(store: Store, octets: bytes, account: AccountId = ANN) -> Upload:
    return await store.uploads.keep(account, chunks(octets), 2**22, "text/x")


async def there(store: Store, account: AccountId = ANN) -> list[int]:
    return sorted(await store.database.read(lambda connection: uploads_of(connection, account, range(100))))


async def bodies(store: Store) -> int:
    found: int = await store.database.read(
        lambda connection: connection.execute("SELECT count(*) FROM body WHERE refcount > 0").fetchone()[0]
    )
    return found


async def test_octets_stay_as_they_were_sent_across_a_restart(tmp_path: Path) -> None:
    clock, large = HandClock(), bytes(range(256)) * 6000
    async with a_store(tmp_path, clock) as store:
        small = await keep(store, b"\x00\xff\r\n.\n")
        big = await store.uploads.keep(ANN, chunks(large[:1000], large[1000:]), 2**22, "video/x")
    async with a_store(tmp_path, clock) as store:
        found = await store.database.read(lambda connection: uploads_of(connection, ANN, [small.id, big.id]))
        assert found == {small.id: small, big.id: big} and big.octets == len(large) and big.media_type == "video/x"
        assert await there(store, BEN) == []
        for one, octets in ((small, b"\x00\xff\r\n.\n"), (big, large)):
            body = await store.bodies.open_body(one.body)
            read = b""
            while chunk := await body.read(len(read), 2**20):
                read += chunk
            assert read == octets


async def test_too_large_or_cut_off_leaves_nothing(tmp_path: Path) -> None:
    async def breaks() -> Any:
        yield b"x" * 100_000
        raise RuntimeError

    async with a_store(tmp_path, HandClock()) as store:
        with pytest.raises(StoreError) as error:
            await store.uploads.keep(ANN, chunks(b"x" * 11), 10, "")
        assert error.value.trouble is Trouble.TOO_BIG
        with pytest.raises(RuntimeError):
            await store.uploads.keep(ANN, breaks(), 2**20, "")
        assert await there(store) == [] and await bodies(store) == 0


async def test_the_oldest_of_the_account_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "ROOM_OCTETS", 25)
    monkeypatch.setattr(uploads, "MOST", 3)
    async with a_store(tmp_path, HandClock()) as store:
        other = await keep(store, b"o" * 20, BEN)
        first = [(await keep(store, b"%d" % n * 10)).id for n in range(2)]
        third = await keep(store, b"c" * 10)
        assert await there(store) == [first[1], third.id]
        small = [(await keep(store, b"%d" % n)).id for n in range(2)]
        assert await there(store) == [third.id, *small] and await there(store, BEN) == [other.id]
        assert await bodies(store) == 4


async def test_they_expire_after_a_day_of_a_trusted_clock(tmp_path: Path) -> None:
    clock = HandClock()
    async with a_store(tmp_path, clock) as store:
        assert await store.uploads.expire() == 0
        old = await keep(store, b"old")
        clock.forward(KEPT_S - 10)
        new = await keep(store, b"new")
        assert await store.uploads.expire() == 0
        clock.forward(10)
        clock.is_trusted = False
        assert await store.uploads.expire() == 0 and await there(store) == [old.id, new.id]
        clock.is_trusted = True
        assert await store.uploads.expire() == 1 and await there(store) == [new.id]
    async with a_store(tmp_path, clock) as store:
        clock.forward(KEPT_S)
        assert await store.uploads.expire() == 1 and await bodies(store) == 0


async def test_they_go_with_their_account(tmp_path: Path) -> None:
    async with a_store(tmp_path, HandClock()) as store:
        await store.database.write(lambda transaction: store.make_mailboxes(transaction, ANN))
        await keep(store, b"a")
        kept = await keep(store, b"b", BEN)
        await store.database.write(lambda transaction: store.remove_mailboxes(transaction, ANN))
        assert await there(store) == [] and await there(store, BEN) == [kept.id] and await bodies(store) == 1
