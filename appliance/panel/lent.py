"""What the console is lent: pictures, Controls, options, tools; and its memory of wrong passwords."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from appliance.status.controls import Answer, Request
from appliance.status.snapshot import Snapshot

from .screens import Machine

WRONG_S = (1.0, 60.0)
"""First and longest pause after a wrong password; it doubles."""


class Pictures(Protocol):
    """The board, or whatever else knows the one picture."""

    def snapshot(self) -> Snapshot: ...

    async def changed(self, since: int) -> Snapshot: ...


class Asked(Protocol):
    """As much of the Controls port as the console uses."""

    async def ask(self, request: Request) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Options:
    """`password` False lets whoever is there change things. `lock_s`: silence after which it is asked again.

    `plain`: lines for a terminal without commands. `leaves`: q ends the console. `octets_per_s`: what the line carries.
    """

    password: bool = True
    lock_s: float = 300.0
    plain: bool = False
    utf8: bool = False
    leaves: bool = False
    octets_per_s: float = 11_520.0


@dataclass(frozen=True, slots=True)
class Tools:
    """What the console is lent beside pictures and Controls; None: not to be had here. `notice` is a line for the first screen."""

    log: Callable[[], Sequence[str]] = tuple
    machine: Callable[[], Machine] = Machine
    check_password: Callable[[str], Awaitable[bool]] | None = None
    password_known: Callable[[], Awaitable[bool]] | None = None
    shutdown: Callable[[], object] | None = None
    restart: Callable[[], object] | None = None
    notice: Callable[[], str] = str


@dataclass(slots=True)
class Doorkeeper:
    """Wrong passwords, over all dialogues of a port."""

    wrong: int = 0
    again_mono: float = 0.0

    def refuse(self, now: float) -> float:
        """One more wrong one; the pause before the next may be tried."""
        pause = min(WRONG_S[1], WRONG_S[0] * float(2**self.wrong))
        self.wrong = min(self.wrong + 1, 16)
        self.again_mono = now + pause
        return pause
