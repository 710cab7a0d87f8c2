"""The stream pump of one POP3 session: octets in, events to the session, gathered answers out.

The only file of this room that touches a stream. Answers to pipelined commands leave together (RFC 2449 §6.6), at most
SEND_OCTETS at once. A client that is quiet for REST_S costs no buffers. How it fails: PeerGone, PeerSlow (the autologout
of RFC 1939 §3: nothing is removed) and a drained server end the session without a word.
"""

from contextlib import suppress

import trio

from appliance.mail.errors import PeerError, PeerSlow
from appliance.mail.limits import CLOSE_S
from appliance.network.stream import Draining, Stream
from appliance.protocol.pop3.grammar import err
from appliance.protocol.pop3.server import Endless, Foreign, Misuse, Pop3ServerState, State

from .session import Next, Session

SEND_OCTETS = 64 * 2**10
REST_S = 5.0


class Connection:
    """`idle_s`: how long a client who signed in may be quiet; `before_login_s`: how long it may take until then in all;
    `errors`: wrong commands in a row that end the session."""

    def __init__(self, stream: Stream, *, idle_s: float, before_login_s: float, errors: int) -> None:
        self.conversation = Pop3ServerState()
        self._stream = stream
        self._idle_s = idle_s
        self._patience_s = before_login_s
        self._errors = errors
        self._parts: list[bytes] = []
        self._octets = 0

    async def write(self, octets: bytes) -> None:
        """Take an answer; sent when enough has gathered, or when there is nothing left to answer."""
        self._parts.append(octets)
        self._octets += len(octets)
        if self._octets >= SEND_OCTETS:
            await self._flush()

    async def run(self, session: Session) -> None:
        """The whole conversation."""
        try:
            await self._converse(session)
        except Draining:
            if self._stream.revoked:
                with suppress(PeerError), trio.move_on_after(CLOSE_S):
                    await self.write(err("The password you signed in with was changed or removed.", "AUTH"))
                    await self._flush()

    async def _converse(self, session: Session) -> None:
        await self._stream.send(b"+OK Pillarbox\r\n")
        wrong = 0
        while True:
            if self._stream.revoked:  # nothing more is done, not even what the buffer holds
                raise Draining
            event = self.conversation.next_event()
            if event is None:
                await self._flush()
                octets = await self._receive(session)
                if not octets:
                    return
                self.conversation.receive(octets)
                continue
            if isinstance(event, Misuse):
                await self.write(err(event.text))
                wrong += 1
                if wrong < self._errors:
                    continue
            if isinstance(event, Misuse | Endless):
                await self.write(err("That is enough."))
                await self._flush()
                return
            if isinstance(event, Foreign):
                await self.write(err(event.text))
                await self._flush()
                return
            wrong = 0
            after = await session.act(event)
            if after is Next.CLOSE:
                await self._flush()
                return
            if after is Next.START_TLS:
                await self._flush()
                self.conversation.forget()
                await self._stream.start_tls()

    async def _flush(self) -> None:
        parts, self._parts, self._octets = self._parts, [], 0
        if parts:
            await self._stream.send(parts[0] if len(parts) == 1 else b"".join(parts))

    async def _receive(self, session: Session) -> bytes:
        """What the client says next; before signing in its silences add up."""
        if self.conversation.state is State.TRANSACTION:
            try:
                return await self._stream.receive(min(REST_S, self._idle_s))
            except PeerSlow:
                session.rest()
                return await self._stream.receive(max(0.0, self._idle_s - REST_S))
        begun = trio.current_time()
        octets = await self._stream.receive(self._patience_s)
        self._patience_s -= trio.current_time() - begun
        return octets
