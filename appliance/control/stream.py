"""One end of a control connection: JSON lines and message octets over a byte stream.

The octets of a message are chunks, each a line with its length in decimal and then so many octets; "0" ends the message, "!"
says that the rest of it cannot be read.
"""

import json
from collections.abc import AsyncIterator
from errno import EIO
from typing import Any

import trio

from appliance.mail.errors import MisuseError, PeerGone

from .codec import Value, encode_value

LINE_OCTETS = 64 * 2**10
CHUNK_OCTETS = 64 * 2**10
UNREADABLE = b"!"


class ControlStream:
    """Raises PeerGone when the other end is gone, MisuseError when it breaks the form."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._buffer = bytearray()

    async def receive(self) -> dict[str, Any]:
        """One line, a JSON object."""
        try:
            message = json.loads(await self._line())
        except ValueError as error:
            raise MisuseError("a line on the local socket is not JSON") from error
        if not isinstance(message, dict):
            raise MisuseError("a line on the local socket is not a JSON object")
        return message

    async def receive_octets(self) -> AsyncIterator[bytes]:
        """A message in chunks of at most CHUNK_OCTETS. Raises OSError when the sender could not read all of it."""
        while True:
            digits = await self._line()
            if digits == UNREADABLE:
                raise OSError(EIO, "the rest of the message cannot be read")
            if not digits.isdigit() or len(digits) > 6 or int(digits) > CHUNK_OCTETS:
                raise MisuseError("a chunk on the local socket has no valid length")
            length = int(digits)
            if not length:
                return
            while len(self._buffer) < length:
                await self._more()
            chunk = bytes(self._buffer[:length])
            del self._buffer[:length]
            yield chunk

    async def send(self, value: Value) -> None:
        await self._send(json.dumps(encode_value(value)).encode() + b"\n")

    async def send_octets(self, chunks: AsyncIterator[bytes]) -> None:
        end = b"0"
        try:
            async for chunk in chunks:
                for at in range(0, len(chunk), CHUNK_OCTETS):
                    part = chunk[at : at + CHUNK_OCTETS]
                    await self._send(b"%d\n%b" % (len(part), part))
        except OSError:  # of reading the chunks: what the stream raises is PeerGone
            end = UNREADABLE
        await self._send(end + b"\n")

    async def _more(self) -> None:
        try:
            got = await self._stream.receive_some(CHUNK_OCTETS)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise PeerGone("the other end of the local socket is gone") from error
        if not got:
            raise PeerGone("the other end of the local socket is gone")
        self._buffer += got

    async def _line(self) -> bytes:
        seen = 0
        while (end := self._buffer.find(b"\n", seen)) < 0:
            seen = len(self._buffer)
            if seen > LINE_OCTETS:
                raise MisuseError("a line on the local socket is too long")
            await self._more()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    async def _send(self, data: bytes) -> None:
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise PeerGone("the other end of the local socket is gone") from error
