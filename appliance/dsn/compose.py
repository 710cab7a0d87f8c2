"""The octets of a notice: multipart/report with a part for people, one for programs, and what is left of the message
(RFC 6522, RFC 3464; RFC 6533 where the message used SMTPUTF8).

Promise: whatever another server said and whatever the message's header holds, every line of a notice ends in CRLF, has at
most 998 octets and is what it seems: no octet from outside becomes a field, a boundary or an end of line. A bounded
piece of the message is read (EXCERPT_OCTETS), and what is written leaves in pieces, so that memory is constant.
A message that breaks these rules itself (long lines, bare CR or LF, NUL) comes back as its header fields only, without
those that break them.
Known gap: the field Future-Release-Request (RFC 4865 §6) is not written.
"""

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from appliance.mail.address import Address, ascii_domain, encode_address
from appliance.mail.date import encode_date
from appliance.mail.encoding import decode_words
from appliance.mail.envelope import Recipient
from appliance.mail.header import fields, header_end, value
from appliance.mail.outcome import DeliveryStatus, Outcome
from appliance.protocol.smtp.dsn import xtext_utf8

from .policy import gravest, returns_message
from .report import Kind, RecipientReport, Subject
from .text import paragraph, said_of_many, said_of_one

WHOLE_OCTETS = 50_000
"""A failed message up to this comes back whole."""
EXCERPT_OCTETS = 64 * 1024
"""Read of the message at most; of a larger header the fields that fit come back."""
LINE_OCTETS = 998
"""RFC 5322 §2.1.1, without the CRLF."""
SAID_CHARACTERS = 2000
"""Kept of another server's words."""
CHUNK_OCTETS = 16 * 1024
_WIDTH = 76
_REFERENCES = 10
"""Message-IDs of the thread that are named again."""

_TITLES = {
    Kind.FAILURE: "Your message could not be delivered",
    Kind.DELAY: "Your message is still on its way",
    Kind.SUCCESS: "Your message has arrived",
}
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufff0-\uffff\ud800-\udfff]+")
_MESSAGE_ID = re.compile(rb"<[\x21-\x3b\x3d\x3f-\x7e]{3,250}>")
_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")
_NAME = re.compile(rb"[\x21-\x39\x3b-\x7e]{1,76}")
_HOST = re.compile(r"[A-Za-z0-9_.:\[\]-]{1,255}")


@dataclass(frozen=True, slots=True)
class Sender:
    """Who a notice comes from: `host` names this server in Reporting-MTA, `domain` has its MAILER-DAEMON; both in A-labels."""

    host: str
    domain: str


@dataclass(frozen=True, slots=True)
class Original:
    """What is left of the message: its header as it may be quoted, or all of it, and what threads the notice."""

    octets: bytes
    whole: bool
    title: str
    date: str
    message_id: bytes
    references: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Stamp:
    """What makes this notice its own: `name` in Message-ID and the boundary, `at` UTC seconds, `offset_s` east of UTC."""

    name: str
    at: int
    offset_s: int


# --- the message -------------------------------------------------------------------------------


async def read_original(subject: Subject, kind: Kind) -> Original:
    """Read what a notice needs of the message, at most EXCERPT_OCTETS."""
    whole = returns_message(subject, kind, WHOLE_OCTETS)
    kept = bytearray()
    async with subject.chunks() as octets:
        async for chunk in octets:
            kept += chunk
            if len(kept) >= EXCERPT_OCTETS or (not whole and _has_header(kept, subject.header_octets)):
                break
    return original(bytes(kept), whole=whole and len(kept) < EXCERPT_OCTETS)


def _has_header(kept: bytearray, header_octets: int) -> bool:
    return len(kept) >= header_octets if header_octets else header_end(bytes(kept)) < len(kept)


