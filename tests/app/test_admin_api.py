"""app/admin_api and the admin_* modules: every request has one answer, with and without a running server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
import trio

from appliance.app.admin_api import AdminApi
from appliance.app.admin_request import Running
from appliance.app.components import Components, open_components
from appliance.app.outbound import Outbound
from appliance.config.settings import Settings
from appliance.control import requests as controls
from appliance.mail.errors import NotRunningError, SetupError
from appliance.runtime.supervisor import Ending

ADA = "ada@home.example"
PASSWORD = "Correct-Horse-7"
TRANSFERS = (controls.Import, controls.Export)
"""Exchanges with methods of their own."""


class Server:
    """An open data directory with one account, and what a running server would be asked for."""

    def __init__(self, components: Components, outbound: Outbound) -> None:
        self.components = components
        self.outbound = outbound
        self.endings: list[Ending] = []
        self.ended = 0
        tls: Any = SimpleNamespace(source="server", facts=None, reload=lambda: None)
        self.offline = AdminApi(components, outbound)
        self.running = AdminApi(components, outbound, Running(tls, stop=self.endings.append, end_sessions=self._end_sessions))

    def _end_sessions(self) -> int:
        self.ended += 1
        return 2


@asynccontextmanager
async def server(data: Path) -> AsyncIterator[Server]:
    async with open_components(data, Settings()) as components:
        await components.accounts.add_account(ADA, PASSWORD, also=components.store.make_mailboxes)
        yield Server(components, await Outbound.open(components))


async def test_every_request_has_an_answer(tmp_path: Path) -> None:
    async with server(tmp_path / "data") as one:
        known = set(get_args(controls.Request))
        assert set(one.offline._answers) == known - set(TRANSFERS)
        with pytest.raises(SetupError, match="does not know"):
            await one.offline.ask(object())  # type: ignore[arg-type]


async def test_accounts_and_sessions(tmp_path: Path) -> None:
    async with server(tmp_path / "data") as one:
        added = await one.running.ask(controls.AddAccount("ben@home.example"))
        assert added.facts["address"] == "ben@home.example" and added.facts["password"] in added.text and one.ended == 0
        given = await one.running.ask(controls.SetPassword("ben@home.example", PASSWORD))
        assert "password" not in given.facts and given.facts["sessions_ended"] == 2 and "2 open sessions were signed out" in given.text
        assert (await one.offline.ask(controls.SetPassword("ben@home.example", PASSWORD))).facts["sessions_ended"] == 0
        for request in (controls.DisableAccount("ben@home.example"), controls.RemoveAccount("ben@home.example")):
            assert (await one.running.ask(request)).facts["sessions_ended"] == 2
        assert one.ended == 3
        listed = (await one.running.ask(controls.ListAccounts())).facts
        assert [row["address"] for row in listed["accounts"]] == [ADA] and [row["address"] for row in listed["removed"]] == [
            "ben@home.example"
        ]
        with pytest.raises(SetupError, match="Nothing was changed"):
            await one.running.ask(controls.SetAccount(ADA))
        with pytest.raises(SetupError, match="no account"):
            await one.running.ask(controls.ListMailboxes("nobody@home.example"))


async def test_app_passwords_aliases_and_domains(tmp_path: Path) -> None:
    async with server(tmp_path / "data") as one:
        made = await one.running.ask(controls.AddAppPassword(ADA, "phone"))
        assert made.facts["password"] in made.text
        (row,) = (await one.running.ask(controls.ListAppPasswords(ADA))).facts["app_passwords"]
        assert row["label"] == "phone" and row["used_at"] is None
        await one.running.ask(controls.AddAlias("family@home.example", (ADA,)))
        assert (await one.running.ask(controls.ListAliases())).facts["aliases"] == [{"address": "family@home.example", "targets": [ADA]}]
        await one.running.ask(controls.AddDomain("other.example"))
        await one.running.ask(controls.SetCatchAll("other.example", ADA))
        rows = (await one.running.ask(controls.ListDomains())).facts["domains"]
        assert {row["name"]: row["catch_all"] for row in rows} == {"home.example": "", "other.example": ADA}
        kinds = {row["kind"] for row in (await one.running.ask(controls.DomainRecords("other.example"))).facts["records"]}
        assert {"MX", "TXT", "SRV"} <= kinds
        with pytest.raises(SetupError, match="not a domain of this server"):
            await one.running.ask(controls.DomainRecords("strange.example"))


async def test_what_needs_a_running_server(tmp_path: Path) -> None:
    async with server(tmp_path / "data") as one:
        for request in (controls.ShutDown(), controls.Restart(), controls.CheckNetwork()):
            with pytest.raises(SetupError, match="No server is running"):
                await one.offline.ask(request)
        with pytest.raises(NotRunningError):
            await one.offline.ask(controls.TrackMessage(ADA))
        await one.running.ask(controls.ShutDown())
        await one.running.ask(controls.Restart())
        assert one.endings == [Ending.SHUT_DOWN, Ending.RESTART]
        assert (await one.offline.ask(controls.Status())).facts == {"running": False, "accounts": 1, "domains": ["home.example"]}
        assert (await one.running.ask(controls.Status())).facts["running"] is True
        assert (await one.running.ask(controls.TrackMessage(""))).facts["refused"] == []


async def test_the_queue(tmp_path: Path) -> None:
    async with server(tmp_path / "data") as one:
        assert (await one.offline.ask(controls.ListQueue())).facts == {"messages": []}
        assert (await one.offline.ask(controls.FlushQueue())).facts == {"rows": 0}
        for request in (
            controls.ShowMessage("zzz"),
            controls.HoldMessage("zzz"),
            controls.CancelMessage("zzz"),
            controls.TrackMessage("zzz"),
        ):
            with pytest.raises(SetupError):
                await one.offline.ask(request)
        with pytest.raises(SetupError, match="no relay"):
            await one.offline.ask(controls.RerouteMessage("zzz", "post"))


async def test_import_counts_what_was_stored_before_it_is_full(tmp_path: Path) -> None:
    async with server(tmp_path / "data") as one:
        request = controls.Import(ADA, "a source", "")
        async with one.offline.import_messages(request) as session:
            await session.make(["Old"])
        rows = (await one.offline.ask(controls.ListMailboxes(ADA))).facts["mailboxes"]
        assert "Old" in [row["name"] for row in rows]
        assert [item async for item in one.offline.export_messages(controls.Export(ADA))] == []


async def test_the_log_and_the_admin_password(tmp_path: Path) -> None:
    async with server(tmp_path / "data") as one:
        one.components.journal.log("A sentence.")
        read = (await one.offline.ask(controls.ReadLog(0))).facts
        assert read["count"] >= 1 and any("A sentence." in line for line in read["lines"])
        made = await one.offline.ask(controls.SetAdminPassword(""))
        assert made.facts["password"] in made.text
        with pytest.raises(SetupError):
            await one.offline.ask(controls.SetAdminPassword("1234"))


def test_two_servers_stand_side_by_side(tmp_path: Path) -> None:
    """Nothing is shared between two data directories of one process."""

    async def both() -> None:
        async with server(tmp_path / "a") as a, server(tmp_path / "b") as b:
            await a.running.ask(controls.AddAccount("only-a@home.example"))
            assert len((await a.running.ask(controls.ListAccounts())).facts["accounts"]) == 2
            assert len((await b.running.ask(controls.ListAccounts())).facts["accounts"]) == 1

    trio.run(both)
