"""Intake: the only way a message enters the server, in one commit for all its recipients.

Promise: `accept` returns after ONE durable commit that holds the message for all recipients; only then may a server reply
250. When it raises, nothing was stored. Fails with StoreError (FULL, OVER_QUOTA, NO_MAILBOX, BROKEN).
A full mailbox does not delay the others: the message goes into the mailboxes with room and into the queue for remote recipients, and
in the same commit it is queued for the full ones, each by the account's own address. It is retried like any other message, with a
delay DSN and, after days without room, a bounce (RFC 5321 §6.1, §4.5.4.1). OVER_QUOTA is raised only where no mailbox has room and
nothing is relayed: then the client keeps the message.
A success DSN that was requested (RFC 3461 §4.1) is sent in a commit of its own right after, before 250; should that fail the message
is stored all the same.
A message is received by `receive`, in chunks and constant memory; what is not accepted before its block ends leaves nothing.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace

from appliance.dsn.report import Subject, SuccessReporter
from appliance.mail.clock import Clock
from appliance.mail.errors import StoreError
from appliance.mail.ids import AccountId
from appliance.status.board import Board
from appliance.status.events import NAMED, MessageAccepted
from appliance.store.incoming import Incoming, StagedBody
from appliance.store.store import Store
from appliance.store.values import Placed

from .arrival import Arrival
from .body_chunks import chunks_of
from .executor import Executed, Join, MessageFacts, PlanExecutor, PlanQueue, joins_nothing
from .plan import DeliveryPlan, PlanRules, plan, several


class Intake:
    """Shared by every server that receives messages."""

    def __init__(
        self,
        *,
        store: Store,
        board: Board,
        clock: Clock,
        dsn: Callable[[], SuccessReporter] | None = None,
        queue: PlanQueue | None = None,
        rules: PlanRules | None = None,
    ) -> None:
        """`dsn` makes the generator for the first success DSN: most messages request none. `queue` None: nothing is relayed or held."""
        self._store = store
        self._board = board
        self._clock = clock
        self._dsn = dsn
        self._holds = queue is not None
        self._rules = rules or PlanRules()
        self._executor = PlanExecutor(store, queue, clock)

    def receive(self, limit_octets: int) -> AbstractAsyncContextManager[Incoming]:
        """Memory and disk space for one message: `Store.receive`. Waits for the server's budget, then raises StoreError BUSY."""
        return self._store.receive(limit_octets)

    def has_room(self, account: AccountId, octets: int) -> bool:
        """Would so many octets (at least one) fit into the account's quota? From memory; `accept` decides again."""
        used_octets, limit_octets = self._store.quota(account)
        return limit_octets is None or used_octets + max(octets, 1) <= limit_octets

    async def accept(self, arrival: Arrival, body: StagedBody, join: Join = joins_nothing) -> list[Placed]:
        """Store the message for all recipients of its envelope, with the rows of `join`. Durable when it returns."""
        envelope = arrival.envelope
        at = int(self._clock.wall_s())
        held = self._holds and self._clock.trusted() and envelope.options.release_at > at
        delivery_plan = plan(arrival, self._rules, held=held)
        facts = MessageFacts(
            message=arrival.message,
            origin=envelope.sender,
            octets=body.octets,
            header_octets=body.description.header_octets,
            options=envelope.options if held else replace(envelope.options, release_at=0),
            account=arrival.account,
        )
        executed = await self._executor.store_new(delivery_plan, facts, body, join)  # the commit 250 stands for
        self._board.publish(
            MessageAccepted(
                protocol=arrival.protocol,
                peer=arrival.peer,
                sender=str(envelope.sender or ""),
                recipients=len(executed.placed) + len(executed.full) + sum(len(one.outside) for one in envelope.recipients),
                octets=body.octets,
                duration_s=self._clock.mono_s() - arrival.begun_mono,
                message=arrival.message,
                mailboxes=len(executed.placed),
                to=tuple(dict.fromkeys(map(str, envelope.recipients[:NAMED]))),
            )
        )
        if self._dsn is not None and any("SUCCESS" in (one.recipient.options.notify or ()) for one in delivery_plan.reports):
            with suppress(StoreError):
                await self._report_success(self._dsn(), arrival, delivery_plan, executed, body, at)
        return executed.placed

    async def _report_success(
        self, dsn: SuccessReporter, arrival: Arrival, delivery_plan: DeliveryPlan, executed: Executed, body: StagedBody, at: int
    ) -> None:
        subject = Subject(
            message=arrival.message,
            sender=arrival.envelope.sender,
            octets=body.octets,
            chunks=chunks_of(self._store, executed.body),
            arrived_at=at,
            options=arrival.envelope.options,
        )
        waits = [copy.recipient for copy in executed.full if not several(copy.recipient)]
        await dsn.report_success(subject, [one for one in delivery_plan.reports if one.recipient not in waits])