def original(octets: bytes, *, whole: bool) -> Original:
    """The same from octets at hand."""
    end = header_end(octets)
    block = octets[:end]
    if whole and not _well_formed(octets):
        whole = False
    if not whole and end == len(octets):
        block = block[: block.rfind(b"\n") + 1]  # the last line may have been cut off
    named = _MESSAGE_ID.search(value(block, b"Message-ID") or b"")
    return Original(
        octets if whole else _quotable_fields(block),
        whole,
        clean(decode_words((value(block, b"Subject") or b"")[:1000]), 200),
        clean((value(block, b"Date") or b"")[:100].decode("ascii", "replace"), 60),
        named[0] if named else b"",
        tuple(_MESSAGE_ID.findall((value(block, b"References") or value(block, b"In-Reply-To") or b"")[-8000:]))[-_REFERENCES:],
    )


def _well_formed(octets: bytes) -> bool:
    lines = octets.split(b"\r\n")
    return b"\0" not in octets and all(len(line) <= LINE_OCTETS and b"\r" not in line and b"\n" not in line for line in lines)


def _quotable_fields(block: bytes) -> bytes:
    """The header's fields with clean line ends, without those that cannot be quoted."""
    out = []
    for field in fields(block):
        lines = block[field.start : field.end].replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n")
        if not _NAME.fullmatch(field.name) or field.value_start > field.end:
            continue
        if all(len(line) <= LINE_OCTETS and b"\r" not in line and b"\0" not in line for line in lines) and all(
            line.strip() for line in lines[1:]
        ):
            out.append(b"\r\n".join(lines) + b"\r\n")
    return b"".join(out)


# --- the notice -------------------------------------------------------------------------------


async def compose(
    sender: Sender, stamp: Stamp, subject: Subject, entries: Sequence[RecipientReport], left: Original
) -> AsyncIterator[bytes]:
    """The notice in pieces of at most some PIECE_OCTETS. `entries` are those `which` chose, at least one."""
    kept = bytearray()
    for octets in _parts(sender, stamp, subject, entries, left):
        kept += octets
        if len(kept) >= CHUNK_OCTETS:
            yield bytes(kept)
            kept.clear()
    yield bytes(kept)


def _parts(sender: Sender, stamp: Stamp, subject: Subject, entries: Sequence[RecipientReport], left: Original) -> Iterator[bytes]:
    utf8 = subject.smtputf8
    kind = gravest(entries)
    boundary = f"=_{stamp.name}/report".encode()
    yield _header_fields(sender, stamp, subject, kind, left, boundary)
    yield b"This message has parts; the first is for people.\r\n\r\n--" + boundary + b"\r\n"
    yield b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nContent-Language: en\r\n\r\n"
    for text in _text(stamp, subject, entries, left):
        yield text.replace("\n", "\r\n").encode("utf-8", "replace")
    yield b"\r\n--" + boundary + b"\r\n"
    yield b"Content-Description: What programs read of it\r\n"
    yield b"Content-Type: message/" + (b"global-" if utf8 else b"") + b"delivery-status\r\n"
    yield (b"Content-Transfer-Encoding: 8bit\r\n" if utf8 else b"") + b"\r\n"
    yield _about_message(sender, stamp, subject)
    for entry in entries:
        yield _about_recipient(subject, stamp, entry)
    yield b"\r\n--" + boundary + b"\r\n"
    yield b"Content-Description: " + (b"Your message" if left.whole else b"The header of your message") + b"\r\nContent-Type: "
    if left.whole:
        yield b"message/global" if utf8 else b"message/rfc822"
    else:
        yield b"message/global-headers" if utf8 else b"text/rfc822-headers"
    yield b"\r\n" + (b"" if left.octets.isascii() else b"Content-Transfer-Encoding: 8bit\r\n") + b"\r\n"
    yield left.octets + (b"" if left.octets.endswith(b"\r\n") or not left.octets else b"\r\n")
    yield b"\r\n--" + boundary + b"--\r\n"


