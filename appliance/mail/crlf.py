"""Count the octets that converting a message's line ends to CRLF adds, as for POP3's RETR (RFC 1939 §11)."""


class MissingCrlf:
    """Counts over a message fed in chunks of any size. Linear; keeps one octet.

    Each LF without CR becomes CRLF (+1); a last line without line end gets one (+2). A bare CR stays as it is.
    """

    __slots__ = ("_bare", "_last")

    def __init__(self) -> None:
        self._bare = 0
        self._last = b""

    def feed(self, chunk: bytes) -> None:
        if not chunk:
            return
        split = self._last == b"\r" and chunk[:1] == b"\n"
        self._bare += chunk.count(b"\n") - chunk.count(b"\r\n") - split
        self._last = chunk[-1:]

    @property
    def octets(self) -> int:
        return self._bare + (0 if self._last in (b"", b"\n") else 2)
