"""A calendar part (RFC 5545, RFC 5546) read as far as a sentence needs it: what, when, where, who, and whether it was called off."""

import re
from typing import Any

CALENDAR_OCTETS = 100_000
TEXT_CHARACTERS = 300
_WHEN = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)\d\d(Z?))?")
_ESCAPE = re.compile(r"\\([nN,;\\])")


def read_invitation(text: str) -> dict[str, Any] | None:
    """The first event of a calendar; None when there is none. Instants are local to `zone` ("UTC", a name, or "" for the reader's)."""
    lines = re.sub(r"\r?\n[ \t]", "", text).replace("\r\n", "\n").split("\n")
    method, fields = "", dict[str, tuple[str, str]]()
    inside = False
    for line in lines:
        name, colon, value = _split(line)
        if line.upper() == "BEGIN:VEVENT":
            inside = True
        elif line.upper() == "END:VEVENT":
            break
        elif colon and not inside and name == "METHOD":
            method = value.upper()
        elif colon and inside:
            key, _, parameters = name.partition(";")
            fields.setdefault(key, (value, parameters))
    start, zone, all_day = _instant(*fields.get("DTSTART", ("", "")))
    if not inside or not start:
        return None
    organizer, parameters = fields.get("ORGANIZER", ("", ""))
    named = re.search(r'CN=(?:"([^"]*)"|([^;:]*))', parameters, re.IGNORECASE)
    return {
        "method": method[:20],
        "summary": _text(fields.get("SUMMARY", ("", ""))[0]),
        "location": _text(fields.get("LOCATION", ("", ""))[0]),
        "organizer": _text((named and (named[1] or named[2])) or re.sub("(?i)^mailto:", "", organizer)),
        "start": start,
        "end": _instant(*fields.get("DTEND", ("", "")))[0],
        "zone": zone,
        "allDay": all_day,
        "repeats": "RRULE" in fields,
        "cancelled": method == "CANCEL" or fields.get("STATUS", ("", ""))[0].upper() == "CANCELLED",
    }


def _split(line: str) -> tuple[str, str, str]:
    """Name with parameters, the colon, value; a colon in a quoted parameter is none."""
    quoted = False
    for at, character in enumerate(line):
        if character == '"':
            quoted = not quoted
        elif character == ":" and not quoted:
            name, semicolon, parameters = line[:at].partition(";")
            return name.upper() + semicolon + parameters, ":", line[at + 1 :]
    return line, "", ""


def _instant(value: str, parameters: str) -> tuple[str, str, bool]:
    """ISO form without seconds, zone, and whether it is a date only."""
    found = _WHEN.fullmatch(value.strip())
    if found is None:
        return "", "", False
    day = f"{found[1]}-{found[2]}-{found[3]}"
    if found[4] is None:
        return day, "", True
    zone = re.search(r'TZID="?([^";:]{1,60})', parameters, re.IGNORECASE)
    return f"{day}T{found[4]}:{found[5]}", "UTC" if found[6] else zone[1] if zone else "", False


def _text(value: str) -> str:
    return " ".join(_ESCAPE.sub(lambda found: " " if found[1] in "nN" else found[1], value).split())[:TEXT_CHARACTERS]
