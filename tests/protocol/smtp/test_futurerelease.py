"""Release times of FUTURERELEASE (RFC 4865 §4)."""

import pytest

from appliance.mail.errors import MisuseError
from appliance.protocol.smtp.futurerelease import LATE_S, MOST_S, encode_date_time, parse_hold_for, parse_hold_until

NOW = 1_800_000_000


def test_hold_for_counts_from_now() -> None:
    assert parse_hold_for(b"10", NOW) == NOW + 10
    for wrong in (None, b"", b"0", b"-1", b"1.5", b"9999999999", str(MOST_S + 1).encode()):
        with pytest.raises(MisuseError):
            parse_hold_for(wrong, NOW)


def test_hold_until_is_a_date_and_one_just_passed_means_now() -> None:
    assert parse_hold_until(encode_date_time(NOW + 60).encode(), NOW) == NOW + 60
    assert parse_hold_until(encode_date_time(NOW - LATE_S).encode(), NOW) == NOW - LATE_S
    for wrong in (None, b"tomorrow", encode_date_time(NOW - LATE_S - 1).encode(), encode_date_time(NOW + MOST_S + 1).encode()):
        with pytest.raises(MisuseError):
            parse_hold_until(wrong, NOW)
