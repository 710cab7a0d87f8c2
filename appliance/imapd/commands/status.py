"""STATUS, and STATUS in LIST's responses (RFC 9051 §6.3.11, RFC 5819)."""

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from appliance.mail.errors import MisuseError
from appliance.protocol.imap import encode

from ..completion import Completion, no, ok
from ..contract import ImapCommand, ImapState, StatusItem
from .mailboxes import read_name

if TYPE_CHECKING:
    from appliance.protocol.imap.tokens import Tokens
    from appliance.store.values import MailboxInfo

    from ..contract import CommandSession

STATUS_ITEMS: tuple[StatusItem, ...] = (
    StatusItem(b"MESSAGES", lambda session, info: info.messages),
    StatusItem(b"RECENT", lambda session, info: info.recent),
    StatusItem(b"UIDNEXT", lambda session, info: info.uid_next),
    StatusItem(b"UIDVALIDITY", lambda session, info: info.uid_validity),
    StatusItem(b"UNSEEN", lambda session, info: info.unseen),
    StatusItem(b"DELETED", lambda session, info: info.deleted),
)
"""Those of the base protocol; extensions add SIZE, APPENDLIMIT, HIGHESTMODSEQ."""


def read_items(tokens: "Tokens") -> list[bytes]:
    """Each once, however often it is named: some are counted anew from every message (DELETED-STORAGE)."""
    items = list(dict.fromkeys(tokens.list_of(tokens.keyword)))
    if not items:
        raise MisuseError("STATUS needs at least one item.")
    return items


def read_status(tokens: "Tokens") -> tuple[str, list[bytes]]:
    name = read_name(tokens)
    tokens.space()
    return name, read_items(tokens)


async def find_items(session: "CommandSession", names: list[bytes]) -> list[StatusItem]:
    """The items of these names; requesting one may enable its extension. Raises MisuseError."""
    found = []
    for name in names:
        item = session.registry.status_items.get(name)
        if item is None:
            raise MisuseError("No such STATUS item.")
        found.append(item)
    for item in found:
        if item.enables:
            await session.enable(item.enables)
    return found


async def status_line(session: "CommandSession", info: "MailboxInfo", items: list[StatusItem]) -> bytes:
    values = encode.listed([item.name + b" " + await _encoded(item.value(session, info)) for item in items])
    return b"* STATUS " + encode.mailbox(info.name, session.utf8) + b" " + values + b"\r\n"


async def _encoded(value: int | bytes | Awaitable[int]) -> bytes:
    if isinstance(value, bytes):
        return value
    return b"%d" % (value if isinstance(value, int) else await value)


async def status(session: "CommandSession", arguments: tuple[str, list[bytes]], uid: bool) -> Completion:
    name, names = arguments
    items = await find_items(session, names)
    info = await session.mailboxes.find(name)
    if not info.selectable:
        return no(b"The name holds no messages.", b"NONEXISTENT")
    session.queue(await status_line(session, info, items))
    return ok(b"STATUS completed.")


COMMANDS = (ImapCommand(b"STATUS", ImapState.SIGNED_IN, read_status, status, rfc="RFC 9051 §6.3.11"),)
