"""cli/settings_check: what only this machine can answer about a settings file, before `serve` fails on it."""

import os
import subprocess
from pathlib import Path

import pytest

from appliance.cli.settings_check import check_settings
from appliance.config.settings_file import SettingsError
from tests.support.server import COMMAND, ROOT, environment


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


def test_the_file_of_the_boot_partition_has_a_section_more(tmp_path: Path) -> None:
    path = tmp_path / "pillarbox.toml"
    path.write_text('[box]\nname = "attic"\n[server]\ndomain = "smith.example"\n')
    assert check_settings(path, boot=True).server.domain == "smith.example"
    with pytest.raises(SettingsError, match="no section"):
        check_settings(path)
    path.write_text('[box]\nname = "no name"\n')
    with pytest.raises(SettingsError, match=r"line 2"):
        check_settings(path, boot=True)


def test_a_reader_that_leaves_early_causes_no_traceback(tmp_path: Path) -> None:
    """As in `pillarbox settings check FILE --json | head -1`."""
    path = tmp_path / "pillarbox.toml"
    path.write_text("[nowhere]\n")
    gone, pipe = os.pipe()
    os.close(gone)
    try:
        done = subprocess.run(
            [*COMMAND, "settings", "check", str(path), "--json"],
            stdout=pipe, stderr=subprocess.PIPE, text=True, env=environment(), cwd=ROOT, timeout=60, check=False,
        )  # fmt: skip
    finally:
        os.close(pipe)
    assert done.returncode == 2 and "There is no section" in done.stderr and "Traceback" not in done.stderr
