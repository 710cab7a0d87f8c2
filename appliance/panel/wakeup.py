"""A wake-up call for one task: what is set while the task is busy wakes it once, however often it was set."""

import trio


class Wakeup:
    """Set in trio's thread, waited for by one task, which looks at everything there is to do after each wait."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = trio.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()
        self._event = trio.Event()
