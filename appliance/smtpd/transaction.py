"""One mail transaction: envelope, message octets, verdict, delivery (RFC 5321 §3.3).

States of the message: not begun → `open` (space is reserved) → octets by `take` → judged (`inspection`) by `deliver`, or `drop`ped at any
time. A refusal that comes up while octets still arrive is kept, the space is released at once and the octets are discarded:
the reply can only be sent at the message's end. Until `deliver` returns a positive reply nothing is kept.
"""

import os
from contextlib import AbstractAsyncContextManager

import trio

from appliance.delivery.arrival import Arrival
from appliance.delivery.bcc import BccRemover
from appliance.delivery.missing_fields import missing_fields
from appliance.delivery.rights import BIG_HEADER
from appliance.delivery.trace import FIRST_LINE, ReceivedField, encode_received, protocol_word
from appliance.mail.description import Description
from appliance.mail.envelope import Envelope
from appliance.mail.errors import PeerError, StoreError
from appliance.mail.reply import Reply
from appliance.protocol.smtp.data import LineEnds
from appliance.store.incoming import Incoming, StagedBody

from .inspection import Inspections, TransactionSession, Verdict
from .store_replies import BROKEN, TOO_BIG, answer_for

BARE = Reply(550, "5.6.0", ("A line of this message does not end in CRLF; to keep messages from being smuggled in it, it is refused.",))


class TooMuch(PeerError):
    """The client goes on sending a message that is far over its limit."""


class MailTransaction:
    """From MAIL to the reply at the message's end."""

    __slots__ = (
        "_bcc",
        "_discarded_octets",
        "_incoming",
        "_inspections",
        "_limit_octets",
        "_reservation",
        "_session",
        "begun_at_s",
        "begun_mono",
        "envelope",
        "line_ends",
        "message",
        "octets",
        "refusal",
    )  # fmt: skip

    def __init__(self, session: TransactionSession, envelope: Envelope) -> None:
        self._session = session
        self.envelope = envelope
        self.message = os.urandom(8).hex()
        """The id of this message in replies, in Received and in events."""
        self.begun_mono = session.clock.mono_s()
        self.begun_at_s = trio.current_time()
        """On trio's clock, for deadlines."""
        self.line_ends = LineEnds()
        self.octets = 0
        self.refusal: Reply | None = None
        self._inspections = Inspections(session, envelope)
        self._bcc = BccRemover() if session.identity is not None else None
        """For submitted messages only: any other is kept exactly as received."""
        self._reservation: AbstractAsyncContextManager[Incoming] | None = None
        self._incoming: Incoming | None = None
        self._limit_octets = session.options.message_octets
        self._discarded_octets = 0

    @property
    def begun(self) -> bool:
        """Space was reserved for the message, or refused."""
        return self._reservation is not None or self.refusal is not None

    async def open(self) -> Reply | None:
        """Reserve space for the message; waits while too many messages come in at once. A Reply when there is none."""
        reservation = self._session.intake.receive(self._limit_octets)
        try:
            self._incoming = await reservation.__aenter__()
        except StoreError as error:
            self.refusal = answer_for(error)
            return self.refusal
        self._reservation = reservation
        for scanner in self._inspections.scanners():
            self._incoming.add_scanner(scanner)
        return None

    async def take(self, text: bytes) -> None:
        """Octets of the message. Raises TooMuch when a refused message does not end."""
        self.octets += len(text)
        if self._incoming is not None and self.octets <= self._limit_octets:
            if self._bcc is not None:
                text = self._bcc.feed(text)
            if text:
                await self._write(self._incoming, text)
            return
        if self.refusal is None:
            await self._refuse(TOO_BIG)
        self._discarded_octets += len(text)
        if self._discarded_octets > self._limit_octets:
            raise TooMuch("a refused message does not end")

    async def _write(self, incoming: Incoming, text: bytes) -> None:
        try:
            await incoming.write(text)
        except StoreError as error:
            await self._refuse(answer_for(error))

    async def _refuse(self, reply: Reply) -> None:
        await self.drop()
        self.refusal = reply

    async def drop(self) -> None:
        """Release the message's space, if it has any; what was not committed is gone. Completes even when cancelled."""
        reservation, self._reservation, self._incoming = self._reservation, None, None
        if reservation is not None:
            with trio.CancelScope(shield=True):
                await reservation.__aexit__(None, None, None)

    async def deliver(self) -> Reply:
        """The message is complete: judge it and commit it. A positive reply is returned after the commit, never before."""
        incoming = self._incoming
        if incoming is None:
            reply = self.refusal or BROKEN
        else:
            try:
                if self._bcc is not None and (rest := self._bcc.end()):
                    await incoming.write(rest)
                body = await incoming.finish()
                verdict = await self._judge(body)
                reply = verdict.refusal or await self._keep(body, verdict.fields)
            except StoreError as error:
                reply = answer_for(error)
            finally:
                await self.drop()
        if not reply.positive:
            self._session.announce_refusal(reply, recipient=", ".join(str(r) for r in self.envelope.recipients[:3]))
        return reply

    async def _judge(self, body: StagedBody) -> Verdict:
        """The inspectors' verdict, then the send quota: a message counts only when nothing else refuses it."""
        session = self._session
        if self._bcc is not None and self._bcc.oversized:
            return Verdict(BIG_HEADER)
        verdict = await self._inspections.verdict(body)
        outside = self._outside()
        if verdict.refusal is None and outside and (refusal := session.sending_refusal(outside, take=True)) is not None:
            return Verdict(refusal)
        return verdict

    def _outside(self) -> int:
        """Recipients outside the server, which count against the send quota."""
        return sum(len(recipient.outside) for recipient in self.envelope.recipients)

    async def _keep(self, body: StagedBody, fields: bytes) -> Reply:
        session = self._session
        arrival = Arrival(
            message=self.message,
            envelope=self.envelope,
            trace=self._trace(body.description, fields),
            protocol=session.protocol,
            peer=session.peer,
            begun_mono=self.begun_mono,
            account=session.identity.account if session.identity else None,
            author=session.identity.address.rpartition("@")[2] if session.identity else "",
        )
        try:
            await session.intake.accept(arrival, body)
        except StoreError:
            session.give_back(self._outside())
            raise
        return Reply(250, "2.0.0", (f"Accepted, queue ID {self.message}.",))

    def _trace(self, description: Description, fields: bytes) -> bytes:
        """The header fields every copy gets in front."""
        trace = self._trace_fields(description) + fields
        return trace + FIRST_LINE if description.begins_folded else trace

    def _trace_fields(self, description: Description) -> bytes:
        session, stream, envelope = self._session, self._session.connection.stream, self.envelope
        at, offset_s = int(session.clock.wall_s()), session.clock.utc_offset_s()
        facts = ReceivedField(
            greeted_as=session.greeted_as,
            peer=session.peer,
            host=session.options.host_name,
            word=protocol_word(
                extended=session.extended, utf8=envelope.options.smtputf8, secure=stream.secure, signed_in=session.identity is not None
            ),
            tls=f"{stream.tls_version} {stream.tls_cipher}" if stream.secure else "",
            message=self.message,
            recipient=envelope.recipients[0] if len(envelope.recipients) == 1 else None,
            at=at,
            offset_s=offset_s,
        )
        trace = encode_received(facts)
        if session.identity is not None:
            return trace + missing_fields(description, message=self.message, host=session.options.host_name, at=at, offset_s=offset_s)
        return trace
