"""IDLE: changes are sent as they happen (RFC 2177).

The session waits for the mailbox and for the client concurrently (`watch`): no polling, no timer but autologout. With NOTIFY it is what
the client asked to be notified of that is sent as well.
"""

from typing import TYPE_CHECKING

from ..commands.basic import nothing
from ..completion import Completion, bad, ok
from ..contract import ImapCommand, ImapExtension, ImapState
from ..watch import watched

if TYPE_CHECKING:
    from ..contract import Background, CommandSession
    from ..selected import Selected


class SelectedChanges:
    """Background of the selected mailbox."""

    def __init__(self, session: "CommandSession", selected: "Selected") -> None:
        self._session = session
        self._selected = selected

    async def wait(self) -> None:
        await self._selected.mailbox.wait(self._selected.modseq)

    async def send(self) -> None:
        await self._selected.sync(self._session, True)

    def close(self) -> None:
        """The mailbox is the session's."""


async def idle(session: "CommandSession", arguments: None, uid: bool) -> Completion:
    session.queue(b"+ Idling.\r\n")
    reader = session.connection.reader
    reader.begin_exchange()
    try:
        line = await _until_done(session)
    finally:
        reader.end_exchange()
    return ok(b"IDLE completed.") if line.upper() == b"DONE" else bad(b"IDLE ends with DONE.")


async def _until_done(session: "CommandSession") -> bytes:
    """The client's next line, while changes are sent."""
    await session.flush()
    changes: Background | None = session.background
    if changes is None and session.selected is not None:
        changes = SelectedChanges(session, session.selected)
    if changes is None:
        return await session.connection.line(session.options.idle_s)
    return await watched(session, changes, lambda: session.connection.line(session.options.idle_s))


EXTENSION = ImapExtension(
    name="IDLE",
    rfc="RFC 2177",
    capability=lambda session: (b"IDLE",),
    commands=(ImapCommand(b"IDLE", ImapState.SIGNED_IN, nothing, idle, rfc="RFC 9051 §6.3.13"),),
)
