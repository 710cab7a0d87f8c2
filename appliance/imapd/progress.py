"""Telling a client that a command still runs, and how far it is: `* OK [INPROGRESS ("tag" 454 1000)]` (RFC 9585).

The command's task waits and sends; the work runs in a task of its own and sends nothing, so no response is broken by another. Only what
concerns many messages is watched so: it costs 50 us.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import trio

from appliance.mail.errors import PillarboxError

from .steps import Progress

if TYPE_CHECKING:
    from .contract import CommandSession

T = TypeVar("T")

EVERY_S = 10.0
"""RFC 9585 §4: between 10 and 15 seconds apart."""
MANY = 2000
"""Messages with which a command may take that long on a Raspberry Pi."""


async def in_progress(session: "CommandSession", messages: int, work: Callable[[], Awaitable[T]], progress: Progress | None = None) -> T:
    """The result of `work`, which concerns so many messages, sends nothing, and may count in `progress`; raises what it raises."""
    if messages < MANY:
        return await work()
    counted = progress or Progress()
    result: list[T] = []
    trouble: list[PillarboxError] = []
    done = trio.Event()

    async def run() -> None:
        try:
            result.append(await work())
        except PillarboxError as error:
            trouble.append(error)
        done.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        while not done.is_set():
            with trio.move_on_after(EVERY_S):
                await done.wait()
            if not done.is_set():
                session.queue(b"* OK [INPROGRESS (%b %b)] %b\r\n" % (_tag(session.tag), *counted.encode()))
                try:
                    await session.flush()
                except PillarboxError as error:
                    trouble.insert(0, error)
                    nursery.cancel_scope.cancel()
                    break
    if trouble:
        raise trouble[0]
    return result[0]


def _tag(tag: bytes) -> bytes:
    """As a quoted string; NIL for one that would end the response code (RFC 9585 §4)."""
    return b"NIL" if b"]" in tag else b'"%b"' % tag.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
