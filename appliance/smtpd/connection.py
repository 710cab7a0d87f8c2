"""The only file of the SMTP server that touches a stream: command lines and chunks in, replies out.

Replies gather until the client is waited for, so pipelined commands are answered with one send (RFC 2920 §3.2).
Line ends are CRLF and nothing else (RFC 5321 §2.3.8): BrokenLine for a line with a bare CR or LF, after which nothing the
client sends can be trusted. ForeignClient for one that speaks HTTP or the like (`protocol.foreign`).
Memory: one read of the stream, one command line, the replies to it.
Fails with PeerGone (also at the end of the stream), PeerSlow, Draining; Overlong for a line over its limit, which is discarded.
"""

from contextlib import suppress

import trio

from appliance.mail.errors import PeerError, PeerGone, PeerSlow
from appliance.mail.limits import AUTH_LINE_OCTETS, CLOSE_S, MESSAGE_READ_OCTETS, READ_OCTETS
from appliance.mail.reply import Reply
from appliance.network.stream import Draining, Stream
from appliance.protocol.foreign import foreign_protocol, is_tls, words_for
from appliance.protocol.framing import Overlong, ReceiveBuffer
from appliance.protocol.smtp.data import DotStream
from appliance.protocol.smtp.replies import encode_reply

REPLIES_OCTETS = 4096
"""Replies beyond this leave before the next command is looked at, which also gives other sessions a turn."""
REQUEST_OCTETS = 128
"""Looked at of a line that is too long: enough to see an HTTP request's method."""
THROWN_AWAY_OCTETS = 64 * 2**10
"""How much of an endless line is discarded before the session ends."""


class BrokenLine(PeerError):
    """A command line with a bare CR or LF."""


class ForeignClient(PeerError):
    """The client speaks another protocol."""


class SmtpConnection:
    """One client's octets both ways."""

    __slots__ = ("_buffer", "_replies", "_replies_octets", "stream")

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._buffer = ReceiveBuffer()
        self._replies: list[bytes] = []
        self._replies_octets = 0

    # --- in ----------------------------------------------------------------------------------

    async def line(self, timeout_s: float) -> bytes:
        """The next command line without its CRLF; all of it must come within `timeout_s`. Raises Draining once the login is revoked."""
        if self.stream.revoked:  # nothing more is done, not even what the buffer holds
            raise Draining
        if self._replies_octets > REPLIES_OCTETS:
            await self.flush()
        deadline = trio.current_time() + timeout_s
        try:
            while (line := self._buffer.line(AUTH_LINE_OCTETS)) is None:
                if is_tls(self._buffer.peek(2)):  # it may never send a line end
                    raise ForeignClient(words_for("TLS"))
                await self._receive(deadline - trio.current_time())
        except Overlong:
            if is_tls(self._buffer.peek(2)) or foreign_protocol(self._buffer.peek(REQUEST_OCTETS)):
                raise ForeignClient(words_for("HTTP")) from None
            await self._throw_line_away(deadline)
            raise
        if foreign := foreign_protocol(line):
            raise ForeignClient(words_for(foreign))
        if line[-2:] != b"\r\n" or line.find(b"\r", 0, -2) >= 0:
            raise BrokenLine("a bare CR or LF in a command")
        return line[:-2]

    async def _throw_line_away(self, deadline: float) -> None:
        thrown = 0
        while True:
            chunk = self._buffer.take(READ_OCTETS)
            end = chunk.find(b"\n") + 1
            if end:
                self._buffer.feed(chunk[end:])
                return
            thrown += len(chunk)
            if thrown > THROWN_AWAY_OCTETS:
                raise BrokenLine("a line without end")
            await self._receive(deadline - trio.current_time())

    async def chunk(self, timeout_s: float, most_octets: int = READ_OCTETS) -> bytes:
        """The next octets of a message, at least one."""
        if self.stream.revoked:
            raise Draining
        if not self._buffer:
            await self._receive(timeout_s, MESSAGE_READ_OCTETS)
        return self._buffer.take(most_octets)

    def give_back(self, octets: bytes) -> None:
        """Octets after a message's end belong to the next command."""
        if octets:
            self._buffer.feed(octets)

    @property
    def holds_octets(self) -> bool:
        """The client has sent more than was consumed so far."""
        return len(self._buffer) > 0

    async def _receive(self, timeout_s: float, most_octets: int = READ_OCTETS) -> None:
        await self.flush()
        octets = await self.stream.receive(max(timeout_s, 0), most_octets)
        if not octets:
            raise PeerGone("the client closed the connection")
        self._buffer.feed(octets)

    # --- out ---------------------------------------------------------------------------------

    def queue(self, reply: Reply) -> None:
        """Add a reply to what leaves next."""
        octets = encode_reply(reply)
        self._replies.append(octets)
        self._replies_octets += len(octets)

    async def flush(self) -> None:
        """Send the replies that have gathered, in one go."""
        if self._replies:
            octets = b"".join(self._replies)
            self._replies.clear()
            self._replies_octets = 0
            await self.stream.send(octets)

    async def send_last(self, reply: Reply) -> None:
        """The last reply, if the client still takes it. Never raises PeerError."""
        self.queue(reply)
        with suppress(PeerError), trio.move_on_after(CLOSE_S):
            await self.flush()

    async def discard(self, source: int | DotStream, timeout_s: float) -> bool:
        """Discard that many octets, or a message up to its end, for at most `timeout_s`; True when that was all of it."""
        deadline = trio.current_time() + timeout_s
        with suppress(PeerSlow):
            while source if isinstance(source, int) else not source.done:
                wait_s = deadline - trio.current_time()
                if isinstance(source, int):
                    source -= len(await self.chunk(wait_s, min(source, READ_OCTETS)))
                else:
                    source.feed(await self.chunk(wait_s))
            return True
        return False

    # --- TLS ---------------------------------------------------------------------------------

    async def start_tls(self) -> None:
        """Turn TLS on after the reply left; nothing received in plain text remains. Raises PeerGone, PeerSlow."""
        await self.flush()
        self._buffer.clear()
        await self.stream.start_tls()
