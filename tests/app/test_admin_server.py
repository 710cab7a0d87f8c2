"""app/admin_server: status, log, shutting down, with and without a running server."""

from pathlib import Path

import pytest

from appliance.control import requests as controls
from appliance.mail.errors import NotRunningError, SetupError, StoreError, Trouble
from appliance.runtime.supervisor import Ending
from tests.support.admin import ADA, admin_server


async def test_a_server_that_could_not_start_again_is_not_restarted(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        own = tmp_path / "data" / "pillarbox.toml"
        own.write_text("[server\n")
        with pytest.raises(SetupError, match="line 1"):
            await one.running.ask(controls.Restart())
        own.write_text("[server]\n")
        await one.running.ask(controls.Restart())
        one.components.settings_file = tmp_path / "gone.toml"
        with pytest.raises(SetupError, match="cannot be read"):
            await one.running.ask(controls.Restart())
        assert one.endings == [Ending.RESTART]


async def test_what_needs_a_running_admin_server(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        for request in (controls.ShutDown(), controls.Restart(), controls.CheckNetwork()):
            with pytest.raises(NotRunningError, match="No server is running"):
                await one.offline.ask(request)
        with pytest.raises(NotRunningError):
            await one.offline.ask(controls.TrackMessage(ADA))
        await one.running.ask(controls.ShutDown())
        await one.running.ask(controls.Restart())
        assert one.endings == [Ending.SHUT_DOWN, Ending.RESTART]
        assert (await one.offline.ask(controls.Status())).facts == {"running": False, "accounts": 1, "domains": ["home.example"]}
        assert (await one.running.ask(controls.Status())).facts["running"] is True
        assert (await one.running.ask(controls.TrackMessage(""))).facts["refused"] == []


async def test_the_log(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        one.components.journal.log("A sentence.")
        read = (await one.offline.ask(controls.ReadLog(0))).facts
        assert read["count"] >= 1 and any("A sentence." in line for line in read["lines"])


async def test_the_log_from_a_place_on(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        for text in ("one", "two"):
            one.components.journal.log(text)
        count = (await one.running.ask(controls.ReadLog(0))).facts["count"]
        one.components.journal.log("three")
        later = (await one.running.ask(controls.ReadLog(count))).facts
        assert len(later["lines"]) == 1 and "three" in later["lines"][0] and later["count"] == count + 1


async def test_a_database_that_cannot_be_read_is_told_by_a_server_that_does_not_run(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:

        async def fails(work: object) -> None:
            raise StoreError(Trouble.BROKEN)

        one.components.database.read = fails  # type: ignore[method-assign, assignment]
        status = await one.offline.ask(controls.Status())
        assert status.facts["damaged"] is True and status.text.startswith("CRITICAL") and "pillarbox check" in status.text
