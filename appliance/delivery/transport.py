"""What the runner asks of whoever carries letters: a trip down one lane, parcel after parcel on one connection.

`remote.Remote` is the Carrier of the house; tests have their own.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from appliance.mail.outcome import Meeting, Outcome
from appliance.mail.outgoing import Parcel

from .route import Way


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one parcel: an outcome for each of its recipients, in order, and every house met or tried on the way.

    `also(transaction)` joins the commit that settles the outcomes. `again`: the connection still stands. `passed_on`: the next
    house announced DSN and took over the promise to tell (RFC 3461 §5.2.2).
    """

    outcomes: tuple[Outcome, ...]
    meetings: tuple[Meeting, ...] = ()
    again: bool = False
    passed_on: bool = False
    also: Callable[[Any], object] | None = None


class Trip(Protocol):
    async def deliver(self, parcel: Parcel, begun: Callable[[], None]) -> Delivery:
        """Hand one parcel over. Raises nothing but Cancelled: whatever goes wrong is an Outcome. `begun()` is called right before
        the final dot leaves; from then until this returns nobody can know whether the letter arrived (`queue/entry`)."""
        ...


class Carrier(Protocol):
    def trip(self, lane: str, way: Way) -> AbstractAsyncContextManager[Trip]:
        """Nothing is connected before the first parcel; the end of the block says goodbye. Raises nothing but Cancelled."""
        ...
