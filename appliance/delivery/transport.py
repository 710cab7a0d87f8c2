"""The transport interface: a session with one destination, in which the runner delivers one message after another.

Implemented by `outbound.smtp_transport` and, for local delivery of queued messages, by `local_transport`.
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
    """The result for one message: an outcome for each of its recipients, in order, and every host that was tried.

    `also(transaction)` joins the commit that records the outcomes. `reusable`: the session can take another message.
    `dsn_relayed`: the next server announced DSN and took over the duty to report (RFC 3461 §5.2.2).
    """

    outcomes: tuple[Outcome, ...]
    host_attempts: tuple[HostAttempt, ...] = ()
    reusable: bool = False
    dsn_relayed: bool = False
    also: Callable[[Any], object] | None = None


class TransportSession(Protocol):
    """One session with a destination."""

    async def deliver(self, outgoing: OutgoingMessage) -> DeliveryResult:
        """Deliver one message. Raises nothing but Cancelled: every failure is an Outcome."""
        ...


class Transport(Protocol):
    """Makes sessions."""

    def session(self, destination: str, route: Route) -> AbstractAsyncContextManager[TransportSession]:
        """Nothing is connected before the first message; the end of the block ends the session. Raises nothing but Cancelled."""
        ...
