"""Submission of a stored message by an account, for servers that do not speak SMTP: the same rules, the same intake, one commit.

| step                  | refused as                                               |
|-----------------------|----------------------------------------------------------|
| sender                | SENDER: messages to this address do not come to them      |
| recipients            | NO_RECIPIENTS, TOO_MANY, RECIPIENTS with their addresses   |
| the octets, Bcc removed | TOO_LARGE, MESSAGE, AUTHOR and UNREADABLE_FROM (From, Sender) |
| the send quota        | QUOTA, for now                                            |
| the commit            | StoreError                                                |

Promise: when `submit` returns a message id, the message and the rows of `join` are durable, in one commit; with a refusal nothing was
stored and nothing counts. The order is that of an SMTP session (`smtpd/commands`, `smtpd/transaction`), which uses the same functions.
"""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum, auto

from appliance.accounts.directory import Directory
from appliance.accounts.send_quota import SendQuota
from appliance.auth.identity import Identity
from appliance.mail.clock import Clock
from appliance.mail.description import Description
from appliance.mail.envelope import Envelope, Recipient, encode_recipient
from appliance.mail.errors import StoreError
from appliance.mail.limits import MESSAGE_OCTETS, RECIPIENTS
from appliance.mail.reply import Reply
from appliance.protocol.smtp.grammar import Path
from appliance.store.incoming import StagedBody

from .arrival import Arrival
from .authors import Authors
from .bcc import BccRemover
from .executor import Join
from .intake import Intake
from .missing_fields import missing_fields
from .rights import (
    BIG_HEADER,
    NOT_YOUR_FROM,
    RemoteAddresses,
    judge_authors,
    judge_recipient,
    judge_sender,
    judge_sending,
    judge_size,
)
from .trace import FIRST_LINE, encode_submitted

NO_ROOM = Reply(452, "4.2.2", ("The mailbox is full; please try again later.",))
CAME_BACK = Reply(554, "5.4.6", ("This message was forwarded from here before and has come back; it is in a mail loop.",))
NO_FROM = Reply(550, "5.6.0", ("The message has no From.",))


class Cause(Enum):
    """Why a submission was refused."""

    SENDER = auto()
    NO_RECIPIENTS = auto()
    TOO_MANY = auto()
    RECIPIENTS = auto()
    TOO_LARGE = auto()
    MESSAGE = auto()
    AUTHOR = auto()
    UNREADABLE_FROM = auto()
    QUOTA = auto()


@dataclass(frozen=True, slots=True)
class SubmissionRefusal:
    """`reply`: what an SMTP client would get; `addresses`: the recipients it is about."""

    cause: Cause
    reply: Reply
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SubmissionRules:
    """As the settings have them; `host_name` for Received and Message-ID."""

    host_name: str = "localhost"
    message_octets: int = MESSAGE_OCTETS
    recipients: int = RECIPIENTS
    others_as_sender: str = "refuse"


