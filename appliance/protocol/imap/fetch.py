"""The arguments of FETCH: attributes, sections, partial ranges, modifiers (RFC 3501 §6.4.5, RFC 9051 §6.4.5, RFC 4466 §2.4).

The grammar is open: an attribute is a word with or without `[section]` and `<first.count>`, and the command decides whether
it exists. Repeated attributes count once. Raises MisuseError; linear in the command's octets.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from appliance.mail.errors import MisuseError

from .modifiers import NamedGrammar, parse_modifiers
from .tokens import NUMBER64_MOST, Tokens

ATTRIBUTES = 100
"""Different attributes of one FETCH: each costs work for every message; clients request a dozen."""
FIELDS = 200
"""Names in one HEADER.FIELDS list."""
SECTION_LEVELS = 100
"""Numbers in a section: as deep as messages are described (mail.limits.NESTING_LEVELS)."""

MACROS: tuple[tuple[bytes, tuple[bytes, ...]], ...] = (
    (b"ALL", (b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE")),
    (b"FAST", (b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE")),
    (b"FULL", (b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE", b"BODY")),
)
"""RFC 9051 §6.4.5: a macro stands alone, never in a list."""
TEXTS = (b"HEADER.FIELDS.NOT", b"HEADER.FIELDS", b"HEADER", b"TEXT", b"MIME")


@dataclass(frozen=True, slots=True)
class Section:
    """`part` numbers, then `text`: b"" or one of TEXTS; `fields` as the client wrote them."""

    part: tuple[int, ...] = ()
    text: bytes = b""
    fields: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Attribute:
    """`name` in upper case, with `[]` appended when it has a section; `partial` is (first octet, count of octets)."""

    name: bytes
    section: Section | None = None
    partial: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Fetch:
    """One FETCH: the set as written, attributes without repeats, modifiers with their values."""

    messages: bytes
    attributes: tuple[Attribute, ...]
    modifiers: tuple[tuple[Any, Any], ...] = ()


NO_MODIFIERS: Mapping[bytes, NamedGrammar] = MappingProxyType({})


def parse_fetch(tokens: Tokens, modifiers: Mapping[bytes, NamedGrammar] = NO_MODIFIERS) -> Fetch:
    """`SP sequence-set SP (macro / attribute / "(" attributes ")") [SP "(" modifiers ")"]` to the end of the command."""
    tokens.space()
    messages = tokens.sequence_set()
    tokens.space()
    if tokens.peek() == b"(":
        found = dict.fromkeys(tokens.list_of(lambda: parse_attribute(tokens)))
        if not found:
            raise tokens.misuse("the list of attributes is empty")
    else:
        one = parse_attribute(tokens)
        macro = next((names for name, names in MACROS if one == Attribute(name)), None)
        found = dict.fromkeys([Attribute(name) for name in macro] if macro else [one])
    if len(found) > ATTRIBUTES:
        raise MisuseError(f"more than {ATTRIBUTES} attributes in one FETCH")
    values = parse_modifiers(tokens, modifiers)
    tokens.end()
    return Fetch(messages, tuple(found), values)


def parse_attribute(tokens: Tokens) -> Attribute:
    """One fetch-att (RFC 9051 §9)."""
    name, section, partial = tokens.word(), None, None
    if tokens.accept(b"["):
        section = parse_section(tokens)
        tokens.expect(b"]")
        name += b"[]"
        if tokens.accept(b"<"):
            first = tokens.number(NUMBER64_MOST)
            tokens.expect(b".")
            partial = (first, tokens.nz_number(NUMBER64_MOST))
            tokens.expect(b">")
    elif name == b"PREVIEW":
        tokens.accept(b" (LAZY)")  # the one modifier of an attribute (RFC 8970 §4.1): a preview is always there
    return Attribute(name, section, partial)


def parse_section(tokens: Tokens) -> Section:
    """The text between the brackets (RFC 9051 §9 section-spec); MIME needs part numbers before it."""
    part: list[int] = []
    while tokens.peek().isdigit():
        if len(part) == SECTION_LEVELS:
            raise tokens.misuse("the section is nested too deep")
        part.append(tokens.nz_number())
        if not tokens.accept(b"."):
            return Section(tuple(part))
    if tokens.peek() == b"]":
        if part:
            raise tokens.misuse("a section does not end with a dot")
        return Section()
    text = tokens.word()
    if text not in TEXTS or (text == b"MIME" and not part):
        raise tokens.misuse("no such section")
    fields: tuple[bytes, ...] = ()
    if text.startswith(b"HEADER.FIELDS"):
        tokens.space()
        fields = tuple(tokens.list_of(tokens.astring))
        if not 0 < len(fields) <= FIELDS:
            raise tokens.misuse(f"HEADER.FIELDS takes 1 to {FIELDS} names")
        if not all(map(_is_field_name, fields)):
            raise tokens.misuse("a header field's name is printable ASCII without colon or space")
    return Section(tuple(part), text, fields)


def _is_field_name(name: bytes) -> bool:
    """RFC 5322 §2.2: printable ASCII, no colon. (What passes can be sent back as an atom or a quoted string.)"""
    return bool(name) and name.isascii() and name.decode("ascii").isprintable() and b":" not in name and b" " not in name


def encode_section(section: Section) -> bytes:
    """The inverse of `parse_section`."""
    words = [b"%d" % number for number in section.part]
    if section.text:
        words.append(section.text)
    fields = b" (" + b" ".join(map(_field, section.fields)) + b")" if section.fields else b""
    return b".".join(words) + fields


def _field(name: bytes) -> bytes:
    if any(octet in b'(){%*"\\]' for octet in name):
        return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return name


def encode_attribute(attribute: Attribute) -> bytes:
    """The inverse of `parse_attribute`."""
    if attribute.section is None:
        return attribute.name
    partial = b"<%d.%d>" % attribute.partial if attribute.partial else b""
    return b"%b[%b]%b" % (attribute.name[:-2], encode_section(attribute.section), partial)


def label(attribute: Attribute) -> bytes:
    """The attribute's name in the response: without PEEK, a partial range by its first octet alone (RFC 9051 §7.5.2)."""
    if attribute.section is None:
        return attribute.name
    name = attribute.name[:-2].removesuffix(b".PEEK")
    first = b"<%d>" % attribute.partial[0] if attribute.partial else b""
    return b"%b[%b]%b" % (name, encode_section(attribute.section), first)
