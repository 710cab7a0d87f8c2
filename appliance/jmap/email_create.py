"""A new Email as a client describes it: checked, and turned into the parts and fields of a message (RFC 8621 §4.6).

| given                                   | the message's body                                                                        |
|-----------------------------------------|-------------------------------------------------------------------------------------------|
| `bodyStructure`                         | these parts                                                                               |
| `textBody`, `htmlBody`                  | the one there is; of both multipart/alternative                                           |
| `attachments`                           | multipart/mixed around all; what the HTML shows by its cid stands in multipart/related    |
| nothing                                 | an empty text                                                                             |

Everything a client may not do is refused as invalidProperties, blobs that are not there as blobNotFound with all of them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from appliance.protocol.jmap.errors import SetError, invalid_properties
from appliance.protocol.jmap.references import created_id

from .blobs import Blob
from .header_forms import CONVENIENT
from .header_setting import Fields, set_header

METADATA = frozenset(("mailboxIds", "keywords", "receivedAt"))
BODY = frozenset(("bodyStructure", "bodyValues", "textBody", "htmlBody", "attachments"))
MOST_PARTS = 500
MOST_DEPTH = 10
MOST_LANGUAGES_OCTETS = 900
"""They are written on one line."""
_PART = frozenset((
    "partId", "blobId", "size", "name", "type", "charset", "disposition", "cid", "language", "location", "subParts",
))  # fmt: skip
_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")
_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,99}")
_WORD = re.compile(r"[!-;=?-~]{1,900}")
_PARAMETER = re.compile(r"\s*;\s*([A-Za-z0-9_.-]{1,60}=(?:[A-Za-z0-9!#$&^_.+-]{1,200}|\"[ !#-\[\]-~]{0,200}\"))")
_MEANS = {"cid": "content-id", "language": "content-language", "location": "content-location"}
"""Properties of a part, and the field that each stands for."""
_OWN = frozenset(("content-transfer-encoding", "content-disposition"))
"""Fields of a part that are made of its properties alone."""
_OF_OTHERS = ("charset", "boundary", "name")
"""Parameters of a Content-Type that the server or other properties set."""


@dataclass(slots=True)
class NewPart:
    """One part. `text` or `blob` is its content; a multipart has `children`. `fields`: those that no property here stands for."""

    type: str
    text: str | None = None
    blob: Blob | None = None
    blob_id: str = ""
    children: "list[NewPart]" = field(default_factory=list)
    name: str | None = None
    charset: str = ""
    parameters: tuple[str, ...] = ()
    """More parameters of the type, as written: "format=flowed"."""
    disposition: str = ""
    cid: str = ""
    languages: tuple[str, ...] = ()
    location: str = ""
    fields: Fields = field(default_factory=list)

    def walk(self) -> "Iterator[NewPart]":
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(slots=True)
class NewEmail:
    """The header's fields in the order given, and the part that is the body."""

    fields: Fields
    root: NewPart

    def use_blobs(self, found: Mapping[str, Blob | None]) -> None:
        """Set the blobs of all parts. Raises SetError blobNotFound."""
        parts = [part for part in self.root.walk() if part.blob_id]
        missing = sorted({part.blob_id for part in parts if found.get(part.blob_id) is None})
        if missing:
            raise SetError("blobNotFound", "A part of the message is not there any more.", notFound=missing)
        for part in parts:
            blob = part.blob = found[part.blob_id]
            assert blob is not None  # noqa: S101 - see above
            part.type = part.type or _type_of(blob)

    @property
    def blob_ids(self) -> list[str]:
        return list(dict.fromkeys(part.blob_id for part in self.root.walk() if part.blob_id))


def _type_of(blob: Blob) -> str:
    kind = blob.media_type.partition(";")[0].strip().lower()
    return kind if _TYPE.fullmatch(kind) and not kind.startswith("multipart/") else "application/octet-stream"


def read_email(given: Mapping[str, Any], created: Mapping[str, str]) -> NewEmail:
    """`created`: ids of what the request made before. Raises SetError."""
    fields: Fields = []
    for name, value in given.items():
        if name in CONVENIENT or name.startswith("header:"):
            fields += _new_fields(name, value, fields, of_message=True)
        elif name not in METADATA and name not in BODY:
            raise invalid_properties(f'"{name[:100]}" cannot be set.', name)
    reader = _PartReader(_texts(given.get("bodyValues")), created)
    root = _structure(given, reader) if given.get("bodyStructure") is not None else _flat(given, reader)
    for name, _ in root.fields:
        if any(name == other for other, _ in fields):
            raise invalid_properties(f"The field {name} is given twice.", "bodyStructure")
    return NewEmail(fields, root)


