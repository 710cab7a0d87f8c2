"""The Content- fields that describe a MIME part: type, parameters, disposition, language (RFC 2045 §5, RFC 2183, RFC 2231, RFC 3282).

Broken fields are read as far as they go; parameters split over several pieces are joined but not
decoded, as clients decode them themselves. Linear in the value.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from .lexical import Reader

Parameters = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class Content:
    """What the Content- fields of one part say; None or empty where they say nothing. Octets as written, folds and all."""

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


def read_content(found: Mapping[bytes, list[bytes]]) -> Content:
    """What the values of CONTENT_FIELDS (lower-case names, in the order they came) say; of a repeated field the first that can be read."""
    content = Content()
    for name, values in found.items():
        if name == b"content-type":
            content.type, content.subtype, content.parameters = parse_content_type(values[0])
        elif name == b"content-transfer-encoding":
            content.encoding = next(filter(None, map(parse_encoding, values)), None)
        elif name == b"content-id":
            content.id = values[0]
        elif name == b"content-description":
            content.description = values[0]
        elif name == b"content-disposition":
            for value in values:
                if not content.disposition_parameters and (read := parse_disposition(value)):
                    content.disposition, content.disposition_parameters = read
        elif name == b"content-md5":
            content.md5 = values[0]
        elif name == b"content-language":
            content.languages = next(filter(None, map(parse_languages, values)), [])
        elif name == b"content-location":
            content.location = values[0]
    return content


def parse_content_type(value: bytes) -> tuple[bytes, bytes | None, Parameters]:
    """Type and subtype as written and the parameters; a type alone has no subtype, and one that makes no sense is "" (RFC 2045 §5.1)."""
    reader = Reader(value)
    kind: list[bytes] = []
    subtype: list[bytes] = []
    if not reader.skip() or not reader.token(kind) or reader.next() != 47:
        return b"" if reader.pos < reader.end or not kind else kind[0], None, []
    reader.pos += 1
    if not reader.skip() or reader.pos >= reader.end:
        return kind[0], None, []
    if not reader.token(subtype):
        return kind[0], subtype[0], []
    if reader.next() not in (-1, 59):
        return b"", None, []
    return kind[0], subtype[0], _parameters(reader)


def parse_disposition(value: bytes) -> tuple[bytes, Parameters] | None:
    """The disposition as written and its parameters; None when there is no telling (RFC 2183 §2)."""
    reader = Reader(value)
    word: list[bytes] = []
    if not reader.skip() or not reader.token(word):
        return None
    return word[0], _parameters(reader)


def parse_encoding(value: bytes) -> bytes | None:
    """The one token of a Content-Transfer-Encoding field as written; None when the field holds anything else (RFC 2045 §6.1)."""
    reader = Reader(value)
    word: list[bytes] = []
    if reader.skip() and reader.token(word) and reader.pos >= reader.end:
        return word[0] or None
    return None


def encoding_word(value: bytes) -> bytes:
    """The first token of a Content-Transfer-Encoding field in lower case, whatever follows it."""
    reader = Reader(value)
    word: list[bytes] = []
    reader.skip()
    reader.token(word)
    return word[0].lower()


def parse_languages(value: bytes) -> list[bytes]:
    """The tags of a Content-Language field as written (RFC 3282 §2)."""
    reader = Reader(value)
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


def _parameters(reader: Reader) -> Parameters:
    """Plain parameters in their order, then those of RFC 2231 joined, by name."""
    plain: Parameters = []
    pieces: list[tuple[bytes, int, bool, bytes]] = []
    for name, value in _each_parameter(reader):
        star = name.find(b"*")
        piece = _piece(name, star, value) if star >= 0 else None
        if piece is None:
            plain.append((name, value))
        else:
            pieces.append(piece)
    if pieces:
        pieces.sort(key=lambda piece: piece[:2])
        for _, group in groupby(pieces, key=lambda piece: piece[0].lower()):
            plain += _joined(list(group))
    return plain


def _each_parameter(reader: Reader) -> Iterator[tuple[bytes, bytes]]:
    """Each `;` name `=` value that can be read; after a broken one the next `;` counts."""
    data = reader.data
    while reader.pos < reader.end:
        if data[reader.pos] != 59:
            reader.pos = data.find(b";", reader.pos)
            if reader.pos < 0:
                reader.pos = reader.end
                return
        reader.pos += 1
        name: list[bytes] = []
        value: list[bytes] = []
        if not reader.skip() or reader.pos >= reader.end or not reader.token(name) or reader.next() != 61:
            reader.pos += 1
            continue
        reader.pos += 1
        good = reader.skip()
        ahead = reader.next()
        if good and ahead == 34:
            good = reader.quoted(value)
        elif good and ahead == 61:
            stop = reader.pos
            while stop < reader.end and data[stop] not in b"; \t\r\n":
                stop += 1
            value.append(data[reader.pos : stop])
            reader.pos = stop
        elif good and ahead >= 0:
            good = reader.token(value)
        if good:
            yield name[0], b"".join(value)
        else:
            reader.pos += 1


def _piece(name: bytes, star: int, value: bytes) -> tuple[bytes, int, bool, bytes] | None:
    """`name*`, `name*2` or `name*2*` as (name, number, percent-encoded, value); None for any other use of `*`."""
    rest = name[star + 1 :]
    extended = not rest or rest.endswith(b"*")
    digits = rest[:-1] if rest and extended else rest
    if digits and not digits.isdigit():
        return None
    return name[:star], int(digits[:9] or b"0"), extended, value


def _joined(group: list[tuple[bytes, int, bool, bytes]]) -> Parameters:
    """The pieces of one name as one parameter (RFC 2231 §3); as they came when one is missing."""
    if any(number != place for place, (_, number, _, _) in enumerate(group)):
        return [(b"%s*%d%s" % (name, number, b"*" if extended else b""), value) for name, number, extended, value in group]
    if not any(extended for _, _, extended, _ in group):
        return [(group[0][0], b"".join(value for _, _, _, value in group))]
    # One piece is percent-encoded, so the plain ones must be as well.
    start = b"" if group[0][2] else b"''"
    values = (value if extended else value.replace(b"%", b"%25") for _, _, extended, value in group)
    return [(group[0][0] + b"*", start + b"".join(values))]
