"""Messages that waited for their hour, or for room in a mailbox, and are for people of this server: into their mailboxes, in the
commit that settles them.

The destination SERVER is no domain; its Transport is `AtHome`, and `Carriers` sends each destination to the right one. Whom an address leads to is
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
from appliance.mail.ids import AccountId
from appliance.mail.outcome import DeliveryStatus, Outcome, Reason
from appliance.mail.outgoing import OutgoingMessage
from appliance.store.store import Store

from .final_delivery import file_copies
from .plan import DELIVERED
from .route import Route
from .transport import DeliveryResult, Transport, TransportSession

if TYPE_CHECKING:
    from appliance.accounts.directory import Directory

Wait = Callable[[Any, OutgoingMessage, Sequence[tuple[AccountId, Recipient]]], object]
"""`wait(transaction, message, people)`: the message waits on for these people, inside the transaction."""

SERVER = "."
"""The destination of what stays in the server."""
NOBODY = Outcome(DeliveryStatus.FAILED, "5.1.1", Reason.REFUSED, "Nobody has this address here any more.")
NO_ROOM = Outcome(DeliveryStatus.DEFERRED, "4.2.2", Reason.NOT_NOW, "The mailbox is full.")
UNREADABLE = Outcome(DeliveryStatus.DEFERRED, "4.3.0", Reason.NOT_NOW, "The message could not be put into the mailbox just now.")


class Transports:
    """The Transport of the runner: one for the server, one for the world; each made when its first message comes."""

    def __init__(self, home: Callable[[], Transport], world: Callable[[], Transport]) -> None:
        self._makers = {True: home, False: world}
        self._made: dict[bool, Transport] = {}

    def transport_session(self, destination: str, route: Route) -> AbstractAsyncContextManager[TransportSession]:
        here = destination == SERVER
        if here not in self._made:
            self._made[here] = self._makers[here]()
        return self._made[here].transport_session(destination, route)


class DelayedDelivery:
    """The Transport of SERVER, and its Session."""

    def __init__(self, *, store: Store, directory: "Directory", clock: Clock, wait: Wait) -> None:
        self._wait = wait
        self._store = store
        self._directory = directory
        self._clock = clock

    @asynccontextmanager
    async def transport_session(self, destination: str, route: Route) -> AsyncIterator["DelayedDelivery"]:
        yield self

    async def deliver(self, outgoing: OutgoingMessage, begun: Callable[[], None]) -> DeliveryResult:
        """See `trip.Trip`."""
        outcomes: list[Outcome] = []
        to: list[Recipient] = []
        full: list[tuple[AccountId, Recipient]] = []
        for recipient in outgoing.recipients:
            resolution = self._directory.resolve(recipient.address) if recipient.address else self._directory.postmaster()
            known = replace(recipient, accounts=resolution.accounts, outside=())
            roomy = tuple(account for account in resolution.accounts if self._has_room(account, outgoing.octets))
            outcomes.append(NOBODY if not resolution.accounts else DELIVERED if roomy else NO_ROOM)
            if roomy:
                to.append(replace(known, accounts=roomy))
                full += [(account, known) for account in resolution.accounts if account not in roomy]
        if not to:
            return DeliveryResult(tuple(outcomes), again=True)
        try:
            also = await self._filed(outgoing, to, full)
        except StoreError:
            return DeliveryResult((UNREADABLE,) * len(outcomes), again=True)
        return DeliveryResult(tuple(outcomes), again=True, also=also)

    def _has_room(self, account: AccountId, octets: int) -> bool:
        used_octets, limit_octets = self._store.quota(account)
        return limit_octets is None or used_octets + octets <= limit_octets

    async def _filed(
        self, outgoing: OutgoingMessage, to: list[Recipient], full: Sequence[tuple[AccountId, Recipient]]
    ) -> Callable[[Any], object]:
        """What puts the message into the mailboxes inside a commit; the kept body serves, no octet is written twice."""
        assert outgoing.kept is not None  # noqa: S101 - the runner says where its messages lie
        body, trace = outgoing.kept
        envelope = Envelope(outgoing.sender, to)
        placements = await file_copies(self._store, envelope, trace, int(self._clock.wall_s()))
        got = {account for one in to for account in one.accounts}

        def also(transaction: Any) -> None:
            passed = self._store.file_kept(transaction, body, outgoing.octets - len(trace), placements)
            accounts = list(envelope.accounts().items())
            waits = [accounts[number] for number in passed] + [one for one in full if one[0] not in got]
            if waits:
                self._wait(transaction, outgoing, waits)

        return also
