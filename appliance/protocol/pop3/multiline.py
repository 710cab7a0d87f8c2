"""TOP: a message cut after its header and some body lines (RFC 1939 §7); dot-stuffing is in `protocol.dot_stuffing`.

NUL is sent as it is, unlike in IMAP's plain literals: RFC 1939 §3 forbids no octet in a multi-line response, and POP3 has no
other form that could send it, so a client that keeps the message would keep a changed one.
"""


class Top:
    """Cuts a message after its header and a number of lines (RFC 1939 §7, TOP); line ends are LF, with or without CR."""

    __slots__ = ("_header_octets", "_lines")

    def __init__(self, header_octets: int, lines: int) -> None:
        self._header_octets = header_octets
        self._lines = lines

    @property
    def done(self) -> bool:
        """Nothing more is needed."""
        return not self._header_octets and not self._lines

    def feed(self, chunk: bytes) -> bytes:
        """The part of `chunk` that is still needed."""
        header, body = chunk[: self._header_octets], chunk[self._header_octets :]
        self._header_octets -= len(header)
        if not body or not self._lines:
            return header
        ends = body.count(b"\n")
        if ends < self._lines:
            self._lines -= ends
            return chunk
        tail = body.split(b"\n", self._lines)[-1]
        self._lines = 0
        return chunk[: len(chunk) - len(tail)]
