"""system/etc_files: what the settings become below /etc."""

import string
import tomllib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from appliance.config.settings_file import parse as parse_server
from appliance.system.box_settings import parse
from appliance.system.etc_files import encode_toml, etc_files

VALUES = st.one_of(st.text(), st.booleans(), st.integers(-(10**9), 10**9), st.lists(st.text()))
KEYS = st.text(string.ascii_lowercase + "_", min_size=1, max_size=12)
TABLES = st.dictionaries(KEYS, VALUES)


@given(st.dictionaries(KEYS, st.one_of(TABLES, st.lists(TABLES, min_size=1))))
def test_toml_comes_back_as_it_was(tree: dict[str, object]) -> None:
    assert tomllib.loads(encode_toml(tree)) == tree


def test_without_settings_the_box_serves_the_real_ports_and_its_consoles() -> None:
    files = etc_files(parse(b"", "x"), "", ("/dev/ttyAMA0", "/dev/tty1"))
    assert sorted(files) == ["hostname", "pillarbox.toml"] and files["hostname"] == "pillarbox\n"
    settings = parse_server(files["pillarbox.toml"].encode(), "x")
    assert settings.listen.addresses("imaps") == ("*:993",) and settings.listen.addresses("smtp") == ("*:25",)
    assert settings.panel.console == ("/dev/ttyAMA0", "/dev/tty1")


def test_the_file_of_the_image_serves_where_the_settings_could_not_be_read() -> None:
    shipped = Path(__file__).resolve().parents[2] / "firmware-config/rootfs/etc/pillarbox.toml"
    made = parse_server(etc_files(parse(b"", "x"), "", ())["pillarbox.toml"].encode(), "x")
    assert parse_server(shipped.read_bytes(), "x") == made


def test_what_the_file_says_comes_first() -> None:
    text = b"[listen]\npop3 = ''\nimaps = '0.0.0.0:1993'\n[panel]\nconsole = '/dev/ttyUSB0'\n[server]\ntime_zone = 'Europe/Paris'\n"
    settings = parse_server(etc_files(parse(text, "x"), "Europe/Berlin", ("/dev/tty1",))["pillarbox.toml"].encode(), "x")
    assert settings.listen.addresses("pop3") == () and settings.listen.addresses("imaps") == ("0.0.0.0:1993",)
    assert settings.panel.console == ("/dev/ttyUSB0",) and settings.server.time_zone == "Europe/Paris"
    assert settings.listen.addresses("smtp") == ("*:25",)


def test_wifi_and_a_fixed_address() -> None:
    text = (
        b"[box]\nname = 'Attic'\nwifi_name = 'caf\xc3\xa9'\nwifi_password = 'with \"quotes\" # and all'\nwifi_country = 'de'\n"
        b"wifi_hidden = true\n"
        b"address = '192.0.2.9/24'\ngateway = '192.0.2.1'\nshell = true\n"
    )
    files = etc_files(parse(text, "x"), "", ())
    wifi = files["wpa_supplicant/pillarbox.conf"]
    assert "\tssid=636166c3a9\n" in wifi
    assert '\tpsk="with "quotes" # and all"\n' in wifi and "country=DE\n" in wifi and "scan_ssid=1" in wifi
    network = files["systemd/network/10-pillarbox.network"]
    assert "Type=wlan\n" in network and "Address=192.0.2.9/24\nGateway=192.0.2.1\nDNS=192.0.2.1\n" in network
    assert files["hostname"] == "attic\n" and "pillarbox-shell" in files
    key, space = b"0" * 64, b"[box]\nwifi_name = 'n'\nwifi_country = 'FR'\n"
    for more, row in ((b"wifi_password = '" + key + b"'\n", f"\tpsk={'0' * 64}\n"), (b"", "key_mgmt=NONE")):
        assert row in etc_files(parse(space + more, "x"), "", ())["wpa_supplicant/pillarbox.conf"]
