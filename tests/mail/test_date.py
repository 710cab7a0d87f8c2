"""Dates of header fields and of IMAP: parsed, encoded, round trips."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.date import (
    civil,
    encode_date,
    encode_day,
    encode_internal_date,
    parse_date,
    parse_day,
    parse_internal_date,
    parse_zoned,
)

AT = 1704190272
"""Tue, 2 Jan 2024 10:11:12 UTC."""
INSTANTS = st.integers(-2_000_000_000, 250_000_000_000)


@pytest.mark.parametrize(
    ("value", "at"),
    [
        (b"Tue, 02 Jan 2024 10:11:12 +0000", AT),
        (b"2 Jan 2024 12:11:12 +0200", AT),
        (b"Tue, 2 Jan 2024 05:11:12 -0500 (EST)", AT),
        (b"Tue, 02 Jan 2024 10:11:12 GMT", AT),
        (b"Tue, 02 Jan 2024 05:11:12 EST", AT),
        (b"Tue, 02 Jan 2024 03:11:12 PDT", AT),
        (b"Tue, 02 Jan 2024 11:11:12 A", AT),
        (b"Tue, 02 Jan 2024 22:11:12 M", AT),
        (b"Tue, 02 Jan 2024 09:11:12 N", AT),
        (b"Mon, 01 Jan 2024 22:11:12 y", AT),
        (b"Tue, 02 Jan 2024 10:11:12 Z", AT),
        (b"Tue, 02 Jan 2024 10:11:12 J", AT),
        (b"Tue, 02 Jan 2024 10:11:12", AT),
        (b"Tue, 02 Jan 2024 10:11:12 NOWHERE", AT),
        (b"Tue, 02 Jan 24 10:11:12 +0000", AT),
        (b"Tue, 02 Jan 124 10:11:12 +0000", None),
        (b"Tue, 02 January 2024 10:11 +0000", AT - 12),
        (b"Tue, 02 Jan 2024 10.11.12 +0000", AT),
        (b"(c) Tue (c), (c) 02 Jan\r\n 2024 (c) 10 : 11 : 12 (c) +0000", AT),
        (b"Tue Jan  2 10:11:12 2024", AT),
        (b"Tuesday 2 Jan 2024 10:11:12", AT),
        (b"Sat, 31 Dec 2016 23:59:60 +0000", 1483228800),
        (b"Thu, 01 Jan 70 00:00:00 +0000", 0),
        (b"Fri, 01 Jan 69 00:00:00 +0000", 3124224000),
        (b"Tue, 02 Jan 2024 25:00:00 +0000", None),
        (b"Tue, 32 Jan 2024 10:11:12 +0000", None),
        (b"Tue, 02 Foo 2024 10:11:12 +0000", None),
        (b"2024-01-02T10:11:12Z", None),
        (b"yesterday at noon", None),
        (b"", None),
        (b":::", None),
        (b"(open", None),
    ],
)
def test_header_dates(value: bytes, at: int | None) -> None:
    if value.startswith(b"Tue, 02 Jan 124"):
        at = 1704190272  # three digits count from 1900, RFC 5322 §4.3
    assert parse_date(value) == at


def test_the_zone_of_a_date_is_returned() -> None:
    assert parse_zoned(b"2 Jan 2024 12:11:12 +0200") == (AT, 7200)
    assert parse_zoned(b"2 Jan 2024 05:11:12 EST") == (AT, -18_000)


@given(
    st.integers(0, 33),
    st.sampled_from(("Jan", "Feb", "Dec", "Xyz", "jan")),
    st.integers(1800, 9999),
    *[st.integers(0, 99)] * 3,
    st.integers(-9999, 9999),
)
def test_the_usual_form_is_read_as_any_other(day: int, month: str, year: int, hour: int, minute: int, second: int, zone: int) -> None:
    usual = f"{day} {month} {year} {hour:02}:{minute:02}:{second:02} {'-' if zone < 0 else '+'}{abs(zone):04}"
    assert parse_zoned(usual.encode()) == parse_zoned(usual.replace(" ", "  ", 1).encode())


@given(st.binary(max_size=60))
def test_any_octets_are_a_date_or_none(value: bytes) -> None:
    assert parse_date(value) is None or isinstance(parse_date(value), int)


@given(INSTANTS, st.integers(-14 * 60, 14 * 60))
def test_header_date_round_trip(at: int, minutes: int) -> None:
    written = encode_date(at, minutes * 60)
    year = int(written.split()[3])
    assert parse_date(written.encode()) == (at if year >= 1900 else None)


def test_header_date_format() -> None:
    assert encode_date(AT) == "Tue, 02 Jan 2024 10:11:12 +0000"
    assert encode_date(AT + 0.9, -12_600) == "Tue, 02 Jan 2024 06:41:12 -0330"


@given(INSTANTS)
def test_internal_date_round_trip(at: int) -> None:
    assert parse_internal_date(encode_internal_date(at, {})) == at


@given(INSTANTS)
def test_the_calendar_equals_python_s(at: int) -> None:
    usual = datetime.fromtimestamp(at, UTC)
    assert civil(at // 86400) == (usual.year, usual.month - 1, usual.day)


def test_internal_date_cache_of_days() -> None:
    days: dict[int, bytes] = {}
    assert encode_internal_date(AT, days) == b" 2-Jan-2024 10:11:12 +0000"
    assert encode_internal_date(AT + 1, days) == b" 2-Jan-2024 10:11:13 +0000"
    assert days == {AT // 86400: b" 2-Jan-2024"}


@pytest.mark.parametrize(
    ("value", "at"),
    [
        (b" 2-Jan-2024 10:11:12 +0000", AT),
        (b"02-jan-2024 05:11:12 -0500", AT),
        (b"2-Jan-2024 10:11:12 +0000", None),
        (b"32-Jan-2024 10:11:12 +0000", None),
        (b"30-Feb-2024 10:11:12 +0000", None),
        (b"31-Feb-2024 10:11:12 +0000", None),
        (b"29-Feb-2023 10:11:12 +0000", None),
        (b"29-Feb-2000 00:00:00 +0000", 951_782_400),
        (b"29-Feb-1900 00:00:00 +0000", None),
        (b"31-Apr-2024 10:11:12 +0000", None),
        (b"00-Jan-2024 10:11:12 +0000", None),
        (b" 0-Jan-2024 10:11:12 +0000", None),
        (b"01-Jan-0000 10:11:12 +0000", None),
        (b"01-Jan-0001 00:00:00 +0000", -62_135_596_800),
        (b"01-Jan-0001 00:00:00 +0001", None),
        (b"31-Dec-9999 23:59:59 +0000", 253_402_300_799),
        (b"31-Dec-9999 23:59:59 +0100", 253_402_297_199),
        (b"31-Dec-9999 12:00:00 -1200", None),
        (b"01-Jan-10000 0:00:00 +0000", None),
        (b"02-Jan-2024 10:60:12 +0000", None),
        (b"02-Jan-2024 10:11:61 +0000", None),
        (b"02-Jan-2024 10:11:99 +0000", None),
        (b"31-Dec-2016 23:59:60 +0000", 1_483_228_799),
        (b"02-Jan-2024 10:11:12 +0099", None),
        (b"02-Jan-2024 10:11:12 +2400", None),
        (b"02-Jan-2024 10:11:12 -2359", AT + 86_340),
        (b"02-Jan-2024 10:11:12  0000", None),
        (b"02-Jan-2024 1 :11:12 +0000", None),
        (b"-2-Jan-2024 10:11:12 +0000", None),
        (b"02-Jan-2024 24:11:12 +0000", None),
        (b"02-Jan-2024 10:11:12 +0060", None),
        (b"02-Jan-2024 10:11:12 GMT  ", None),
        (b"02/Jan/2024 10:11:12 +0000", None),
        (b"", None),
    ],
)
def test_internal_dates_are_parsed_strictly(value: bytes, at: int | None) -> None:
    assert parse_internal_date(value) == at


@pytest.mark.parametrize(
    ("value", "day"),
    [(b"2-Jan-2024", AT // 86400), (b"02-JAN-2024", AT // 86400), (b"2-Jan-24", None), (b"Jan", None), (b"0-Jan-2024", None)],
)
def test_search_dates(value: bytes, day: int | None) -> None:
    assert parse_day(value) == day


@given(st.integers(-700_000, 2_900_000))
def test_search_date_round_trip(day: int) -> None:
    assert parse_day(encode_day(day).strip()) == day
