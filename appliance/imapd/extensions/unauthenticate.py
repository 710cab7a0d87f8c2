"""UNAUTHENTICATE: back to the state before sign-in, over the same connection (RFC 8437).

Nothing of the account is kept: the mailbox is deselected without an expunge, and what was enabled is not enabled any more. TLS and
compression are the connection's and stay. The time to sign in begins anew; failed attempts are counted on.
"""

from typing import TYPE_CHECKING

from ..commands.basic import nothing
from ..completion import Completion, ok
from ..contract import ImapCommand, ImapExtension, ImapState

if TYPE_CHECKING:
    from ..contract import CommandSession


async def unauthenticate(session: "CommandSession", arguments: None, uid: bool) -> Completion:
    session.sign_out()
    return ok(b"Signed out.", b"CAPABILITY " + session.registry.capability(session))


EXTENSION = ImapExtension(
    name="UNAUTHENTICATE",
    rfc="RFC 8437",
    capability=lambda session: (b"UNAUTHENTICATE",) if session.state in ImapState.SIGNED_IN else (),
    commands=(ImapCommand(b"UNAUTHENTICATE", ImapState.SIGNED_IN, nothing, unauthenticate, rfc="RFC 8437 §3"),),
)
