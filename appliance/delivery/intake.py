"""The one door in: what was accepted here is on the card, once for everybody it is for.

Promise: `accept` returns after ONE durable commit that holds the message for all recipients; only then may a server say
250. When it raises, nothing was kept. Fails with StoreError (FULL, OVER_QUOTA, NO_MAILBOX, BROKEN).
Whoever has no room does not make the others wait: the message is put into the mailboxes that have room and leaves where it
leaves, and in the same commit it waits in the queue for the full ones, each under the person's own address. It is tried
again like any other, its sender is told when it is late, and it comes back when there was no room for days (RFC 5321 §6.1,
§4.5.4.1). OVER_QUOTA is raised only where nobody has room and nothing leaves: then the client still has the message.
Who asked to be told when it arrives (RFC 3461 §4.1) is told in a commit of its own right after, before 250 is said; should
that fail the message is kept all the same.
A message comes in by `receive`, in pieces and constant memory; what is not accepted before its block ends leaves nothing.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from appliance.mail.clock import Clock
from appliance.mail.envelope import Envelope, Recipient
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import AccountId, BodyId
from appliance.status.events import MessageAccepted
from appliance.store.bodies import Incoming, StagedBody
from appliance.store.store import Store
from appliance.store.values import Placed, Placement

from .final_delivery import file_copies

if TYPE_CHECKING:
    from appliance.status.board import Board

    from .generated import DsnGenerator


@dataclass(slots=True)
class Arrival:
    """One message at the door: `letter` is the name told to its sender and kept in Received; `trace` the header lines
    every copy gets below its Return-Path; `begun_mono` when its transaction began, in the clock's monotonic seconds;
    `person` who signed in to send it and `author` the domain of their address, None and "" for a stranger's message."""

    message: str
    envelope: Envelope
    trace: bytes
    protocol: str
    peer: str
    begun_mono: float
    account: AccountId | None = None
    author: str = ""


class OutboundQueue(Protocol):
    """The way out, as far as intake needs it: `outward.Outward`."""

    def new_entry(self, arrival: Arrival, body: StagedBody, *, held: bool) -> Callable[[Any, BodyId], object] | None:
        """What joins the commit that keeps the message; None when nothing of it leaves. `held`: everything waits for its hour."""
        ...

    def waiting(self, arrival: Arrival, body: StagedBody, full: Sequence[tuple[AccountId, Recipient]]) -> Callable[[Any, BodyId], object]:
        """What joins the commit so that the message waits for these people's mailboxes to have room."""
        ...


class Intake:
    """The door, shared by every server that takes messages in."""

    def __init__(
        self,
        *,
        store: Store,
        board: "Board",
        clock: Clock,
        notices: "Callable[[], DsnGenerator] | None" = None,
        outward: "OutboundQueue | None" = None,
    ) -> None:
        """`notices` makes who tells senders, when the first one is to be told: most messages ask for nothing. `outward` takes what
        leaves the server or waits for its hour; None where nothing does."""
        self._store = store
        self._board = board
        self._clock = clock
        self._notices = notices
        self._outward = outward

    def receive(self, limit_octets: int) -> AbstractAsyncContextManager[Incoming]:
        """Room for one message: `Store.receive`. Entering waits for the server's budget, then raises StoreError BUSY."""
        return self._store.receive(limit_octets)

    def has_room(self, account: AccountId, octets: int) -> bool:
        """Would so many octets more (at least one) fit into the person's space? From memory; `accept` decides again."""
        used_octets, limit_octets = self._store.quota(account)
        return limit_octets is None or used_octets + max(octets, 1) <= limit_octets

    async def accept(self, arrival: Arrival, body: StagedBody) -> list[Placed]:
        """Keep the message for everybody its envelope names. Durable when it returns."""
        envelope = arrival.envelope
        at = int(self._clock.wall_s())
        held = bool(envelope.release_at) and self._outward is not None and self._clock.trusted() and envelope.release_at > at
        if self._outward is None and any(recipient.outside for recipient in envelope.recipients):
            raise StoreError(Trouble.NOT_ALLOWED, "no queue takes this message out of the server")  # never lost without a word
        placements = [] if held else await file_copies(self._store, envelope, arrival.trace, at)
        leave = self._outward.new_entry(arrival, body, held=held) if self._outward is not None else None
        kept: list[BodyId] = []

        def also(transaction: Any, number: BodyId) -> None:
            kept.append(number)
            if leave is not None:
                leave(transaction, number)

        full: list[tuple[AccountId, Recipient]] = []
        try:
            filed = await self._store.file(body, placements, also)  # the commit that 250 promises
        except StoreError as refusal:
            if refusal.trouble is not Trouble.OVER_QUOTA or self._outward is None:
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
        if self._notices is not None and not held and any("SUCCESS" in (one.notify or ()) for one in envelope.recipients):
            with suppress(StoreError):
                await self._say_arrived(self._notices(), arrival, body, kept[-1], at, full)
        return filed

    async def _file_for_some(
        self,
        arrival: Arrival,
        body: StagedBody,
        placements: Sequence[Placement],
        also: Callable[[Any, BodyId], object],
        full: list[tuple[AccountId, Recipient]],
    ) -> list[Placed]:
        """The same commit when somebody has no room: these wait (`full` gets them). Raises OVER_QUOTA when all would."""
        accounts, outward = list(arrival.envelope.accounts().items()), self._outward
        assert outward is not None  # noqa: S101 - the caller looked
        leaves = any(recipient.outside for recipient in arrival.envelope.recipients)
        passed: list[int] = []

        def also_wait(transaction: Any, number: BodyId) -> None:
            if len(passed) == len(placements) and not leaves:
                raise StoreError(Trouble.OVER_QUOTA)
            full[:] = [accounts[which] for which in passed]
            also(transaction, number)
            if full:
                outward.waiting(arrival, body, full)(transaction, number)

        return await self._store.file(body, placements, also_wait, passed=passed)

    async def _say_arrived(
        self,
        notices: "DsnGenerator",
        arrival: Arrival,
        body: StagedBody,
        number: BodyId,
        at: int,
        full: Sequence[tuple[AccountId, Recipient]],
    ) -> None:
        from appliance.dsn.report import Subject

        from .body_chunks import chunks_of
        from .plan import arrived, several

        envelope = arrival.envelope
        subject = Subject(
            message=arrival.message,
            sender=envelope.sender,
            octets=body.octets,
            chunks=chunks_of(self._store, number),
            arrived_at=at,
            **envelope.options(),
        )
        waits = [recipient for _, recipient in full if not several(recipient)]
        await notices.say_arrived(subject, [one for one in arrived(envelope) if one.recipient not in waits])
