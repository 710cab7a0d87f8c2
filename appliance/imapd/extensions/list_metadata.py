"""LIST-METADATA: METADATA of each listed mailbox (RFC 9590)."""

from typing import TYPE_CHECKING

from appliance.mail.errors import StoreError, Trouble

from ..contract import ImapExtension, ListReturn
from .metadata import Wanted, metadata_response, parse_entries, selected_values

if TYPE_CHECKING:
    from appliance.protocol.imap.tokens import Tokens
    from appliance.store.values import MailboxInfo

    from ..contract import CommandSession


def parse(tokens: "Tokens") -> tuple[str, ...]:
    """`METADATA SP "(" entries ")"`."""
    tokens.space()
    return parse_entries(tokens)


async def send(session: "CommandSession", info: "MailboxInfo", entries: tuple[str, ...]) -> None:
    if "r" not in info.rights:
        return
    try:
        values = await session.mailboxes.metadata(info.name)
    except StoreError as error:
        if error.trouble in (Trouble.NO_MAILBOX, Trouble.NO_RIGHT):
            return  # gone since the list was read
        raise
    await session.send(metadata_response(session, info.name, selected_values(values, Wanted(info.name, entries))))


EXTENSION = ImapExtension(
    name="LIST-METADATA",
    rfc="RFC 9590",
    capability=lambda session: (b"LIST-METADATA",),
    list_returns=(ListReturn(b"METADATA", send, parse),),
)
