"""Files below /etc that follow from the settings of the boot partition. Pure: settings in, names and texts out."""

from collections.abc import Sequence
from typing import Any

from appliance.mail.protocols import PROTOCOLS

from .box_settings import SECTION, BootSettings, BoxSettings, is_key

HEADER = "# Made from the settings on the boot partition; changes here are lost at the next start.\n"


def etc_files(boot: BootSettings, time_zone: str, consoles: Sequence[str]) -> dict[str, str]:
    """Texts by name below /etc. `consoles`: devices of the box's consoles, where the settings name none."""
    box = boot.box
    files = {"hostname": f"{box.name.lower()}\n", "pillarbox.toml": HEADER + encode_toml(server_tree(boot.tree, time_zone, consoles))}
    if box.wifi_name:
        files["wpa_supplicant/pillarbox.conf"] = wifi(box)
    if box.address:
        files["systemd/network/10-pillarbox.network"] = fixed_address(box)
    if box.shell:
        files["pillarbox-shell"] = HEADER
    return files


def server_tree(tree: dict[str, Any], time_zone: str, consoles: Sequence[str]) -> dict[str, Any]:
    """The server's settings: what the file says, and what a box needs beyond the defaults of a server that is tried out."""
    made = {name: dict(value) if isinstance(value, dict) else value for name, value in tree.items() if name != SECTION}
    listen = {row.name: f"*:{row.port}" for row in PROTOCOLS}
    made["listen"] = {**listen, **made.get("listen", {})}
    if consoles:
        made["panel"] = {"console": list(consoles), **made.get("panel", {})}
    if time_zone:
        made["server"] = {"time_zone": time_zone, **made.get("server", {})}
    return made


def wifi(box: BoxSettings) -> str:
    """The file of wpa_supplicant(8). WPA3 where the network has it, WPA2 otherwise."""
    password = box.wifi_password
    rows = [f"country={box.wifi_country.upper()}", "", "network={", f"\tssid={box.wifi_name.encode().hex()}"]
    if box.wifi_hidden:
        rows.append("\tscan_ssid=1")
    if not password:
        rows.append("\tkey_mgmt=NONE")
    elif is_key(password):
        rows += ["\tkey_mgmt=WPA-PSK", f"\tpsk={password.lower()}"]
    else:
        # The text ends at the last quote of the line, so quotes within need no escape.
        rows += ["\tkey_mgmt=WPA-PSK SAE", "\tieee80211w=1", f'\tpsk="{password}"']
    return HEADER + "\n".join([*rows, "}", ""])


def fixed_address(box: BoxSettings) -> str:
    """The file of systemd.network(5): the Wi-Fi's address where there is one, else the cable's."""
    servers = box.name_servers or ((box.gateway,) if box.gateway else ())
    rows = ["[Match]", "Type=wlan" if box.wifi_name else "Type=ether", "", "[Network]", f"Address={box.address}"]
    rows += [f"Gateway={box.gateway}"] if box.gateway else []
    rows += [f"DNS={one}" for one in servers]
    return HEADER + "\n".join([*rows, "IPv6AcceptRA=yes", "IPv6PrivacyExtensions=no", ""])


def encode_toml(tree: dict[str, Any]) -> str:
    """A tree of settings as TOML: tables of texts, numbers, truth values and lists of texts, and lists of such tables."""
    out = []
    for name, value in tree.items():
        for table in value if isinstance(value, list) else [value]:
            out.append(f"[[{name}]]" if isinstance(value, list) else f"[{name}]")
            out += [f"{key} = {_encode_value(one)}" for key, one in table.items()]
            out.append("")
    return "\n".join(out)


def _encode_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_encode_value, value)) + "]"
    return '"' + "".join(_encode_character(one) for one in value) + '"'


def _encode_character(one: str) -> str:
    return f"\\{one}" if one in '"\\' else f"\\u{ord(one):04X}" if one < " " or one == "\x7f" else one
