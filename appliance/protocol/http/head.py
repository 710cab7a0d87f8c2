"""The head of a request, examined before the parser sees it: what two readers could understand differently is refused.

Message framing that a proxy in front may read another way is how requests are smuggled (RFC 9112 §11.2), so this is stricter
than a server must be: no bare CR or LF, no folded lines, one Host, one Content-Length, never together with
Transfer-Encoding, which is "chunked" and nothing else.

| octets so far                        | what `next_head` gives                       |
|--------------------------------------|----------------------------------------------|
| no blank line yet, within the limits | None: more octets are needed                 |
| too long, or refused                 | HeadFault: answer with its status, close     |
| a whole head                         | its length in octets                         |
"""

import re
from dataclasses import dataclass

HEAD_OCTETS = 32 * 2**10
"""Request line and fields together; browsers send some 2 KiB."""
LINE_OCTETS = 8 * 2**10
"""The request line; RFC 9112 §3 wants 8000 octets at least."""
FIELDS = 100

_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32} [\x21-\x7e]+ HTTP/1\.[01]")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_ONCE = (b"host", b"content-length", b"transfer-encoding", b"content-type", b"authorization", b"expect", b"upgrade", b"origin")


@dataclass(frozen=True, slots=True)
class HeadFault:
    """Why a head is refused: the status of the response and a few words."""

    status: int
    reason: str


MALFORMED = HeadFault(400, "malformed request")


def next_head(octets: bytes | bytearray) -> int | HeadFault | None:
    """The length of the head at the beginning of `octets`; see the table above. Empty lines before it are not a part of it: the
    caller skips them with `blank_octets` (RFC 9112 §2.2)."""
    end = octets.find(b"\r\n\r\n", 0, HEAD_OCTETS + 4)
    first = octets.find(b"\n", 0, LINE_OCTETS + 2)
    if first < 0 and len(octets) > LINE_OCTETS:
        return HeadFault(414, "the address is too long")
    if end < 0:
        if len(octets) > HEAD_OCTETS:
            return HeadFault(431, "the header is too large")
        return MALFORMED if _is_hopeless(octets, first) else None
    return _head_fault(bytes(octets[:end])) or end + 4


def blank_octets(octets: bytes | bytearray) -> int:
    """How many octets of empty lines stand before the request line; one is customary after an old client's body."""
    return 2 if octets[:2] == b"\r\n" else 0


def _is_hopeless(octets: bytes | bytearray, first_line_end: int) -> bool:
    """Is it clear before the end that this is no request, such as TLS or another protocol on this port?"""
    if first_line_end < 0:
        return not octets[:1].isalpha() and bool(octets)
    return _LINE.fullmatch(octets[: first_line_end - 1]) is None or octets[first_line_end - 1 : first_line_end] != b"\r"


def _head_fault(head: bytes) -> HeadFault | None:
    request_line, *lines = head.split(b"\r\n")
    if b"\n" in head.replace(b"\r\n", b"") or b"\r" in head.replace(b"\r\n", b""):
        return MALFORMED
    if _LINE.fullmatch(request_line) is None:
        words = request_line.split(b" ")
        known = len(words) == 3 and words[2].startswith(b"HTTP/") and not words[2].startswith(b"HTTP/1.")
        return HeadFault(505, "this version of HTTP is not spoken here") if known else MALFORMED
    if len(lines) > FIELDS:
        return HeadFault(431, "too many header fields")
    seen: dict[bytes, bytes] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:  # a folded line begins with a blank and matches no name (RFC 9112 §5.2)
            return MALFORMED
        name = field[1].lower()
        if name in seen and name in _ONCE:
            return MALFORMED
        seen[name] = field[2].strip()
    if b"host" not in seen and request_line.endswith(b"1"):
        return MALFORMED  # RFC 9112 §3.2
    return _framing_fault(seen.get(b"content-length"), seen.get(b"transfer-encoding"), request_line)


def _framing_fault(length: bytes | None, coding: bytes | None, request_line: bytes) -> HeadFault | None:
    """RFC 9112 §6: one way only to know where the body ends."""
    if coding is not None:
        if length is not None or request_line.endswith(b"0"):
            return MALFORMED
        return None if coding.lower() == b"chunked" else HeadFault(501, "this transfer coding is not known")
    if length is not None and (not length.isdigit() or len(length) > 15):
        return MALFORMED
    return None
