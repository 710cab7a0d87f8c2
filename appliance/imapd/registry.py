"""The contributions of the core and of the extensions, folded into look-ups by name; CAPABILITY computed from them.

Built once by the service and shared by all sessions, never changed afterwards. Two contributions of one name, and an implication of a
word that nobody contributes, are mistakes in the tables: building the registry raises ValueError, so the server does not start.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from appliance.protocol.imap.search import SearchKey

from .body_items import BodyItem
from .contract import (
    AppendData,
    CommandSession,
    Enabling,
    FetchModifier,
    ImapCommand,
    ImapExtension,
    ListReturn,
    SearchReturn,
    SearchReturnData,
    SelectParameter,
    SortKey,
    StatusItem,
    StoreModifier,
)
from .row_items import RowItem

if TYPE_CHECKING:
    from appliance.store.values import MailboxInfo

KINDS = ("commands", "enable", "fetch_items", "fetch_modifiers", "store_modifiers", "search_keys", "search_returns", "search_data",
         "append_data", "list_returns", "sort_keys", "status_items", "select_parameters")  # fmt: skip
"""Fields of an Extension whose entries have a name."""


class Registry:
    """Look-ups by upper-case name, `contract.Tables`; `uid_commands` hold what follows `UID`."""

    __slots__ = (*KINDS, "after_select", "created_code", "extensions", "response_codes", "streamed", "uid_commands")

    def __init__(self, extensions: Iterable[ImapExtension]) -> None:
        """`extensions` in the order of CAPABILITY, the core first."""
        self.extensions = tuple(extensions)
        every = {kind: _by_name(entry for extension in self.extensions for entry in getattr(extension, kind)) for kind in KINDS}
        self.commands: dict[bytes, ImapCommand] = every["commands"]
        self.enable: dict[bytes, Enabling] = every["enable"]
        self.fetch_items: dict[bytes, RowItem | BodyItem] = every["fetch_items"]
        self.fetch_modifiers: dict[bytes, FetchModifier] = every["fetch_modifiers"]
        self.store_modifiers: dict[bytes, StoreModifier] = every["store_modifiers"]
        self.search_keys: dict[bytes, SearchKey] = every["search_keys"]
        self.search_returns: dict[bytes, SearchReturn] = every["search_returns"]
        self.search_data: dict[bytes, SearchReturnData] = every["search_data"]
        self.sort_keys: dict[bytes, SortKey] = every["sort_keys"]
        self.append_data: dict[bytes, AppendData] = every["append_data"]
        self.list_returns: dict[bytes, ListReturn] = every["list_returns"]
        self.status_items: dict[bytes, StatusItem] = every["status_items"]
        self.select_parameters: dict[bytes, SelectParameter] = every["select_parameters"]
        self.uid_commands = {name: command for name, command in self.commands.items() if command.uid_form}
        self.streamed = {name: command.streamed for name, command in self.commands.items() if command.streamed}
        self.after_select = tuple(extension.after_select for extension in self.extensions if extension.after_select is not None)
        self.created_code = next((one.created_code for one in self.extensions if one.created_code is not None), _no_code)
        self.response_codes = frozenset(code for extension in self.extensions for code in extension.response_codes)
        for enabling in self.enable.values():
            for word in enabling.implies:
                if word not in self.enable:
                    raise ValueError(f"{enabling.name.decode()} implies {word.decode()}, which no extension contributes")

    def capability(self, session: CommandSession) -> bytes:
        """The words of CAPABILITY as of now, IMAP4rev1 first (RFC 9051 §7.2.2)."""
        return b" ".join(word for extension in self.extensions for word in extension.capability(session))


def _no_code(info: "MailboxInfo") -> bytes:
    return b""


def _by_name(contributions: Iterable[Any]) -> dict[bytes, Any]:
    found: dict[bytes, Any] = {}
    for contribution in contributions:
        if contribution.name in found:
            raise ValueError(f"{contribution.name.decode()} is contributed twice to IMAP's tables")
        found[contribution.name] = contribution
    return found
