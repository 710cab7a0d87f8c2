"""Local delivery of queued messages: those with a release time, and those that waited for room in a mailbox.

The destination LOCAL is no domain; its Transport is `LocalTransport`, and `TransportSwitch` chooses the transport by destination. The
message goes into the mailboxes in the commit that records its outcome. Addresses are resolved at delivery: one that does not exist
any more bounces. Of several accounts behind an address those with room get the message; for the others alone it is queued again.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

from appliance.accounts.directory import Directory
from appliance.mail.clock import Clock
from appliance.mail.envelope import Envelope, Recipient
from appliance.mail.errors import StoreError
from appliance.mail.ids import AccountId
from appliance.mail.outcome import DsnAction, Outcome, Reason
from appliance.mail.outgoing import OutgoingMessage
from appliance.store.store import Store

from .final_delivery import local_placements
from .plan import DELIVERED
from .route import Route
from .transport import DeliveryResult, Transport, TransportSession

Wait = Callable[[Any, OutgoingMessage, Sequence[tuple[AccountId, Recipient]]], object]
"""`wait(transaction, message, accounts)`: queue the message for these accounts, inside the transaction."""

LOCAL = "."
"""The destination of local delivery."""
UNKNOWN = Outcome(DsnAction.FAILED, "5.1.1", Reason.REFUSED, "This address does not exist here any more.")
NO_ROOM = Outcome(DsnAction.DEFERRED, "4.2.2", Reason.NOT_NOW, "The mailbox is full.")
UNREADABLE = Outcome(DsnAction.DEFERRED, "4.3.0", Reason.NOT_NOW, "The message could not be stored in the mailbox now.")


class TransportSwitch:
    """The Transport of the runner: one for local delivery, one for everything else; each made for its first message."""

    def __init__(self, local: Callable[[], Transport], remote: Callable[[], Transport]) -> None:
        self._makers = {True: local, False: remote}
        self._made: dict[bool, Transport] = {}

    def session(self, destination: str, route: Route) -> AbstractAsyncContextManager[TransportSession]:
        is_local = destination == LOCAL
        if is_local not in self._made:
            self._made[is_local] = self._makers[is_local]()
        return self._made[is_local].session(destination, route)


class LocalTransport:
    """The Transport of LOCAL, and its session."""

    def __init__(self, *, store: Store, directory: Directory, clock: Clock, wait: Wait) -> None:
        self._wait = wait
        self._store = store
        self._directory = directory
        self._clock = clock

    @asynccontextmanager
    async def session(self, destination: str, route: Route) -> AsyncIterator["LocalTransport"]:
        yield self

    async def deliver(self, outgoing: OutgoingMessage) -> DeliveryResult:
        """See `TransportSession`."""
        outcomes: list[Outcome] = []
        to: list[Recipient] = []
        full: list[tuple[AccountId, Recipient]] = []
        for recipient in outgoing.recipients:
            resolution = self._directory.resolve(recipient.address) if recipient.address else self._directory.postmaster()
            known = replace(recipient, accounts=resolution.accounts, outside=())
            roomy = tuple(account for account in resolution.accounts if self._has_room(account, outgoing.octets))
            outcomes.append(UNKNOWN if not resolution.accounts else DELIVERED if roomy else NO_ROOM)
            if roomy:
                to.append(replace(known, accounts=roomy))
                full += [(account, known) for account in resolution.accounts if account not in roomy]
        if not to:
            return DeliveryResult(tuple(outcomes), reusable=True)
        try:
            also = await self._prepare(outgoing, to, full)
        except StoreError:
            return DeliveryResult((UNREADABLE,) * len(outcomes), reusable=True)
        return DeliveryResult(tuple(outcomes), reusable=True, also=also)

    def _has_room(self, account: AccountId, octets: int) -> bool:
        used_octets, limit_octets = self._store.quota(account)
        return limit_octets is None or used_octets + octets <= limit_octets

    async def _prepare(
        self, outgoing: OutgoingMessage, to: list[Recipient], full: Sequence[tuple[AccountId, Recipient]]
    ) -> Callable[[Any], object]:
        """What files the message inside a commit; the stored body is used, no octet is written twice."""
        assert outgoing.stored is not None  # noqa: S101 - the runner names the stored body
        body, trace = outgoing.stored
        envelope = Envelope(outgoing.sender, to)
        placements = await local_placements(self._store, envelope, trace, int(self._clock.wall_s()))
        got = {account for one in to for account in one.accounts}

        def also(transaction: Any) -> None:
            passed = self._store.file_kept(transaction, body, outgoing.octets - len(trace), placements)
            accounts = list(envelope.accounts().items())
            waits = [accounts[number] for number in passed] + [one for one in full if one[0] not in got]
            if waits:
                self._wait(transaction, outgoing, waits)

        return also
