"""Letters that waited for their hour, or for room in a mailbox, and are for people of this house: into their mailboxes, in the
commit that settles them.

The lane HOUSE is no domain; its Carrier is `AtHome`, and `Carriers` sends each lane to the right one. Whom an address leads to is
decided when the hour has come: who left meanwhile gets nothing, and the sender is told. Of several people behind an address
those with room get the message, and it waits on for the others alone.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from appliance.mail.clock import Clock
from appliance.mail.envelope import Envelope, Recipient
from appliance.mail.errors import StoreError
from appliance.mail.ids import PersonId
from appliance.mail.outcome import Fate, Outcome, Reason
from appliance.mail.outgoing import Parcel
from appliance.store.mailbox import Store

from .final_delivery import file_copies
from .plan import DELIVERED
from .route import Way
from .transport import Carrier, Delivery, Trip

if TYPE_CHECKING:
    from appliance.accounts.directory import Directory

Wait = Callable[[Any, Parcel, Sequence[tuple[PersonId, Recipient]]], object]
"""`wait(transaction, parcel, people)`: the message waits on for these people, inside the transaction."""

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

    def __init__(self, *, store: Store, directory: "Directory", clock: Clock, wait: Wait) -> None:
        self._wait = wait
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
        full: list[tuple[PersonId, Recipient]] = []
        for recipient in parcel.recipients:
            resolution = self._directory.resolve(recipient.address) if recipient.address else self._directory.postmaster()
            known = replace(recipient, people=resolution.people, outside=())
            roomy = tuple(person for person in resolution.people if self._has_room(person, parcel.octets))
            outcomes.append(NOBODY if not resolution.people else DELIVERED if roomy else NO_ROOM)
            if roomy:
                to.append(replace(known, people=roomy))
                full += [(person, known) for person in resolution.people if person not in roomy]
        if not to:
            return Delivery(tuple(outcomes), again=True)
        try:
            also = await self._filed(parcel, to, full)
        except StoreError:
            return Delivery((UNREADABLE,) * len(outcomes), again=True)
        return Delivery(tuple(outcomes), again=True, also=also)

    def _has_room(self, person: PersonId, octets: int) -> bool:
        used_octets, limit_octets = self._store.quota(person)
        return limit_octets is None or used_octets + octets <= limit_octets

    async def _filed(
        self, parcel: Parcel, to: list[Recipient], full: Sequence[tuple[PersonId, Recipient]]
    ) -> Callable[[Any], object]:
        """What puts the letter into the mailboxes inside a commit; the kept body serves, no octet is written twice."""
        assert parcel.kept is not None  # noqa: S101 - the runner says where its letters lie
        body, trace = parcel.kept
        envelope = Envelope(parcel.sender, to)
        filings = await file_copies(self._store, envelope, trace, int(self._clock.wall_s()))
        got = {person for one in to for person in one.people}

        def also(transaction: Any) -> None:
            passed = self._store.file_kept(transaction, body, parcel.octets - len(trace), filings)
            people = list(envelope.people().items())
            waits = [people[number] for number in passed] + [one for one in full if one[0] not in got]
            if waits:
                self._wait(transaction, parcel, waits)

        return also