class Submitter:
    """Shared by all who submit. `sending` None: no limits."""

    def __init__(
        self,
        *,
        intake: Intake,
        directory: Directory,
        relay_check: RemoteAddresses,
        sending: SendQuota | None,
        clock: Clock,
        rules: SubmissionRules,
    ) -> None:
        self._intake = intake
        self._directory = directory
        self._relay_check = relay_check
        self._sending = sending
        self._clock = clock
        self.rules = rules

    @property
    def holds(self) -> bool:
        """Can messages be held until a release time now? Not while the time is not known."""
        return self._relay_check.holds and self._clock.trusted()

    def resolve(self, identity: Identity, envelope: Envelope, octets: int) -> SubmissionRefusal | None:
        """Judge sender and recipients, and put in where they lead. `octets`: about the message's size."""
        rules = self.rules
        refusal = judge_sender(self._directory, identity, envelope.sender, forged_own="refuse", others=rules.others_as_sender)
        if refusal is not None:
            return SubmissionRefusal(Cause.SENDER, refusal)
        if not envelope.recipients:
            return SubmissionRefusal(Cause.NO_RECIPIENTS, Reply(554, "5.5.1", ("The message has no recipients.",)))
        judged = [self._judge(identity, envelope, one, octets) for one in envelope.recipients]
        wrong = [(one, reply) for one, reply in zip(envelope.recipients, judged, strict=True) if isinstance(reply, Reply)]
        if wrong:
            return SubmissionRefusal(Cause.RECIPIENTS, wrong[0][1], tuple(str(one) for one, _ in wrong))
        envelope.recipients = [one for one in judged if isinstance(one, Recipient)]
        outside = _outside(envelope.recipients)
        if max(len(envelope.recipients), outside) > rules.recipients:
            return SubmissionRefusal(Cause.TOO_MANY, Reply(452, "4.5.3", (f"A message has at most {rules.recipients} recipients.",)))
        return self._quota(identity, outside, take=False)

    async def submit(
        self, identity: Identity, envelope: Envelope, octets: AsyncIterator[bytes], join: Join, *, message: str = ""
    ) -> str | SubmissionRefusal:
        """The id of the message. `envelope` is one that `resolve` let pass. Raises StoreError."""
        message = message or new_message_id()
        begun_mono = self._clock.mono_s()
        authors, bcc = Authors(), BccRemover()
        async with self._intake.receive(self.rules.message_octets) as incoming:
            incoming.add_scanner(authors)
            async with aclosing(octets):  # type: ignore[type-var]
                async for chunk in octets:
                    if kept := bcc.feed(chunk):
                        await incoming.write(kept)
            if kept := bcc.end():
                await incoming.write(kept)
            body = await incoming.finish()
            refused = self._judge_message(identity, envelope, body, authors, bcc)
            if refused is None:
                refused = self._quota(identity, _outside(envelope.recipients), take=True)
            if refused is not None:
                return refused
            arrival = Arrival(
                message=message,
                envelope=envelope,
                trace=self._trace(message, body.description),
                protocol="jmap",
                begun_mono=begun_mono,
                account=identity.account,
                author=identity.address.rpartition("@")[2],
            )
            try:
                await self._intake.accept(arrival, body, join)
            except StoreError:
                self._give_back(identity, _outside(envelope.recipients))
                raise
        return message

    def _judge(self, identity: Identity, envelope: Envelope, one: Recipient, octets: int) -> Recipient | Reply:
        judged = judge_recipient(self._directory, self._relay_check, identity, envelope.sender, Path(one.address, {}))
        if isinstance(judged, Reply):
            return judged
        if judged.accounts and not judged.outside and not any(self._intake.has_room(account, octets) for account in judged.accounts):
            return NO_ROOM
        judged.options = one.options
        return judged

    def _judge_message(
        self, identity: Identity, envelope: Envelope, body: StagedBody, authors: Authors, bcc: BccRemover
    ) -> SubmissionRefusal | None:
        refusal = BIG_HEADER if bcc.oversized else judge_size(body.description, envelope.options)
        forwarded = (encode_recipient(recipient).lower() for recipient in envelope.recipients if recipient.forwarded)
        if refusal is None and not authors.been_at.isdisjoint(forwarded):
            refusal = CAME_BACK
        if refusal is not None:
            return SubmissionRefusal(Cause.MESSAGE, refusal)
        refusal = judge_authors(self._directory, identity, authors, others=self.rules.others_as_sender)
        if refusal is None and not authors.addresses:
            refusal = NO_FROM
        if refusal is None:
            return None
        return SubmissionRefusal(Cause.AUTHOR if refusal is NOT_YOUR_FROM else Cause.UNREADABLE_FROM, refusal)

    def _quota(self, identity: Identity, outside: int, *, take: bool) -> SubmissionRefusal | None:
        if self._sending is None or not outside:
            return None
        refusal = judge_sending(self._sending, identity, outside, self._clock.mono_s(), take=take)
        return SubmissionRefusal(Cause.QUOTA, refusal) if refusal is not None else None

    def _give_back(self, identity: Identity, outside: int) -> None:
        if self._sending is not None and outside:
            self._sending.give_back(identity.account, outside, self._clock.mono_s())

    def _trace(self, message: str, description: Description) -> bytes:
        at, offset_s, host = int(self._clock.wall_s()), self._clock.utc_offset_s(), self.rules.host_name
        trace = encode_submitted(host, message, at, offset_s)
        trace += missing_fields(description, message=message, host=host, at=at, offset_s=offset_s)
        return trace + FIRST_LINE if description.begins_folded else trace


def new_message_id() -> str:
    """The id of a message in replies, in Received, in the queue and its history."""
    return os.urandom(8).hex()


def _outside(recipients: Sequence[Recipient]) -> int:
    return sum(len(recipient.outside) for recipient in recipients)
