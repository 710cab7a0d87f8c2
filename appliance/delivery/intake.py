"""The one door in: what was accepted here is on the card, once for everybody it is for.

Promise: `accept` returns after ONE durable commit that holds the letter for all recipients; only then may a server say
250. When it raises, nothing was kept. Fails with StoreError (FULL, OVER_QUOTA, NO_MAILBOX, BROKEN).
A letter comes in by `receive`, in pieces and constant memory; what is not accepted before its block ends leaves nothing.
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.mail.clock import Clock
from appliance.mail.envelope import Envelope
from appliance.mail.ids import PersonId
from appliance.status.events import LetterAccepted
from appliance.store.mailbox import Filed, Incoming, StagedBody, Store

from .local import file_copies

if TYPE_CHECKING:
    from appliance.status.board import Board


@dataclass(slots=True)
class Arrival:
    """One letter at the door: `letter` is the name told to its sender and kept in Received; `trace` the header lines
    every copy gets below its Return-Path; `begun_mono` when its transaction began, in the clock's monotonic seconds."""

    letter: str
    envelope: Envelope
    trace: bytes
    protocol: str
    peer: str
    begun_mono: float


class Intake:
    """The door, shared by every server that takes letters in."""

    def __init__(self, *, store: Store, board: "Board", clock: Clock) -> None:
        self._store = store
        self._board = board
        self._clock = clock

    def receive(self, limit_octets: int) -> AbstractAsyncContextManager[Incoming]:
        """Room for one letter: `Store.receive`. Entering waits for the house's budget, then raises StoreError BUSY."""
        return self._store.receive(limit_octets)

    def has_room(self, person: PersonId, octets: int) -> bool:
        """Would so many octets more (at least one) fit into the person's space? From memory; `accept` decides again."""
        used_octets, limit_octets = self._store.quota(person)
        return limit_octets is None or used_octets + max(octets, 1) <= limit_octets

    async def accept(self, arrival: Arrival, body: StagedBody) -> list[Filed]:
        """Keep the letter for everybody its envelope names. Durable when it returns."""
        at = int(self._clock.wall_s())
        filings = await file_copies(self._store, arrival.envelope, arrival.trace, at)
        filed = await self._store.file(body, filings)  # the commit that 250 promises
        self._board.publish(
            LetterAccepted(
                protocol=arrival.protocol,
                peer=arrival.peer,
                sender=str(arrival.envelope.sender or ""),
                recipients=len(filed),
                octets=body.octets,
                duration_s=self._clock.mono_s() - arrival.begun_mono,
                letter=arrival.letter,
            )
        )
        return filed
