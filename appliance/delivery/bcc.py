"""Removes the Bcc fields from a submitted message, while it streams in (RFC 5322 §3.6.3, RFC 6409 §8).

Every recipient gets the same octets, so a Bcc field left in tells each of them who else got a copy. Clients differ: most
remove it, some leave that to the server. Removed are Bcc and Resent-Bcc of the message's own header, whatever their
case, folding and blanks before the colon; headers of attached messages belong to their text and stay.

This is the one exception to the rule that a body is stored exactly as received: it happens before the octets are hashed,
described and stored, so sizes, offsets and signatures are those of what is kept. It does not touch an unauthenticated message on
port 25, nor what a client stores by IMAP APPEND (its own copy in Sent keeps its Bcc).

Linear, in chunks of any size; what waits for more octets is at most NAME_OCTETS. A header over HEADER_OCTETS, removed fields
included, is `oversized` and not looked at further: such a message is refused. Line ends are those of `mail.header`: an
LF ends a line, with or without CR. Never fails.
"""

import re
from enum import Enum, auto

from appliance.mail.limits import HEADER_OCTETS

NAME_OCTETS = 1000
"""Blanks may stand between name and colon. A line with more of them than a line may have is taken for the field it begins as."""
_NAMES = (b"bcc", b"resent-bcc")
_NAMED = re.compile(rb"(?:resent-)?bcc[ \t]*(?=[:\r\n])", re.IGNORECASE)
_PREFIX = re.compile(rb"(?:resent-)?bcc[ \t]*", re.IGNORECASE)
_FIRST = frozenset(b"bBrR")


class _HeaderLine(Enum):
    """What a header line is, as its first octets show."""

    OTHER = auto()
    BCC = auto()
    FOLDED = auto()
    END = auto()
    UNDECIDED = auto()


class BccRemover:
    """One message: `feed` its octets, `end` when they are all in; what comes back is what to keep."""

    __slots__ = ("_dropping", "_held", "_line_begins", "_octets", "_over", "oversized")

    def __init__(self) -> None:
        self._held = b""
        self._over = False
        """The header has ended; all that follows is kept."""
        self._octets = 0
        self.oversized = False
        self._line_begins = True
        self._dropping = False

    def feed(self, chunk: bytes) -> bytes:
        if self._over:
            return chunk
        octets = self._held + chunk if self._held else chunk
        self._held = b""
        self._octets += len(chunk)
        kept: list[bytes] = []
        at, size = 0, len(octets)
        while at < size:
            if self._line_begins:
                line = _judge(octets, at)
                if line is _HeaderLine.UNDECIDED:
                    self._held = octets[at:]
                    break
                if line is _HeaderLine.END:
                    self._over = True
                    self.oversized = self._octets - (size - at) > HEADER_OCTETS
                    kept.append(octets[at:])
                    break
                if line is not _HeaderLine.FOLDED:
                    self._dropping = line is _HeaderLine.BCC
            end = octets.find(b"\n", at) + 1
            self._line_begins = bool(end)
            if not self._dropping:
                kept.append(octets[at : end or size])
            at = end or size
        if not self._over and self._octets > HEADER_OCTETS:
            self._over = self.oversized = True
        return kept[0] if len(kept) == 1 else b"".join(kept)

    def end(self) -> bytes:
        """The message is complete, perhaps in the middle of its header."""
        held, self._held = self._held, b""
        return b"" if _PREFIX.fullmatch(held) else held


def _judge(octets: bytes, at: int) -> _HeaderLine:
    """Classify the header line that begins at `at`."""
    first = octets[at]
    if first in b" \t":
        return _HeaderLine.FOLDED
    if first == 0x0A:
        return _HeaderLine.END
    if first == 0x0D:
        if at + 1 == len(octets):
            return _HeaderLine.UNDECIDED
        return _HeaderLine.END if octets[at + 1] == 0x0A else _HeaderLine.OTHER
    if first not in _FIRST:
        return _HeaderLine.OTHER
    if _NAMED.match(octets, at):
        return _HeaderLine.BCC
    prefix = octets[at : at + NAME_OCTETS]
    if _PREFIX.fullmatch(prefix):
        return _HeaderLine.UNDECIDED if len(prefix) < NAME_OCTETS else _HeaderLine.BCC
    word = prefix[: len(_NAMES[1])].lower()
    return _HeaderLine.UNDECIDED if len(word) == len(prefix) and any(name.startswith(word) for name in _NAMES) else _HeaderLine.OTHER
