"""Parse and encode Date header fields and IMAP's date-time (RFC 5322 §3.3, §4.3; RFC 9051 §9).

Dates are UTC seconds since 1970. Header dates are parsed leniently; None when one cannot be parsed. Uses
neither clock nor locale. Two-digit years are 1970 to 2069.
"""

import re

from .lexical import FieldReader

MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
DAYS = (b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed")
"""1970 began on a Thursday."""
_LOWER_MONTHS = tuple(month.lower() for month in MONTHS)
_NAMED_ZONES: tuple[tuple[bytes, int], ...] = (
    (b"edt", -240), (b"est", -300), (b"cdt", -300), (b"cst", -360), (b"mdt", -360), (b"mst", -420), (b"pdt", -420), (b"pst", -480),
)  # fmt: skip
_MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

_USUAL = re.compile(
    rb"(?:[A-Za-z]{3}, )?([0-9]{1,2}) ([A-Za-z]{3}) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-][0-9]{2})([0-9]{2})(?: \([A-Za-z]+\))?"
)
"""The form of nearly every message; anything else is parsed word by word, with the same result in four times the time."""


def parse_date(value: bytes) -> int | None:
    """The instant of a Date field; None when it cannot be parsed."""
    zoned = parse_zoned(value)
    return None if zoned is None else zoned[0]


def parse_zoned(value: bytes) -> tuple[int, int] | None:
    """The instant of a Date field and its zone in seconds east of UTC; None when it cannot be parsed.

    Accepts the forms of RFC 5322 §4.3 and common errors: no zone or an unknown one is UTC, dots in the time, asctime() order, a day of
    the month that the month does not have.
    """
    usual = _USUAL.fullmatch(value)
    if usual is not None and usual[2] in MONTHS:
        return _usual_zoned(usual)
    words = _words(value)
    if words and len(words[0]) >= 3 and words[0][:3].isalpha() and words[0][:3].title() in DAYS:
        words = words[1:]
    if len(words) >= 4 and words[0].isalpha():
        # asctime(): month, day, time, year
        words[0], words[1] = words[1], words[0]
        if b":" in words[2]:
            words[2], words[3] = words[3], words[2]
    if len(words) < 4:
        return None
    day, month, year, time = _number(words[0], 2), _month(words[1]), _year(words[2]), _time(words[3])
    if day is None or month is None or year is None or time is None or not 1 <= day <= 31:
        return None
    zone_s = 60 * _zone(words[4]) if len(words) > 4 else 0
    return days_of(year, month, day) * 86400 + time - zone_s, zone_s


def _usual_zoned(found: re.Match[bytes]) -> tuple[int, int] | None:
    day, year, hour, minute, second, zone_h = map(int, found.group(1, 3, 4, 5, 6, 7))
    zone_s = 3600 * zone_h + (-60 if found[7].startswith(b"-") else 60) * int(found[8])
    if not (1 <= day <= 31 and year >= 1900 and hour <= 23 and minute <= 59 and second <= 60):
        return None
    return days_of(year, MONTHS.index(found[2]), day) * 86400 + hour * 3600 + minute * 60 + second - zone_s, zone_s


def _words(value: bytes) -> list[bytes]:
    """The date's words without comments and commas; the time is one word, with colons."""
    reader = FieldReader(value[:256])
    words: list[bytes] = []
    joined = False
    while reader.skip() and reader.pos < reader.end and len(words) < 8:
        octet = reader.next()
        if octet in (44, 59):
            reader.pos += 1
        elif octet in (58, 46):
            reader.pos += 1
            if not words:
                return []
            words[-1] += b":"
            joined = True
        else:
            word: list[bytes] = []
            if not reader.atom(word) and not word:
                break
            if joined:
                words[-1] += word[0]
                joined = False
            else:
                words.append(word[0])
    return words


def _number(word: bytes, digits: int) -> int | None:
    return int(word) if word.isdigit() and len(word) <= digits else None


def _month(word: bytes) -> int | None:
    short = word[:3].lower()
    return _LOWER_MONTHS.index(short) if short in _LOWER_MONTHS else None


def _year(word: bytes) -> int | None:
    if not word.isdigit() or len(word) not in (2, 3, 4):
        return None
    year = int(word)
    if len(word) < 4:
        return year + 1900 if year >= 70 else year + 2000  # RFC 5322 §4.3
    return year if year >= 1900 else None


def _time(word: bytes) -> int | None:
    hour, _, rest = word.partition(b":")
    minute, _, second = rest.partition(b":")
    numbers = [_number(part, 2) for part in (hour, minute, second or b"0")]
    if None in numbers:
        return None
    h, m, s = (number or 0 for number in numbers)
    return h * 3600 + m * 60 + s if h <= 23 and m <= 59 and s <= 60 else None


def _zone(word: bytes) -> int:
    """Minutes east of UTC; 0 for what is unknown (RFC 5322 §4.3)."""
    if word[:1] in (b"+", b"-"):
        if len(word) != 5 or not word[1:].isdigit():
            return 0
        minutes = int(word[1:3]) * 60 + int(word[3:])
        return minutes if word.startswith(b"+") else -minutes
    lower = word.lower()
    if len(lower) == 1 and lower.isalpha():
        return _military(lower[0] - 97)
    return next((minutes for name, minutes in _NAMED_ZONES if name == lower), 0)


def _military(index: int) -> int:
    """Military zones by index from A = 0: A to M without J are 1 to 12 h east, N to Y 1 to 12 h west (RFC 822 §5.1 had the sign wrong)."""
    if index < 9:
        return (index + 1) * 60
    if index < 13:
        return index * 60 if index > 9 else 0
    return (12 - index) * 60 if index < 25 else 0


def days_of(year: int, month: int, day: int) -> int:
    """Days from 1970 to a day of the Gregorian calendar; `month` counts from 0, a day beyond the month is in the next."""
    shifted = year - (month < 2)
    era, year_of_era = divmod(shifted, 400)
    day_of_year = (153 * ((month + 10) % 12) + 2) // 5 + day - 1
    return era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719468


def civil(days: int) -> tuple[int, int, int]:
    """Year, month from 0 and day of the month of a day counted from 1970."""
    era, day_of_era = divmod(days + 719468, 146097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = (shifted + 2) % 12
    return year_of_era + era * 400 + (month < 2), month, day_of_year - (153 * shifted + 2) // 5 + 1


def encode_date(at: float, offset_s: int = 0) -> str:
    """A date-time for Date and Received fields, shown `offset_s` east of UTC (RFC 5322 §3.3)."""
    days, seconds = divmod(int(at) + offset_s, 86400)
    year, month, day = civil(days)
    time = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{DAYS[days % 7].decode()}, {day:02d} {MONTHS[month].decode()} {year:04d} {time} {_encode_zone(offset_s)}"


def _encode_zone(offset_s: int) -> str:
    hours, minutes = divmod(abs(offset_s) // 60, 60)
    return f"{'-' if offset_s < 0 else '+'}{hours:02d}{minutes:02d}"


def encode_internal_date(at: int, days: dict[int, bytes]) -> bytes:
    """IMAP's date-time in UTC, `17-Jul-1996 02:44:25 +0000` without its quotes (RFC 9051 §9).

    A hot path: `days` is the caller's cache of encoded days, of which a mailbox has few; 0.6 µs a call with it.
    """
    day, second = divmod(at, 86400)
    text = days.get(day)
    if text is None:
        text = days[day] = encode_day(day)
    return b"%b %02d:%02d:%02d +0000" % (text, second // 3600, second // 60 % 60, second % 60)


def encode_day(days: int) -> bytes:
    """IMAP's date of a day counted from 1970, `17-Jul-1996`, a space before a single digit."""
    year, month, day = civil(days)
    return b"%2d-%b-%04d" % (day, MONTHS[month], year)


def parse_internal_date(value: bytes) -> int | None:
    """UTC seconds of IMAP's date-time without its quotes; None when it is malformed (RFC 9051 §9, strict but for upper and lower case).

    The day must exist in that month and year, the zone be less than a day from UTC, and the instant have a year of four digits in UTC
    as well, so that it can be encoded again. A leap second, which UTC seconds do not count, becomes the second before it.
    """
    if len(value) != 26 or (value[2:3] + value[6:7] + value[11:12] + value[20:21]) != b"--  ":
        return None
    day, month, year = _number(value[:2].lstrip(b" "), 2), value[3:6].lower(), _number(value[7:11], 4)
    if day is None or year is None or month not in _LOWER_MONTHS or value[14:15] + value[17:18] != b"::":
        return None
    clock = value[12:14] + value[15:17] + value[18:20]
    zone = value[21:]
    if not clock.isdigit() or zone[:1] not in (b"+", b"-") or not zone[1:].isdigit():
        return None
    place = _LOWER_MONTHS.index(month)
    time = _time(value[12:18] + (b"59" if value[18:20] == b"60" else value[18:20]))
    if time is None or int(zone[1:3]) > 23 or int(zone[3:]) > 59 or civil(days := days_of(year, place, day)) != (year, place, day):
        return None
    at = days * 86400 + time - 60 * _zone(zone)
    return at if _FIRST_INSTANT <= at < _END_OF_INSTANTS else None


_FIRST_INSTANT, _END_OF_INSTANTS = days_of(1, 0, 1) * 86400, days_of(10_000, 0, 1) * 86400


def parse_day(value: bytes) -> int | None:
    """Days since 1970 of IMAP's date, `1-Feb-1994`; None when it is malformed (RFC 9051 §9)."""
    day, _, rest = value.partition(b"-")
    month, _, year = rest.partition(b"-")
    number, long_year = _number(day, 2), _number(year, 4)
    if number is None or long_year is None or len(year) != 4 or month.lower() not in _LOWER_MONTHS:
        return None
    place = _LOWER_MONTHS.index(month.lower())
    return days_of(long_year, place, number) if 1 <= number <= _MONTH_DAYS[place] else None
