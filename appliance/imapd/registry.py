"""The tables of commands and extensions, folded into look-ups by name; CAPABILITY computed from them.

Built once by the service and shared by all sessions, never changed afterwards. Two contributions of one name are a
mistake in the tables: building the registry raises ValueError, so the server does not start with one of them hidden.
"""

from collections.abc import Iterable
from typing import Any

from .contract import Command, Extension, SelectParameter, Session, StatusItem


class Registry:
    """Look-ups by upper-case name; `uid_commands` hold what follows `UID`."""

    __slots__ = ("commands", "enable", "extensions", "fetch_items", "search_keys", "select_parameters", "status_items",
                 "streamed", "uid_commands")  # fmt: skip

    def __init__(self, core: Iterable[Command], extensions: Iterable[Extension]) -> None:
        self.extensions = tuple(extensions)
        every = (*core, *(command for extension in self.extensions for command in extension.commands))
        self.commands: dict[bytes, Command] = _by_name(every)
        self.uid_commands = {name: command for name, command in self.commands.items() if command.uid_form}
        self.streamed = frozenset(name for name, command in self.commands.items() if command.streamed)
        self.status_items: dict[bytes, StatusItem] = _by_name(item for e in self.extensions for item in e.status_items)
        self.select_parameters: dict[bytes, SelectParameter] = _by_name(p for e in self.extensions for p in e.select_parameters)
        self.fetch_items: dict[bytes, Any] = _by_name(item for e in self.extensions for item in e.fetch_items)
        self.search_keys: dict[bytes, Any] = _by_name(key for e in self.extensions for key in e.search_keys)
        self.enable = frozenset(word for e in self.extensions for word in e.enable)

    def capability(self, session: Session) -> bytes:
        """The words of CAPABILITY as of now, IMAP4rev1 first (RFC 9051 §7.2.2)."""
        words = [b"IMAP4rev1"]
        for extension in self.extensions:
            words += extension.capability(session)
        return b" ".join(words)


def _by_name(contributions: Iterable[Any]) -> dict[bytes, Any]:
    found: dict[bytes, Any] = {}
    for contribution in contributions:
        if contribution.name in found:
            raise ValueError(f"{contribution.name.decode()} is contributed twice to IMAP's tables")
        found[contribution.name] = contribution
    return found
