"""The parts of a message as JMAP gives them (RFC 8621 §4.1.4); `protocol.imap.shown_parts` says which are shown.

A part's id is its section number in IMAP ("1.2"), its blob "B7-1_2": the body of that part of message 7, decoded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.mail.encoding import decode_parameter
from appliance.protocol.imap.bodystructure_fields import BodyPart
from appliance.protocol.imap.shown_parts import media_type, name_of

PROPERTIES = ("partId", "blobId", "size", "headers", "name", "type", "charset", "disposition", "cid", "language", "location", "subParts")
DEFAULT = ("partId", "blobId", "size", "name", "type", "charset", "disposition", "cid", "language", "location")
"""Of EmailBodyPart, when `bodyProperties` is left out."""


def part_id(part: BodyPart) -> str:
    return ".".join(map(str, part.section))


def part_blob(message: str, part: BodyPart) -> str:
    """`message`: its blob."""
    return f"{message}-{'_'.join(map(str, part.section))}"


def charset_of(part: BodyPart) -> str | None:
    """Of a text part; us-ascii where it says none (RFC 2045 §5.2)."""
    if part.type != "text":
        return None
    return decode_parameter(part.parameters, b"charset") or "us-ascii"


@dataclass(frozen=True, slots=True)
class PartFacts:
    """How to show parts of the message that is `blob`: `size_of` gives decoded octets, `header` a header property or the whole header."""

    blob: str
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
                return None if part.is_multipart else part_blob(self.blob, part)
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
