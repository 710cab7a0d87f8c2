"""LIST-MYRIGHTS: MYRIGHTS of each listed mailbox (RFC 8440)."""

from typing import TYPE_CHECKING

from ..contract import ImapExtension, ListReturn
from .acl import my_rights

if TYPE_CHECKING:
    from appliance.store.values import MailboxInfo

    from ..contract import CommandSession


async def send(session: "CommandSession", info: "MailboxInfo", value: None) -> None:
    await session.send(my_rights(session, info.name, info.rights))


EXTENSION = ImapExtension(
    name="LIST-MYRIGHTS",
    rfc="RFC 8440",
    capability=lambda session: (b"LIST-MYRIGHTS",),
    list_returns=(ListReturn(b"MYRIGHTS", send),),
)