def _new_fields(name: str, value: Any, others: Fields, *, of_message: bool) -> Fields:
    made = set_header(name, value)
    for field_name, _ in made:
        if of_message and field_name.startswith("content-"):
            raise invalid_properties("Fields of the content are set at a body part.", name)
        if any(field_name == other for other, _ in others):
            raise invalid_properties(f"The field {field_name} is given twice.", name)
    return made


def _texts(values: Any) -> dict[str, str]:
    """`bodyValues`."""
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise invalid_properties("Body values map a part's id to a value.", "bodyValues")
    for value in values.values():
        sound = (
            isinstance(value, dict)
            and value.keys() <= {"value", "isEncodingProblem", "isTruncated"}
            and isinstance(value.get("value"), str)
        )
        if not sound or value.get("isEncodingProblem") not in (None, False) or value.get("isTruncated") not in (None, False):
            raise invalid_properties("A body value is a whole text.", "bodyValues")
    return {name: value["value"] for name, value in values.items()}


def _structure(given: Mapping[str, Any], reader: "_PartReader") -> NewPart:
    for name in ("textBody", "htmlBody", "attachments"):
        if given.get(name) is not None:
            raise invalid_properties("A body structure is the whole body.", "bodyStructure", name)
    return reader.read(given["bodyStructure"], "bodyStructure")


def _flat(given: Mapping[str, Any], reader: "_PartReader") -> NewPart:
    """The usual structure around the parts of textBody, htmlBody and attachments."""
    texts = []
    for name, kind in (("textBody", "text/plain"), ("htmlBody", "text/html")):
        parts = _parts_of(given, name)
        if not parts:
            continue
        if len(parts) > 1:
            raise invalid_properties("It has one part.", name)
        texts.append(reader.read(_of_type(kind, parts[0]), name))
        if texts[-1].type != kind:
            raise invalid_properties(f"Its part is {kind}.", name)
    attachments = [reader.read(part, "attachments") for part in _parts_of(given, "attachments")]
    for part in attachments:
        part.disposition = part.disposition or "attachment"
    html = texts[-1] if texts and texts[-1].type == "text/html" else None
    shown = [part for part in attachments if html is not None and part.cid and part.disposition == "inline"]
    if html is not None and shown:
        texts[-1] = NewPart("multipart/related", children=[html, *shown])
    rest = [part for part in attachments if not any(part is one for one in shown)]
    body = NewPart("multipart/alternative", children=texts) if len(texts) > 1 else texts[0] if texts else None
    if rest:
        return NewPart("multipart/mixed", children=[*([body] if body is not None else []), *rest])
    return body if body is not None else NewPart("text/plain", text="")


def _of_type(kind: str, part: Any) -> Any:
    """A part of this type, unless it says itself of which."""
    says = not isinstance(part, dict) or any(name.lower().startswith("header:content-type") for name in part)
    return part if says else {"type": kind, **part}


def _parts_of(given: Mapping[str, Any], name: str) -> list[Any]:
    parts = given.get(name)
    if parts is not None and not isinstance(parts, list):
        raise invalid_properties("It is a list of body parts.", name)
    return parts or []


