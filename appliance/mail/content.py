"""The Content- fields that describe a MIME part: type, parameters, disposition, language (RFC 2045 §5, RFC 2183, RFC 2231, RFC 3282).

The only parser of these fields: BODYSTRUCTURE, BINARY, SEARCH and previews all use it, so that all interpret the same octets alike.
Lenient: common errors of mail programs are parsed as they were meant. Of a repeated field the first that can be parsed counts.
Continued parameters (RFC 2231 §3) are joined but not decoded, since clients decode them themselves. Linear in the value.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from .lexical import FieldReader

Parameters = list[tuple[bytes, bytes]]

_PLAIN = (b"text", b"plain")
_OCTETS = (b"application", b"octet-stream")
_OTHER_SPELLINGS: dict[bytes, bytes] = {
    b"7": b"7bit", b"7-bit": b"7bit", b"7bits": b"7bit", b"8": b"8bit", b"8-bit": b"8bit", b"8bits": b"8bit",
    b"quotedprintable": b"quoted-printable", b"quoted_printable": b"quoted-printable",
}  # fmt: skip
_UNCLOSED = re.compile(rb"[^;\r\n]*")
_LOOSE_VALUE = re.compile(rb'(?:[^; \t\r\n"(),]|,(?=[^; \t\r\n]))*')
"""An unquoted value; mail programs omit the quotes where they are needed."""
_NAMES = frozenset((b"name", b"filename"))
"""Parameters whose unquoted value may contain spaces."""
_ANOTHER_WORD = re.compile(rb'[ \t\r\n]+[^; \t\r\n"(=]+(?=[; \t\r\n]|\Z)')


@dataclass(slots=True)
class Content:
    """The Content- fields of one part; None or empty where absent. Octets as written, folding included."""

    type: bytes | None = None
    subtype: bytes | None = None
    parameters: Parameters = field(default_factory=list)
    id: bytes | None = None
    description: bytes | None = None
    encoding: bytes | None = None
    md5: bytes | None = None
    disposition: bytes | None = None
    disposition_parameters: Parameters = field(default_factory=list)
    languages: list[bytes] = field(default_factory=list)
    location: bytes | None = None

    def parameter(self, name: bytes) -> bytes | None:
        """The first type parameter of that lower-case name."""
        return next((value for key, value in self.parameters if key.lower() == name), None)

    def is_text(self) -> bool:
        return self.type is None or self.type.lower() == b"text"


CONTENT_FIELDS: tuple[bytes, ...] = (
    b"content-type", b"content-transfer-encoding", b"content-id", b"content-description",
    b"content-disposition", b"content-md5", b"content-language", b"content-location",
)  # fmt: skip


_TYPE_WITHOUT_SUBTYPE: tuple[tuple[bytes, tuple[bytes, bytes]], ...] = (
    (b"text", (b"text", b"plain")), (b"html", (b"text", b"html")), (b"multipart", (b"multipart", b"mixed")),
    (b"message", _OCTETS), (b"image", _OCTETS), (b"audio", _OCTETS), (b"video", _OCTETS), (b"application", _OCTETS), (b"font", _OCTETS),
    (b"model", _OCTETS),
)  # fmt: skip
"""Default for a type without a subtype: RFC 2046 §5.1.3 for multipart; octet-stream where no subtype can be guessed (§4.5.1)."""


def read_content(found: Mapping[bytes, list[bytes]]) -> Content:
    """Parse the values of CONTENT_FIELDS (by lower-case name, in order); of a repeated field the first that can be parsed counts."""
    content = Content()
    for name, values in found.items():
        if name == b"content-type":
            _read_type(content, values)
        elif name == b"content-transfer-encoding":
            content.encoding = first_encoding(values)
        elif name == b"content-id":
            content.id = _first_text(values)
        elif name == b"content-description":
            content.description = _first_text(values)
        elif name == b"content-disposition":
            if read := next(filter(None, map(parse_disposition, values)), None):
                content.disposition, content.disposition_parameters = read
        elif name == b"content-md5":
            content.md5 = _first_text(values)
        elif name == b"content-language":
            content.languages = next(filter(None, map(parse_languages, values)), [])
        elif name == b"content-location":
            content.location = _first_text(values)
    if content.type is None and b"content-type" in found:
        is_file = (content.disposition or b"").lower() == b"attachment" or content.parameter(b"name") is not None
        content.type, content.subtype = _OCTETS if is_file else _PLAIN
    return content


def _first_text(values: Sequence[bytes]) -> bytes:
    """The first value that is not empty; the first one where all are."""
    return next((value for value in values if value.strip()), values[0])


def _read_type(content: Content, values: Sequence[bytes]) -> None:
    """The first value with a type; without one, the parameters of the first (RFC 2045 §5.2: text/plain, or octet-stream for a file)."""
    for value in values:
        kind, parameters = parse_content_type(value)
        if kind is not None:
            (content.type, content.subtype), content.parameters = kind, parameters
            return
        content.parameters = content.parameters or parameters


def first_encoding(values: Iterable[bytes]) -> bytes | None:
    """The first value that names an encoding; None without one."""
    return next(filter(None, map(parse_encoding, values)), None)


def parse_content_type(value: bytes) -> tuple[tuple[bytes, bytes] | None, Parameters]:
    """Type and subtype as written, and the parameters (RFC 2045 §5.1).

    Lenient: the semicolon before a parameter may be missing, the type may be quoted, and a type without a subtype gets a default.
    None in place of type and subtype when there is no type.
    """
    reader = FieldReader(value)
    if reader.skip() and reader.next() == 34:
        reader.pos += 1
    start = reader.pos
    kind: list[bytes] = []
    subtype: list[bytes] = []
    reader.token(kind)
    if reader.next() == 47 and kind[0]:
        reader.pos += 1
        reader.skip()
        reader.token(subtype)
        if subtype[0]:
            return (kind[0], subtype[0]), _parameters(reader)
    named = None if reader.next() == 61 else next((default for name, default in _TYPE_WITHOUT_SUBTYPE if name == kind[0].lower()), None)
    if named is None:
        reader.pos = start
    return named, _parameters(reader)


def parse_disposition(value: bytes) -> tuple[bytes, Parameters] | None:
    """The disposition as written and its parameters; None when there is neither (RFC 2183 §2).

    Lenient as `parse_content_type`; parameters without a disposition mean attachment (RFC 2183 §2.8).
    """
    reader = FieldReader(value)
    word: list[bytes] = []
    if reader.skip() and reader.next() == 34:
        reader.pos += 1
    start = reader.pos
    reader.token(word)
    if word[0] and reader.next() != 61:
        return word[0], _parameters(reader)
    reader.pos = start
    parameters = _parameters(reader)
    return (b"attachment", parameters) if parameters else None


def parse_encoding(value: bytes) -> bytes | None:
    """The first word of a Content-Transfer-Encoding field, whatever follows it; None without one (RFC 2045 §6.1).

    As written, except that common misspellings are replaced by the registered name.
    """
    reader = FieldReader(value)
    word: list[bytes] = []
    if reader.skip() and reader.next() == 34:
        reader.pos += 1
    reader.token(word)
    return _OTHER_SPELLINGS.get(word[0].lower(), word[0]) or None


def parse_languages(value: bytes) -> list[bytes]:
    """The tags of a Content-Language field as written (RFC 3282 §2)."""
    reader = FieldReader(value)
    tags: list[bytes] = []
    reader.skip()
    while True:
        word: list[bytes] = []
        if not reader.atom(word):
            return tags
        tags += word
        if reader.next() != 44:
            return tags
        reader.pos += 1
        reader.skip()


def _parameters(reader: FieldReader) -> Parameters:
    """Plain parameters in their order, then the continued ones of RFC 2231 joined, sorted by name."""
    plain: Parameters = []
    chunks: list[tuple[bytes, int, bool, bytes]] = []
    for name, value in _each_parameter(reader):
        star = name.find(b"*")
        chunk = _chunk(name, star, value) if star >= 0 else None
        if chunk is None:
            plain.append((name, value))
        else:
            chunks.append(chunk)
    if chunks:
        chunks.sort(key=lambda chunk: chunk[:2])
        for _, group in groupby(chunks, key=lambda chunk: chunk[0].lower()):
            plain += _joined(list(group))
    return plain


def _each_parameter(reader: FieldReader) -> Iterator[tuple[bytes, bytes]]:
    """Each name `=` value that can be parsed; anything else is skipped one token at a time, so no semicolon is needed."""
    while reader.skip() and reader.pos < reader.end:
        start = reader.pos
        name: list[bytes] = []
        reader.token(name)
        if not name[0]:
            reader.pos = start + 1
        elif reader.next() == 61:
            reader.pos += 1
            value = _parameter_value(reader, name[0].lower())
            if value is not None:
                yield name[0], value


def _parameter_value(reader: FieldReader, name: bytes) -> bytes | None:
    """The value at the current position; None when it is malformed.

    An unclosed quoted string ends with its line or at a semicolon; as `boundary` it has no value, since half a boundary would match
    lines that are not delimiters.
    """
    if not reader.skip():
        return None
    data, start = reader.data, reader.pos
    if reader.next() == 34:
        value: list[bytes] = []
        if reader.quoted(value):
            return b"".join(value)
        closed = data.find(b'"', start + 1)
        found = _UNCLOSED.match(data, start + 1)
        stop = closed if closed >= 0 else found.end()  # type: ignore[union-attr]
        reader.pos = stop + (closed >= 0)
        return None if closed < 0 and name == b"boundary" else data[start + 1 : stop].strip()
    stop = _LOOSE_VALUE.match(data, start).end()  # type: ignore[union-attr]
    if name in _NAMES:
        while more := _ANOTHER_WORD.match(data, stop):
            stop = more.end()
    reader.pos = stop
    return b" ".join(data[start:stop].split())


def _chunk(name: bytes, star: int, value: bytes) -> tuple[bytes, int, bool, bytes] | None:
    """`name*`, `name*2` or `name*2*` as (name, number, percent-encoded, value); None for any other use of `*`."""
    rest = name[star + 1 :]
    extended = not rest or rest.endswith(b"*")
    digits = rest[:-1] if rest and extended else rest
    if digits and not digits.isdigit():
        return None
    return name[:star], int(digits[:9] or b"0"), extended, value


def _joined(group: list[tuple[bytes, int, bool, bytes]]) -> Parameters:
    """The chunks of one continued parameter joined (RFC 2231 §3); unchanged when one is missing."""
    if any(number != place for place, (_, number, _, _) in enumerate(group)):
        return [(b"%s*%d%s" % (name, number, b"*" if extended else b""), value) for name, number, extended, value in group]
    if not any(extended for _, _, extended, _ in group):
        return [(group[0][0], b"".join(value for _, _, _, value in group))]
    # One chunk is percent-encoded, so the plain ones must be as well.
    start = b"" if group[0][2] else b"''"
    values = (value if extended else value.replace(b"%", b"%25") for _, _, extended, value in group)
    return [(group[0][0] + b"*", start + b"".join(values))]
