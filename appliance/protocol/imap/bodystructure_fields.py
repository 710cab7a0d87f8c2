"""A stored BODYSTRUCTURE parsed into its parts, for JMAP and the web (RFC 9051 §7.5.2).

The inverse of `bodystructure.bodystructure`. Linear, no recursion deeper than the scanner's own limit of nesting. Anything else raises
MisuseError; stored ones were written by the server.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from appliance.mail.errors import MisuseError

from .envelope_fields import parse_list

Section = tuple[int, ...]
"""A section number: (1, 2) is "1.2"; () the message itself."""
Parameters = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class BodyPart:
    """One part. `type` and `subtype` are lower case; `octets` counts the body as it stands in the message, encoded.

    `section` names its body in IMAP; that of a multipart names the multipart. `children`: of a multipart only. An enclosed message
    (message/rfc822) is a part without children here.
    """

    section: Section
    type: str
    subtype: str
    parameters: Parameters
    id: bytes | None = None
    encoding: str = "7bit"
    octets: int = 0
    disposition: str = ""
    disposition_parameters: Parameters | None = None
    languages: tuple[bytes, ...] = ()
    location: bytes | None = None
    children: "tuple[BodyPart, ...]" = ()

    @property
    def is_multipart(self) -> bool:
        return bool(self.children)

    def walk(self) -> "Iterator[BodyPart]":
        """Itself and all parts below it, in the order of the message."""
        todo = [self]
        while todo:
            part = todo.pop()
            yield part
            todo += reversed(part.children)


def parse_bodystructure(octets: bytes) -> BodyPart:
    """Raises MisuseError."""
    try:
        return _part(parse_list(octets), ())
    except (IndexError, TypeError, ValueError, AttributeError) as error:
        raise MisuseError("not a body structure") from error


def _part(fields: list[object], section: Section) -> BodyPart:
    if isinstance(fields[0], list):
        count = next(number for number, one in enumerate(fields) if not isinstance(one, list))
        children = tuple(_part(_list(one), (*section, number)) for number, one in enumerate(fields[:count], 1))
        return _extended(
            BodyPart(section, "multipart", _text(fields[count]), _parameters(fields[count + 1]), children=children), fields[count + 2 :]
        )
    kind, subtype = _text(fields[0]), _text(fields[1])
    size = fields[6]
    assert isinstance(size, bytes)  # noqa: S101 what is no number raises TypeError there
    part = BodyPart(section or (1,), kind, subtype, _parameters(fields[2]), _octets(fields[3]), _text(fields[5]) or "7bit", int(size))
    rest = 8 if kind == "text" else 10 if (kind, subtype) == ("message", "rfc822") and isinstance(fields[7], list) else 7
    return _extended(part, fields[rest + 1 :])


def _extended(part: BodyPart, fields: list[object]) -> BodyPart:
    """Disposition, language and location, as far as they are there."""
    disposition, languages, location = (*fields, None, None, None)[:3]
    if isinstance(disposition, list):
        part.disposition, part.disposition_parameters = _text(disposition[0]), _parameters(disposition[1])
    found = languages if isinstance(languages, list) else [languages]
    part.languages = tuple(one for one in found if isinstance(one, bytes))
    part.location = _octets(location)
    return part


def _parameters(value: object) -> Parameters:
    flat = [one if isinstance(one, bytes) else b"" for one in _list(value or [])]
    return list(zip(flat[::2], flat[1::2], strict=True))


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _octets(value: object) -> bytes | None:
    return value if isinstance(value, bytes) else None


def _text(value: object) -> str:
    return value.decode("ascii", "replace").lower() if isinstance(value, bytes) else ""
