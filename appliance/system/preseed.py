"""rpi-preseed.toml, which Raspberry Pi Imager (2.0.11 and later) writes: what of it the box takes on, and what it tells instead.

| table                              | what happens                                                                  |
|------------------------------------|-------------------------------------------------------------------------------|
| system.hostname, wlan, locale.timezone, ethernet | taken on, where pillarbox.toml does not say otherwise           |
| user                               | told: the box has no such users, and a password's hash signs in to no mail    |
| ssh, locale.keymap, all others     | told: there is no SSH server, and nothing else to be set                      |

A file that cannot be read, and a value that cannot be used, is told and left out; it never stops the others.
"""

from dataclasses import replace
from typing import Any

from appliance.config.settings_lines import lines_of

from .box_settings import USED, BoxSettings, blanked_line, box_faults, is_time_zone

NAME = "rpi-preseed.toml"
LARGEST_OCTETS = 1 << 16
SECRETS = (("wlan", "password"), ("user", "password"), ("connect", "token"))
NO_PROGRAM = "is not used: the box is a mail server only"
TOLD = (
    ("user", "The user of Raspberry Pi Imager is not used: accounts are made with the setup code, or by [box] in pillarbox.toml. "
        "Its password is stored there as a hash, which mail programs cannot sign in with."),
    ("ssh", "SSH is not used: the box has no SSH server. The serial console and `shell` in pillarbox.toml are there instead."),
    ("connect", f"Raspberry Pi Connect {NO_PROGRAM}."),
    ("packages", f"The list of packages {NO_PROGRAM}."),
    ("runcmd", f"The list of commands {NO_PROGRAM}."),
    ("interfaces", "The list of interfaces is not used: pins are named in [panel] of pillarbox.toml."),
    ("mounts", f"The list of mounts {NO_PROGRAM}."),
)  # fmt: skip
"""(table, what is told of it)."""


def read(raw: bytes) -> tuple[dict[str, Any], str, list[str]]:
    """(values of [box], time zone or "", sentences to tell)."""
    import tomllib

    try:
        tree = tomllib.loads(raw[: LARGEST_OCTETS + 1].decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError):
        return {}, "", [f"{NAME} is damaged and was not used. Write its settings into pillarbox.toml."]
    told = [sentence for table, sentence in TOLD if table in tree]
    values = {**_system(_table(tree, "system")), **_wlan(_table(tree, "wlan")), **_ethernet(_table(tree, "ethernet"))}
    locale = _table(tree, "locale")
    if any(key.startswith("keymap") for key in locale):
        told.append("The keyboard is not used: the box's screens need no other characters than those of every keyboard.")
    zone = _text(locale, "timezone")
    if zone and not is_time_zone(zone):
        told.append(f'{NAME}: there is no time zone "{zone}".')
        zone = ""
    good, faults = _without_faults(values)
    return good, zone, [*told, *faults]


def secret_lines(raw: bytes) -> str:
    """The file's text with USED in place of its passwords, where each stands on a line of its own; "" when nothing changes."""
    import tomllib

    try:
        text = raw.decode("utf-8-sig")
        tree, lines = tomllib.loads(text), lines_of(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError):
        return ""
    rows = text.splitlines(keepends=True)
    for table, key in SECRETS:
        value = _text(_table(tree, table), key)
        if value and value != USED:
            row = rows[lines[table, key] - 1]
            bare = row.rstrip("\r\n")
            rows[lines[table, key] - 1] = (blanked_line(bare, key) or bare) + row[len(bare) :]
    changed = "".join(rows)
    return changed if changed != text else ""


def _system(table: dict[str, Any]) -> dict[str, Any]:
    return {"name": _text(table, "hostname")} if _text(table, "hostname") else {}


def _wlan(table: dict[str, Any]) -> dict[str, Any]:
    name = _text(table, "ssid")
    if not name:
        return {}
    return {
        "wifi_name": name,
        "wifi_password": _text(table, "password"),
        "wifi_country": _text(table, "country").upper(),
        "wifi_hidden": table.get("hidden") is True,
    }


def _ethernet(table: dict[str, Any]) -> dict[str, Any]:
    if _text(table, "method") != "static":
        return {}
    servers = table.get("dns")
    names = tuple(one for one in servers if isinstance(one, str)) if isinstance(servers, list) else ()
    return {"address": _text(table, "address"), "gateway": _text(table, "gateway"), "name_servers": names}


def _without_faults(values: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The values without those that are wrong, and a sentence for each of these."""
    told: list[str] = []
    while faults := list(box_faults(replace(BoxSettings(), **values))):
        key, problem, remedy = faults[0]
        told.append(f"{NAME}: the setting that is [box] {key} in pillarbox.toml {problem} {remedy}")
        prefix = key.split("_")[0]
        group = tuple(one for one in values if one.startswith("wifi")) if prefix == "wifi" else STATIC if key in STATIC else (key,)
        others = [one for one in values if one in group]
        if not others:
            break
        values = {one: value for one, value in values.items() if one not in others}
    return values, told


STATIC = ("address", "gateway", "name_servers")
"""What belongs to a fixed address."""


def _table(tree: dict[str, Any], name: str) -> dict[str, Any]:
    found = tree.get(name)
    return found if isinstance(found, dict) else {}


def _text(table: dict[str, Any], key: str) -> str:
    value = table.get(key, "")
    return value.strip("\r\n") if isinstance(value, str) else ""
