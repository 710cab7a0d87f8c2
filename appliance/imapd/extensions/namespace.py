"""NAMESPACE: all mailboxes are in the personal namespace (RFC 2342)."""

from typing import TYPE_CHECKING

from ..commands.basic import nothing
from ..completion import Completion, ok
from ..contract import ImapCommand, ImapExtension, ImapState

if TYPE_CHECKING:
    from ..contract import CommandSession


async def namespace(session: "CommandSession", arguments: None, uid: bool) -> Completion:
    session.queue(b'* NAMESPACE (("" "/")) NIL NIL\r\n')
    return ok(b"NAMESPACE completed.")


EXTENSION = ImapExtension(
    name="NAMESPACE",
    rfc="RFC 2342",
    capability=lambda session: (b"NAMESPACE",),
    commands=(ImapCommand(b"NAMESPACE", ImapState.SIGNED_IN, nothing, namespace, rfc="RFC 9051 §6.3.10"),),
)
