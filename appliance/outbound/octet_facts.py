"""What octets of a message hold that restricts how they may be sent: 8-bit octets, NUL, bare CR or LF, long lines."""

import re
from dataclasses import dataclass

from appliance.mail.outgoing import Chunks

LINE_OCTETS = 998
"""RFC 5322 §2.1.1, without the CRLF."""
_LONG = re.compile(rb"[^\n]{1000}")


@dataclass(slots=True)
class OctetFacts:
    """`octets`: how many; `eight`: octets above 127; `bare`: a CR or LF alone; `long`: a line over LINE_OCTETS."""

    octets: int = 0
    eight: bool = False
    nul: bool = False
    bare: bool = False
    long: bool = False
    _tail: bytes = b""
    _run: int = 0

    def feed(self, chunk: bytes) -> None:
        """The next octets, in chunks of any size; call `end` after the last."""
        self.octets += len(chunk)
        self.eight = self.eight or not chunk.isascii()
        self.nul = self.nul or b"\0" in chunk
        text = self._tail + chunk
        self._tail = b"\r" if text.endswith(b"\r") else b""
        text = text[: len(text) - len(self._tail)]
        if not self.bare and (text.count(b"\r\n") != text.count(b"\n") or text.count(b"\r\n") != text.count(b"\r")):
            self.bare = True
        if not self.long:
            first = text.find(b"\n")
            if first < 0:
                self._run += len(text)
            else:
                self.long = self._run + first > LINE_OCTETS + 1 or bool(_LONG.search(text, first))
                self._run = len(text) - text.rfind(b"\n") - 1
            self.long = self.long or self._run > LINE_OCTETS

    def end(self) -> None:
        self.bare = self.bare or bool(self._tail)

    @property
    def binary(self) -> bool:
        """Needs a transfer encoding whatever the server offers."""
        return self.nul or self.bare


async def scan_octets(chunks: Chunks) -> OctetFacts:
    """The facts of a whole message."""
    facts = OctetFacts()
    async with chunks() as octets:
        async for chunk in octets:
            facts.feed(chunk)
    facts.end()
    return facts