def _header_fields(sender: Sender, stamp: Stamp, subject: Subject, kind: Kind, left: Original, boundary: bytes) -> bytes:
    to = encode_address(subject.sender) if subject.sender else b""
    lines = [
        f'From: "Mail delivery of {sender.domain}" <MAILER-DAEMON@{sender.domain}>'.encode(),
        b"To: <" + to + b">",
        f"Subject: {_TITLES[kind]}".encode(),
        f"Date: {encode_date(stamp.at, stamp.offset_s)}".encode(),
        f"Message-ID: <{stamp.name}@{sender.host}>".encode(),
    ]
    if left.message_id:
        lines.append(b"In-Reply-To: " + left.message_id)
        thread = [one for one in left.references if one != left.message_id]
        lines.append(b"References: " + b"\r\n ".join((*thread, left.message_id)))
    lines += [
        b"Auto-Submitted: auto-replied",
        b"MIME-Version: 1.0",
        b"Content-Transfer-Encoding: 8bit",
        b'Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="' + boundary + b'"',
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


# --- for people -------------------------------------------------------------------------------


def _text(stamp: Stamp, subject: Subject, entries: Sequence[RecipientReport], left: Original) -> Iterator[str]:
    if len(entries) == 1:
        (entry,) = entries
        yield _wrap(said_of_one(entry.outcome, _who(entry), _server(entry), _until(entry, stamp)))
        yield _their_words(entry.outcome)
    else:
        yield _wrap(said_of_many([entry.outcome.delivery_status for entry in entries]))
        for entry in entries:
            yield "\n" + _wrap(_who(entry) + ":") + _wrap(paragraph(entry.outcome, _who(entry), _server(entry), _until(entry, stamp)), "  ")
            yield _their_words(entry.outcome)
    yield "\n"
    if left.title:
        yield _wrap(f"Subject: {left.title}")
    yield _wrap(f"Sent: {left.date or encode_date(subject.arrived_at, stamp.offset_s)}")
    yield _wrap(f"Name in this server: {clean(subject.message, 60)}")
    yield "\n" + _wrap(
        "Your message follows below." if left.whole else "The header of your message follows below; the message itself is not sent back."
    )


def _who(entry: RecipientReport) -> str:
    """The address, and the one that was written to when an alias led there."""
    address = clean(str(entry.recipient), 320)
    _, _, written = entry.recipient.orcpt.partition(";")
    if entry.recipient.forwarded and written and written.lower() != address.lower():
        return f"{address} (you wrote to {clean(written, 320)})"
    return address


def _server(entry: RecipientReport) -> str:
    return clean(entry.recipient.address.domain, 255) if entry.recipient.address else "this server"


def _until(entry: RecipientReport, stamp: Stamp) -> str:
    return encode_date(entry.gives_up_at, stamp.offset_s) if entry.gives_up_at else ""


def _their_words(outcome: Outcome) -> str:
    if outcome.reply is None or outcome.delivery_status not in (DeliveryStatus.FAILED, DeliveryStatus.DEFERRED):
        return ""
    host = clean(outcome.host, 255)
    said = clean(str(outcome.reply), SAID_CHARACTERS)
    return _wrap(f"Its server{f' {host}' if host else ''} said:", "  ") + _wrap(said, "    ")


def clean(text: str, most: int) -> str:
    """One line of printable text, at most `most` characters."""
    one = " ".join(_CONTROL.sub(" ", text).split())
    return one if len(one) <= most else one[: most - 1] + "…"


def _wrap(text: str, indent: str = "") -> str:
    """Lines of some 76 characters, each with LF; a longer word stands alone, cut only where a line would be too long."""
    lines, line = [], indent
    for word in text.split(" "):
        while len(word) > 240:  # 240 characters have at most 960 octets
            lines.append(line)
            line, word = indent + word[:240], word[240:]
        if len(line) > len(indent) and len(line) + 1 + len(word) > _WIDTH:
            lines.append(line)
            line = indent
        line += (" " if len(line) > len(indent) else "") + word
    lines.append(line)
    return "".join(f"{one}\n" for one in lines if one.strip())


# --- for programs -----------------------------------------------------------------------------


def _about_message(sender: Sender, stamp: Stamp, subject: Subject) -> bytes:
    """RFC 3464 §2.2."""
    lines = [_field("Original-Envelope-Id", clean(subject.envid, 100))] if subject.envid else []
    lines.append(_field("Reporting-MTA", f"dns; {sender.host}"))
    lines.append(_field("X-Pillarbox-Letter", clean(subject.message, 60)))
    lines.append(_field("Arrival-Date", encode_date(subject.arrived_at, stamp.offset_s)))
    return b"".join(lines)


def _about_recipient(subject: Subject, stamp: Stamp, entry: RecipientReport) -> bytes:
    """RFC 3464 §2.3, its empty line in front."""
    recipient, outcome, utf8 = entry.recipient, entry.outcome, subject.smtputf8
    lines = [b"\r\n"]
    if recipient.orcpt:
        lines.append(_field("Original-Recipient", _typed(recipient.orcpt, utf8=utf8), utf8=utf8))
    lines.append(_field("Final-Recipient", _final(recipient, utf8=utf8), utf8=utf8))
    lines.append(_field("Action", outcome.delivery_status.value))
    lines.append(_field("Status", _status(outcome)))
    if outcome.host and _HOST.fullmatch(outcome.host):
        lines.append(_field("Remote-MTA", f"dns; {outcome.host}"))
    if outcome.reply is not None:
        lines.append(_field("Diagnostic-Code", f"smtp; {clean(str(outcome.reply), SAID_CHARACTERS)}", utf8=utf8))
    elif outcome.delivery_status in (DeliveryStatus.FAILED, DeliveryStatus.DEFERRED):
        lines.append(_field("Diagnostic-Code", f"x-pillarbox; {clean(outcome.text or outcome.reason.value, SAID_CHARACTERS)}", utf8=utf8))
    if entry.attempted_at:
        lines.append(_field("Last-Attempt-Date", encode_date(entry.attempted_at, stamp.offset_s)))
    if entry.gives_up_at and outcome.delivery_status is DeliveryStatus.DEFERRED:
        lines.append(_field("Will-Retry-Until", encode_date(entry.gives_up_at, stamp.offset_s)))
    return b"".join(lines)


def _status(outcome: Outcome) -> str:
    """The enhanced code, of the class that fits the action (RFC 3464 §2.3.4)."""
    wanted = {DeliveryStatus.FAILED: "5", DeliveryStatus.DEFERRED: "4"}.get(outcome.delivery_status, "2")
    if not _STATUS.fullmatch(outcome.status):
        return f"{wanted}.0.0"
    return wanted + outcome.status[1:]


def _typed(orcpt: str, *, utf8: bool) -> str:
    """`type;address` as a status field writes it; outside ASCII only where the report says so (RFC 6533 §4)."""
    kind, _, address = orcpt.partition(";")
    if kind.lower() == "utf-8" and not utf8:
        return f"utf-8;{xtext_utf8(address)}"
    return f"{clean(kind, 40)};{clean(address, 500)}"


def _final(recipient: Recipient, *, utf8: bool) -> str:
    address = recipient.address
    if address is None:
        return "rfc822;postmaster"
    if address.ascii_local:
        return "rfc822;" + encode_address(address).decode()
    if utf8:
        return f"utf-8;{encode_address(address).decode()}"
    return "utf-8;" + xtext_utf8(encode_address(Address(address.local, ascii_domain(address.domain))).decode())


def _field(name: str, text: str, *, utf8: bool = False) -> bytes:
    """One field, folded where it is long; outside ASCII becomes "?" unless `utf8`."""
    octets = clean(text, SAID_CHARACTERS + 100).encode("utf-8" if utf8 else "ascii", "replace")
    lines, line = [], name.encode() + b":"
    for word in octets.split(b" "):
        while len(word) > 900:
            lines.append(line)
            cut = 900
            while cut and word[cut] & 0xC0 == 0x80:  # not inside a character
                cut -= 1
            line, word = b" " + word[:cut], word[cut:]
        if len(line) + 1 + len(word) > _WIDTH and line.strip() and line != name.encode() + b":":
            lines.append(line)
            line = b""
        line += b" " + word
    lines.append(line)
    return b"\r\n".join(lines) + b"\r\n"
