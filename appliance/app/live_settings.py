"""Settings that take effect as soon as an administrator changes them: those of AT_ONCE.

| settings                                   | who is told                        | holds for                                   |
|--------------------------------------------|------------------------------------|---------------------------------------------|
| messages, smtp, pop3                       | the services, with new options     | sessions that begin from now on             |
| messages                                   | the submitter of JMAP              | the next message                            |
| accounts: the quota                        | nobody: it is looked up            | the next message                            |
| accounts: what may be sent in an hour, day | `SendQuota`, which counts anew     | the next message                            |
| limits: connections of an address          | the listeners                      | the next connection                         |
| sending: sessions, times, history          | queue and runner                   | the next attempt                            |

All others hold from the next start on. What the command line says instead of the file is never one of these.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from appliance.config import settings_edit
from appliance.config.settings import Settings
from appliance.config.settings_file import SettingsError

from .components import Components

AT_ONCE = {
    "messages": ("largest_mb", "recipients", "forged_own_sender", "others_as_sender"),
    "smtp": ("sign_in_on_25", "greet_pause_s"),
    "accounts": ("quota_mb", "messages_per_hour", "recipients_per_day"),
    "pop3": ("mark_seen",),
    "limits": ("connections_per_address",),
    "sending": (
        "sessions", "sessions_per_domain", "retry_first_s", "retry_most_s", "give_up_s", "delay_notification_s", "history_days",
        "history_entries",
    ),
}  # fmt: skip
"""Sections and their fields."""


class LiveSettings:
    """`settings` of the components, kept up to date; `appliers` are called after each change. `file`: the settings, as they are in use."""

    def __init__(self, components: Components, file: Path, *appliers: Callable[[], None]) -> None:
        self._components = components
        try:
            self._text = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError):
            self._text = ""
        self._appliers = appliers

    @cached_property
    def _in_use(self) -> Settings:
        """What of the file is in use; parsed when it is first asked for."""
        try:
            return settings_edit.settings_in(self._text)
        except SettingsError:  # changed by hand since the start
            return Settings()

    def waiting(self, in_file: Settings) -> bool:
        """Whether something of the settings file is not in use before the next start."""
        return in_file != self._in_use

    def apply(self, in_file: Settings) -> None:
        """The file was changed to this: what can take effect does."""
        self._in_use = _with_live(self._in_use, in_file)
        self._components.settings = _with_live(self._components.settings, in_file)
        for applier in self._appliers:
            applier()


def _with_live(settings: Settings, changed: Settings) -> Settings:
    """`settings`, with the fields of AT_ONCE from `changed`."""
    found: dict[str, Any] = {}
    for name, fields in AT_ONCE.items():
        new = getattr(changed, name)
        found[name] = replace(getattr(settings, name), **{field: getattr(new, field) for field in fields})
    return replace(settings, **found)
