"""The octets of a DSN: multipart/report with a text part, message/delivery-status, and the returned message or its header
(RFC 6522, RFC 3464; RFC 6533 where the message used SMTPUTF8).

Promise: whatever another server replied and whatever the message's header holds, every line of a DSN ends in CRLF, has at most
998 octets, and no octet from outside becomes a field, a boundary or an end of line. At most EXCERPT_OCTETS of the message are
read, and the DSN is produced in chunks, so that memory is constant.
A message that breaks these rules itself (long lines, bare CR or LF, NUL) is returned as its header fields only, without those
that break them.
Known gap: the field Future-Release-Request (RFC 4865 §6) is not written.
"""

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from appliance.languages.catalogues import ENGLISH, Language
from appliance.mail.address import Address, ascii_domain, encode_address
from appliance.mail.date import encode_date
from appliance.mail.encoding import decode_words
from appliance.mail.envelope import Recipient
from appliance.mail.header import fields, header_end, value
from appliance.mail.header_encoding import encode_field, phrase_tokens, text_tokens
from appliance.mail.outcome import DsnAction, Outcome
from appliance.mail.sentence import Sentence
from appliance.protocol.smtp.dsn import xtext_utf8
from appliance.status.text import stamp

from .policy import most_severe, returns_message
from .report import Kind, RecipientReport, Subject
from .text import About, paragraph, sentence_for_many, sentence_for_one

WHOLE_OCTETS = 50_000
"""A failed message up to this size is returned whole."""
EXCERPT_OCTETS = 64 * 1024
"""Read of the message at most; of a larger header the fields that fit are returned."""
LINE_OCTETS = 998
"""RFC 5322 §2.1.1, without the CRLF."""
REPLY_CHARACTERS = 2000
"""Kept of another server's reply."""
CHUNK_OCTETS = 16 * 1024
_WIDTH = 76
_REFERENCES = 10
"""Message-IDs of the thread repeated in References."""

_TITLES = {
    Kind.FAILURE: Sentence("Your message could not be delivered"),
    Kind.DELAY: Sentence("Your message is still on its way"),
    Kind.SUCCESS: Sentence("Your message has arrived"),
}
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufff0-\uffff\ud800-\udfff]+")
_MESSAGE_ID = re.compile(rb"<[\x21-\x3b\x3d\x3f-\x7e]{3,250}>")
_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")
_NAME = re.compile(rb"[\x21-\x39\x3b-\x7e]{1,76}")
_HOST = re.compile(r"[A-Za-z0-9_.:\[\]-]{1,255}")


@dataclass(frozen=True, slots=True)
class ReportingServer:
    """Where a DSN comes from: `host` is this server in Reporting-MTA, `domain` that of its MAILER-DAEMON; both in A-labels.

    `language`: of the part for people."""

    host: str
    domain: str
    language: Language = ENGLISH


@dataclass(frozen=True, slots=True)
class Original:
    """The returned part of the message: its header as it may be quoted, or all of it; and what puts the DSN into its thread."""

    octets: bytes
    whole: bool
    title: str
    date: str
    message_id: bytes
    references: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class DsnIdentity:
    """`id` stands in Message-ID and the boundary and is the DSN's own message id; `at` UTC seconds, `offset_s` east of UTC."""

    id: str
    at: int
    offset_s: int


# --- the returned message -------------------------------------------------------------------------------


async def read_original(subject: Subject, kind: Kind) -> Original:
    """Read what a DSN needs of the message, at most EXCERPT_OCTETS."""
    whole = returns_message(subject, kind, WHOLE_OCTETS)
    kept = bytearray()
    async with subject.chunks() as octets:
        async for chunk in octets:
            kept += chunk
            if len(kept) >= EXCERPT_OCTETS or (not whole and _has_header(kept, subject.header_octets)):
                break
    return parse_original(bytes(kept), whole=whole and len(kept) < EXCERPT_OCTETS)


def _has_header(kept: bytearray, header_octets: int) -> bool:
    return len(kept) >= header_octets if header_octets else header_end(bytes(kept)) < len(kept)


def parse_original(octets: bytes, *, whole: bool) -> Original:
    """The same from octets in memory."""
    end = header_end(octets)
    block = octets[:end]
    if whole and not _well_formed(octets):
        whole = False
    if not whole and end == len(octets):
        block = block[: block.rfind(b"\n") + 1]  # the last line may be incomplete
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
    """The header's fields with CRLF line ends, without those that cannot be quoted."""
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


# --- the DSN -------------------------------------------------------------------------------


async def compose(
    server: ReportingServer, identity: DsnIdentity, subject: Subject, reports: Sequence[RecipientReport], original: Original
) -> AsyncIterator[bytes]:
    """The DSN in chunks of about CHUNK_OCTETS. `reports` are those `policy.dsn_kind` chose, at least one."""
    kept = bytearray()
    for octets in _parts(server, identity, subject, reports, original):
        kept += octets
        if len(kept) >= CHUNK_OCTETS:
            yield bytes(kept)
            kept.clear()
    yield bytes(kept)


