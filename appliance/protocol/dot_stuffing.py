"""Dot-stuffing of a message, in bulk: SMTP's DATA (RFC 5321 §4.5.2) and POP3's multi-line responses (RFC 1939 §3).

Invariants: a message whose lines end in CRLF is sent with its own octets, a dot doubled at the start of a line; a bare CR
stays as it is; a bare LF, which no line may hold, becomes CRLF, so that a lone dot after it can never end the message;
a message without a last CRLF gets one. How the message is cut into chunks makes no difference.
"""

import re

END = b".\r\n"
_BARE_LF = re.compile(rb"(?<!\r)\n")


class DotStuffer:
    """One message, in chunks; remembers the last two octets before the next chunk."""

    __slots__ = ("_before",)

    def __init__(self) -> None:
        self._before = b"\r\n"

    def feed(self, chunk: bytes) -> bytes:
        """The octets to send for `chunk`."""
        if not chunk:
            return b""
        before, self._before = self._before, (self._before + chunk[-2:])[-2:]
        # the chunk is looked at with the CR or CRLF that may stand before it; those do not change any more
        seam = before if before == b"\r\n" else before[-1:] if before[-1:] == b"\r" else b""
        out = seam + chunk
        if out.count(b"\n") != out.count(b"\r\n"):
            out = _BARE_LF.sub(b"\r\n", out)
            self._before = (before + out[len(seam) :])[-2:]
        return out.replace(b"\r\n.", b"\r\n..")[len(seam) :]

    def finish(self) -> bytes:
        """The last line's end, if it was missing, and the lone dot."""
        return END if self._before == b"\r\n" else b"\r\n" + END


def dot_stuffed(octets: bytes) -> bytes:
    """A whole message at once, its end included."""
    stuffer = DotStuffer()
    return stuffer.feed(octets) + stuffer.finish()
