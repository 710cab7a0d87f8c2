"""Local delivery of queued messages: those with a release time, and those that waited for room in a mailbox.

The destination LOCAL is no domain; its Transport is `LocalTransport`, and `TransportSwitch` chooses the transport by destination. The
message goes into the mailboxes in the commit that records its outcome. Addresses are resolved at delivery: one that does not exist
any more bounces. Of several accounts behind an address those with room get the message; for the others alone it is queued again.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

from appliance.accounts.directory import Directory
from appliance.mail.envelope import Envelope, Recipient
from appliance.mail.errors import StoreError
from appliance.mail.ids import AccountId
from appliance.mail.outcome import DsnAction, Outcome, Reason
from appliance.mail.outgoing import OutgoingMessage
from appliance.store.store import Store

from .arrival import Arrival
from .executor import MessageFacts, PlanExecutor
from .plan import DELIVERED, PlanRules, plan
from .route import LOCAL, Route
from .transport import DeliveryResult, Transport, TransportSession

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

    def __init__(self, *, store: Store, directory: Directory, executor: PlanExecutor, rules: PlanRules) -> None:
        self._store = store
        self._directory = directory
        self._executor = executor
        self._rules = rules

    @asynccontextmanager
    async def session(self, destination: str, route: Route) -> AsyncIterator["LocalTransport"]:
        yield self

    async def deliver(self, outgoing: OutgoingMessage) -> DeliveryResult:
        """See `TransportSession`."""
        outcomes: list[Outcome] = []
        to: list[Recipient] = []
        for recipient in outgoing.recipients:
            resolution = self._directory.resolve(recipient.address) if recipient.address else self._directory.postmaster()
            has_room = any(self._has_room(account, outgoing.octets) for account in resolution.accounts)
            outcomes.append(UNKNOWN if not resolution.accounts else DELIVERED if has_room else NO_ROOM)
            if has_room:
                to.append(replace(recipient, accounts=resolution.accounts, outside=()))
        if not to:
            return DeliveryResult(tuple(outcomes), reusable=True)
        try:
            return DeliveryResult(tuple(outcomes), reusable=True, also=await self._prepare(outgoing, to))
        except StoreError:
            return DeliveryResult((UNREADABLE,) * len(outcomes), reusable=True)

    def _has_room(self, account: AccountId, octets: int) -> bool:
        used_octets, limit_octets = self._store.quota(account)
        return limit_octets is None or used_octets + octets <= limit_octets

    async def _prepare(self, outgoing: OutgoingMessage, to: list[Recipient]) -> Callable[[Any], object]:
        """What delivers the message inside the commit that records its outcome."""
        assert outgoing.stored is not None  # noqa: S101 - the runner names the stored body
        body, trace = outgoing.stored
        facts = MessageFacts(outgoing.message, outgoing.sender, outgoing.octets - len(trace), 0, replace(outgoing.options, release_at=0))
        delivery_plan = plan(Arrival(outgoing.message, Envelope(outgoing.sender, to), trace), self._rules)
        return await self._executor.deliver_stored(delivery_plan, facts, body)
