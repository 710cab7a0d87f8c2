"""app/server: the request to switch the box off, after the data directory was closed."""

from pathlib import Path

from appliance.app.server import request_power_off


def test_the_request_is_a_file_of_the_unit_s_runtime_directory(tmp_path: Path) -> None:
    request_power_off("")
    request_power_off(str(tmp_path / "gone"))
    assert not list(tmp_path.iterdir())
    request_power_off(str(tmp_path))
    assert [one.name for one in tmp_path.iterdir()] == ["request-power-off"]
