"""Long computations of a command, run in steps with other sessions between them, and how far they are."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeVar

import trio

T = TypeVar("T")


@dataclass(slots=True)
class Progress:
    """How far a command is, in messages; `goal` 0: nobody knows how many there will be (RFC 9585 §4)."""

    done: int = 0
    goal: int = 0

    def encode(self) -> tuple[bytes, bytes]:
        """Its numbers in the response code, and a sentence. The goal is left out where it is reached: the command goes on."""
        if self.goal > self.done:
            return b"%d %d" % (self.done, self.goal), b"%d%% of the messages are done." % (100 * self.done // self.goal)
        return (b"%d NIL" % self.done if self.done else b"NIL NIL"), b"Still at work."


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
