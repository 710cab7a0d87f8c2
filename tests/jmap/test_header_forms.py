"""Dates of messages as JMAP tells them: every one can be read by whoever follows RFC 3339."""

import pytest

from appliance.jmap.header_forms import header_value, parse_date


@pytest.mark.parametrize(
    ("field", "date"),
    [
        (b" Mon, 01 Jan 2024 00:00:00 +0200\r\n", "2024-01-01T00:00:00+02:00"),
        (b" Mon, 01 Jan 2024 00:00:00 -2359\r\n", "2024-01-01T00:00:00-23:59"),
        (b" Mon, 01 Jan 2024 00:00:00 +2400\r\n", "2023-12-31T00:00:00Z"),
        (b" Mon, 01 Jan 2024 00:00:00 -9999\r\n", "2024-01-05T04:39:00Z"),
        (b" Mon, 01 Jan 2024 00:00:00 +0075\r\n", "2024-01-01T00:00:00+01:15"),
        (b" Mon, 01 Jan 10000 00:00:00 +0000\r\n", None),
        (b" Fri, 31 Dec 9999 23:59:60 -2359\r\n", "9999-12-31T23:59:59-23:59"),
    ],
)
def test_a_date_has_a_zone_of_less_than_a_day(field: bytes, date: str | None) -> None:
    found = header_value([("Date", field)], "date", "asDate")
    assert found == date and (found is None or parse_date(found) is not None)
