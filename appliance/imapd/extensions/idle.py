"""IDLE: changes are sent as they happen (RFC 2177).

The session waits for the mailbox and for the client concurrently: no polling, no timer but autologout.
"""

from typing import TYPE_CHECKING

import trio

from appliance.mail.errors import PillarboxError, StoreError

from ..commands.basic import nothing
from ..completion import Completion, bad, ok
from ..contract import Command, Extension, State
from ..errors import SessionOver, answer_of

if TYPE_CHECKING:
    from ..contract import Session
    from ..selected import Selected


async def idle(session: "Session", arguments: None, uid: bool) -> Completion:
    session.queue(b"+ Idling.\r\n")
    reader = session.connection.reader
    reader.begin_exchange()
    try:
        line = await _until_done(session)
    finally:
        reader.end_exchange()
    return ok(b"IDLE completed.") if line.upper() == b"DONE" else bad(b"IDLE ends with DONE.")


async def _until_done(session: "Session") -> bytes:
    """The client's next line, while changes of the selected mailbox are sent."""
    await session.flush()
    if session.selected is None:
        return await session.connection.line(session.options.idle_s)
    watch = _Watch(session, session.selected)
    line = b""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.run)
        with watch.line_scope:
            try:
                line = await session.connection.line(session.options.idle_s)
            except PillarboxError as trouble:
                watch.trouble = trouble
        watch.stop()
    if watch.trouble is not None:
        raise watch.trouble
    return line


class _Watch:
    """Sends changes until it is stopped; `stop` takes effect only while it waits, never within a response."""

    __slots__ = ("_selected", "_session", "_stopped", "_waiting", "line_scope", "trouble")

    def __init__(self, session: "Session", selected: "Selected") -> None:
        self._session = session
        self._selected = selected
        self._stopped = False
        self._waiting: trio.CancelScope | None = None
        self.line_scope = trio.CancelScope()
        """Around reading the client's line; cancelled when sending failed."""
        self.trouble: PillarboxError | None = None

    async def run(self) -> None:
        try:
            while not self._stopped:
                with trio.CancelScope() as self._waiting:
                    await self._selected.mailbox.wait(self._selected.modseq)
                if not self._stopped:
                    await self._selected.sync(self._session, True)
                    await self._session.flush()
        except StoreError as error:
            self._fail(SessionOver(b"UNAVAILABLE", answer_of(error).text))
        except PillarboxError as error:
            self._fail(error)

    def _fail(self, trouble: PillarboxError) -> None:
        self.trouble = trouble
        self.line_scope.cancel()

    def stop(self) -> None:
        self._stopped = True
        if self._waiting is not None:
            self._waiting.cancel()


EXTENSION = Extension(
    name="IDLE",
    rfc="RFC 2177",
    capability=lambda session: (b"IDLE",),
    commands=(Command(b"IDLE", State.SIGNED_IN, nothing, idle, rfc="RFC 9051 §6.3.13"),),
)
