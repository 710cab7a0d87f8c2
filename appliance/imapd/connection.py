"""The connection of one IMAP session: octets from the stream to the reader, events to the session, responses out.

The only file of IMAP that touches a stream. Output is a list of parts that is written when WRITE_OCTETS have gathered or before
waiting for the client, so responses to pipelined commands are sent together and a large literal is never copied. An idle connection
holds no buffer, and with COMPRESS its deflater only for RELEASE_S.

Fails with PeerGone, PeerSlow (a client that stopped reading) and SessionOver (send BYE: idle, draining, too large).
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import trio

from appliance.mail.errors import MisuseError, PeerGone, PeerSlow
from appliance.mail.limits import CLOSE_S
from appliance.network.stream import Draining
from appliance.protocol.imap.server import Continue, Event, Fatal, ImapReader, Message, NeedMore, ReceivedCommand, Refused, Rest

from .errors import SessionOver

if TYPE_CHECKING:
    from appliance.network.stream import Stream

    from .compression import Compression

WRITE_OCTETS = 64 * 2**10
TURN_COMMANDS = 32
"""Pipelined commands after which other sessions have their turn: 64 KiB hold 9,000 NOOPs, half a second of CPU."""
AHEAD_COMMANDS = 64
"""Pipelined commands looked at in advance: of messages of 4 KB as many are read at once."""
REVOKED = (b"EXPIRED", b"The password you signed in with was changed or removed.")
"""RFC 5530 §3."""
CHUNK_S = 180
"""Read timeout inside a message: it bounds how long a stalled client holds part of the server's receive budget."""

RELEASE_S = 2.0
"""How long a deflater is kept for a client that sends nothing: a client at work sends its next command sooner."""


