"""NAMESPACE: the account's own mailboxes, and below `Shared/` those that other users share with it (RFC 2342 §5; `acl`)."""

from typing import TYPE_CHECKING

from appliance.store.sharing import PREFIX

from ..commands.basic import nothing
from ..completion import Completion, ok
from ..contract import ImapCommand, ImapExtension, ImapState

if TYPE_CHECKING:
    from ..contract import CommandSession


async def namespace(session: "CommandSession", arguments: None, uid: bool) -> Completion:
    session.queue(b'* NAMESPACE (("" "/")) (("%b" "/")) NIL\r\n' % PREFIX.encode())
    return ok(b"NAMESPACE completed.")


EXTENSION = ImapExtension(
    name="NAMESPACE",
    rfc="RFC 2342",
    capability=lambda session: (b"NAMESPACE",),
    commands=(ImapCommand(b"NAMESPACE", ImapState.SIGNED_IN, nothing, namespace, rfc="RFC 9051 §6.3.10"),),
)