class _PartReader:
    """Reads EmailBodyParts; `texts` are the body values."""

    def __init__(self, texts: Mapping[str, str], created: Mapping[str, str]) -> None:
        self._texts = texts
        self._created = created
        self._count = 0

    def read(self, given: Any, place: str, depth: int = 0) -> NewPart:
        """`place`: the property of the Email, for refusals. Raises SetError."""
        self._count += 1
        if not isinstance(given, dict) or depth > MOST_DEPTH or self._count > MOST_PARTS:
            raise invalid_properties("A body part is an object; there are too many of them, or too deep ones.", place)
        kind = _string(given, "type", place, _TYPE).lower()
        part = NewPart(kind, disposition=_string(given, "disposition", place, _TOKEN).lower())
        part.name = _string(given, "name", place, None) or None
        part.cid = _string(given, "cid", place, _WORD)
        part.location = _string(given, "location", place, _WORD)
        part.languages = _languages(given, place)
        self._read_fields(part, given, place)
        self._read_content(part, given, place, depth)
        return part

    def _read_fields(self, part: NewPart, given: Mapping[str, Any], place: str) -> None:
        means: Fields = [(_MEANS[name], b"") for name in _MEANS if given.get(name)]
        for name, value in given.items():
            if name.startswith("header:"):
                made = _new_fields(name, value, [*part.fields, *means], of_message=False)
                if any(field_name in _OWN for field_name, _ in made):
                    raise invalid_properties("It is set by name and disposition.", place, name)
                if any(field_name == "content-type" for field_name, _ in made):
                    _read_type(part, given, made[0][1].decode("ascii"), (place, name))
                else:
                    part.fields += made
            elif name not in _PART:
                raise invalid_properties(f'"{name[:100]}" cannot be set at a body part.', place)
        if part.name is not None and _has_control(part.name):
            raise invalid_properties("A name has no line ends and no control characters.", place)

    def _read_content(self, part: NewPart, given: Mapping[str, Any], place: str, depth: int) -> None:
        part_id, blob_id, parts = given.get("partId"), given.get("blobId"), given.get("subParts")
        if part.type.startswith("multipart/") or parts:
            if (
                not part.type.startswith("multipart/")
                or not isinstance(parts, list)
                or not parts
                or part_id is not None
                or blob_id is not None
            ):
                raise invalid_properties("A multipart has parts, and nothing else has.", place)
            part.children = [self.read(one, place, depth + 1) for one in parts]
        elif part_id is not None:
            if blob_id is not None or given.get("charset") is not None or given.get("size") is not None:
                raise invalid_properties("A part with a body value has no blob, charset or size.", place)
            if not isinstance(part_id, str) or part_id not in self._texts:
                raise invalid_properties("A part has no body value.", place, "bodyValues")
            part.type, part.text = part.type or "text/plain", self._texts[part_id]
            if not part.type.startswith("text/"):
                raise invalid_properties("A body value is the text of a text part.", place)
        elif isinstance(blob_id, str):
            part.blob_id = created_id(blob_id, self._created) or blob_id
            part.charset = _string(given, "charset", place, _TOKEN)
        else:
            raise invalid_properties("A part has a partId or a blobId.", place)


def _read_type(part: NewPart, given: Mapping[str, Any], field: str, place: tuple[str, str]) -> None:
    """A Content-Type with parameters that no property stands for; the charset is the server's. Raises SetError."""
    kind, semicolon, rest = field.partition(":")[2].strip().replace("\r\n", "").partition(";")
    parameters = tuple(_PARAMETER.findall(semicolon + rest))
    if given.get("type") or given.get("charset") or given.get("subParts") or not _TYPE.fullmatch(kind.strip()):
        raise invalid_properties("A part has a type with its charset, or a whole Content-Type.", *place)
    known = any(one.partition("=")[0].lower() in _OF_OTHERS for one in parameters)
    if known or _PARAMETER.sub("", semicolon + rest).strip():
        raise invalid_properties("The parameters of this Content-Type are not such as a client sets.", *place)
    part.type, part.parameters = kind.strip().lower(), parameters


def _string(given: Mapping[str, Any], name: str, place: str, shape: re.Pattern[str] | None) -> str:
    """ "" when it is left out. Raises SetError."""
    value = given.get(name)
    if value is None or value == "":
        return ""
    if not isinstance(value, str) or (shape is not None and not shape.fullmatch(value)):
        raise invalid_properties(f'The "{name}" of a body part is no such thing.', place)
    return value


def _languages(given: Mapping[str, Any], place: str) -> tuple[str, ...]:
    found = given.get("language")
    if found is not None and (not isinstance(found, list) or not all(isinstance(one, str) and _TOKEN.fullmatch(one) for one in found)):
        raise invalid_properties('The "language" of a body part is a list of language tags.', place)
    if sum(len(one) + 2 for one in found or ()) > MOST_LANGUAGES_OCTETS:
        raise invalid_properties('The "language" of a body part has too many language tags.', place)
    return tuple(found or ())


def _has_control(text: str) -> bool:
    return any(character < " " or "\x7f" <= character <= "\x9f" or "\ud800" <= character <= "\udfff" for character in text)
