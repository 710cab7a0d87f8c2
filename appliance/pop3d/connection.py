"""The connection of one POP3 session: octets in, events to the session, collected responses out.

The only file of this package that touches a stream. Responses to pipelined commands are sent together (RFC 2449 §6.6), at most
SEND_OCTETS at once. A client that is idle for IDLE_BUFFERS_S costs no buffers. Failures: PeerGone, PeerSlow (the autologout
of RFC 1939 §3: nothing is deleted) and a draining server end the session without a response.
"""

from contextlib import suppress

import trio

from appliance.mail.errors import PeerError, PeerGone, PeerSlow
from appliance.mail.limits import CLOSE_S
from appliance.network.stream import Draining, Stream
from appliance.protocol.framing import Overlong
from appliance.protocol.pop3.grammar import Pop3Command, err
from appliance.protocol.pop3.server import Endless, Foreign, Misuse, Pop3ServerState, Pop3State, SaslResponse

from .session import Next, Pop3Session

SEND_OCTETS = 64 * 2**10
IDLE_BUFFERS_S = 5.0
"""Read-ahead messages are kept so long for an idle client."""


class Pop3Connection:
    """`idle_s`: autologout after sign-in; `before_login_s`: all waiting until then together; `errors`: wrong commands in a row that
    end the session."""

    def __init__(self, stream: Stream, *, idle_s: float, before_login_s: float, errors: int) -> None:
        self.protocol = Pop3ServerState()
        self._stream = stream
        self._idle_s = idle_s
        self._before_login_s = before_login_s
        self._errors = errors
        self._parts: list[bytes] = []
        self._octets = 0

    async def write(self, octets: bytes) -> None:
        """Collect a response; sent when SEND_OCTETS have gathered, or when no complete command is left."""
        self._parts.append(octets)
        self._octets += len(octets)
        if self._octets >= SEND_OCTETS:
            await self._flush()

    async def run(self, session: Pop3Session) -> None:
        """From greeting to the end of the session."""
        try:
            await self._run(session)
        except Draining:
            if self._stream.revoked:
                with suppress(PeerError), trio.move_on_after(CLOSE_S):
                    await self.write(err("The password you signed in with was changed or removed.", "AUTH"))
                    await self._flush()

    async def _run(self, session: Pop3Session) -> None:
        await self._stream.send(b"+OK Pillarbox\r\n")
        wrong = 0
        while True:
            if self._stream.revoked:  # nothing more is executed, not even commands already received
                raise Draining
            event = self.protocol.next_event()
            if event is None:
                await self._flush()
                octets = await self._receive(session)
                if not octets:
                    return
                self.protocol.receive(octets)
                continue
            if isinstance(event, Misuse):
                await self.write(err(event.text))
                wrong += 1
                if wrong < self._errors:
                    continue
            if isinstance(event, Misuse | Endless):
                await self.write(err("Too many errors."))
                await self._flush()
                return
            if isinstance(event, Foreign):
                await self.write(err(event.text))
                await self._flush()
                return
            assert isinstance(event, Pop3Command)  # noqa: S101 - `ask` reads the responses of an exchange
            wrong = 0
            next_step = await session.handle(event)
            if next_step is Next.CLOSE:
                await self._flush()
                return
            if next_step is Next.START_TLS:
                await self._flush()
                self.protocol.discard_buffer()
                await self._stream.start_tls()

    async def ask(self, challenge: bytes) -> bytes:
        """Send a SASL challenge, already in base64; the client's response line (RFC 5034 §4). Raises Overlong, PeerError."""
        await self.write(b"+ " + challenge + b"\r\n")
        self.protocol.state = Pop3State.EXCHANGE
        try:
            while (event := self.protocol.next_event()) is None:
                await self._flush()
                octets = await self._receive_before_login()
                if not octets:
                    raise PeerGone("the client closed the connection")
                self.protocol.receive(octets)
        finally:
            self.protocol.state = Pop3State.AUTHORIZATION
        if isinstance(event, SaslResponse):
            return event.octets
        if isinstance(event, Misuse):
            raise Overlong
        await self.write(err(event.text if isinstance(event, Foreign) else "Too many errors."))
        await self._flush()
        raise PeerGone("no SASL response came")

    async def _flush(self) -> None:
        parts, self._parts, self._octets = self._parts, [], 0
        if parts:
            await self._stream.send(parts[0] if len(parts) == 1 else b"".join(parts))

    async def _receive(self, session: Pop3Session) -> bytes:
        """More octets; before sign-in the waiting times add up."""
        if self.protocol.state is Pop3State.TRANSACTION:
            try:
                return await self._stream.receive(min(IDLE_BUFFERS_S, self._idle_s))
            except PeerSlow:
                session.release_buffers()
                return await self._stream.receive(max(0.0, self._idle_s - IDLE_BUFFERS_S))
        return await self._receive_before_login()

    async def _receive_before_login(self) -> bytes:
        begun = trio.current_time()
        octets = await self._stream.receive(self._before_login_s)
        self._before_login_s -= trio.current_time() - begun
        return octets
