"""Strings and ENVELOPE in wire form (RFC 9051 §4.3, §7.5.2).

Names and values are sent as they are in the message; encoded words stay encoded. What a quoted string cannot
contain is a literal. A missing address part has a placeholder, so every header has an ENVELOPE.
"""

import re
from collections.abc import Sequence

from appliance.mail.address_recovery import parse_address_list
from appliance.mail.addresses import ListedAddress
from appliance.mail.header_fields import HeaderFields

_PLAIN = re.compile(rb'[^"\\\r\n\x80-\xff]*')
_ESCAPED = re.compile(rb'["\\]')
_LINE_END = re.compile(rb"[\r\n](?=[^ \t\r\n])")
_WHITE_SPACE = re.compile(rb"[ \t\r\n]+")
_QUOTED_SPECIALS = 4
"""With more quotes and backslashes than this a literal is shorter than a quoted string."""


def string(value: bytes) -> bytes:
    """A quoted string, or a literal when it must be one (RFC 9051 §4.3)."""
    if _PLAIN.fullmatch(value):
        return b'"' + value + b'"'
    if not value.isascii() or b"\r" in value or b"\n" in value or value.count(b'"') + value.count(b"\\") > _QUOTED_SPECIALS:
        return b"{%d}\r\n%b" % (len(value), value)
    return b'"' + _ESCAPED.sub(rb"\\\g<0>", value) + b'"'


def nstring(value: bytes | None) -> bytes:
    """NIL or a string on one line: a line end is removed, and becomes a space between words."""
    if value is None:
        return b"NIL"
    if b"\n" in value or b"\r" in value:
        value = _LINE_END.sub(b" ", value).replace(b"\r", b"").replace(b"\n", b"")
    return string(value)


def text(value: bytes) -> bytes:
    """Display text: runs of white space become one space, outer white space is removed. What had to be changed or quoted is a literal."""
    if _PLAIN.fullmatch(value) and b"  " not in value and b"\t" not in value and value.strip(b" ") == value:
        return b'"' + value + b'"'
    value = _WHITE_SPACE.sub(b" ", value).strip(b" ")
    return b"{%d}\r\n%b" % (len(value), value) if value else b'""'


def envelope(header_fields: HeaderFields) -> bytes:
    """ENVELOPE of a message. Addresses of a repeated field follow one another; of other fields the last one is used."""
    sender_of_all = _addresses(header_fields.get(b"from"))
    subject = header_fields.get(b"subject")
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        nstring(_last(header_fields, b"date")),
        text(subject[-1]) if subject else b"NIL",
        sender_of_all or b"NIL",
        _addresses(header_fields.get(b"sender")) or sender_of_all or b"NIL",
        _addresses(header_fields.get(b"reply-to")) or sender_of_all or b"NIL",
        _addresses(header_fields.get(b"to")) or b"NIL",
        _addresses(header_fields.get(b"cc")) or b"NIL",
        _addresses(header_fields.get(b"bcc")) or b"NIL",
        nstring(_last(header_fields, b"in-reply-to")),
        nstring(_last(header_fields, b"message-id")),
    )


def _last(header_fields: HeaderFields, name: bytes) -> bytes | None:
    values = header_fields.get(name)
    return values[-1] if values else None


def _addresses(values: Sequence[bytes] | None) -> bytes:
    if not values:
        return b""
    listed = b"".join([_address(entry) for value in values for entry in parse_address_list(value)])
    return b"(" + listed + b")" if listed else b""


def _address(entry: ListedAddress) -> bytes:
    name = b"NIL" if entry.name is None else text(entry.name)
    return b"(%b %b %b %b)" % (name, nstring(entry.route), nstring(entry.mailbox), nstring(entry.domain))
