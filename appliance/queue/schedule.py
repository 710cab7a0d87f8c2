"""When to try next, on a clock that no step of the wall clock moves.

A message waits as long again as it has waited: intervals double from `first_s` to `most_s`, each spread by a tenth, so that
messages refused together do not come back together. It is given up after it was made to wait `give_up_s` in all, by its own
intervals (`item`: `waited_s`); one that somebody cuts short counts as long as it was, and makes the next one no longer.

The queue's clock (`Ticks`) starts at the wall clock's reading, or at the newest instant on the card where that is later (a
board without a clock chip wakes in 1970), and from then on follows the monotonic clock. So what was due stays due in order;
a clock stepped 300 days forward while the server runs changes nothing, and before a start makes what waited due at once.
A due instant further away than the longest interval is a leftover of a clock that was ahead: at the start it is brought near.
"""

from collections.abc import Container
from dataclasses import dataclass
from random import Random

from appliance.mail.clock import Clock

SPREAD = 0.1


@dataclass(frozen=True, slots=True)
class Intervals:
    """In seconds. `warn_s`: after so much waiting the sender is told once that the message is late."""

    first_s: float = 300.0
    most_s: float = 4 * 3600.0
    give_up_s: float = 5 * 86_400.0
    warn_s: float = 4 * 3600.0

    def after(self, waited_s: float, random: Random) -> float:
        """How long to wait after an attempt that came when the message had waited so long."""
        plain = min(self.first_s + waited_s, self.most_s)
        return plain * random.uniform(1 - SPREAD, 1 + SPREAD)

    @property
    def longest_s(self) -> float:
        return self.most_s * (1 + SPREAD)


class Ticks:
    """The queue's clock: whole seconds that only rise while the server runs."""

    def __init__(self, clock: Clock, newest_at: int) -> None:
        """`newest_at`: the newest instant the card knows of."""
        self._clock = clock
        self._base_s = max(clock.wall_s(), float(newest_at)) - clock.mono_s()

    def now(self) -> float:
        return self._base_s + self._clock.mono_s()


class Destinations:
    """The next due instant of each destination, nothing else: what is in memory of a hundred thousand waiting messages."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, destination: str) -> bool:
        return destination in self._due

    def names(self) -> list[str]:
        return list(self._due)

    def know(self, destination: str, due: float | None) -> None:
        """`due` on the queue's clock; None: nothing waits there."""
        if due is None:
            self._due.pop(destination, None)
        else:
            self._due[destination] = due

    def sooner(self, destination: str, due: float) -> None:
        self._due[destination] = min(due, self._due.get(destination, due))

    def next(self, new_entry_out: Container[str] = ()) -> tuple[str, float] | None:
        """The destination due first, of those not left out. Linear in the destinations: a thousand of them cost 60 us."""
        free = (entry for entry in self._due.items() if entry[0] not in new_entry_out)
        return min(free, key=lambda entry: entry[1], default=None)
