"""app/signing: what is signed, what is sent unsigned, and that keys which differ from the published ones are noticed."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.app.admin_api import AdminApi
from appliance.app.components import Components, open_components
from appliance.app.outbound import Outbound
from appliance.app.signing import CHANGED, GONE, DkimSigning, KeyMemory
from appliance.config.settings import Settings
from appliance.control.requests import DomainRecords
from appliance.mail.errors import MisuseError, SetupError, StoreError, Trouble
from appliance.mailauth.dkim_keys import SigningKey


async def test_a_message_that_cannot_be_signed_is_sent_unsigned_and_reported_once(tmp_path: Path) -> None:
    published: list[Any] = []
    faults: list[Exception | None] = [SetupError("No key.", ""), SetupError("No key.", ""), MisuseError("no header"), None]

    class Signer:
        async def sign(self, domain: str, chunks: object) -> bytes:
            if (fault := faults.pop(0)) is not None:
                raise fault
            return b"DKIM-Signature: x\r\n"

    async def ensure() -> None:
        return None

    files: Any = SimpleNamespace(ensure=ensure)
    board: Any = SimpleNamespace(publish=published.append)
    signing = DkimSigning(files, Signer(), board)  # type: ignore[arg-type]
    signed = [await signing.sign("home.example", ()) for _ in range(4)]  # type: ignore[arg-type]
    assert signed == [b"", b"", b"", b"DKIM-Signature: x\r\n"]
    assert [(one.key, len(one.sentences)) for one in published] == [("dkim-unsigned", 1), ("dkim-unsigned", 1), ("dkim-unsigned", 0)]


def key(selector: str, record: str) -> SigningKey:
    return SigningKey(selector, "rsa-sha256", f"v=DKIM1; k=rsa; p={record}", b"")


RSA, ED, OTHER_RSA, NEXT = key("rsa", "AAAA"), key("ed", "BBBB"), key("rsa", "CCCC"), key("rsa-2027", "DDDD")
BOTH = (RSA, ED)


class Board:
    def __init__(self) -> None:
        self.holds: tuple[str, ...] = ()
        self.published = 0

    def publish(self, event: Any) -> None:
        assert event.key == "dkim-new"
        self.holds, self.published = event.sentences, self.published + 1


@asynccontextmanager
async def memory(data: Path) -> AsyncIterator[tuple[KeyMemory, Board, Components]]:
    """As after a start: nothing in memory but what the database has."""
    async with open_components(data, Settings()) as components:
        board: Any = Board()
        yield KeyMemory(components.database, board), board, components


async def test_the_first_keys_and_a_rotation_are_no_condition(tmp_path: Path) -> None:
    async with memory(tmp_path / "data") as (one, board, _):
        for keys in ((), BOTH, BOTH, (*BOTH, NEXT), (ED, NEXT), (NEXT,)):
            await one.look(keys)
        assert board.published == 0, "a server that never had keys has lost none, and a new selector replaces no published record"


@pytest.mark.parametrize(
    ("found", "sentence"), [((), GONE), ((OTHER_RSA, ED), CHANGED), ((OTHER_RSA,), CHANGED), ((OTHER_RSA, NEXT), CHANGED)]
)
async def test_keys_that_differ_from_the_published_ones_hold_until_somebody_saw_the_records(
    tmp_path: Path, found: tuple[SigningKey, ...], sentence: str
) -> None:
    async with memory(tmp_path / "data") as (one, board, _):
        await one.look(BOTH)
    async with memory(tmp_path / "data") as (one, board, _):
        for _again in range(2):
            await one.look(found)
        assert board.holds == (sentence,) and board.published == 1
    async with memory(tmp_path / "data") as (one, board, _):
        await one.look((OTHER_RSA, ED))
        assert board.holds == (CHANGED,), "the next start has not forgotten it"
        await one.shown((OTHER_RSA, ED))
        assert board.holds == ()
        await one.look((OTHER_RSA, ED))
        assert board.holds == ()
        await one.look(BOTH)
        assert board.holds == (CHANGED,), "the former keys are back, and the others are published"


async def test_keys_that_come_back_end_the_condition(tmp_path: Path) -> None:
    async with memory(tmp_path / "data") as (one, board, _):
        await one.look(BOTH)
        await one.look(())
        assert board.holds == (GONE,)
        await one.look(BOTH)
        assert board.holds == ()


async def test_storage_in_trouble_stops_no_signing(tmp_path: Path) -> None:
    async def fails(work: object) -> None:
        raise StoreError(Trouble.FULL)

    async with memory(tmp_path / "data") as (one, board, components):
        full: Any = SimpleNamespace(read=components.database.read, write=fails)
        broken: Any = SimpleNamespace(read=fails, write=fails)
        for database in (full, broken):
            one = KeyMemory(database, board)  # type: ignore[arg-type]
            await one.look(BOTH)
            await one.shown(BOTH)
        assert board.published == 0


async def test_a_removed_key_directory_is_a_condition_until_the_new_records_are_shown(tmp_path: Path) -> None:
    """The whole way: keys made for the first message, the directory lost, new ones under the same selectors."""
    data = tmp_path / "data"

    async def conditions(components: Components) -> list[str]:
        return [one.sentence for one in components.board.snapshot().conditions if one.key == "dkim-new"]

    async with open_components(data, Settings()) as components:
        await components.accounts.add_domain("home.example")
        outbound = await Outbound.open(components)
        first = await outbound.dkim.ensure()
        assert await conditions(components) == []
    shutil.rmtree(data / "dkim")
    async with open_components(data, Settings()) as components:
        outbound = await Outbound.open(components)
        second = await outbound.dkim.ensure()
        assert [one.selector for one in second] == [one.selector for one in first] and second[0].record != first[0].record
        assert await conditions(components) == [CHANGED]
        shown = (await AdminApi(components, outbound).ask(DomainRecords(""))).text
        assert all(one.record.rpartition("p=")[2][:40] in shown for one in second)
        assert await conditions(components) == []
