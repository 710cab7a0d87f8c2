"""Address lists in header fields: mailboxes and groups (RFC 5322 §3.4, §4.4).

Two parsers. `read_address_list` is strict: it follows the grammar, stops at the first error and reports that, for decisions based on
addresses. `address_recovery.parse_address_list` is lenient, for display and SEARCH, and recovers from every error. A missing local
part or domain gets a placeholder that no real address has. Linear in the value.
"""

from typing import NamedTuple

from .lexical import FieldReader

MISSING_MAILBOX = b"MISSING_MAILBOX"
MISSING_DOMAIN = b"MISSING_DOMAIN"
SYNTAX_ERROR = b"SYNTAX_ERROR"
INVALID_ROUTE = b"INVALID_ROUTE"
_PLACEHOLDERS = frozenset((MISSING_DOMAIN, SYNTAX_ERROR))


class ListedAddress(NamedTuple):
    """One address structure of ENVELOPE (RFC 9051 §7.5.2); a group starts with only `mailbox` set and ends with nothing set."""

    name: bytes | None
    route: bytes | None
    mailbox: bytes | None
    domain: bytes | None


GROUP_END = ListedAddress(None, None, None, None)


def is_complete(entry: ListedAddress) -> bool:
    """True for an entry with local part and domain, and for the start or end of a group."""
    return entry.mailbox != MISSING_MAILBOX and entry.domain not in _PLACEHOLDERS


def read_address_list(value: bytes) -> tuple[list[ListedAddress], bool]:
    """The entries up to the first error, and whether the whole value was parsed."""
    reader = FieldReader(value)
    found: list[ListedAddress] = []
    if not reader.skip() or reader.pos >= reader.end:
        return found, not value.strip(b" \t\r\n")
    while _address(reader, found) and reader.next() == 44:
        reader.pos += 1
        if not reader.skip():
            found.append(ListedAddress(None, None, MISSING_MAILBOX, MISSING_DOMAIN))
            break
        if reader.pos >= reader.end:
            break
    return found, reader.pos >= reader.end


def _address(reader: FieldReader, found: list[ListedAddress]) -> bool:
    """Parse a mailbox or a group; True while a comma may follow."""
    start = reader.pos
    words: list[bytes] = []
    readable = reader.phrase(words)
    ahead = reader.next()
    if readable and ahead == 58:
        _group(reader, b"".join(words), found)
    elif readable and ahead == 60:
        found.append(_angle(reader, b"".join(words)))
    else:
        reader.pos = start
        found.append(_addr_spec(reader))
    return reader.pos < reader.end


def parse_mailbox(reader: FieldReader) -> ListedAddress:
    """One mailbox, or as much of one as can be parsed; `reader` is behind it then."""
    start = reader.pos
    words: list[bytes] = []
    if reader.phrase(words) and reader.next() == 60:
        return _angle(reader, b"".join(words))
    reader.pos = start
    return _addr_spec(reader)


def _group(reader: FieldReader, name: bytes, found: list[ListedAddress]) -> None:
    reader.pos += 1
    found.append(ListedAddress(None, None, name, None))
    if reader.skip() and reader.pos < reader.end and reader.next() != 59:
        while True:
            found.append(parse_mailbox(reader))
            if reader.next() != 44:
                break
            reader.pos += 1
            if not reader.skip() or reader.pos >= reader.end:
                break
    if reader.next() == 59:
        reader.pos += 1
        reader.skip()
    found.append(GROUP_END)


def _angle(reader: FieldReader, name: bytes) -> ListedAddress:
    """`<` [route `:`] local `@` domain `>`, after a display name."""
    route = mailbox = domain = None
    good = False
    reader.pos += 1
    if reader.skip() and reader.pos < reader.end:
        good = True
        if reader.next() == 64:
            route = _route(reader)
            if route is not None and reader.next() == 58:
                reader.pos += 1
            else:
                route = INVALID_ROUTE
            good = reader.skip() and reader.pos < reader.end
        if good and reader.next() != 62:
            mailbox = _local(reader)
            good = mailbox is not None and reader.pos < reader.end
            if good and reader.next() == 64:
                words: list[bytes] = []
                good = reader.domain(words)
                domain = b"".join(words) if good else None
        if good and reader.next() == 62:
            reader.pos += 1
            good = reader.skip()
        else:
            good = False
    if not good:
        domain = SYNTAX_ERROR
    return ListedAddress(name or None, route, MISSING_MAILBOX if mailbox is None else mailbox, domain or MISSING_DOMAIN)


def _route(reader: FieldReader) -> bytes | None:
    hops: list[bytes] = []
    while reader.pos < reader.end:
        if reader.next() != 64:
            return b",".join(hops)
        words: list[bytes] = [b"@"]
        if not reader.domain(words) or reader.pos >= reader.end:
            return None
        hops.append(b"".join(words))
        while reader.skip() and reader.next() == 44:
            reader.pos += 1
    return None


def _local(reader: FieldReader) -> bytes | None:
    words: list[bytes] = []
    good = reader.quoted(words) if reader.next() == 34 else reader.local_part(words)
    return b"".join(words) if good else None


def _addr_spec(reader: FieldReader) -> ListedAddress:
    """local `@` domain without angle brackets; the last comment serves as display name. A single word is a name or a local part."""
    name = mailbox = domain = None
    words: list[bytes] = []
    reader.comment = b""
    quoted = reader.next() == 34
    if reader.quoted(words) if quoted else reader.local_part(words):
        mailbox = b"".join(words)
    at = reader.next() == 64
    if at:
        parts: list[bytes] = []
        if reader.domain(parts):
            domain = b"".join(parts)
    if reader.comment:
        name = reader.comment
    elif not at:
        words.append(b" ")
        before = len(words)
        reader.phrase(words)
        if any(words[before:]):
            mailbox, name = None, b"".join(words)
        elif quoted and mailbox is not None:
            mailbox, name = None, mailbox
    return ListedAddress(name, None, MISSING_MAILBOX if mailbox is None else mailbox, domain or MISSING_DOMAIN)