def _parts(
    server: ReportingServer, identity: DsnIdentity, subject: Subject, reports: Sequence[RecipientReport], original: Original
) -> Iterator[bytes]:
    utf8 = subject.options.smtputf8
    kind = most_severe(reports)
    boundary = f"=_{identity.id}/report".encode()
    yield _header_fields(server, identity, subject, kind, original, boundary)
    yield b"This message has parts; the first is text for you to read.\r\n\r\n--" + boundary + b"\r\n"
    _ = server.language
    yield b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nContent-Language: "
    yield _.tag.encode() + b"\r\n\r\n"
    for text in _text(server, identity, subject, reports, original):
        yield text.replace("\n", "\r\n").encode("utf-8", "replace")
    yield b"\r\n--" + boundary + b"\r\n"
    yield encode_field("Content-Description", text_tokens(_("Delivery report")))
    yield b"Content-Type: message/" + (b"global-" if utf8 else b"") + b"delivery-status\r\n"
    yield (b"Content-Transfer-Encoding: 8bit\r\n" if utf8 else b"") + b"\r\n"
    yield _message_fields(server, identity, subject)
    for report in reports:
        yield _recipient_fields(subject, identity, report)
    yield b"\r\n--" + boundary + b"\r\n"
    yield encode_field("Content-Description", text_tokens(_("Your message") if original.whole else _("The header of your message")))
    yield b"Content-Type: "
    if original.whole:
        yield b"message/global" if utf8 else b"message/rfc822"
    else:
        yield b"message/global-headers" if utf8 else b"text/rfc822-headers"
    yield b"\r\n" + (b"" if original.octets.isascii() else b"Content-Transfer-Encoding: 8bit\r\n") + b"\r\n"
    yield original.octets + (b"" if original.octets.endswith(b"\r\n") or not original.octets else b"\r\n")
    yield b"\r\n--" + boundary + b"--\r\n"


