"""Header fields of a message as JMAP gives them: `header:Name`, its forms, and the properties short for them (RFC 8621 §4.1.2).

| form               | value                                                              | fields it may be asked of            |
|--------------------|--------------------------------------------------------------------|--------------------------------------|
| (none), asRaw      | the octets after the colon, as UTF-8                               | any                                  |
| asText             | unfolded, encoded words decoded, Unicode NFC                       | Subject and the like, unknown ones   |
| asAddresses        | a list of {name, email}, groups flattened                          | From, To and the like, unknown ones  |
| asGroupedAddresses | a list of {name, addresses}                                        | the same                             |
| asMessageIds       | ids without angle brackets; null when the field cannot be parsed   | Message-ID and the like, unknown     |
| asDate             | a date with its zone; null when it cannot be parsed                | Date, Resent-Date, unknown           |
| asURLs             | URLs without angle brackets; null when there is none               | List-Help and the like, unknown      |

Without `:all` the last field of that name counts, and null when there is none; with it all of them, in order.
"""

import re
from collections.abc import Callable, Sequence
from time import gmtime
from typing import Any
from unicodedata import normalize

from appliance.mail.address_recovery import parse_address_list
from appliance.mail.addresses import MISSING_DOMAIN, MISSING_MAILBOX
from appliance.mail.date import days_of, parse_zoned
from appliance.mail.encoding import decode_words
from appliance.mail.header import fields, unfold
from appliance.protocol.imap.envelope_fields import EnvelopeAddress, addresses_of, string_of
from appliance.protocol.jmap.errors import invalid

CONVENIENT = {
    "messageId": ("message-id", "asMessageIds"), "inReplyTo": ("in-reply-to", "asMessageIds"), "references": ("references", "asMessageIds"),
    "sender": ("sender", "asAddresses"), "from": ("from", "asAddresses"), "to": ("to", "asAddresses"), "cc": ("cc", "asAddresses"),
    "bcc": ("bcc", "asAddresses"), "replyTo": ("reply-to", "asAddresses"), "subject": ("subject", "asText"), "sentAt": ("date", "asDate"),
}  # fmt: skip
"""Properties that are short for a header field in a form."""
_FORMS: dict[str, frozenset[str]] = {
    "asText": frozenset(("subject", "comments", "keywords", "list-id")),
    "asAddresses": frozenset(("from", "sender", "reply-to", "to", "cc", "bcc", "resent-from", "resent-sender",
        "resent-reply-to", "resent-to", "resent-cc", "resent-bcc")),
    "asMessageIds": frozenset(("message-id", "in-reply-to", "references", "resent-message-id")),
    "asDate": frozenset(("date", "resent-date")),
    "asURLs": frozenset(("list-help", "list-unsubscribe", "list-subscribe", "list-post", "list-owner", "list-archive")),
}  # fmt: skip
"""Which fields of RFC 5322 and RFC 2369 may be asked for in which form; those in no set in any."""
_KNOWN = frozenset().union(*_FORMS.values()) | {"received", "return-path", "content-type", "content-transfer-encoding", "mime-version"}
_NAME = re.compile(r"header:([!-9;-~]+?)(?::(as[A-Za-z]+))?(:all)?")
_MESSAGE_ID = re.compile(rb"<([^<>\s]+)>")
_IDS = re.compile(rb"[\s,]*(?:<[^<>]*>[\s,]*)*")
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?(Z|([+-])(\d\d):(\d\d))", re.ASCII)
_URL = re.compile(rb"<([^<>]+)>")
DAY_S = 86_400
FIRST_AT, LAST_AT = -62_135_596_800, 253_402_300_799
"""UTC seconds of the first and the last moment that has a Date."""

HeaderList = Sequence[tuple[str, bytes]]
"""Name as written and raw value of each field, in order."""


def header_list(block: bytes) -> list[tuple[str, bytes]]:
    return [(field.name.decode("ascii", "replace"), block[field.value_start : field.end]) for field in fields(block)]


