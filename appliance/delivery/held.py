"""Letters that waited for their hour and are for people of this house: into their mailboxes, in the commit that settles them.

The lane HOUSE is no domain; its Carrier is `AtHome`, and `Carriers` sends each lane to the right one. Whom an address leads to is
decided when the hour has come: who left meanwhile gets nothing, and the sender is told.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

from appliance.mail.clock import Clock
from appliance.mail.envelope import Envelope, Recipient
from appliance.mail.errors import StoreError
from appliance.mail.outcome import Fate, Outcome, Reason
from appliance.mail.parcel import Parcel
from appliance.store.mailbox import Store

from .leaving import DELIVERED
from .local import file_copies
from .trip import Carrier, Delivery, Trip
from .way import Way

if TYPE_CHECKING:
    from appliance.accounts.directory import Directory

HOUSE = "."
"""The lane of what stays in the house."""
NOBODY = Outcome(Fate.FAILED, "5.1.1", Reason.REFUSED, "Nobody has this address here any more.")
NO_ROOM = Outcome(Fate.DEFERRED, "4.2.2", Reason.NOT_NOW, "The mailbox is full.")
UNREADABLE = Outcome(Fate.DEFERRED, "4.3.0", Reason.NOT_NOW, "The letter could not be put into the mailbox just now.")


class Carriers:
    """The Carrier of the runner: one for the house, one for the world; each made when its first letter comes."""

    def __init__(self, home: Callable[[], Carrier], world: Callable[[], Carrier]) -> None:
        self._makers = {True: home, False: world}
        self._made: dict[bool, Carrier] = {}

    def trip(self, lane: str, way: Way) -> AbstractAsyncContextManager[Trip]:
        here = lane == HOUSE
        if here not in self._made:
            self._made[here] = self._makers[here]()
        return self._made[here].trip(lane, way)


class AtHome:
    """The Carrier of HOUSE, and its Trip."""

    def __init__(self, *, store: Store, directory: "Directory", clock: Clock) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock

    @asynccontextmanager
    async def trip(self, lane: str, way: Way) -> AsyncIterator["AtHome"]:
        yield self

    async def deliver(self, parcel: Parcel, begun: Callable[[], None]) -> Delivery:
        """See `trip.Trip`."""
        outcomes: list[Outcome] = []
        to: list[Recipient] = []
        for recipient in parcel.recipients:
            resolution = self._directory.resolve(recipient.address) if recipient.address else self._directory.postmaster()
            full = any(not self._has_room(person, parcel.octets) for person in resolution.people)
            outcomes.append(NOBODY if not resolution.people else NO_ROOM if full else DELIVERED)
            if outcomes[-1] is DELIVERED:
                to.append(Recipient(recipient.address, resolution.people))
        if not to:
            return Delivery(tuple(outcomes), again=True)
        try:
            also = await self._filed(parcel, to)
        except StoreError:
            return Delivery((UNREADABLE,) * len(outcomes), again=True)
        return Delivery(tuple(outcomes), again=True, also=also)

    def _has_room(self, person: Any, octets: int) -> bool:
        used_octets, limit_octets = self._store.quota(person)
        return limit_octets is None or used_octets + octets <= limit_octets

    async def _filed(self, parcel: Parcel, to: list[Recipient]) -> Callable[[Any], object]:
        """What puts the letter into the mailboxes inside a commit; the kept body serves, no octet is written twice."""
        assert parcel.kept is not None  # noqa: S101 - the runner says where its letters lie
        body, trace = parcel.kept
        filings = await file_copies(self._store, Envelope(parcel.sender, to), trace, int(self._clock.wall_s()))
        return lambda transaction: self._store.file_kept(transaction, body, parcel.octets - len(trace), filings)
