"""UNSELECT: deselect a mailbox without expunging (RFC 3691)."""

from typing import TYPE_CHECKING

from ..commands.basic import nothing
from ..completion import Completion, ok
from ..contract import ImapCommand, ImapExtension, ImapState

if TYPE_CHECKING:
    from ..contract import CommandSession


async def unselect(session: "CommandSession", arguments: None, uid: bool) -> Completion:
    session.deselect()
    return ok(b"UNSELECT completed.")


EXTENSION = ImapExtension(
    name="UNSELECT",
    rfc="RFC 3691",
    capability=lambda session: (b"UNSELECT",),
    commands=(ImapCommand(b"UNSELECT", ImapState.SELECTED, nothing, unselect, rfc="RFC 9051 §6.4.2"),),
)
