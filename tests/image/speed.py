"""The step that compares how fast the box and the distribution alone start on the same machine."""

import os
from dataclasses import dataclass

from . import plain
from .bench import Bench
from .mail import wait_account

LARGEST_RATIO = 1.3


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds until the first greeting or the login: by the clock, and of the processors."""

    wall_s: float
    cpu_s: float

    def __str__(self) -> str:
        return f"{self.wall_s:.0f} s ({self.cpu_s:.0f} s of processors)"

    def ratio(self, other: "Start") -> float:
        """Of processor time, which what else runs on this machine changes least; the wall clock's is printed."""
        return self.cpu_s / other.cpu_s


def starts(bench: Bench) -> str:
    """First and later start, the box and the distribution in turn; the same machine, kernel and size of memory."""
    card = bench.card()
    image = bench.work / "plain.img"
    plain.make(image)
    distribution = plain.PlainCard(image, card)
    found: list[tuple[Start, Start]] = []
    for _ in range(2):
        with bench.start(card) as machine:
            bench.greeting(machine)
            ours = Start(machine.age_s(), machine.cpu_s())
            wait_account(machine)
            bench.switch_off(machine)
        with bench.start(distribution) as machine:
            machine.wait_console(plain.LOGIN, 400 * bench.slowness)
            theirs = Start(machine.age_s(), machine.cpu_s())
            machine.wait_shell(400 * bench.slowness)
            bench.switch_off(machine)
        found.append((ours, theirs))
    told = f"load {os.getloadavg()[0]:.1f}"
    for which, (ours, theirs) in zip(("first", "later"), found, strict=True):
        told += f"; {which} start: greeting after {ours}, the distribution's login after {theirs}, "
        told += f"ratio {ours.ratio(theirs):.2f} ({ours.wall_s / theirs.wall_s:.2f} by the clock)"
    assert all(ours.ratio(theirs) <= LARGEST_RATIO for ours, theirs in found), told
    return told
