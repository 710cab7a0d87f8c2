"""app/first_setup: a server without accounts, its setup code on terminal, console and command line."""

from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.app.admin_api import AdminApi
from appliance.app.admin_request import Running
from appliance.app.components import open_components
from appliance.app.first_setup import given_code, prepare_setup_code, print_setup_code
from appliance.app.outbound import Outbound
from appliance.config.settings import Settings
from appliance.control import requests as controls
from appliance.mail.errors import NotRunningError, SetupError

RUNNING: Any = Running(SimpleNamespace(), stop=lambda ending: None, end_sessions=lambda: 0)


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


async def test_a_fresh_server_is_set_up_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    async with open_components(tmp_path / "data", Settings()) as components:
        await prepare_setup_code(components)
        outbound = await Outbound.open(components)
        api, offline = AdminApi(components, outbound, RUNNING), AdminApi(components, outbound)
        shown = (await api.ask(controls.ShowSetupCode())).facts["setup_code"]
        with pytest.raises(NotRunningError, match="No server is running"):
            await offline.ask(controls.ShowSetupCode())
        with pytest.raises(SetupError, match="not the setup code"):
            await api.ask(controls.SetUp("aaaa-aaaa-aaaa", "ada@home.example", source="192.0.2.1"))
        assert not components.accounts.directory.accounts()
        made = await api.ask(controls.SetUp(shown, "ada@home.example"))
        assert made.facts["password"] and [one.address for one in components.accounts.directory.accounts()] == ["ada@home.example"]
        for request in (controls.ShowSetupCode(), controls.SetUp(shown, "ben@home.example")):
            with pytest.raises(SetupError, match="no setup code any more"):
                await api.ask(request)


async def test_it_is_printed_on_a_terminal_and_never_in_the_journal(tmp_path: Path) -> None:
    async with open_components(tmp_path / "data", Settings()) as components:
        await prepare_setup_code(components)
        assert components.setup_code is not None
        code, terminal, pipe = components.setup_code.shown, Terminal(), StringIO()
        print_setup_code(components, terminal)
        print_setup_code(components, pipe)
        lines = "\n".join(components.journal.lines(0))
        assert code in terminal.getvalue() and pipe.getvalue() == "" and code not in lines and "pillarbox setup-code" in lines


async def test_the_code_shown_before_a_restart_comes_back_as_a_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    assert given_code("") == given_code(str(credentials)) == ""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    shown = []
    for _ in range(2):
        async with open_components(tmp_path / "data", Settings()) as components:
            await prepare_setup_code(components)
            assert components.setup_code is not None
            shown.append(components.setup_code.shown)
            (credentials / "setup-code").write_text(f"{shown[-1]}\n")
    assert shown[0] == shown[1]
