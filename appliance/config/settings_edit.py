"""Change a settings file and keep everything else of it: comments, order, blank lines.

A change is tried on the text, and the whole new text is checked as a file would be (`settings_file.parse`) before anybody writes it.
What may be changed here is every field but the names of files and serial devices, and where the server listens (`listener_trial`):
those are for whoever has the machine. Pure; tomlkit is loaded when something is changed (1.9 MB).
How it fails: SetupError for a value that cannot be what the field is; SettingsError for a text that would not be accepted.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import Field
from typing import Any

from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence

from .settings import RelaySettings, Settings, default_of, explained, sections
from .settings_file import parse

BY_HAND: tuple[tuple[str, str], ...] = (
    ("certificate", ""), ("listen", ""), ("panel", "console"), ("relay", "password_file"), ("relay", "token_file"),
)  # fmt: skip
"""Section and field ("" for all of it) that are changed in the file only."""
NAME = "pillarbox.toml"


def is_editable(section: str, field: str) -> bool:
    """May it be changed here?"""
    return (section, "") not in BY_HAND and (section, field) not in BY_HAND


def editable() -> tuple[tuple[str, Any, tuple["Field[Any]", ...]], ...]:
    """(name, dataclass, fields) of each section that may be changed here."""
    found = ((name, cls, tuple(one for one in explained(cls) if is_editable(name, one.name))) for name, cls in sections())
    return tuple(row for row in found if row[2])


def digest_of(text: str) -> str:
    """Tells whether a file is still the one somebody saw."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def typed_value(one: "Field[Any]", typed: str) -> Any:
    """The value of a field from what was typed in a form. Raises SetupError."""
    kind = type(default_of(one))
    if kind is bool:
        return typed in ("true", "on")
    if kind is int:
        plain = typed.replace(",", "").replace(" ", "")
        if not plain.lstrip("-").isdigit() or not plain.isascii() or len(plain) > 12:
            raise SetupError(Sentence("“%(typed)s” is not a whole number.", typed=typed), "Write digits only.", one.name)
        return int(plain)
    if kind is tuple:
        return tuple(filter(None, (part.strip() for part in re.split(r"\n" if one.metadata["lines"] else r"[,\n]", typed))))
    return typed


def edited(text: str, section: str, values: Mapping[str, Any]) -> str:
    """The text with these fields of a section set; a section that is not there is added at the end. Raises SettingsError."""
    import tomlkit

    if not values:
        return text
    document = tomlkit.parse(text)
    if section not in document:
        document[section] = tomlkit.table()
    table: Any = document[section]
    for key, value in values.items():
        table[key] = list(value) if isinstance(value, tuple) else value
    return _checked(tomlkit.dumps(document))


def with_relay(text: str, values: Mapping[str, Any]) -> str:
    """The text with the relay `values["name"]` as it is given: changed where it is there, else added. Raises SettingsError."""
    import tomlkit

    document = tomlkit.parse(text)
    defaults = {one.name: default_of(one) for one in explained(RelaySettings) if is_editable("relay", one.name)}
    known = {name: list(value) if isinstance(value, tuple) else value for name, value in defaults.items()}
    found: Any = next((one for one in document.get("relay", ()) if one.get("name") == values["name"]), None)
    if found is None:
        found = tomlkit.table()
        if "relay" not in document:
            document["relay"] = tomlkit.aot()
        document["relay"].append(found)
        found = document["relay"][-1]
    for key, value in values.items():
        plain = list(value) if isinstance(value, tuple) else value
        if key in known and found.get(key, known[key]) != plain:
            found[key] = plain
    return _checked(tomlkit.dumps(document))


def without_relay(text: str, name: str) -> str:
    """The text without that relay. Raises SetupError when there is none."""
    import tomlkit

    document = tomlkit.parse(text)
    relays: Any = document.get("relay", [])
    for number, one in enumerate(relays):
        if one.get("name") == name:
            del relays[number]
            if not relays:
                del document["relay"]
            return _checked(tomlkit.dumps(document))
    raise SetupError(Sentence('There is no relay "%(name)s" in the settings.', name=name), "Open the page again.")


def settings_in(text: str) -> Settings:
    """What the text sets. Raises SettingsError."""
    return parse(text.encode(), NAME)


def _checked(text: str) -> str:
    settings_in(text)
    return text
