"""Header properties a client sets: from a value in one of the forms to the field of a message (RFC 8621 §4.1.2, §4.6).

The inverse of `header_forms`. Every refusal is the SetError invalidProperties with the property's name. Addresses need not be complete:
a draft is saved while somebody still types; whoever sends it checks them.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from appliance.mail.address import ascii_domain, parse_address
from appliance.mail.date import encode_date
from appliance.mail.errors import MisuseError
from appliance.mail.header_encoding import MOST_OCTETS, encode_field, list_tokens, phrase_tokens, text_tokens
from appliance.protocol.jmap.errors import MethodError, invalid_properties

from .header_forms import CONVENIENT, parse_date, parse_header_property

_SPELLED = {name: name.title() for name in (*(field for field, _ in CONVENIENT.values()), "resent-from", "mime-version")} | {
    "message-id": "Message-ID", "mime-version": "MIME-Version",
}  # fmt: skip
"""Of the fields that convenient properties stand for."""
MOST_ADDRESSES = 5_000
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_ANGLED = re.compile(r"[^<>\s\x00-\x1f\x7f-\x9f]{1,900}")
_EMAIL = re.compile(r"[^<>,;:\"()\\\s\x00-\x1f\x7f-\x9f]{1,320}")
"""What may stand between angle brackets although it is no address."""
_FOLDED = re.compile(r"[\t\x20-\x7e]*(?:\r\n[ \t]+[\x21-\x7e][\t\x20-\x7e]*)*")
"""Each text fits in one way only: matching takes a time that grows with its length alone."""

Fields = list[tuple[str, bytes]]
"""Name in lower case, and the whole field with its CRLF."""


def set_header(name: str, value: Any) -> Fields:
    """The fields that a property stands for; none for null and for an empty list. Raises SetError."""
    try:
        if name in CONVENIENT:
            field, form = CONVENIENT[name]
            every, spelled = False, _SPELLED[field]
        else:
            field, form, every = parse_header_property(name)
            spelled = name.split(":")[1]
        if value is None or (value == [] and not every):
            return []
        encode = _ENCODE[form]
        return [(field, encode(spelled, one)) for one in (_list(value) if every else [value])]
    except MethodError as error:
        raise invalid_properties(str(error), name) from None
    except MisuseError as error:
        raise invalid_properties(f'"{name[:100]}" cannot be set: {error}.', name) from None


# --- forms, each raising MisuseError ------------------------------------------------------------------


def _raw(spelled: str, value: Any) -> bytes:
    text = _string(value)
    if not _FOLDED.fullmatch(text):
        raise MisuseError("a raw field is ASCII, its lines end in CRLF and go on with a space; other forms take any text")
    field = f"{spelled}:{text}\r\n".encode("ascii")
    if any(len(line) > MOST_OCTETS for line in field.split(b"\r\n")):
        raise MisuseError(f"a line has more than {MOST_OCTETS} octets")
    return field


def _text(spelled: str, value: Any) -> bytes:
    return encode_field(spelled, text_tokens(_string(value)))


def _addresses(spelled: str, value: Any) -> bytes:
    return encode_field(spelled, list_tokens([_address(one) for one in _list(value)]))


def _grouped(spelled: str, value: Any) -> bytes:
    entries: list[list[bytes]] = []
    for group in _list(value):
        if not isinstance(group, dict) or not group.keys() <= {"name", "addresses"}:
            raise MisuseError("a group has a name and addresses")
        members = [_address(one) for one in _list(group.get("addresses"))]
        if group.get("name") is None:
            entries += members
            continue
        named = phrase_tokens(_string(group["name"])) or [b'""']
        entries.append([*named[:-1], named[-1] + b":", *list_tokens(members)])
        entries[-1][-1] += b";"
    return encode_field(spelled, list_tokens(entries))


def _address(value: Any) -> list[bytes]:
    if not isinstance(value, dict) or not value.keys() <= {"name", "email"}:
        raise MisuseError("an address has a name and an email")
    email = _string(value.get("email"))
    try:
        address = parse_address(email)
        if address.ascii_local:
            email = f"{email.rpartition('@')[0]}@{ascii_domain(address.domain) if not email.isascii() else email.rpartition('@')[2]}"
    except MisuseError:
        if not _EMAIL.fullmatch(email):
            raise MisuseError("an email has a character that no address has") from None
    name = phrase_tokens(_string(value["name"])) if value.get("name") is not None else []
    return [*name, b"<" + email.encode() + b">"] if name or not _is_plain(email) else [email.encode()]


def _is_plain(email: str) -> bool:
    """May it stand without angle brackets?"""
    return "@" in email and email.isascii()


def _angled(kind: str, joined: bytes) -> Callable[[str, Any], bytes]:
    def encode(spelled: str, value: Any) -> bytes:
        words = [_string(one) for one in _list(value)]
        if not words or not all(_ANGLED.fullmatch(word) and word.isascii() for word in words):
            raise MisuseError(f"it is no list of {kind}")
        return encode_field(
            spelled, [f"<{word}>".encode() + (joined if place + 1 < len(words) else b"") for place, word in enumerate(words)]
        )

    return encode


def _date(spelled: str, value: Any) -> bytes:
    found = parse_date(_string(value))
    if found is None:
        raise MisuseError("a date looks like 2014-10-30T14:12:00+08:00")
    return encode_field(spelled, [encode_date(*found).encode()])


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise MisuseError("it is no string")
    if not value.isascii() and _SURROGATE.search(value):
        raise MisuseError("it has a lone surrogate, which is no text")
    return value


def _list(value: Any) -> Sequence[Any]:
    if not isinstance(value, list) or len(value) > MOST_ADDRESSES:
        raise MisuseError("it is no list, or too long a one")
    return value


_ENCODE: dict[str, Callable[[str, Any], bytes]] = {
    "": _raw, "asText": _text, "asAddresses": _addresses, "asGroupedAddresses": _grouped, "asMessageIds": _angled("message ids", b""),
    "asDate": _date, "asURLs": _angled("URLs", b","),
}  # fmt: skip
