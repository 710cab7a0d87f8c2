"""Receive buffer: lines, literals and exact octet counts.

Every octet is examined once: the search for a line end resumes where it stopped, and taking octets moves an offset.
A chunk taken whole is passed on without copying. An empty buffer holds no octets, so that an idle session costs an
object of three words. Callers keep it bounded: `line` refuses a line over its limit, and they feed no more while
a complete line or literal is in it. Raises Overlong.
"""

from appliance.mail.errors import MisuseError


class Overlong(MisuseError):
    """The line is longer than its limit; what was received of it is still in the buffer."""


class ReceiveBuffer:
    """Octets received and not yet used."""

    __slots__ = ("_at", "_data", "_searched")

    def __init__(self) -> None:
        self._data: bytes | bytearray = b""
        self._at = 0
        self._searched = 0

    def __len__(self) -> int:
        return len(self._data) - self._at

    def feed(self, octets: bytes) -> None:
        """Append octets received from the stream."""
        if self._at >= len(self._data):
            self._data, self._at, self._searched = octets, 0, 0
            return
        if not isinstance(self._data, bytearray):
            self._data = bytearray(memoryview(self._data)[self._at :])
            self._searched -= self._at
            self._at = 0
        self._data += octets

    def line(self, limit_octets: int) -> bytes | None:
        """The next line with its line end (CRLF or a bare LF: the caller decides), or None when it is incomplete.

        `limit_octets` counts the line end. Raises Overlong.
        """
        end = self._data.find(b"\n", self._searched) + 1
        if not end:
            self._searched = len(self._data)
            if len(self) >= limit_octets:
                raise Overlong("The line is too long.")
            return None
        if end - self._at > limit_octets:
            raise Overlong("The line is too long.")
        return self._use(end - self._at)

    def peek(self, octets: int) -> bytes:
        """Up to that many octets, without removing them."""
        return bytes(self._data[self._at : self._at + octets])

    def exactly(self, octets: int) -> bytes | None:
        """That many octets, or None while fewer are in the buffer."""
        return self._use(octets) if len(self) >= octets else None

    def take(self, most_octets: int) -> bytes:
        """The octets in the buffer, up to `most_octets`; b"" when it is empty."""
        return self._use(min(most_octets, len(self)))

    def skip(self, most_octets: int) -> int:
        """Discard up to that many octets; returns how many."""
        return len(self._use(min(most_octets, len(self))))

    def clear(self) -> None:
        """Discard everything (plaintext received before a TLS handshake)."""
        self._data, self._at, self._searched = b"", 0, 0

    def _use(self, octets: int) -> bytes:
        data, start = self._data, self._at
        end = start + octets
        if end == len(data):
            self.clear()
            return bytes(data) if start == 0 else bytes(memoryview(data)[start:])
        if isinstance(data, bytearray):
            taken = bytes(memoryview(data)[:end])
            del data[:end]  # moves the start of the bytearray, not its octets
            self._searched = 0
            return taken
        self._at = self._searched = end
        return data[start:end]
