"""Inspection of a message: readers that share the pass over its octets, and verdicts between the final dot and the commit.

The contract between a transaction, its session and the inspectors; nothing here imports an inspector.

    state of an inspection   by
    begun                    MAIL; its `scanner`, if any, is fed while the octets arrive
    complete                 the message's end: `verdict` is awaited; it may read the staged body (`StagedBody.open`)
    verdict                  PASSED, fields to add, or a refusal: the first refusal is the reply to the message
    late                     VERDICTS_S are over: the inspector's `when_late` counts in its place

Inspectors run in the order of the table, one after the other: a cheap one that refuses spares the expensive ones. The
deadline is for all of them together. Nothing of the message is kept before the last verdict.
How it fails: StoreError of a read becomes the reply; any other exception is a bug and ends the session through its guard.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import trio

from appliance.accounts.directory import Directory
from appliance.auth.identity import Identity
from appliance.delivery.intake import Intake
from appliance.mail.clock import Clock
from appliance.mail.description import ChunkScanner
from appliance.mail.envelope import Envelope
from appliance.mail.reply import Reply
from appliance.store.incoming import StagedBody

from .connection import SmtpConnection
from .options import SmtpOptions

VERDICTS_S = 60.0
"""A client waits ten minutes for the reply to the final dot (RFC 5321 §4.5.3.2.6); some give up after one or two and send again."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`refusal` None: the message passes. `fields`: header fields every copy gets in front, each with its line end."""

    refusal: Reply | None = None
    fields: bytes = b""


PASSED = Verdict()


class TransactionSession(Protocol):
    """What a transaction and its inspectors may use of the session."""

    clock: Clock
    intake: Intake
    directory: Directory
    options: SmtpOptions
    connection: SmtpConnection
    identity: Identity | None
    protocol: str
    peer: str
    greeted_as: str
    extended: bool

    @property
    def inspectors(self) -> "Sequence[Inspector]": ...
    def sending_refusal(self, recipients: int, *, take: bool = False) -> Reply | None: ...
    def give_back(self, recipients: int) -> None: ...
    def announce_refusal(self, reply: Reply, *, sender: str | None = None, recipient: str = "") -> None: ...


class Inspection(Protocol):
    """One message's inspection by one inspector."""

    @property
    def scanner(self) -> ChunkScanner | None:
        """Fed with the octets that are stored (without Bcc), in one pass with all others; complete before `verdict`."""
        ...

    async def verdict(self, body: StagedBody) -> Verdict:
        """Judge the complete message. May be cancelled at the deadline."""
        ...


class Inspector(Protocol):
    """One row of the table of inspectors."""

    @property
    def when_late(self) -> Verdict:
        """What counts when the verdict does not come in time."""
        ...

    def begin(self, session: TransactionSession, envelope: Envelope) -> Inspection:
        """A new message. The recipients are in `envelope` once the message begins."""
        ...


class Inspections:
    """All inspections of one message."""

    __slots__ = ("_begun",)

    def __init__(self, session: TransactionSession, envelope: Envelope) -> None:
        self._begun = [(inspector, inspector.begin(session, envelope)) for inspector in session.inspectors]

    def scanners(self) -> list[ChunkScanner]:
        return [scanner for _, inspection in self._begun if (scanner := inspection.scanner) is not None]

    async def verdict(self, body: StagedBody) -> Verdict:
        """The first refusal, or all fields together, by the deadline at the latest."""
        deadline = trio.current_time() + VERDICTS_S
        fields = b""
        for inspector, inspection in self._begun:
            verdict = inspector.when_late
            with trio.CancelScope(deadline=deadline):
                verdict = await inspection.verdict(body)
            if verdict.refusal is not None:
                return verdict
            fields += verdict.fields
        return Verdict(fields=fields)
