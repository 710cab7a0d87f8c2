"""system/first_boot: from the boot partition to the data partition, again after every change, and never stopped by a mistake."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.system import first_boot
from appliance.system.first_boot import apply, consoles_of

WIFI = "[box]\nwifi_name = 'Ours'\nwifi_password = 'long enough'\nwifi_country = 'DE'\n"
PSK = '\tpsk="long enough"\n'


class Box:
    """A boot partition and a data partition."""

    def __init__(self, place: Path) -> None:
        self.boot, self.state = place / "boot", place / "data/system/settings"
        self.boot.mkdir()

    def start(self, text: str | None = None) -> list[str]:
        if text is not None:
            (self.boot / "pillarbox.toml").write_text(text)
        findings = apply(self.boot, self.state, ("/dev/ttyAMA0",))
        return [*findings.faults, *findings.notes]

    def settings(self) -> str:
        return (self.boot / "pillarbox.toml").read_text()

    def etc(self, name: str) -> str:
        place = self.state / "etc" / name
        return place.read_text() if place.exists() else ""


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_without_any_file_it_works(box: Box) -> None:
    assert box.start() == [] and box.etc("hostname") == "pillarbox\n" and "*:993" in box.etc("pillarbox.toml")
    assert os.listdir(box.boot) == []


def test_passwords_are_used_once_and_stay_in_use(box: Box) -> None:
    assert box.start(WIFI) == []
    assert "long enough" not in box.settings() and PSK in box.etc("wpa_supplicant/pillarbox.conf")
    assert (box.state / "etc/wpa_supplicant/pillarbox.conf").stat().st_mode & 0o777 == 0o600
    assert (box.state / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert box.start(box.settings() + "name = 'attic'\n") == []
    assert PSK in box.etc("wpa_supplicant/pillarbox.conf") and box.etc("hostname") == "attic\n"
    told = box.start(box.settings().replace("'Ours'", "'Neighbours'"))
    assert "no password was used before" in told[0] and "long enough" not in box.etc("wpa_supplicant/pillarbox.conf"), "another network"


def test_a_file_saved_with_a_byte_order_mark(box: Box) -> None:
    """As Notepad does; the password goes out of it like out of any other."""
    assert box.start("\ufeff" + WIFI.replace("\n", "\r\n")) == []
    assert "long enough" not in box.settings() and PSK in box.etc("wpa_supplicant/pillarbox.conf")


def test_a_mistake_changes_nothing_and_is_told_beside_the_file(box: Box) -> None:
    box.start(WIFI)
    before, text = box.etc("wpa_supplicant/pillarbox.conf"), box.settings()
    told = box.start(text.replace("'DE'", "'Germany'"))
    errors = (box.boot / "pillarbox-errors.txt").read_text()
    assert "line 4" in told[0] and "line 4" in errors and "country" in errors
    assert box.etc("wpa_supplicant/pillarbox.conf") == before and (box.state / "faults").read_text().startswith("line 4")
    assert box.start(text) == [] and not (box.boot / "pillarbox-errors.txt").exists() and (box.state / "faults").read_text() == ""


def test_the_first_account_waits_for_the_server(box: Box) -> None:
    box.start("[box]\naccount = 'ada@home.example'\npassword = 'four words in a row'\n")
    assert (box.state / "first-account").read_text() == "ada@home.example\n"
    assert (box.state / "first-password").read_text() == "four words in a row\n" and "four words" not in box.settings()
    assert "four words" not in (box.state / "secrets.json").read_text()
    (box.state / "first-account").unlink()
    box.start(box.settings() + "name = 'attic'\n")
    assert not (box.state / "first-account").exists(), "an account is added once"


def test_imager_s_file_is_taken_where_the_other_is_silent(box: Box) -> None:
    (box.boot / "rpi-preseed.toml").write_text(
        "[system]\nhostname = 'fromimager'\n[wlan]\nssid = 'Theirs'\npassword = 'theirs and long'\ncountry = 'FR'\n[ssh]\nenabled = true\n"
        "[locale]\ntimezone = 'Europe/Paris'\n"
    )
    (box.boot / "firstrun.sh").write_text("#!/bin/sh\nexit 1\n")
    told = box.start("")
    assert any("SSH" in one for one in told) and any("firstrun.sh" in one for one in told)
    assert box.etc("hostname") == "fromimager\n" and '"theirs and long"' in box.etc("wpa_supplicant/pillarbox.conf")
    assert os.readlink(box.state / "etc/localtime").endswith("/Europe/Paris") and "Europe/Paris" in box.etc("pillarbox.toml")
    assert "theirs and long" not in (box.boot / "rpi-preseed.toml").read_text()
    box.start("[box]\nname = 'attic'\n")
    assert box.etc("hostname") == "attic\n" and '"theirs and long"' in box.etc("wpa_supplicant/pillarbox.conf"), "kept, though taken out"
    box.start(WIFI)
    assert PSK in box.etc("wpa_supplicant/pillarbox.conf") and "theirs" not in box.etc("wpa_supplicant/pillarbox.conf")


def test_relays_keep_their_passwords_apart(box: Box) -> None:
    relay = "[[relay]]\nname = '{0}'\nhost = 'smtp.{0}.example'\nuser = 'ada'\npassword = '{1}'\n"
    box.start(relay.format("one", "first") + relay.format("two", "second"))
    assert "first" not in box.settings() and "second" not in box.settings()
    box.start(relay.format("two", "(used)") + relay.format("one", "changed"))
    text = box.etc("pillarbox.toml")
    assert 'password = "second"' in text and 'password = "changed"' in text and "first" not in text
    assert (box.state / "etc/pillarbox.toml").stat().st_mode & 0o777 == 0o640


def test_a_power_cut_at_any_write_is_made_good_by_the_next_start(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    class Cut(BaseException):
        pass

    (box.boot / "pillarbox.toml").write_text(WIFI)
    real, done = first_boot.write_whole, 0
    for at in range(10):
        left = [at]

        def cut(path: Path, data: bytes, left: list[int] = left) -> None:
            if not left[0]:
                raise Cut
            left[0] -= 1
            real(path, data)

        monkeypatch.setattr(first_boot, "write_whole", cut)
        try:
            box.start()
        except Cut:
            done += 1
            assert "long enough" in box.settings() or "long enough" in json.loads((box.state / "secrets.json").read_text()).values()
        else:
            break
    assert done >= 3 and PSK in box.etc("wpa_supplicant/pillarbox.conf") and "long enough" not in box.settings()


def test_storage_that_cannot_be_written_is_told(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(first_boot, "write_whole", full)
    assert "No space left" in box.start(WIFI)[0] and "long enough" in box.settings()
    assert apply(box.boot, box.state, ()).again, "tried again at the next start"


def test_the_kernel_s_consoles_serial_first(tmp_path: Path) -> None:
    place = tmp_path / "sys/class/tty/console"
    place.mkdir(parents=True)
    (place / "active").write_text("tty1 ttyAMA0\n")
    assert consoles_of(tmp_path) == ("/dev/ttyAMA0", "/dev/tty1") and consoles_of(tmp_path / "none") == ()


def test_the_command_loads_nothing_of_the_server_and_the_other_commands(box: Box) -> None:
    """It stands in the way of everything else at the first start, on a slow processor."""
    code = "import sys; from appliance.__main__ import main; status = main(sys.argv[1:]); sys.exit(status or 'trio' in sys.modules)"
    words = ["first-boot", "--boot", str(box.boot), "--state", str(box.state)]
    done = subprocess.run([sys.executable, "-P", "-c", code, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "") and (box.state / "etc/hostname").exists()
