"""SMTP replies on the wire (RFC 5321 §4.2, enhanced status codes RFC 2034 §4).

Invariant: what is encoded is one well-formed reply whatever its text: no line carries CR, LF or a control
character, none is over 512 octets (RFC 5321 §4.5.3.1.5). Parsing fails with MisuseError.
"""

import re

from appliance.mail.errors import MisuseError
from appliance.mail.reply import Reply

REPLY_LINE_OCTETS = 512
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_REPLY_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(?:([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |$))?(.*))?", re.DOTALL)


def encode_reply(reply: Reply) -> bytes:
    """All lines with their CRLF; every line carries the status when the reply has one (RFC 2034 §4)."""
    if len(reply.lines) == 1:
        return _line(reply.code, b" ", reply.status, reply.lines[0])
    last = len(reply.lines) - 1
    return b"".join(_line(reply.code, b" " if at == last else b"-", reply.status, text) for at, text in enumerate(reply.lines))


def _line(code: int, separator: bytes, status: str, text: str) -> bytes:
    octets = (f"{status} {text}" if status else text).encode("utf-8", "replace")
    if not octets.isascii() or _CONTROL.search(octets):
        octets = _CONTROL.sub(b"?", octets)
    line = b"%d%b%b\r\n" % (code, separator, octets)
    if len(line) > REPLY_LINE_OCTETS:
        line = line[: REPLY_LINE_OCTETS - 2].decode("utf-8", "ignore").encode() + b"\r\n"
    return line


def parse_reply(lines: list[bytes]) -> Reply:
    """One reply from its lines, line ends taken off. Raises MisuseError."""
    code, status, texts = 0, "", []
    for at, line in enumerate(lines):
        found = _REPLY_LINE.fullmatch(line)
        if not found or (found[2] == b"-") != (at < len(lines) - 1) or (at and int(found[1]) != code):
            raise MisuseError("not a reply")
        code = int(found[1])
        status = (found[3] or b"").decode()
        texts.append((found[4] or b"").decode("utf-8", "replace"))
    if not lines:
        raise MisuseError("not a reply")
    return Reply(code, status, tuple(texts))


def is_last_line(line: bytes) -> bool:
    """Does the reply end with this line? (the fourth octet is not a hyphen)"""
    return line[3:4] != b"-"
