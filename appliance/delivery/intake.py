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

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from appliance.dsn.report import Subject, SuccessReporter
from appliance.mail.clock import Clock
from appliance.mail.envelope import Envelope, Recipient
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import AccountId, BodyId
from appliance.status.board import Board
from appliance.status.events import MessageAccepted
from appliance.store.bodies import Incoming, StagedBody
from appliance.store.store import Store
from appliance.store.values import Placed, Placement

from .body_chunks import chunks_of
from .final_delivery import local_placements
from .plan import several, success_reports


@dataclass(slots=True)
class Arrival:
    """A received message: `message` is its id, as in the 250 reply and in Received; `trace` the header fields every copy gets below its
    Return-Path; `begun_mono` when its transaction began, monotonic seconds; `account` submitted it and `author` is the domain of its
    address, None and "" for a message from outside."""

    message: str
    envelope: Envelope
    trace: bytes
    protocol: str
    peer: str
    begun_mono: float
    account: AccountId | None = None
    author: str = ""


class OutboundQueue(Protocol):
    """The queue as intake uses it: `enqueuer.Enqueuer`."""

    def new_entry(self, arrival: Arrival, body: StagedBody, *, held: bool) -> Callable[[Any, BodyId], object] | None:
        """What joins the commit that stores the message; None when nothing is queued. `held`: all of it is, until its release time."""
        ...

    def waiting(self, arrival: Arrival, body: StagedBody, full: Sequence[tuple[AccountId, Recipient]]) -> Callable[[Any, BodyId], object]:
        """What joins the commit to queue the message for these accounts until their mailboxes have room."""
        ...


class Intake:
    """Shared by every server that receives messages."""

    def __init__(
        self,
        *,
        store: Store,
        board: Board,
        clock: Clock,
        dsn: Callable[[], SuccessReporter] | None = None,
        queue: OutboundQueue | None = None,
    ) -> None:
        """`dsn` makes the generator for the first success DSN: most messages request none. `queue` None: nothing is relayed or held."""
        self._store = store
        self._board = board
        self._clock = clock
        self._dsn = dsn
        self._queue = queue

    def receive(self, limit_octets: int) -> AbstractAsyncContextManager[Incoming]:
        """Memory and disk space for one message: `Store.receive`. Waits for the server's budget, then raises StoreError BUSY."""
        return self._store.receive(limit_octets)

    def has_room(self, account: AccountId, octets: int) -> bool:
        """Would so many octets (at least one) fit into the account's quota? From memory; `accept` decides again."""
        used_octets, limit_octets = self._store.quota(account)
        return limit_octets is None or used_octets + max(octets, 1) <= limit_octets

    async def accept(self, arrival: Arrival, body: StagedBody) -> list[Placed]:
        """Store the message for all recipients of its envelope. Durable when it returns."""
        envelope = arrival.envelope
        at = int(self._clock.wall_s())
        held = bool(envelope.options.release_at) and self._queue is not None and self._clock.trusted() and envelope.options.release_at > at
        if self._queue is None and any(recipient.outside for recipient in envelope.recipients):
            raise StoreError(Trouble.NOT_ALLOWED, "no queue to relay this message")  # never dropped silently
        placements = [] if held else await local_placements(self._store, envelope, arrival.trace, at)
        enqueue = self._queue.new_entry(arrival, body, held=held) if self._queue is not None else None
        kept: list[BodyId] = []

        def also(transaction: Any, number: BodyId) -> None:
            kept.append(number)
            if enqueue is not None:
                enqueue(transaction, number)

        full: list[tuple[AccountId, Recipient]] = []
        try:
            filed = await self._store.file(body, placements, also)  # the commit 250 stands for
        except StoreError as refusal:
            if refusal.trouble is not Trouble.OVER_QUOTA or self._queue is None:
                raise
            filed = await self._file_for_some(arrival, body, placements, also, full)
        self._board.publish(
            MessageAccepted(
                protocol=arrival.protocol,
                peer=arrival.peer,
                sender=str(arrival.envelope.sender or ""),
                recipients=len(filed) + len(full) + sum(len(one.outside) for one in envelope.recipients),
                octets=body.octets,
                duration_s=self._clock.mono_s() - arrival.begun_mono,
                message=arrival.message,
                mailboxes=len(filed),
            )
        )
        if self._dsn is not None and not held and any("SUCCESS" in (one.options.notify or ()) for one in envelope.recipients):
            with suppress(StoreError):
                await self._report_success(self._dsn(), arrival, body, kept[-1], at, full)
        return filed

    async def _file_for_some(
        self,
        arrival: Arrival,
        body: StagedBody,
        placements: Sequence[Placement],
        also: Callable[[Any, BodyId], object],
        full: list[tuple[AccountId, Recipient]],
    ) -> list[Placed]:
        """The same commit when a mailbox is full: the message is queued for those (into `full`). Raises OVER_QUOTA when all are."""
        accounts, queue = list(arrival.envelope.accounts().items()), self._queue
        assert queue is not None  # noqa: S101 - the caller checked
        relays = any(recipient.outside for recipient in arrival.envelope.recipients)
        passed: list[int] = []

        def also_wait(transaction: Any, number: BodyId) -> None:
            if len(passed) == len(placements) and not relays:
                raise StoreError(Trouble.OVER_QUOTA)
            full[:] = [accounts[which] for which in passed]
            also(transaction, number)
            if full:
                queue.waiting(arrival, body, full)(transaction, number)

        return await self._store.file(body, placements, also_wait, passed=passed)

    async def _report_success(
        self,
        dsn: SuccessReporter,
        arrival: Arrival,
        body: StagedBody,
        number: BodyId,
        at: int,
        full: Sequence[tuple[AccountId, Recipient]],
    ) -> None:
        envelope = arrival.envelope
        subject = Subject(
            message=arrival.message,
            sender=envelope.sender,
            octets=body.octets,
            chunks=chunks_of(self._store, number),
            arrived_at=at,
            options=envelope.options,
        )
        waits = [recipient for _, recipient in full if not several(recipient)]
        await dsn.report_success(subject, [one for one in success_reports(envelope) if one.recipient not in waits])
