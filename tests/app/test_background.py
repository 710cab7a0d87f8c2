"""app/background: what the running server looks at now and then, and what it publishes of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from appliance.accounts.states import KEPT_DAYS
from appliance.app.background import FULL_NAMED, nearly_full, purge_removed, settings_faults, watch_host
from appliance.app.components import Basics
from appliance.control import requests as controls
from appliance.mail.limits import MB
from appliance.status.board import Board
from appliance.status.journal import Journal
from appliance.store.values import Placement
from tests.support.admin import ADA, PASSWORD, AdminServer, admin_server
from tests.support.clock import HandClock
from tests.support.waiting import until


async def fill(one: AdminServer, octets: int) -> None:
    components = one.components
    async with components.store.receive(octets + 1000) as incoming:
        await incoming.write(b"Subject: a\r\n\r\n" + b"x" * (octets - 14))
        inbox = await components.store.find(components.accounts.directory.accounts()[0].id, "INBOX")
        await components.store.file(await incoming.finish(), [Placement(inbox.id, b"", (), 1_700_000_000)])


@asynccontextmanager
async def by_hand(data: Path) -> AsyncIterator[tuple[AdminServer, HandClock]]:
    """A server whose clock the test moves."""
    clock: Any = HandClock()
    journal = Journal(clock, stamped=False)
    async with admin_server(data, basics=Basics(clock, journal, Board(clock, journal.note))) as one:
        yield one, clock


async def test_who_is_nearly_full_and_who_is_full(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        await fill(one, 900_000)
        assert nearly_full(one.components) == (), "no limit"
        await one.running.ask(controls.SetAccount(ADA, 1))
        assert nearly_full(one.components) == ()
        await fill(one, 60_000)
        await until(lambda: len(nearly_full(one.components)) == 1)  # the sums may be one commit behind
        (sentence,) = nearly_full(one.components)
        assert ADA in sentence and "nearly full" in sentence and "of 1.0 MB" in sentence
        await one.running.ask(controls.SetAccount(ADA, 2))
        assert nearly_full(one.components) == (), "after more room it is over"
        await fill(one, MB)
        await one.running.ask(controls.SetAccount(ADA, 1))
        await until(lambda: any("is full: new messages are deferred" in told for told in nearly_full(one.components)))


async def test_the_accounts_named_are_bounded(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        one.components.store.quota = lambda account: (100, 100)  # type: ignore[method-assign, assignment]
        everybody = [one.components.accounts.directory.accounts()[0]] * (2 * FULL_NAMED)
        one.components.accounts.directory.accounts = lambda: everybody  # type: ignore[method-assign, assignment, return-value]
        assert len(nearly_full(one.components)) == FULL_NAMED


async def test_removed_accounts_are_erased_when_their_time_has_come_and_not_before(tmp_path: Path) -> None:
    async with by_hand(tmp_path / "data") as (one, clock), trio.open_nursery() as nursery:
        await one.running.ask(controls.AddAccount("ben@home.example", PASSWORD))
        await one.running.ask(controls.RemoveAccount("ben@home.example"))
        removed = one.components.accounts.directory.removed
        clock.forward((KEPT_DAYS - 1) * 86_400)
        async with trio.open_nursery() as early:
            early.start_soon(purge_removed, one.components)
            await trio.testing.wait_all_tasks_blocked(0.2)
            assert len(removed()) == 1
            early.cancel_scope.cancel()
        clock.forward(2 * 86_400)
        nursery.start_soon(purge_removed, one.components)
        await until(lambda: not removed() and any("ben@home.example was removed" in line for line in one.components.journal.lines(0)))
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("octets", "faults"),
    [
        (None, ()), (b"", ()), (b"unknown section [foo]\nline 3: x\n", ("unknown section [foo]", "line 3: x")),
        (b"\xff\xfe\n", ("\ufffd\ufffd",)), (b"x\n" * 1000, ("x",) * FULL_NAMED),
    ],
)  # fmt: skip
def test_faults_of_the_settings_on_the_boot_partition(tmp_path: Path, octets: bytes | None, faults: tuple[str, ...]) -> None:
    if octets is not None:
        (tmp_path / "settings-faults").write_bytes(octets)
    found = settings_faults(str(tmp_path))
    assert [one.removeprefix("The settings file is not used: ") for one in found] == list(faults)
    assert settings_faults("") == ()


async def test_space_host_and_faults_are_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings-faults").write_text("line 1: no such key\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    async with admin_server(tmp_path / "data") as one, trio.open_nursery() as nursery:
        await fill(one, 1_000_000)
        await one.running.ask(controls.SetAccount(ADA, 1))
        nursery.start_soon(watch_host, one.components)
        board = one.components.board
        await until(lambda: board.snapshot().storage.total_octets and board.snapshot().host.name)
        snapshot = board.snapshot()
        assert snapshot.storage.mail_octets >= 1_000_000 and 0 < snapshot.storage.free_octets <= snapshot.storage.total_octets
        assert {"settings-error", "mailbox-full"} <= {condition.key for condition in snapshot.conditions}
        assert any("addresses of this machine" in line or "no address" in line for line in one.components.journal.lines(0))
        nursery.cancel_scope.cancel()
