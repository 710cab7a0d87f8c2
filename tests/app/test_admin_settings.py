"""app/admin_settings: the settings file through the admin API."""

from pathlib import Path

import pytest

from appliance.app.admin_api import AdminApi
from appliance.app.components import open_components
from appliance.app.outbound import Outbound
from appliance.config.settings import Settings
from appliance.control.requests import ChangeSettings, RemoveRelay, SetRelay, ShowSettings
from appliance.mail.errors import SetupError


async def test_a_change_a_conflict_and_a_secret(tmp_path: Path) -> None:
    file = tmp_path / "data" / "pillarbox.toml"
    async with open_components(tmp_path / "data", Settings()) as components:
        api = AdminApi(components, await Outbound.open(components))
        shown = (await api.ask(ShowSettings())).facts
        assert shown["file"] == str(file) and not shown["restart_needed"]
        assert (await api.ask(ChangeSettings("accounts", {"quota_mb": "0"}, shown["digest"]))).facts["changed"] is False
        assert not file.exists(), "what is the default is not written"
        assert (await api.ask(ChangeSettings("accounts", {"quota_mb": "700"}, shown["digest"]))).facts["changed"] is True
        assert "quota_mb = 700" in file.read_text() and file.stat().st_mode & 0o777 == 0o600
        with pytest.raises(SetupError, match="meanwhile"):
            await api.ask(ChangeSettings("accounts", {"quota_mb": "800"}, shown["digest"]))
        for wrong in ({"quota_mb": "many"}, {"quota_mb": "-5"}, {"no_such": "1"}):
            with pytest.raises(SetupError):
                await api.ask(ChangeSettings("accounts", wrong))
        with pytest.raises(SetupError, match="file only"):
            await api.ask(ChangeSettings("listen", {"smtp": "*:25"}))
        await api.ask(SetRelay({"name": "post", "host": "smtp.example", "user": "me", "password": "hidden-secret", "port": "0"}))
        shown = (await api.ask(ShowSettings())).facts
        assert shown["relays"][0]["secret"] is True and "hidden-secret" not in repr(shown) and "hidden-secret" in file.read_text()
        await api.ask(RemoveRelay("post", shown["digest"]))
        assert "hidden-secret" not in file.read_text() and "quota_mb = 700" in file.read_text()
