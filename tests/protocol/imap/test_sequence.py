"""Sequence sets: RFC examples, arithmetic against Python's sets, hostile sizes."""

import time
from array import array
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.errors import MisuseError
from appliance.protocol.imap.sequence import (
    LARGEST,
    contains,
    encode_ranges,
    encode_set,
    largest,
    normal,
    parse_set,
    places_of_numbers,
    places_of_uids,
    ranges_of,
)

ENDS = st.integers(0, 60)
SETS = st.lists(st.tuples(ENDS, ENDS), min_size=1, max_size=12).map(tuple)


def numbers(ranges: tuple[tuple[int, int], ...], star: int) -> set[int]:
    found: set[int] = set()
    for lo, hi in ranges:
        lo, hi = sorted((lo or star, hi or star))
        found.update(range(lo, hi + 1))
    return found


@pytest.mark.parametrize(
    ("raw", "ranges"),
    [
        (b"1", ((1, 1),)),
        (b"*", ((0, 0),)),
        (b"2,4:7,9,12:*", ((2, 2), (4, 7), (9, 9), (12, 0))),  # RFC 9051 §9: with 15 messages 2,4,5,6,7,9,12..15
        (b"*:4,5:7", ((0, 4), (5, 7))),
        (b"4294967295", ((LARGEST, LARGEST),)),
    ],
)
def test_sets_read_and_written(raw: bytes, ranges: tuple[tuple[int, int], ...]) -> None:
    assert parse_set(raw) == ranges
    assert encode_ranges(ranges) == raw


def test_the_rfcs_examples() -> None:
    assert numbers(normal(parse_set(b"2,4:7,9,12:*"), 15), 15) == {2, 4, 5, 6, 7, 9, 12, 13, 14, 15}
    assert numbers(normal(parse_set(b"*:4,5:7"), 10), 10) == {4, 5, 6, 7, 8, 9, 10}
    assert places_of_uids(parse_set(b"559:*"), array("I", [3, 9, 20])) == ((2, 3),)  # the last UID, RFC 9051 §6.4.9


@pytest.mark.parametrize(
    "raw",
    [b"", b"0", b"1:", b":1", b"1,,2", b"01", b"1:2:3", b"4294967296", b"99999999999", b"-1", b"1 ", b"a", b"1:0", b"**", "٣".encode()],
)
def test_what_is_no_set(raw: bytes) -> None:
    with pytest.raises(MisuseError):
        parse_set(raw)


@given(SETS, st.integers(1, 60))
def test_normal_is_the_same_set_in_order(ranges: tuple[tuple[int, int], ...], star: int) -> None:
    turned = normal(ranges, star)
    assert numbers(turned, star) == numbers(ranges, star)
    assert all(one[1] + 1 < two[0] for one, two in pairwise(turned))
    for number in range(1, 70):
        assert contains(turned, number) == (number in numbers(ranges, star))


@given(SETS, st.sets(st.integers(1, 80)))
def test_places_of_uids_are_those_of_a_plain_filter(ranges: tuple[tuple[int, int], ...], there: set[int]) -> None:
    uids = array("I", sorted(there))
    found = [uids[place] for start, end in places_of_uids(ranges, uids) for place in range(start, end)]
    wanted = numbers(ranges, uids[-1]) if uids else set()
    assert found == [uid for uid in uids if uid in wanted]


@given(SETS, st.integers(1, 60))
def test_places_of_numbers(ranges: tuple[tuple[int, int], ...], messages: int) -> None:
    found = [place + 1 for start, end in places_of_numbers(ranges, messages) for place in range(start, end)]
    assert found == sorted(n for n in numbers(ranges, messages) if 1 <= n <= messages)


@given(st.lists(st.integers(1, 200), max_size=60))
def test_numbers_to_a_set_and_back(given_numbers: list[int]) -> None:
    back = [n for lo, hi in (parse_set(encode_set(given_numbers)) if given_numbers else ()) for n in range(lo, hi + 1)]
    assert back == given_numbers


def test_runs() -> None:
    assert encode_set([1, 2, 3, 7, 9, 10]) == b"1:3,7,9:10"
    assert encode_set([]) == b""
    assert encode_set([3, 2, 1]) == b"3,2,1"  # COPYUID keeps the order
    assert ranges_of(range(1, 100_001)) == ((1, 100_000),)
    assert largest(parse_set(b"2,9:*,4:7")) == 9


def test_hostile_sets_cost_little() -> None:
    started = time.process_time()
    assert places_of_numbers(parse_set(b"1:4294967295"), 5) == ((0, 5),)
    assert places_of_uids(parse_set(b"4294967295:1"), array("I", [1, 2, 9])) == ((0, 3),)
    wide = b",".join(b"%d:*" % n for n in range(100_000, 0, -1))
    assert places_of_numbers(parse_set(wide), 50) == ((0, 50),)
    sparse = b",".join(b"%d" % n for n in range(200_001, 1, -2))
    assert len(places_of_uids(parse_set(sparse), array("I", range(1, 200_002)))) == 100_000
    assert time.process_time() - started < 5, "ten times what it costs"
