"""cli/settings_check: what only this machine can answer about a settings file, before `serve` fails on it."""

from pathlib import Path

import pytest

from appliance.cli.settings_check import check_settings
from appliance.config.settings_file import SettingsError


def test_an_unknown_time_zone_has_its_line(tmp_path: Path) -> None:
    path = tmp_path / "pillarbox.toml"
    path.write_text('[server]\ntime_zone = "Mars/Olympus"\n')
    with pytest.raises(SettingsError, match=r"line 2: There is no time zone") as found:
        check_settings(path)
    assert [fault.line for fault in found.value.faults] == [2]


def test_a_secret_that_cannot_be_read_has_its_line(tmp_path: Path) -> None:
    path = tmp_path / "pillarbox.toml"
    path.write_text('[[relay]]\nname = "post"\nhost = "smtp.example"\nuser = "me"\npassword_file = "/nowhere/secret"\n')
    with pytest.raises(SettingsError, match="No such file") as found:
        check_settings(path)
    assert [fault.line for fault in found.value.faults] == [5]
