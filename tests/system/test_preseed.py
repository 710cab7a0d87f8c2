"""system/preseed: what Raspberry Pi Imager writes."""

from appliance.system.preseed import read, secret_lines

FILE = b"""config_version = "1.1"
[system]
hostname = "attic"
[user]
name = "ada"
password = "$y$j9T$abc$def"
password_encrypted = true
[ssh]
enabled = true
[wlan]
ssid = "Our network"
password = "its password"
country = "de"
[ethernet]
method = "static"
address = "192.0.2.9/24"
gateway = "192.0.2.1"
dns = ["192.0.2.1"]
[locale]
keymap = "de"
timezone = "Europe/Berlin"
"""


def test_what_is_taken_on_and_what_is_told() -> None:
    values, zone, told = read(FILE)
    assert values == {
        "name": "attic", "wifi_name": "Our network", "wifi_password": "its password", "wifi_country": "DE", "wifi_hidden": False,
        "address": "192.0.2.9/24", "gateway": "192.0.2.1", "name_servers": ("192.0.2.1",),
    }  # fmt: skip
    assert zone == "Europe/Berlin"
    text = " ".join(told)
    assert "SSH" in text and "user" in text and "keyboard" in text and "its password" not in text and "$y$" not in text


def test_a_wrong_value_is_told_and_stops_nothing() -> None:
    values, zone, told = read(FILE.replace(b'"de"', b'"Germany"').replace(b"Europe/Berlin", b"Mars/Olympus").replace(b"192.0.2.9/24", b"x"))
    assert values == {"name": "attic"} and zone == "" and len(told) == 6, told
    assert read(b"[wlan\n")[2] and read(b"\xff")[2] and read(b"")[2] == [] and read(b"wlan = 3\nuser = []\n")[0] == {}


def test_passwords_are_taken_out() -> None:
    after = secret_lines(FILE)
    assert "its password" not in after and "$y$" not in after and after.count("(used)") == 2
    assert secret_lines(after.encode()) == "" and secret_lines(b"[wlan\n") == ""
