"""Multi-line responses: a message made ready for the wire, in bulk (RFC 1939 §3).

Promises: a message whose lines end in CRLF leaves with its own octets, a dot doubled at the start of a line; a bare CR
stays as it is; a bare LF, which no line may hold, becomes CRLF, so that a lone dot behind it can never end the response;
a message without a last CRLF gets one. NUL goes out as it is, unlike in IMAP's plain literals: RFC 1939 §3 forbids no octet in a
multi-line response, and POP3 has no other form that could bring it, so a client that keeps the message would keep a changed one. How
the message is cut into pieces makes no difference.
"""

import re

END = b".\r\n"
_BARE_LF = re.compile(rb"(?<!\r)\n")


class DotStuffer:
    """One multi-line response, in pieces; remembers the last two octets before the next piece."""

    __slots__ = ("_before",)

    def __init__(self) -> None:
        self._before = b"\r\n"

    def feed(self, chunk: bytes) -> bytes:
        """The octets to send for `piece`."""
        if not chunk:
            return b""
        before, self._before = self._before, (self._before + chunk[-2:])[-2:]
        # the piece is looked at with the CR or CRLF that may stand before it; those can change no more
        seam = before if before == b"\r\n" else before[-1:] if before[-1:] == b"\r" else b""
        out = seam + chunk
        if out.count(b"\n") != out.count(b"\r\n"):
            out = _BARE_LF.sub(b"\r\n", out)
            self._before = (before + out[len(seam) :])[-2:]
        return out.replace(b"\r\n.", b"\r\n..")[len(seam) :]

    def finish(self) -> bytes:
        """The last line's end, if it was missing, and the lone dot."""
        return END if self._before == b"\r\n" else b"\r\n" + END


def encode_multiline(octets: bytes) -> bytes:
    """A whole message at once."""
    stuffer = DotStuffer()
    return stuffer.feed(octets) + stuffer.finish()


class Top:
    """Cuts a message after its header and a number of lines (RFC 1939 §7, TOP); line ends are LF, with or without CR."""

    __slots__ = ("_header_octets", "_lines")

    def __init__(self, header_octets: int, lines: int) -> None:
        self._header_octets = header_octets
        self._lines = lines

    @property
    def done(self) -> bool:
        """Nothing that follows is wanted."""
        return not self._header_octets and not self._lines

    def feed(self, chunk: bytes) -> bytes:
        """What of `piece` is still wanted."""
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
