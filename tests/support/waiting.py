"""Waiting on real time for what another task or thread is about to do: as long as a busy machine needs, no longer."""

from collections.abc import Callable

import trio

WITHIN_S = 20.0
LOOK_S = 0.002


async def until(true: Callable[[], object], within_s: float = WITHIN_S) -> None:
    """Return as soon as `true()` holds. For what has no event of its own; trio.TooSlowError after `within_s`."""
    with trio.fail_after(within_s):
        while not true():  # noqa: ASYNC110
            await trio.sleep(LOOK_S)
