"""app/background: faults of the boot partition's settings, handed over as a credential."""

from pathlib import Path

from appliance.app.background import settings_faults


def test_each_line_is_a_sentence_of_the_status(tmp_path: Path) -> None:
    assert settings_faults("") == settings_faults(str(tmp_path)) == ()
    (tmp_path / "settings-faults").write_text('line 3: "box.name" is no name.\n')
    assert settings_faults(str(tmp_path)) == ('The settings file is not used: line 3: "box.name" is no name.',)
