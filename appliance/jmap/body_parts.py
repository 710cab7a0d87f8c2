"""The parts of a message as JMAP gives them, and which of them a reader shows as text, as HTML, or as attachments (RFC 8621 §4.1.4).

A part's id is its section number in IMAP ("1.2"), its blob "B7-1_2": the body of that part of message 7, decoded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from appliance.mail.encoding import decode_parameter
from appliance.mail.ids import MessageId
from appliance.protocol.imap.bodystructure_fields import BodyPart

PROPERTIES = ("partId", "blobId", "size", "headers", "name", "type", "charset", "disposition", "cid", "language", "location", "subParts")
DEFAULT = ("partId", "blobId", "size", "name", "type", "charset", "disposition", "cid", "language", "location")
"""Of EmailBodyPart, when `bodyProperties` is left out."""
INLINE_MEDIA = ("image/", "audio/", "video/")


def part_id(part: BodyPart) -> str:
    return ".".join(map(str, part.section))


def part_blob(message: MessageId, part: BodyPart) -> str:
    return f"B{message}-{'_'.join(map(str, part.section))}"


def media_type(part: BodyPart) -> str:
    return f"{part.type}/{part.subtype}"


def name_of(part: BodyPart) -> str | None:
    """The file name: of the disposition first, else of the type."""
    return decode_parameter(part.disposition_parameters or [], b"filename") or decode_parameter(part.parameters, b"name")


def charset_of(part: BodyPart) -> str | None:
    """Of a text part; us-ascii where it says none (RFC 2045 §5.2)."""
    if part.type != "text":
        return None
    return decode_parameter(part.parameters, b"charset") or "us-ascii"


@dataclass(frozen=True, slots=True)
class PartFacts:
    """How to show parts of one message: `size_of` gives decoded octets, `header` the value of a header property or the whole header."""

    message: MessageId
    properties: Sequence[str]
    size_of: Callable[[BodyPart], int]
    header: Callable[[BodyPart, str], Any]

    def encode(self, part: BodyPart) -> dict[str, Any]:
        """An EmailBodyPart with the properties wanted."""
        return {name: self._value(part, name) for name in self.properties if name != "subParts" or part.is_multipart}

    def _value(self, part: BodyPart, name: str) -> Any:
        match name:
            case "partId":
                return None if part.is_multipart else part_id(part)
            case "blobId":
                return None if part.is_multipart else part_blob(self.message, part)
            case "size":
                return 0 if part.is_multipart else self.size_of(part)
            case "name":
                return name_of(part)
            case "type":
                return media_type(part)
            case "charset":
                return charset_of(part)
            case "disposition":
                return part.disposition or None
            case "cid":
                return part.id.decode("utf-8", "replace").strip().strip("<>") if part.id else None
            case "language":
                return [one.decode("ascii", "replace") for one in part.languages] or None
            case "location":
                return part.location.decode("utf-8", "replace") if part.location else None
            case "subParts":
                return [self.encode(child) for child in part.children]
        return self.header(part, name)


@dataclass(slots=True)
class ShownParts:
    """Parts in the order a reader shows them."""

    text: list[BodyPart] = field(default_factory=list)
    html: list[BodyPart] = field(default_factory=list)
    attachments: list[BodyPart] = field(default_factory=list)


def shown_parts(root: BodyPart) -> ShownParts:
    """Which parts make up the body as text, and as HTML, and which are attachments: the algorithm suggested in RFC 8621 §4.1.4."""
    found = ShownParts()
    _sort([root], "mixed", False, found.text, found.html, found.attachments)
    return found


def _sort(
    parts: Sequence[BodyPart],
    multipart: str,
    in_alternative: bool,
    text: list[BodyPart] | None,
    html: list[BodyPart] | None,
    attachments: list[BodyPart],
) -> None:
    """`text` or `html` is None below an alternative of the other kind."""
    before = len(text) if text is not None else -1, len(html) if html is not None else -1
    for place, part in enumerate(parts):
        kind = media_type(part)
        is_text = kind in ("text/plain", "text/html")
        inline = (
            part.disposition != "attachment"
            and (is_text or kind.startswith(INLINE_MEDIA))
            and (place == 0 or (multipart != "related" and (kind.startswith(INLINE_MEDIA) or not name_of(part))))
        )
        if part.is_multipart or part.type == "multipart":
            _sort(part.children, part.subtype, in_alternative or part.subtype == "alternative", text, html, attachments)
        elif not inline:
            attachments.append(part)
        elif multipart == "alternative" and is_text:
            if kind == "text/plain" and text is not None:
                text.append(part)
            elif kind == "text/html" and html is not None:
                html.append(part)
        elif multipart == "alternative":
            attachments.append(part)
        else:
            if in_alternative and kind == "text/plain":
                html = None
            if in_alternative and kind == "text/html":
                text = None
            if text is not None:
                text.append(part)
            if html is not None:
                html.append(part)
            if (text is None or html is None) and kind.startswith(INLINE_MEDIA):
                attachments.append(part)
    if multipart == "alternative" and text is not None and html is not None:
        if before[0] == len(text) and before[1] != len(html):
            text += html[before[1] :]
        elif before[1] == len(html) and before[0] != len(text):
            html += text[before[0] :]


NO_ATTACHMENTS = frozenset((
    "application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature", "message/delivery-status",
))  # fmt: skip
"""Parts that a program reads, not a user."""


def has_attachment(root: BodyPart) -> bool:
    """Is there a part that a user would call an attachment: none that an HTML body shows, or only a program reads (RFC 8621 §4.1.4)?"""
    return any(
        part.disposition == "attachment" or not (part.id and part.disposition == "inline")
        for part in shown_parts(root).attachments
        if media_type(part) not in NO_ATTACHMENTS
    )
