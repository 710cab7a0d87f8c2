"""Sending changes while the client sends nothing: IDLE (RFC 2177), and NOTIFY between commands (RFC 5465).

One task waits for changes and sends them, the session's own waits for the client. `stop` takes effect only while the first one waits,
never within a response. A fault of either ends the session as it would elsewhere.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import trio

from appliance.mail.errors import PillarboxError, StoreError

from .errors import SessionOver, answer_of

if TYPE_CHECKING:
    from .contract import Background, CommandSession

T = TypeVar("T")


class _Watch:
    __slots__ = ("_changes", "_session", "_stopped", "_waiting", "client_scope", "trouble")

    def __init__(self, session: "CommandSession", changes: "Background") -> None:
        self._session = session
        self._changes = changes
        self._stopped = False
        self._waiting: trio.CancelScope | None = None
        self.client_scope = trio.CancelScope()
        """Around waiting for the client; cancelled when sending failed."""
        self.trouble: PillarboxError | None = None

    async def run(self) -> None:
        try:
            while not self._stopped:
                with trio.CancelScope() as self._waiting:
                    await self._changes.wait()
                if not self._stopped:
                    await self._changes.send()
                    await self._session.flush()
        except StoreError as error:
            self._fail(SessionOver(b"UNAVAILABLE", answer_of(error).text))
        except PillarboxError as error:
            self._fail(error)

    def _fail(self, trouble: PillarboxError) -> None:
        self.trouble = trouble
        self.client_scope.cancel()

    def stop(self) -> None:
        self._stopped = True
        if self._waiting is not None:
            self._waiting.cancel()


async def watched(session: "CommandSession", changes: "Background", client: Callable[[], Awaitable[T]]) -> T:
    """The result of `client`, which waits for the client, while changes are sent. Raises what either raises."""
    await session.flush()
    watch = _Watch(session, changes)
    results: list[T] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.run)
        with watch.client_scope:
            try:
                results.append(await client())
            except PillarboxError as trouble:
                watch.trouble = trouble
        watch.stop()
    if watch.trouble is not None:
        raise watch.trouble
    return results[0]
