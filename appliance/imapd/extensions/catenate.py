"""CATENATE: a message put together on the server, of parts of messages that are there and of text that is sent (RFC 4469).

A URL names a message of a mailbox the user may read, or a part of one, relative to the server or to the selected mailbox; URLs of other
servers are refused like those of nothing: NO [BADURL]. Octets are copied in chunks; the limits are those of any message.
"""

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from appliance.mail.errors import MisuseError, StoreError
from appliance.mail.ids import Uid
from appliance.protocol.imap.fetch import Section, parse_section
from appliance.protocol.imap.tokens import Tokens

from ..appending import Declined
from ..completion import no
from ..contract import AppendData, ImapExtension
from ..sections import SectionChunks, SelectedFields, cut, locate

if TYPE_CHECKING:
    from appliance.store.body_readers import StoredMessage
    from appliance.store.incoming import Incoming

    from ..contract import Appended, CommandSession, Writable

URL_OCTETS = 2000
PARTS = 1000
"""Parts of one message."""
_URL = re.compile(
    rb"(?:/(?P<mailbox>[^;]+?)(?:;UIDVALIDITY=(?P<validity>[0-9]{1,10}))?/)?;UID=(?P<uid>[0-9]{1,10})"
    rb"(?:/;SECTION=(?P<section>[^;]+?))?(?:/;PARTIAL=(?P<first>[0-9]{1,18})(?:\.(?P<count>[0-9]{1,18}))?)?",
    re.IGNORECASE,
)
"""RFC 5092 §11, as far as it is without a server."""


class UrlLiteral:
    """A URL that comes as a literal."""

    def __init__(self) -> None:
        self.octets = b""

    async def write(self, chunk: bytes) -> None:
        self.octets += chunk[:URL_OCTETS]


async def read(appending: "Appended", incoming: "Incoming") -> None:
    """`SP "(" part *(SP part) ")"`, part: `URL SP astring`, `TEXT SP literal` (RFC 4469 §5) or `UTF8 SP "(" literal8 ")"` (RFC 6855 §4)."""
    appending.tokens.space()
    appending.tokens.expect(b"(")
    for _ in range(PARTS):
        if appending.tokens.accept(b"TEXT "):
            appending.tokens.end()
            await appending.receive(incoming)
        elif appending.tokens.accept(b"UTF8 ("):
            appending.tokens.end()
            await appending.receive(incoming)
            appending.tokens.expect(b")")
        else:
            appending.tokens.expect(b"URL ")
            await _copy(appending.session, await _url(appending), incoming)
        if appending.tokens.accept(b")"):
            return
        appending.tokens.space()
    raise MisuseError(f"a message is put together of at most {PARTS} parts")


async def _url(appending: "Appended") -> bytes:
    if appending.tokens.peek():
        return appending.tokens.astring()
    if appending.message is None or appending.message.octets > URL_OCTETS:
        raise MisuseError("a URL is missing or too long")
    literal = UrlLiteral()
    await appending.receive(literal)
    return literal.octets


def bad_url(url: bytes) -> Declined:
    shown = bytes(octet for octet in url[:200] if 32 <= octet < 127 and octet not in b'"\\]')
    return Declined(no(b"There is no such message or part, nothing was stored.", b'BADURL "%b"' % shown))


async def _copy(session: "CommandSession", url: bytes, target: "Writable") -> None:
    """Copy what a URL names. Raises Declined for what is not there, StoreError where the target refuses."""
    found = _URL.fullmatch(url)
    if found is None or (found["mailbox"] is None and session.selected is None):
        raise bad_url(url)
    try:
        section = _section(found["section"])
        message = await _message(session, found)
    except (StoreError, MisuseError, UnicodeDecodeError):
        raise bad_url(url) from None
    extent = locate(message, section)
    if extent is None:
        raise bad_url(url)
    partial = (int(found["first"]), int(found["count"] or 2**62)) if found["first"] else None
    if section.fields:
        await _copy_fields(SelectedFields(message, extent, section), partial, target)
        return
    start, end = cut(extent[1] - extent[0], partial)
    chunks = SectionChunks(message, extent[0] + start, extent[0] + end)
    while chunk := await chunks.next():
        await target.write(chunk)


async def _copy_fields(selected: SelectedFields, partial: tuple[int, int] | None, target: "Writable") -> None:
    start, end = cut(2**62, partial)
    at = 0
    while (chunk := await selected.next()) is not None:
        await target.write(chunk[max(start - at, 0) : max(end - at, 0)])
        at += len(chunk)


def _section(written: bytes | None) -> Section:
    if written is None:
        return Section()
    tokens = Tokens(unquote_to_bytes(written) + b"]")
    section = parse_section(tokens)
    tokens.expect(b"]")
    tokens.end()
    return section


async def _message(session: "CommandSession", found: "re.Match[bytes]") -> "StoredMessage":
    """The message, opened. Raises StoreError, UnicodeDecodeError."""
    if found["mailbox"] is None:
        assert session.selected is not None  # noqa: S101 checked
        name = session.selected.mailbox.info.name
    else:
        name = unquote_to_bytes(found["mailbox"]).decode()
    mailbox = await session.mailboxes.open(name, read_only=True)
    try:
        if found["validity"] and int(found["validity"]) != mailbox.info.uid_validity:
            raise MisuseError("another UIDVALIDITY")
        message = await mailbox.open_message(Uid(int(found["uid"])))
        await message.open()
        return message
    finally:
        mailbox.close()


EXTENSION = ImapExtension(
    name="CATENATE",
    rfc="RFC 4469",
    capability=lambda session: (b"CATENATE",),
    append_data=(AppendData(b"CATENATE", read),),
    response_codes=(b"BADURL",),
)