def _header_fields(
    server: ReportingServer, identity: DsnIdentity, subject: Subject, kind: Kind, original: Original, boundary: bytes
) -> bytes:
    to, _ = encode_address(subject.sender) if subject.sender else b"", server.language
    name = phrase_tokens(_("Mail delivery of %(domain)s", domain=server.domain))
    lines = [
        encode_field("From", [*name, f"<MAILER-DAEMON@{server.domain}>".encode()])[:-2],
        b"To: <" + to + b">",
        encode_field("Subject", text_tokens(_(_TITLES[kind])))[:-2],
        f"Date: {encode_date(identity.at, identity.offset_s)}".encode(),
        f"Message-ID: <{identity.id}@{server.host}>".encode(),
    ]
    if original.message_id:
        lines.append(b"In-Reply-To: " + original.message_id)
        thread = [one for one in original.references if one != original.message_id]
        lines.append(b"References: " + b"\r\n ".join((*thread, original.message_id)))
    lines += [
        b"Auto-Submitted: auto-replied",
        b"MIME-Version: 1.0",
        b"Content-Transfer-Encoding: 8bit",
        b'Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="' + boundary + b'"',
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


# --- the text part -------------------------------------------------------------------------------


def _text(
    server: ReportingServer, identity: DsnIdentity, subject: Subject, reports: Sequence[RecipientReport], original: Original
) -> Iterator[str]:
    _ = server.language
    if len(reports) == 1:
        (report,) = reports
        yield _wrap(sentence_for_one(_, report.outcome, _about(server, identity, report)))
        yield _reply_text(_, report.outcome)
    else:
        yield _wrap(sentence_for_many(_, [report.outcome.action for report in reports]))
        for report in reports:
            about = _about(server, identity, report)
            yield "\n" + _wrap(about.who + ":") + _wrap(paragraph(_, report.outcome, about), "  ")
            yield _reply_text(_, report.outcome)
    yield "\n"
    if original.title:
        yield _wrap(_("Subject: %(title)s", title=original.title))
    yield _wrap(_("Sent: %(date)s", date=original.date or _instant(_, subject.arrived_at, identity)))
    yield _wrap(_("Queue ID on this server: %(message)s", message=clean(subject.message, 60)))
    header_only = _("The header of your message follows below; the message itself is not returned.")
    yield "\n" + _wrap(_("Your message follows below.") if original.whole else header_only)


def _about(server: ReportingServer, identity: DsnIdentity, report: RecipientReport) -> About:
    """What the sentences about a recipient name; of an address the one the sender wrote to as well, when an alias led there."""
    _, address = server.language, clean(str(report.recipient), 320)
    _type, _semicolon, named = report.recipient.options.orcpt.partition(";")
    if report.recipient.forwarded and named and named.lower() != address.lower():
        address = _("%(address)s (you wrote to %(named)s)", address=address, named=clean(named, 320))
    domain = report.recipient.address.domain if report.recipient.address else server.host
    return About(address, clean(domain, 255), _instant(_, report.gives_up_at, identity) if report.gives_up_at else "")


def _instant(_: Language, at: int, identity: DsnIdentity) -> str:
    return stamp(at, identity.offset_s, _.date)


def _reply_text(_: Language, outcome: Outcome) -> str:
    if outcome.reply is None or outcome.action not in (DsnAction.FAILED, DsnAction.DEFERRED):
        return ""
    host = clean(outcome.host, 255)
    said = _("Its server %(host)s replied:", host=host) if host else _("Its server replied:")
    return _wrap(said, "  ") + _wrap(clean(str(outcome.reply), REPLY_CHARACTERS), "    ")


def clean(text: str, most: int) -> str:
    """One line of printable text, at most `most` characters."""
    one = " ".join(_CONTROL.sub(" ", text).split())
    return one if len(one) <= most else one[: most - 1] + "…"


def _wrap(text: str, indent: str = "") -> str:
    """Lines of some 76 characters, each with LF; a longer word has a line of its own, split only where the line would be too long."""
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


# --- message/delivery-status -----------------------------------------------------------------------------


def _message_fields(server: ReportingServer, identity: DsnIdentity, subject: Subject) -> bytes:
    """The per-message fields (RFC 3464 §2.2)."""
    lines = [_field("Original-Envelope-Id", clean(subject.options.envid, 100))] if subject.options.envid else []
    lines.append(_field("Reporting-MTA", f"dns; {server.host}"))
    lines.append(_field("X-Pillarbox-Message", clean(subject.message, 60)))
    lines.append(_field("Arrival-Date", encode_date(subject.arrived_at, identity.offset_s)))
    return b"".join(lines)


def _recipient_fields(subject: Subject, identity: DsnIdentity, report: RecipientReport) -> bytes:
    """The per-recipient fields, an empty line in front (RFC 3464 §2.3)."""
    recipient, outcome, utf8 = report.recipient, report.outcome, subject.options.smtputf8
    lines = [b"\r\n"]
    if recipient.options.orcpt:
        lines.append(_field("Original-Recipient", _original_recipient(recipient.options.orcpt, utf8=utf8), utf8=utf8))
    lines.append(_field("Final-Recipient", _final_recipient(recipient, utf8=utf8), utf8=utf8))
    lines.append(_field("Action", outcome.action.value))
    lines.append(_field("Status", _status(outcome)))
    if outcome.host and _HOST.fullmatch(outcome.host):
        lines.append(_field("Remote-MTA", f"dns; {outcome.host}"))
    if outcome.reply is not None:
        lines.append(_field("Diagnostic-Code", f"smtp; {clean(str(outcome.reply), REPLY_CHARACTERS)}", utf8=utf8))
    elif outcome.action in (DsnAction.FAILED, DsnAction.DEFERRED):
        lines.append(_field("Diagnostic-Code", f"x-pillarbox; {clean(outcome.text or outcome.reason.value, REPLY_CHARACTERS)}", utf8=utf8))
    if report.attempted_at:
        lines.append(_field("Last-Attempt-Date", encode_date(report.attempted_at, identity.offset_s)))
    if report.gives_up_at and outcome.action is DsnAction.DEFERRED:
        lines.append(_field("Will-Retry-Until", encode_date(report.gives_up_at, identity.offset_s)))
    return b"".join(lines)


def _status(outcome: Outcome) -> str:
    """The enhanced status code, of the class that fits the action (RFC 3464 §2.3.4)."""
    wanted = {DsnAction.FAILED: "5", DsnAction.DEFERRED: "4"}.get(outcome.action, "2")
    if not _STATUS.fullmatch(outcome.status):
        return f"{wanted}.0.0"
    return wanted + outcome.status[1:]


def _original_recipient(orcpt: str, *, utf8: bool) -> str:
    """`type;address` as Original-Recipient has it; outside ASCII only in message/global-delivery-status (RFC 6533 §4)."""
    kind, _, address = orcpt.partition(";")
    if kind.lower() == "utf-8" and not utf8:
        return f"utf-8;{xtext_utf8(address)}"
    return f"{clean(kind, 40)};{clean(address, 500)}"


def _final_recipient(recipient: Recipient, *, utf8: bool) -> str:
    address = recipient.address
    if address is None:
        return "rfc822;postmaster"
    if address.ascii_local:
        return "rfc822;" + encode_address(address).decode()
    if utf8:
        return f"utf-8;{encode_address(address).decode()}"
    return "utf-8;" + xtext_utf8(encode_address(Address(address.local, ascii_domain(address.domain))).decode())


def _field(name: str, text: str, *, utf8: bool = False) -> bytes:
    """One field, folded where it is long; characters outside ASCII become "?" unless `utf8`."""
    octets = clean(text, REPLY_CHARACTERS + 100).encode("utf-8" if utf8 else "ascii", "replace")
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
