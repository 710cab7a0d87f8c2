"""Execute a delivery plan in one commit: mailbox copies and queue rows, or nothing.

The same for a message that just arrived (`store_new`, its body is staged) and for one that was queued (`deliver_stored`, its body is
stored and its outcome is recorded in the same commit). A full mailbox does not fail the others: its copy is queued in that commit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from appliance.mail.address import Address
from appliance.mail.clock import Clock
from appliance.mail.description import Description, DescriptionOf
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.flags import HAS_ATTACHMENT, HAS_NO_ATTACHMENT
from appliance.mail.ids import AccountId, BodyId
from appliance.mail.options import EnvelopeOptions
from appliance.protocol.imap.shown_parts import has_attachment
from appliance.store.incoming import StagedBody
from appliance.store.store import Store
from appliance.store.values import Placed, Placement

from .plan import DeliveryPlan, OutboundGroup, PlannedCopy, waiting_group


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """What a queue row keeps of a message besides sender and recipients. `origin` gets its DSNs; `octets` and `header_octets` (0: not
    known) are those of the body; `account` submitted it."""

    message: str
    origin: Address | None
    octets: int
    header_octets: int
    options: EnvelopeOptions
    account: AccountId | None = None


class PlanQueue(Protocol):
    """The queue: `enqueuer.Enqueuer`."""

    def add(self, transaction: Any, body: BodyId, facts: MessageFacts, group: OutboundGroup, describe: DescriptionOf) -> object:
        """Queue the group's recipients, inside the transaction that stores `body`, which `describe` describes."""
        ...


@dataclass(frozen=True, slots=True)
class Executed:
    """What `store_new` committed: the copies, and those that were queued because the mailbox is full."""

    body: BodyId
    placed: list[Placed]
    full: tuple[PlannedCopy, ...] = ()


Join = Callable[[Any, DeliveryPlan, Sequence[PlannedCopy]], object]
"""`join(transaction, plan, full)` writes its rows in the same commit; `full`: the copies that were queued because the mailbox is full."""


def joins_nothing(transaction: Any, plan: DeliveryPlan, full: Sequence[PlannedCopy]) -> None:
    """The Join of a message that nothing else is kept about."""


class PlanExecutor:
    """`queue` None: plans without groups only."""

    def __init__(self, store: Store, queue: PlanQueue | None, clock: Clock) -> None:
        self._store = store
        self._queue = queue
        self._clock = clock

    async def store_new(self, plan: DeliveryPlan, facts: MessageFacts, body: StagedBody, join: Join = joins_nothing) -> Executed:
        """ONE durable commit, which `join` joins. Raises StoreError: FULL, NO_MAILBOX, BROKEN; NOT_ALLOWED for groups without a queue;
        OVER_QUOTA where every mailbox is full and nothing is relayed, or without a queue where one is full; a message of
        the server's own (`beyond`) waits in the queue then."""
        if plan.groups and self._queue is None:
            raise StoreError(Trouble.NOT_ALLOWED, "no queue to relay this message")  # never dropped silently
        placements = await self._placements(plan, body.description)
        stored: list[BodyId] = []
        full: tuple[PlannedCopy, ...] = ()

        def also(transaction: Any, number: BodyId) -> None:
            stored.append(number)
            self._enqueue(transaction, number, facts, plan.groups, body.describe)
            join(transaction, plan, full)

        passed: list[int] = []
        try:
            placed = await self._store.file(body, placements, also)  # the usual commit: every mailbox has room
        except StoreError as refusal:
            if refusal.trouble is not Trouble.OVER_QUOTA or self._queue is None:
                raise

            def also_full(transaction: Any, number: BodyId) -> None:
                nonlocal full
                if len(passed) == len(placements) and not plan.groups and not plan.beyond:
                    raise StoreError(Trouble.OVER_QUOTA)
                full = tuple(plan.copies[which] for which in passed)
                self._enqueue(transaction, number, facts, waiting_group(plan, full), body.describe)
                also(transaction, number)

            placed = await self._store.file(body, placements, also_full, passed=passed)
        return Executed(stored[-1], placed, full)

    async def deliver_stored(self, plan: DeliveryPlan, facts: MessageFacts, body: BodyId) -> Callable[[Any], object]:
        """What carries the plan out inside the caller's commit; the stored body is used, no octet is written twice. Raises StoreError."""
        describe = await self._store.scan(body)
        placements = await self._placements(plan, describe(b""))

        def execute(transaction: Any) -> None:
            passed = self._store.file_stored(transaction, body, placements, describe)
            full = [plan.copies[which] for which in passed]
            self._enqueue(transaction, body, facts, (*plan.groups, *waiting_group(plan, full)), describe)

        return execute

    async def _placements(self, plan: DeliveryPlan, description: Description) -> list[Placement]:
        """Beside the flags of the plan, delivery says whether there is an attachment (RFC 9979)."""
        sign = HAS_ATTACHMENT if has_attachment(description.bodystructure) else HAS_NO_ATTACHMENT
        at = int(self._clock.wall_s())
        return [Placement(await self._mailbox(one), one.prefix, (*one.flags, sign), at, plan.beyond) for one in plan.copies]

    async def _mailbox(self, copy: PlannedCopy) -> Any:
        if copy.mailbox == "INBOX":
            return await self._store.inbox_of(copy.account)
        return (await self._store.find(copy.account, copy.mailbox)).id

    def _enqueue(
        self, transaction: Any, body: BodyId, facts: MessageFacts, groups: Sequence[OutboundGroup], describe: DescriptionOf
    ) -> None:
        for group in groups:
            assert self._queue is not None  # noqa: S101 - checked before
            self._queue.add(transaction, body, facts, group, describe)
