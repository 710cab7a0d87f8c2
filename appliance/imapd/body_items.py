"""FETCH items that read the message: BODY[...], RFC822 and its variants (RFC 9051 §6.4.5, RFC 3501 §6.4.5).

An item is prepared for one message (what will be sent, or why not) and then sent: a refusal or an expunged message is known before
the first octet of the value is sent.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from appliance.mail.errors import MisuseError
from appliance.protocol.imap.fetch import Attribute, Section, label

from .sections import Send, cut, extent, fields, locate, plain, selected_fields

if TYPE_CHECKING:
    from appliance.store.body_readers import StoredMessage

    from .client import ImapClient


class Refusal(Enum):
    """Why a part cannot be sent: the response code of the tagged NO (RFC 3516 §4.3, RFC 9051 §7.1). NONE is false."""

    NONE = b""
    UNKNOWN_CTE = b"UNKNOWN-CTE"
    PARSE = b"PARSE"

    def __bool__(self) -> bool:
        return self is not Refusal.NONE


@dataclass(slots=True)
class Prepared:
    """`label`, with its trailing space, is sent first, then `send` sends the value."""

    label: bytes
    send: Send


AtOnce = Callable[["StoredMessage", bytes], bytes]
"""(message, its octets) to the item as it is sent, label and value."""


@dataclass(frozen=True, slots=True)
class BodyItem:
    """One FETCH item of the message. `sees`: fetching it sets \\Seen. `check` raises MisuseError for a section the item does not have.

    `at_once(attribute)` gives the function for messages in memory, which most are: no await and no closure a message, 8 us instead of
    30. None: `prepare` serves them too.
    """

    name: bytes
    sees: bool
    prepare: "Callable[[StoredMessage, Attribute], Awaitable[Prepared | Refusal]]"
    check: "Callable[[Attribute], None]" = lambda attribute: None
    at_once: "Callable[[Attribute], AtOnce] | None" = None


async def section(message: "StoredMessage", attribute: Attribute) -> Prepared:
    """BODY[section]<partial>; a part that is not there is NIL."""
    return await _section(message, label(attribute) + b" ", attribute.section or Section(), attribute.partial)


async def _section(message: "StoredMessage", name: bytes, requested: Section, partial: tuple[int, int] | None = None) -> Prepared:
    found = locate(message, requested)
    if found is None:
        return Prepared(name, nil)
    if requested.fields:
        return Prepared(name, await fields(message, found, requested, partial))
    start, end = cut(found[1] - found[0], partial)
    return Prepared(name, await extent(message, found[0] + start, found[0] + end))


def section_at_once(attribute: Attribute) -> AtOnce:
    """`section` of a message in memory."""
    return _section_at_once(label(attribute) + b" ", attribute.section or Section(), attribute.partial)


def _section_at_once(name: bytes, requested: Section, partial: tuple[int, int] | None = None) -> AtOnce:
    def value(message: "StoredMessage", octets: bytes) -> bytes:
        found = locate(message, requested)
        if found is None:
            return name + b"NIL"
        octets = octets[found[0] : found[1]]
        if requested.fields:
            octets = selected_fields(octets, requested)
        if partial is not None:
            start, end = cut(len(octets), partial)
            octets = octets[start:end]
        return b"%b{%d}\r\n%b" % (name, len(octets), plain(octets))

    return value


async def nil(client: "ImapClient") -> None:
    """The value of a part that is not there."""
    await client.send(b"NIL")


def _rfc822(name: bytes, requested: Section, sees: bool) -> BodyItem:
    """RFC822 and its variants: a section under an old name (RFC 3501 §6.4.5)."""

    async def prepare(message: "StoredMessage", attribute: Attribute) -> Prepared:
        return await _section(message, name + b" ", requested)

    return BodyItem(name, sees, prepare, at_once=lambda attribute: _section_at_once(name + b" ", requested))


def only_parts(attribute: Attribute) -> None:
    """BINARY names parts by number alone (RFC 3516 §4.2)."""
    if attribute.section is None or attribute.section.text:
        raise MisuseError("BINARY takes part numbers only")


BODY_ITEMS: tuple[BodyItem, ...] = (
    BodyItem(b"BODY[]", True, section, at_once=section_at_once),
    BodyItem(b"BODY.PEEK[]", False, section, at_once=section_at_once),
    _rfc822(b"RFC822", Section(), True),
    _rfc822(b"RFC822.HEADER", Section((), b"HEADER"), False),
    _rfc822(b"RFC822.TEXT", Section((), b"TEXT"), True),
)
"""RFC 3501 §6.4.5; BINARY is an extension of its own."""
