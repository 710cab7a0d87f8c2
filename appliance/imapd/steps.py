"""Long computations of a command, run in steps with other sessions between them."""

from collections.abc import Generator
from typing import TypeVar

import trio

T = TypeVar("T")


async def in_steps(steps: "Generator[None, None, T]") -> T:
    """The generator's return value; a checkpoint at each of its yields. Cancelled there, it is closed."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        try:
            await trio.lowlevel.checkpoint()
        except BaseException:
            steps.close()
            raise
