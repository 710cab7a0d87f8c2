"""Retry schedule: when a message is tried next, on a clock that no step of the wall clock moves.

The interval before a retry is as long as the message has waited so far: intervals double from `first_s` to `most_s`, each
randomized by a tenth, so that messages deferred together do not come due together. A message expires once its own intervals add
up to `give_up_s` (`entry`: `waited_s`). An interval cut short by `retry` or `flush` counts as long as it really was, and does not
lengthen the next one.

The queue's clock (`QueueClock`) starts at the wall clock's reading, or at the newest instant in the history where that is later (a
board without a clock chip starts in 1970), and from then on follows the monotonic clock. So what was due stays due in order: a
clock stepped 300 days forward while the server runs changes nothing; stepped before the start, it makes everything due at once.
A due instant further away than the longest interval was written by a clock that was ahead: it is brought near at the start.
"""

from collections.abc import Container
from dataclasses import dataclass
from random import Random

from appliance.mail.clock import Clock

SPREAD = 0.1


@dataclass(frozen=True, slots=True)
class Intervals:
    """In seconds. `warn_s`: a message that has waited so long gets one delay DSN."""

    first_s: float = 300.0
    most_s: float = 4 * 3600.0
    give_up_s: float = 5 * 86_400.0
    warn_s: float = 4 * 3600.0

    def after(self, waited_s: float, random: Random) -> float:
        """The interval after an attempt made when the message had waited `waited_s` in all."""
        plain = min(self.first_s + waited_s, self.most_s)
        return plain * random.uniform(1 - SPREAD, 1 + SPREAD)

    @property
    def longest_s(self) -> float:
        return self.most_s * (1 + SPREAD)


class QueueClock:
    """The queue's clock: whole seconds that only rise while the server runs."""

    def __init__(self, clock: Clock, newest_at: int) -> None:
        """`newest_at`: the newest instant in the history, UTC seconds; 0 for none."""
        self._clock = clock
        self._base_s = max(clock.wall_s(), float(newest_at)) - clock.mono_s()

    def now(self) -> float:
        return self._base_s + self._clock.mono_s()


class Destinations:
    """The next due instant of each destination: all that is in memory of a hundred thousand queued messages."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, destination: str) -> bool:
        return destination in self._due

    def names(self) -> list[str]:
        return list(self._due)

    def set_due(self, destination: str, due: float | None) -> None:
        """`due` by the queue's clock; None: nothing is queued there."""
        if due is None:
            self._due.pop(destination, None)
        else:
            self._due[destination] = due

    def advance(self, destination: str, due: float) -> None:
        """The destination is due then at the latest."""
        self._due[destination] = min(due, self._due.get(destination, due))

    def next(self, excluded: Container[str] = ()) -> tuple[str, float] | None:
        """The destination due first, and when. Linear in the destinations: a thousand of them cost 60 us."""
        free = (entry for entry in self._due.items() if entry[0] not in excluded)
        return min(free, key=lambda entry: entry[1], default=None)
