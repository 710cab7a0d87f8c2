"""A new server without accounts: the code on its serial console makes the first one, and is dead afterwards."""

import time
from pathlib import Path

import pytest

from tests.support.cable import Cable
from tests.support.server import Pillarbox, pillarbox


def test_the_code_on_the_console_makes_the_first_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cable: Cable) -> None:
    settings, runtime = tmp_path / "settings.toml", tmp_path / "run"
    settings.write_text(f'[panel]\nconsole = "{cable.device}"\n')
    runtime.mkdir()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(runtime))
    data = tmp_path / "data"
    with Pillarbox(data, "--settings", str(settings)) as server:
        code = cable.match("type this setup code: ([a-z0-9]{4}-[a-z0-9]{4}-[a-z0-9]{4})")[1]
        assert code in pillarbox("setup-code", data=data).stdout and (runtime / "setup-code").read_text() == code
        cable.type("4a")
        cable.until("Setup code:")
        cable.type("aaaa-aaaa-aaaa\r")
        cable.until("not the setup code")
        time.sleep(1.1)  # the pause after a wrong one
        cable.type("a")
        cable.until("Setup code:")
        cable.type(f"{code.replace('-', '').upper()}\r")
        cable.until("Address of the new account:")
        cable.type("ada@home.example\r")
        cable.until("Password (empty")
        cable.type("correct horse battery\r")
        cable.until("ada@home.example")
        assert "ada@home.example" in pillarbox("account", "list", data=data).stdout
        assert "no setup code any more" in pillarbox("setup-code", data=data, check=False).stderr
        cable.type("q")  # locks
        cable.until("read only")
        cable.type("1\x0c")
        shown = cable.until("9 Power")
        assert code not in shown and "setup code" not in shown, "the first screen no longer has it"
        cable.type("4a")
        cable.until("Password of ada@home.example:")
        cable.type("correct horse battery\r")
        cable.until("Address of the new account:")
        assert (runtime / "setup-code").read_text() == ""
        assert code not in server.log.read_text()
