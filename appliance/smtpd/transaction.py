"""One mail transaction: its sender, its recipients, the message's octets, the verdict (RFC 5321 §3.3).

States of the message: not begun → `open` (room is kept for it) → octets by `take` → judged by `deliver`, or `drop`ped at any
time. A refusal that comes up while octets still arrive is kept, the room is given back at once and the octets are thrown
away: the reply can only be said at the message's end. Until `deliver` returns a positive reply nothing is kept.
"""

import os
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import trio

from appliance.delivery.intake import Arrival
from appliance.mail.envelope import Envelope, written
from appliance.mail.errors import PeerError, StoreError
from appliance.mail.limits import HEADER_OCTETS, HOPS, TEXT_LINE_OCTETS
from appliance.mail.reply import Reply
from appliance.protocol.smtp.data import LineEnds

from .authors import Authors
from .bcc import BccRemover
from .rights import claims_our_accounts, judge_authors
from .store_replies import BROKEN, TOO_BIG, answer_for
from .submission import missing_fields
from .trace import FIRST_LINE, WARNING, protocol_word, received

if TYPE_CHECKING:
    from appliance.mail.description import Description
    from appliance.store.bodies import Incoming, StagedBody

    from .session import Session

LOOP = Reply(554, "5.4.6", ("This message has been through too many servers; it goes round in a loop.",))
CAME_BACK = Reply(554, "5.4.6", ("This message was forwarded from here before and has come back; it goes round in a loop.",))
BIG_HEADER = Reply(552, "5.3.4", (f"The header of this message is larger than {HEADER_OCTETS // 1024} KiB.",))
LONG_LINE = Reply(554, "5.6.0", (f"A line of this message is longer than {TEXT_LINE_OCTETS} octets.",))
BARE = Reply(550, "5.6.0", ("A line of this message does not end in CRLF; to keep messages from being smuggled in it, it is refused.",))


class TooMuch(PeerError):
    """The client goes on sending a message that is far over its limit."""


class MailTransaction:
    """From MAIL to the reply at the message's end."""

    __slots__ = (
        "_authors",
        "_bcc",
        "_incoming",
        "_limit_octets",
        "_place",
        "_session",
        "_thrown_octets",
        "begun_at_s",
        "begun_mono",
        "envelope",
        "line_ends",
        "message",
        "octets",
        "refusal",
    )  # fmt: skip

    def __init__(self, session: "Session", envelope: Envelope) -> None:
        self._session = session
        self.envelope = envelope
        self.message = os.urandom(8).hex()
        """The name this message has in replies, in Received and on the board."""
        self.begun_mono = session.clock.mono_s()
        self.begun_at_s = trio.current_time()
        """On trio's clock, for deadlines."""
        self.line_ends = LineEnds()
        self.octets = 0
        self.refusal: Reply | None = None
        self._authors = Authors()
        self._bcc = BccRemover() if session.identity is not None else None
        """For submitted messages only: a stranger's message is kept exactly as received."""
        self._place: AbstractAsyncContextManager[Incoming] | None = None
        self._incoming: Incoming | None = None
        self._limit_octets = session.options.message_octets
        self._thrown_octets = 0

    @property
    def begun(self) -> bool:
        """Room was made for the message."""
        return self._place is not None or self.refusal is not None

    async def open(self) -> Reply | None:
        """Make room for the message; waits while the server has its hands full. A Reply when there is none."""
        place = self._session.intake.receive(self._limit_octets)
        try:
            self._incoming = await place.__aenter__()
        except StoreError as error:
            self.refusal = answer_for(error)
            return self.refusal
        self._place = place
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
        self._thrown_octets += len(text)
        if self._thrown_octets > self._limit_octets:
            raise TooMuch("a refused message does not end")

    async def _write(self, incoming: "Incoming", text: bytes) -> None:
        self._authors.feed(text)
        try:
            await incoming.write(text)
        except StoreError as error:
            await self._refuse(answer_for(error))

    async def _refuse(self, reply: Reply) -> None:
        await self.drop()
        self.refusal = reply

    async def drop(self) -> None:
        """Give the message's room back, if it has any; what was not kept is gone. Done whole even when cancelled."""
        place, self._place, self._incoming = self._place, None, None
        if place is not None:
            with trio.CancelScope(shield=True):
                await place.__aexit__(None, None, None)

    async def deliver(self) -> Reply:
        """The message is complete: judge it and keep it. A positive reply is said after the commit, never before."""
        incoming = self._incoming
        if incoming is None:
            reply = self.refusal or BROKEN
        else:
            try:
                if self._bcc is not None and (rest := self._bcc.end()):
                    self._authors.feed(rest)
                    await incoming.write(rest)
                self._authors.end()
                body = await incoming.finish()
                reply = self._judge(body.description) or await self._keep(body)
            except StoreError as error:
                reply = answer_for(error)
            finally:
                await self.drop()
        if not reply.positive:
            self._session.announce_refusal(reply, recipient=", ".join(str(r) for r in self.envelope.recipients[:3]))
        return reply

    def _judge(self, description: "Description") -> Reply | None:
        session = self._session
        if description.header_octets > HEADER_OCTETS or (self._bcc is not None and self._bcc.oversized):
            return BIG_HEADER
        if description.hops > HOPS:
            return LOOP
        if description.longest_line_octets > TEXT_LINE_OCTETS and self.envelope.body != "BINARYMIME":
            return LONG_LINE
        if self._authors.been_at and any(
            recipient.forwarded and written(recipient).lower() in self._authors.been_at for recipient in self.envelope.recipients
        ):
            return CAME_BACK
        if session.identity is None:
            return None
        refusal = judge_authors(session.directory, session.identity, self._authors, others=session.options.others_as_sender)
        outside = sum(len(recipient.outside) for recipient in self.envelope.recipients)
        if refusal is None and outside:
            refusal = session.sending_refusal(outside, take=True)
        return refusal

    async def _keep(self, body: "StagedBody") -> Reply:
        session = self._session
        arrival = Arrival(
            message=self.message,
            envelope=self.envelope,
            trace=self._trace(body.description),
            protocol=session.protocol,
            peer=session.peer,
            begun_mono=self.begun_mono,
            account=session.identity.account if session.identity else None,
            author=session.identity.address.rpartition("@")[2] if session.identity else "",
        )
        await session.intake.accept(arrival, body)
        return Reply(250, "2.0.0", (f"The message is kept as {self.message}.",))

    def _trace(self, description: "Description") -> bytes:
        """What every copy gets in front."""
        trace = self._words_of_ours(description)
        return trace + FIRST_LINE if description.begins_folded else trace

    def _words_of_ours(self, description: "Description") -> bytes:
        session, stream, envelope = self._session, self._session.connection.stream, self.envelope
        at, offset_s = int(session.clock.wall_s()), session.clock.utc_offset_s()
        trace = received(
            greeted_as=session.greeted_as,
            peer=session.peer,
            host=session.options.host_name,
            word=protocol_word(
                extended=session.extended, utf8=envelope.smtputf8, secure=stream.secure, signed_in=session.identity is not None
            ),
            tls=f"{stream.tls_version} {stream.tls_cipher}" if stream.secure else "",
            message=self.message,
            recipient=envelope.recipients[0] if len(envelope.recipients) == 1 else None,
            at=at,
            offset_s=offset_s,
        )
        if session.identity is not None:
            return trace + missing_fields(description, message=self.message, host=session.options.host_name, at=at, offset_s=offset_s)
        if session.options.forged_own_sender != "accept" and claims_our_accounts(session.directory, envelope.sender, self._authors):
            return trace + WARNING
        return trace
