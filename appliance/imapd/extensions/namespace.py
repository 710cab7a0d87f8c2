"""NAMESPACE: all mailboxes are in the personal namespace (RFC 2342)."""

from typing import TYPE_CHECKING

from ..commands.basic import nothing
from ..completion import Completion, ok
from ..contract import Command, Extension, State

if TYPE_CHECKING:
    from ..contract import Session


async def namespace(session: "Session", arguments: None, uid: bool) -> Completion:
    session.queue(b'* NAMESPACE (("" "/")) NIL NIL\r\n')
    return ok(b"NAMESPACE completed.")


EXTENSION = Extension(
    name="NAMESPACE",
    rfc="RFC 2342",
    capability=lambda session: (b"NAMESPACE",),
    commands=(Command(b"NAMESPACE", State.SIGNED_IN, nothing, namespace, rfc="RFC 9051 §6.3.10"),),
)
