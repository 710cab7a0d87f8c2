"""Partial ranges (RFC 9394)."""

import pytest

from appliance.mail.errors import MisuseError
from appliance.protocol.imap.partial import parse_partial
from appliance.protocol.imap.tokens import Tokens


@pytest.mark.parametrize(
    ("written", "of_five"),
    [
        (b"1:3", [0, 1, 2]),
        (b"3:1", [0, 1, 2]),
        (b"4:9", [3, 4]),
        (b"6:9", []),
        (b"4294967295:1", [0, 1, 2, 3, 4]),
        (b"-1:-2", [3, 4]),
        (b"-2:-1", [3, 4]),
        (b"-4:-9", [0, 1]),
        (b"-6:-9", []),
        (b"-5:-5", [0]),
    ],
)
def test_ranges(written: bytes, of_five: list[int]) -> None:
    partial = parse_partial(Tokens(b" " + written))
    assert list(partial.of(5)) == of_five and partial.written == written
    assert list(partial.of(0)) == []


@pytest.mark.parametrize("written", [b"1", b"0:1", b"1:0", b"-1:1", b"1:-1", b"*:1", b"1:4294967296", b"-0:-1", b""])
def test_what_is_none(written: bytes) -> None:
    with pytest.raises(MisuseError):
        tokens = Tokens(b" " + written)
        parse_partial(tokens)
        tokens.end()


def test_within_ranges_with_holes() -> None:
    places = ((0, 2), (5, 6), (10, 14))
    for first in range(1, 10):
        for last in range(first, 10):
            for minus in (b"", b"-"):
                partial = parse_partial(Tokens(b" %b%d:%b%d" % (minus, first, minus, last)))
                members = [place for start, end in places for place in range(start, end)]
                wanted = [members[at] for at in partial.of(len(members))]
                assert [place for start, end in partial.within(places) for place in range(start, end)] == wanted
