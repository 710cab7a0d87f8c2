"""What the runner asks of whoever carries messages: a session down one destination, message after message on one connection.

`remote.Remote` is the Transport of the server; tests have their own.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from appliance.mail.outcome import HostAttempt, Outcome
from appliance.mail.outgoing import OutgoingMessage

from .route import Route


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """What became of one message: an outcome for each of its recipients, in order, and every server met or tried on the way.

    `also(transaction)` joins the commit that settles the outcomes. `again`: the connection still stands. `passed_on`: the next
    server announced DSN and took over the promise to tell (RFC 3461 §5.2.2).
    """

    outcomes: tuple[Outcome, ...]
    host_attempts: tuple[HostAttempt, ...] = ()
    again: bool = False
    passed_on: bool = False
    also: Callable[[Any], object] | None = None


class TransportSession(Protocol):
    async def deliver(self, outgoing: OutgoingMessage, begun: Callable[[], None]) -> DeliveryResult:
        """Hand one message over. Raises nothing but Cancelled: whatever goes wrong is an Outcome. `begun()` is called right before
        the final dot leaves; from then until this returns nobody can know whether the message arrived (`queue/entry`)."""
        ...


class Transport(Protocol):
    def transport_session(self, destination: str, route: Route) -> AbstractAsyncContextManager[TransportSession]:
        """Nothing is connected before the first message; the end of the block says goodbye. Raises nothing but Cancelled."""
        ...
