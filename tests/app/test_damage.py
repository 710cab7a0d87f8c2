"""One damaged page of the database, each page in turn: nothing ends in a traceback, and what can be read is exported."""

import os
import random
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import trio

from appliance.app.components import Basics, open_components
from appliance.app.outbound import Outbound
from appliance.app.read_only import reading
from appliance.config.settings import Settings
from appliance.control.requests import Export, ListAccounts, Status
from appliance.database import schema
from appliance.database.check import check
from appliance.database.scrub import scrub_once
from appliance.mail.errors import SetupError, StoreError
from appliance.store.values import Placement

ADA = "ada@home.example"
PAGE = 1024
MESSAGES = 151


async def a_server(data: Path) -> None:
    """One account with MESSAGES messages in two mailboxes; all in the database file, its log blank."""
    chance = random.Random(5)
    async with open_components(data, Settings()) as components:
        account = await components.accounts.add_account(ADA, "Correct-Horse-7", also=components.store.make_mailboxes)
        places = [(await components.store.find(account.id, name)).id for name in ("INBOX", "Archive")]
        for first in range(0, MESSAGES, 50):
            numbers = range(first, min(first + 50, MESSAGES))
            staged = []
            async with trio.open_nursery() as nursery:
                for number in numbers:
                    nursery.start_soon(_put, components, staged, number, places[number % 3 == 0], chance.randbytes(300).hex())
    for name in ("pillarbox.db-wal", "pillarbox.db-shm"):
        (data / name).unlink(missing_ok=True)


async def _put(components: object, staged: list[object], number: int, place: int, text: str) -> None:
    store = components.store  # type: ignore[attr-defined]
    async with store.receive(2**20) as incoming:
        await incoming.write(f"From: ben@x.example\r\nSubject: number {number}\r\n\r\n{text}\r\n".encode())
        await store.file(await incoming.finish(), [Placement(place, b"Return-Path: <ben@x.example>\r\n", (), 1_700_000_000)])  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    data = tmp_path_factory.mktemp("server") / "data"
    trio.run(a_server, data)
    return (data / "pillarbox.db").read_bytes()


@pytest.fixture
def data() -> Iterator[Path]:
    """In memory where there is some: it is written and synced a hundred times."""
    with TemporaryDirectory(prefix="pillarbox-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as place:
        (Path(place) / "data" / "bodies" / "kept").mkdir(parents=True)
        yield Path(place) / "data"


def ruined(whole: bytes) -> Iterator[tuple[int, bytes]]:
    """Each page in turn: garbage of one of three kinds."""
    for number in range(len(whole) // PAGE):
        garbage = (bytes(PAGE), b"\x07" * PAGE, random.Random(number).randbytes(PAGE))[number % 3]
        yield number + 1, whole[: number * PAGE] + garbage + whole[(number + 1) * PAGE :]


def write(data: Path, octets: bytes) -> None:
    for path in data.glob("pillarbox.db*"):
        path.unlink()
    (data / "pillarbox.db").write_bytes(octets)


def owners(whole: bytes, tmp_path: Path) -> dict[str, list[int]]:
    """Tables and indexes to their pages, by SQLite's own count of them."""
    (tmp_path / "look.db").write_bytes(whole)
    connection = sqlite3.connect(f"file:{tmp_path}/look.db?immutable=1", uri=True)
    try:
        found: dict[str, list[int]] = {}
        for name, page in connection.execute("SELECT name, pageno FROM dbstat"):
            found.setdefault(name, []).append(page)
        return found
    finally:
        connection.close()


async def exported(data: Path) -> tuple[int, int]:
    """(messages read, messages passed over)."""
    async with reading(data) as admin_api:
        assert "not running" in (await admin_api.ask(Status())).text
        assert ADA in (await admin_api.ask(ListAccounts())).text
        good = lost = 0
        async for message, chunks in admin_api.export_messages(Export(ADA)):
            octets = b"".join([chunk async for chunk in chunks])
            assert bool(octets) is not bool(message.unreadable)
            good, lost = good + (not message.unreadable), lost + message.unreadable
        return good, lost


def test_every_page_in_turn_for_commands_that_read(whole: bytes, data: Path, tmp_path: Path) -> None:
    of = {page: name for name, pages in owners(whole, tmp_path).items() for page in pages}
    assert exported_of(data, whole) == (MESSAGES, 0) and not check(data / "pillarbox.db", []).faults
    for number, octets in ruined(whole):
        if of.get(number) in ("message_data", "body_data") and number % 13:
            continue  # hundreds alike
        write(data, octets)
        report = catching(lambda: check(data / "pillarbox.db", []))
        outcome = catching(lambda: trio.run(exported, data))
        where = f"page {number} of {of.get(number)}: {report} {outcome}"
        if of.get(number) == "sqlite_schema":
            assert isinstance(outcome, SetupError) and outcome.remedy, where
            continue
        good, lost = outcome
        assert good + lost == MESSAGES and report.faults, where
        if of.get(number) == "message":
            assert good >= 100 or lost == MESSAGES, where
        else:
            assert good >= MESSAGES - 3 or (of.get(number) == "body_data" and lost == MESSAGES), where  # the root of a tree is all of it


def catching(call: Callable[[], Any]) -> Any:
    """The result, or the refusal."""
    try:
        return call()
    except SetupError as refused:
        return refused


def exported_of(data: Path, octets: bytes) -> tuple[int, int]:
    write(data, octets)
    return trio.run(exported, data)


NEEDED = ("sqlite_schema", "meta", "account", "domain", "alias", "password", "mailbox", "queue", "history", "counter",
          "second_factor", "passkey", "forwarding")  # fmt: skip
"""Tables that a start reads: with one of them damaged it is refused with a sentence."""


async def test_every_kind_of_page_in_turn_for_a_start(whole: bytes, data: Path, tmp_path: Path) -> None:
    """Damaged indexes are rebuilt, other damage is a condition, and damage in what the start needs is one sentence."""
    of = owners(whole, tmp_path)
    some = {pages[chosen]: name for name, pages in of.items() for chosen in {0, len(pages) // 2, -1}}
    kinds = dict(ruined(whole))
    indexes = {name for name in of if name.startswith(("sqlite_auto", "idx_")) or name in INDEXES}
    for page, name in some.items():
        write(data, kinds[page])
        around = Basics.make()
        around.journal.quiet = True
        try:
            async with open_components(data, Settings(), around) as components:
                await Outbound.open(components)
                await scrub_once(components.database)
                await components.database.write(lambda transaction: None)
                found = {condition.key for condition in components.board.snapshot().conditions}
                if name in indexes:
                    assert "database-repaired" in found and "database-damaged" not in found, (page, name, found)
                    for mailbox in ("INBOX", "Archive"):
                        (await components.store.open(components.accounts.directory.accounts()[0].id, mailbox)).close()
                else:
                    assert "database-damaged" in found, (page, name, found)
        except SetupError as refused:
            assert name in NEEDED, (page, name, refused)
            assert refused.remedy and "damaged" in refused.problem
            if name in indexes:
                assert not check(data / "pillarbox.db", []).faults
        except StoreError:
            assert name in NEEDED, (page, name)  # in a running server `serve` makes a sentence of it


INDEXES = tuple(re.findall(r"CREATE (?:UNIQUE )?INDEX (\w+)", Path(schema.__file__).read_text(encoding="utf-8")))