class ImapConnection:
    """One client's octets in both directions. One task reads; while it waits in IDLE another may write."""

    __slots__ = ("_ahead", "_compression", "_parts", "_parts_octets", "_resting", "_turn", "reader", "stream")

    def __init__(self, stream: "Stream", streamed: Mapping[bytes, int]) -> None:
        self.stream = stream
        self.reader = ImapReader(streamed)
        self._parts: list[bytes] = []
        self._parts_octets = 0
        self._ahead: list[Event] = []
        """Events that `following` looked at: the next ones of `event`."""
        self._turn = 0
        """Events since others had their turn."""
        self._compression: Compression | None = None
        self._resting = False
        """The client has sent nothing for RELEASE_S."""

    # --- in ----------------------------------------------------------------------------------

    async def event(self, timeout_s: float) -> ReceivedCommand | Message | Rest | Refused:
        """The next event; all its octets must arrive within `timeout_s`."""
        self._turn += 1
        if self._turn >= TURN_COMMANDS:
            self._turn = 0
            await trio.lowlevel.checkpoint()
        deadline = trio.current_time() + timeout_s
        while True:
            if self.stream.revoked:  # nothing more is done, not even what the buffer holds
                raise SessionOver(*REVOKED)
            event = self._ahead.pop(0) if self._ahead else self.reader.next()
            if isinstance(event, NeedMore):
                await self.flush()
                await self._receive(deadline - trio.current_time())
            elif isinstance(event, Continue):
                self.queue(b"+ Ready.\r\n")
            elif isinstance(event, Fatal):
                raise SessionOver(event.code, event.text)
            else:
                return event

    def following(self, wanted: Callable[[ReceivedCommand], bool]) -> list[ReceivedCommand]:
        """The complete commands that were received behind the one that runs, as far as they are wanted; at most AHEAD_COMMANDS.

        They stay the next events. Call it only from a command after which the reader reads commands again.
        """
        ahead, found = self._ahead, []
        for at in range(AHEAD_COMMANDS):
            if at == len(ahead):
                event = self.reader.next()
                if isinstance(event, NeedMore):
                    break
                ahead.append(event)
            one = ahead[at]
            if not isinstance(one, ReceivedCommand) or not wanted(one):
                break
            found.append(one)
        return found

    def take(self) -> ReceivedCommand:
        """The first of those commands, which is thereby no event any more."""
        taken = self._ahead.pop(0)
        assert isinstance(taken, ReceivedCommand)  # noqa: S101 what `following` gave
        return taken

    async def line(self, timeout_s: float) -> bytes:
        """A line of AUTHENTICATE or IDLE, between `reader.begin_exchange` and `reader.end_exchange`."""
        deadline = trio.current_time() + timeout_s
        await self.flush()
        while True:
            try:
                line = self.reader.exchange_line()
            except MisuseError as problem:
                raise SessionOver(b"TOOBIG", b"The line is too long.") from problem
            if line is not None:
                return line
            await self._receive(deadline - trio.current_time())

    async def chunk(self) -> bytes:
        """Octets of an accepted message; b"" at its end."""
        if self.stream.revoked:
            raise SessionOver(*REVOKED)
        while (chunk := self.reader.chunk()) is None:
            await self.flush()
            await self._receive(CHUNK_S)
        return chunk

    async def refuse(self, message: Message) -> None:
        """Read a refused message's command to its end and discard it. Raises SessionOver when that is too much."""
        if not self.reader.refuse(message):
            await self.event(CHUNK_S)

    def pending(self) -> bool:
        """Whether the client has sent something behind the command that runs."""
        return bool(self._ahead) or self.reader.pending() > 0

    async def wait(self, timeout_s: float) -> None:
        """Return when the client has sent something."""
        while not self.pending():
            await self._receive(timeout_s)

    async def _receive(self, timeout_s: float) -> None:
        """Feed the reader with what comes next, which may be nothing yet."""
        self._turn = 0
        if self._compression is None:
            self.reader.feed(await self._octets(timeout_s))
        elif self._compression.held:
            await trio.lowlevel.checkpoint()
            self.reader.feed(self._compression.inflated(b""))
        else:
            self.reader.feed(self._compression.inflated(await self._octets_or_rest(self._compression, timeout_s)))

    async def _octets_or_rest(self, compression: "Compression", timeout_s: float) -> bytes:
        """The next octets; a deflater is released when they take long."""
        if compression.deflating and timeout_s > RELEASE_S:
            with trio.move_on_after(RELEASE_S):
                return await self._octets(timeout_s)
            compression.release()
            timeout_s -= RELEASE_S
        self._resting = True
        try:
            return await self._octets(timeout_s)
        finally:
            self._resting = False

    async def _octets(self, timeout_s: float) -> bytes:
        try:
            octets = await self.stream.receive(max(timeout_s, 0))
        except PeerSlow as slow:
            raise SessionOver(b"", b"Autologout: no command for too long.") from slow
        except Draining as draining:
            if self.stream.revoked:
                raise SessionOver(*REVOKED) from draining
            raise SessionOver(b"UNAVAILABLE", b"The server is shutting down, try again in a minute.") from draining
        if not octets:
            raise PeerGone("the client closed the connection")
        return octets

    # --- out ---------------------------------------------------------------------------------

    def queue(self, *parts: bytes) -> None:
        """Add small octets to the next flush."""
        self._parts += parts
        self._parts_octets += sum(map(len, parts))

    async def send(self, *parts: bytes) -> None:
        """Add octets; write when enough have gathered. Waits for a client that reads slowly. Raises PeerGone, PeerSlow."""
        self._parts += parts
        self._parts_octets += sum(map(len, parts))
        if self._parts_octets >= WRITE_OCTETS:
            await self.flush()

    async def flush(self) -> None:
        """Write what has gathered."""
        parts = self._parts
        if parts:
            self._parts = []
            self._parts_octets = 0
            if self._compression is not None:
                await self._send_compressed(self._compression, parts)
            elif len(parts) == 1:
                await self.stream.send(parts[0])
            else:
                await self.stream.send_parts(parts)

    async def _send_compressed(self, compression: "Compression", parts: list[bytes]) -> None:
        """Send what has gathered; other sessions run between the pieces of a large one."""
        pieces: list[bytes] = []
        octets = 0
        for piece in compression.deflated(parts):
            pieces.append(piece)
            octets += len(piece)
            if octets >= WRITE_OCTETS:
                await self.stream.send(b"".join(pieces))
                pieces, octets = [], 0
            elif piece:
                await trio.lowlevel.checkpoint()
        if octets:
            await self.stream.send(b"".join(pieces))
        if self._resting:
            compression.release()

    @property
    def compressed(self) -> bool:
        return self._compression is not None

    async def compress(self) -> None:
        """From here on all octets are compressed; what was queued before has been flushed (RFC 4978 §3)."""
        from .compression import Compression

        self._compression = Compression()

    async def send_bye(self, octets: bytes) -> None:
        """Send BYE, if the client still reads; at most CLOSE_S."""
        self.queue(octets)
        with trio.move_on_after(CLOSE_S):
            await self.flush()
