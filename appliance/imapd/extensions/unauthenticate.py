"""UNAUTHENTICATE: back to the state before sign-in, over the same connection (RFC 8437).

Nothing of the account is kept: the mailbox is deselected without an expunge, and what was enabled is not enabled any more. TLS and
compression are the connection's and stay. The time to sign in begins anew; failed attempts are counted on.
"""

from typing import TYPE_CHECKING

from ..commands.basic import nothing
from ..completion import Completion, ok
from ..contract import Command, Extension, State

if TYPE_CHECKING:
    from ..contract import Session


async def unauthenticate(session: "Session", arguments: None, uid: bool) -> Completion:
    session.sign_out()
    return ok(b"Signed out.", b"CAPABILITY " + session.registry.capability(session))


EXTENSION = Extension(
    name="UNAUTHENTICATE",
    rfc="RFC 8437",
    capability=lambda session: (b"UNAUTHENTICATE",) if session.state in State.SIGNED_IN else (),
    commands=(Command(b"UNAUTHENTICATE", State.SIGNED_IN, nothing, unauthenticate, rfc="RFC 8437 §3"),),
)
