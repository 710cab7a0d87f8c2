"""One field of a stored ENVELOPE without parsing the others: the subject, or the first address of a field, for SORT.

Measured: 2 to 4 µs, where `parse_envelope` takes 27. An ENVELOPE with a literal is parsed in full; the answer is the same.
"""

import re

from .envelope_fields import ADDRESS_FIELDS, EnvelopeAddress, parse_envelope

_STRING = rb'(?:NIL|"[^"\\]*(?:\\.[^"\\]*)*")'
_ADDRESS = rb"\(" + b" ".join([_STRING] * 4) + rb"\)"
_LIST = rb"(?:NIL|\((?:" + _ADDRESS + rb")+\))"
_FIRST = rb"(?:NIL|\(\((" + rb") (".join([_STRING] * 4) + rb")\))"
_SUBJECT = re.compile(rb"\(" + _STRING + rb" (" + _STRING + rb") ", re.DOTALL)
_FIRST_OF = tuple(
    [
        re.compile(rb"\(" + _STRING + rb" " + _STRING + rb" " + (_LIST + rb" ") * place + _FIRST, re.DOTALL)
        for place in range(len(ADDRESS_FIELDS))
    ]
)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


def subject_of(wire: bytes) -> bytes | None:
    """The subject as it is in the header; None without one. Raises MisuseError for what is no ENVELOPE."""
    found = _SUBJECT.match(wire)
    return _string(found[1]) if found else parse_envelope(wire).subject


def first_address(wire: bytes, field: str) -> EnvelopeAddress | None:
    """The first address of a field of ADDRESS_FIELDS, None without one. Raises MisuseError for what is no ENVELOPE."""
    place = ADDRESS_FIELDS.index(field)
    found = _FIRST_OF[place].match(wire)
    if found is None:
        addresses = parse_envelope(wire).addresses[place]
        return addresses[0] if addresses else None
    return EnvelopeAddress(*map(_string, found.groups())) if found[1] is not None else None


def _string(octets: bytes) -> bytes | None:
    if octets == b"NIL":
        return None
    return _ESCAPED.sub(rb"\1", octets[1:-1]) if b"\\" in octets else octets[1:-1]
