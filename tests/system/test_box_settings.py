"""system/box_settings: the settings file of the boot partition, checked like the server's, and its passwords."""

import tomllib
from pathlib import Path

import pytest

from appliance.config.settings_file import SettingsError
from appliance.config.settings_lines import lines_of
from appliance.system.box_settings import USED, BoxSettings, blanked, parse

EXAMPLE = Path(__file__).resolve().parents[2] / "firmware-config/boot/settings/pillarbox.toml"


def faults_of(text: str) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        parse(text.encode(), "pillarbox.toml")
    return [str(fault) for fault in refused.value.faults]


def test_the_example_says_nothing_and_all_its_lines_can_be_used() -> None:
    text = EXAMPLE.read_text()
    empty = parse(text.encode(), "pillarbox.toml")
    assert empty.box == BoxSettings()
    used = "".join(
        line.removeprefix("# ") if line.startswith("# ") and ("=" in line or "[[" in line) and "settings example" not in line else line
        for line in text.splitlines(keepends=True)
    )
    full = parse(used.encode(), "pillarbox.toml")
    assert full.box.wifi_name == "Our network" and full.box.address == "192.168.1.10/24" and full.box.account == "ada@smith.example"
    assert full.server.relay[0].host == "smtp.provider.example" and full.server.panel.button == "3" and full.box.erase_all_mail
    named = {line.split("=")[0].strip("# ") for line in text.split("[server]")[0].splitlines() if "=" in line}
    assert named == {"name", "account", "password", "wifi_name", "wifi_password", "wifi_country", "address", "gateway", "name_servers",
                     "shell", "erase_all_mail"}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("[box]\nname = 'pillar box'\n", "line 2", "computer"),
        ("[box]\naccount = 'ada'\npassword = 'x'\n", "line 2", "no address"),
        ("[box]\naccount = 'ada@home.example'\n", "line 2", "no password"),
        ("[box]\naccount = 'ada@home.example'\npassword = 'short'\n", "line 3", "characters"),
        ("[box]\nwifi_name = 'n'\nwifi_password = 'short'\nwifi_country = 'DE'\n", "line 3", "8 to 63"),
        ("[box]\nwifi_name = 'n'\nwifi_password = 'long enough'\n", "line 1", "country"),
        ("[box]\nwifi_password = 'long enough'\n", "line 2", "without a network"),
        ("[box]\naddress = '192.168.1.10'\n", "line 2", "with its network"),
        ("[box]\naddress = '192.168.1.10/24'\ngateway = '192.168.2.1'\n", "line 3", "not in the network"),
        ("[box]\ngateway = '192.168.1.1'\n", "line 2", "without a fixed address"),
        ("[box]\nnmae = 'x'\n", "line 2", 'Did you mean "name"?'),
        ("[panel]\nbutton = '9'\n\n[server]\ntime_zone = 'Mars/Olympus'\n", "line 5", "time zone"),
        ("[box]\nwifi_name = 'n'\nwifi_country = 'DE'\nwifi_password = '''long\nenough'''\n", "line 4", "line of its own"),
        ("box = { name = 'x', wifi_name = 'n', wifi_country = 'DE', wifi_password = 'long enough' }\n", "line 1", "line of its own"),
        ("[box\n", "line 1", ""),
    ],
)
def test_mistakes_are_named_with_their_line(text: str, line: str, word: str) -> None:
    found = faults_of(text)
    assert any(line in fault and word in fault for fault in found), found


def test_no_fault_shows_a_password() -> None:
    found = faults_of("[box]\nwifi_name = 'n'\nwifi_country = 'D'\nwifi_password = 12345678\npassword = ['secret']\n")
    assert not any("12345678" in fault or "secret" in fault for fault in found), found


def test_passwords_are_taken_out_and_nothing_else_changes() -> None:
    text = (
        '# Ours\r\n[box]\r\nwifi_name = "a # b"\r\n'
        "wifi_password = 'p # \"q\" = x'  # keep quiet\r\nwifi_country='DE'\r\n"
        "[[relay]]\r\n  name = 'one'\r\n  host = 'smtp.one.example'\r\n  user = 'ada'\r\n  password='secret one'\r\n"
        "[[relay]]\r\n  name = 'two'\r\n  host = 'smtp.two.example'\r\n  user = 'ada'\r\n  password = \"(used)\"\r\n"
    )
    tree = parse(text.encode(), "pillarbox.toml").tree
    after = blanked(text, tree, lines_of(text))
    assert "secret one" not in after and '"q"' not in after and after.count(USED) == 3 and after.count("\r\n") == text.count("\r\n")
    expected = tomllib.loads(text)
    expected["box"]["wifi_password"] = expected["relay"][0]["password"] = USED
    assert tomllib.loads(after) == expected and after.startswith("# Ours\r\n")
    assert blanked(after, parse(after.encode(), "x").tree, lines_of(after)) == after
