"""Words of an IMAP response: atoms, quoted strings, literals (RFC 3501 §9, RFC 9051 §9).

Every function gives valid syntax for any input: what a quoted string cannot contain becomes a literal.
Large literals are not made here.
"""

import re
from collections.abc import Iterable

from .mailbox_name import wire_name

_ATOM = re.compile(rb'[^\x00-\x20(){%*"\\\x7f-\xff]+')
_QUOTABLE = re.compile(rb"[^\x00\r\n\x80-\xff]*")
QUOTED_OCTETS = 1024
"""Longer strings go as literals: some clients read a quoted string into a small buffer."""


def string(octets: bytes, utf8: bool = False) -> bytes:
    """A quoted string, or a literal when it must be one. `utf8`: the client accepts UTF-8 in quoted strings."""
    if (len(octets) <= QUOTED_OCTETS and _QUOTABLE.fullmatch(octets)) or (utf8 and _is_utf8(octets)):
        return b'"' + octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return b"{%d}\r\n" % len(octets) + octets


def _is_utf8(octets: bytes) -> bool:
    if len(octets) > QUOTED_OCTETS or any(bad in octets for bad in (b"\0", b"\r", b"\n")):
        return False
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def astring(octets: bytes, utf8: bool = False) -> bytes:
    """As it stands where it is an atom (imapclient 3 gives quoted ones to its user with the quotes), else as `string`."""
    return octets if _ATOM.fullmatch(octets) and octets.upper() != b"NIL" else string(octets, utf8)


def mailbox(name: str, utf8: bool = False) -> bytes:
    """A mailbox name, quoted where it is no atom (RFC 9051 §5.1)."""
    octets = wire_name(name, utf8)
    if _ATOM.fullmatch(octets) and b"]" not in octets and octets.upper() != b"NIL":
        return octets
    return string(octets, utf8)


def listed(items: Iterable[bytes]) -> bytes:
    return b"(" + b" ".join(items) + b")"
