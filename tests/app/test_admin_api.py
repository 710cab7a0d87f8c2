"""app/admin_api: every request has one answer; two servers share nothing; messages in and out. The answers: test_admin_*."""

from pathlib import Path
from typing import get_args

import pytest
import trio

from appliance.control import requests as controls
from appliance.mail.errors import SetupError
from tests.support.admin import ADA, admin_server

TRANSFERS = (controls.Import, controls.Export)
"""Exchanges with methods of their own."""


async def test_every_request_has_an_answer(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        known = set(get_args(controls.Request))
        assert set(one.offline._answers) == known - set(TRANSFERS)
        with pytest.raises(SetupError, match="does not know"):
            await one.offline.ask(object())  # type: ignore[arg-type]


async def test_import_counts_what_was_stored_before_it_is_full(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        request = controls.Import(ADA, "a source", "")
        async with one.offline.import_messages(request) as session:
            await session.make(["Old"])
        rows = (await one.offline.ask(controls.ListMailboxes(ADA))).facts["mailboxes"]
        assert "Old" in [row["name"] for row in rows]
        assert [item async for item in one.offline.export_messages(controls.Export(ADA))] == []


def test_two_servers_stand_side_by_side(tmp_path: Path) -> None:
    """Nothing is shared between two data directories of one process."""

    async def both() -> None:
        async with admin_server(tmp_path / "a") as a, admin_server(tmp_path / "b") as b:
            await a.running.ask(controls.AddAccount("only-a@home.example"))
            assert len((await a.running.ask(controls.ListAccounts())).facts["accounts"]) == 2
            assert len((await b.running.ask(controls.ListAccounts())).facts["accounts"]) == 1

    trio.run(both)