def parse_header_property(name: str) -> tuple[str, str, bool]:
    """Field name in lower case, form ("" for raw), and whether all are wanted. Raises MethodError."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise invalid(f'"{name[:100]}" is no header property.')
    field, form, every = found[1].lower(), found[2] or "", bool(found[3])
    if form in ("", "asRaw"):
        return field, "", every
    allowed = _FORMS["asAddresses" if form == "asGroupedAddresses" else form] if form in (*_FORMS, "asGroupedAddresses") else None
    if allowed is None or (field in _KNOWN and field not in allowed):
        raise invalid(f'"{name[:100]}" is in no form that this field has.')
    return field, form, every


def header_value(headers: HeaderList, field: str, form: str, *, every: bool = False) -> Any:
    """The value of a header property; `field` in lower case."""
    values = [value for name, value in headers if name.lower() == field]
    if every:
        return [_ENCODE[form](value) for value in values]
    return _ENCODE[form](values[-1]) if values else None


def encode_headers(headers: HeaderList) -> list[dict[str, str]]:
    """The `headers` property: every field with its raw value."""
    return [{"name": name, "value": _raw(value)} for name, value in headers]


# --- forms -------------------------------------------------------------------------------------------


def _raw(value: bytes) -> str:
    return value.rstrip(b"\r\n").decode("utf-8", "replace").replace("\0", "\ufffd")


def text_of(value: bytes) -> str:
    value = unfold(value)
    if value.isascii() and b"=?" not in value and b"\0" not in value:
        return value.decode("ascii")
    return normalize("NFC", decode_words(value)).replace("\0", "\ufffd")


def _addresses(value: bytes) -> list[dict[str, Any]]:
    return [one for group in _grouped(value) for one in group["addresses"]]


def _grouped(value: bytes) -> list[dict[str, Any]]:
    return grouped([EnvelopeAddress(*entry) for entry in parse_address_list(value)])


def grouped(entries: Sequence[EnvelopeAddress]) -> list[dict[str, Any]]:
    """Addresses outside groups stand in a group without a name; an empty one is left out."""
    found: list[dict[str, Any]] = []
    name: str | None = None
    members: list[dict[str, Any]] = []
    for entry in entries:
        if entry.host is None:
            if members or name is not None:
                found.append({"name": name, "addresses": members})
            name, members = _words(entry.mailbox), []
        elif entry.mailbox is not None:
            members.append({"name": _words(entry.name), "email": _email(entry)})
    if members or name is not None:
        found.append({"name": name, "addresses": members})
    return found


def _email(entry: EnvelopeAddress) -> str:
    """An address of a draft may have no domain yet; IMAP's placeholder for that is none here (RFC 8621 §4.1.2.3)."""
    mailbox, host = entry.mailbox or b"", entry.host or b""
    local = "" if mailbox == MISSING_MAILBOX else _plain(mailbox)
    return local if host == MISSING_DOMAIN else f"{local}@{_plain(host)}"


def _words(octets: bytes | None) -> str | None:
    return normalize("NFC", decode_words(octets)).strip() or None if octets is not None else None


def _plain(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def _message_ids(value: bytes) -> list[str] | None:
    value = unfold(value)
    found = _MESSAGE_ID.findall(value)
    return [_plain(one) for one in found] if found and _IDS.fullmatch(value) else None


def _urls(value: bytes) -> list[str] | None:
    return [_plain(one) for one in _URL.findall(unfold(value))] or None


def _date(value: bytes) -> str | None:
    found = parse_zoned(value) or parse_zoned(unfold(value))  # few are folded
    return encode_date(*found) if found is not None else None


def encode_date(at: int, zone_s: int = 0) -> str:
    """A Date of RFC 8620 §1.4: "2014-10-30T14:12:00+08:00"; "Z" for UTC. `zone_s` is east of UTC; a day or more is
    none (RFC 3339 §5.6). Years 1 to 9999, as RFC 3339 has."""
    zone_s = zone_s if abs(zone_s) < DAY_S else 0
    zone = "Z" if not zone_s else f"{'-' if zone_s < 0 else '+'}{abs(zone_s) // 3600:02}:{abs(zone_s) // 60 % 60:02}"
    return "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}".format(*gmtime(min(max(at + zone_s, FIRST_AT), LAST_AT))[:6]) + zone


def parse_date(text: str) -> tuple[int, int] | None:
    """The inverse: UTC seconds, and seconds east of UTC; None for what is no Date (RFC 8620 §1.4). Fractions of seconds are dropped."""
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    zone_s = 0
    if found[7] != "Z":
        zone_s = int(found[8] + "1") * (int(found[9]) * 3600 + int(found[10]) * 60)
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second <= 60 and abs(zone_s) < DAY_S):
        return None
    return days_of(year, month - 1, day) * DAY_S + hour * 3600 + minute * 60 + second - zone_s, zone_s


_ENCODE: dict[str, Callable[[bytes], Any]] = {
    "": _raw, "asText": text_of, "asAddresses": _addresses, "asGroupedAddresses": _grouped, "asMessageIds": _message_ids, "asDate": _date,
    "asURLs": _urls,
}  # fmt: skip


# --- from the stored envelope ------------------------------------------------------------------------


def _people(entries: Sequence[EnvelopeAddress]) -> list[dict[str, Any]] | None:
    if any(entry.host is None or entry.mailbox is None for entry in entries):  # groups
        return [one for group in grouped(entries) for one in group["addresses"]] or None
    return [{"name": _words(entry.name), "email": _email(entry)} for entry in entries] or None


def _from_string(place: int, encode: Callable[[bytes], Any]) -> Callable[[list[object]], Any]:
    return lambda envelope: None if (value := string_of(envelope[place])) is None else encode(value)


def _from_addresses(place: int) -> Callable[[list[object]], Any]:
    return lambda envelope: _people(addresses_of(envelope[place]))


FROM_ENVELOPE: dict[str, Callable[[list[object]], Any]] = {
    "sentAt": _from_string(0, _date),
    "subject": _from_string(1, text_of),
    "from": _from_addresses(2),
    "to": _from_addresses(5),
    "cc": _from_addresses(6),
    "bcc": _from_addresses(7),
    "messageId": _from_string(9, _message_ids),
}
"""Convenient properties out of ENVELOPE's list of fields, so that a list of messages opens none of them.

ENVELOPE repeats From where Sender or Reply-To are missing (RFC 9051 §7.5.2), so these are not taken from it.
"""
