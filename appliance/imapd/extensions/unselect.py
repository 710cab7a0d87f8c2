"""UNSELECT: deselect a mailbox without expunging (RFC 3691)."""

from typing import TYPE_CHECKING

from ..commands.basic import nothing
from ..completion import Completion, ok
from ..contract import Command, Extension, State

if TYPE_CHECKING:
    from ..contract import Session


async def unselect(session: "Session", arguments: None, uid: bool) -> Completion:
    session.deselect()
    return ok(b"UNSELECT completed.")


EXTENSION = Extension(
    name="UNSELECT",
    rfc="RFC 3691",
    capability=lambda session: (b"UNSELECT",),
    commands=(Command(b"UNSELECT", State.SELECTED, nothing, unselect, rfc="RFC 9051 §6.4.2"),),
)
