"""Sequence sets and UID sets: parsed, encoded, resolved against a mailbox (RFC 9051 §9, sequence-set).

A set is kept as ranges, never as numbers: `1:4294967295` costs one tuple. Time is linear in the set's octets (and n log n in
its ranges where they come unsorted). Anything else raises MisuseError.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from appliance.mail.errors import MisuseError

Ranges = tuple[tuple[int, int], ...]
"""Ranges with both ends inclusive. As parsed: in the order given, STAR not yet resolved; as normal: ascending, disjoint, lo <= hi."""

STAR = 0
"""`*`, the largest number in use: no number in a set is 0."""
LARGEST = 2**32 - 1


def parse_set(raw: bytes) -> Ranges:
    """`1:3,7,9:*` in the order given; STAR stands for `*`. Raises MisuseError."""
    try:
        return tuple([_range(item) for item in raw.split(b",")])
    except ValueError:
        raise MisuseError("a message set looks like 1:5,8 or 12:*") from None


def _range(item: bytes) -> tuple[int, int]:
    lo, colon, hi = item.partition(b":")
    first = _number(lo)
    return (first, _number(hi)) if colon else (first, first)


def _number(digits: bytes) -> int:
    if digits == b"*":
        return STAR
    if not digits.isdigit() or digits[0] == 48 or len(digits) > 10 or (number := int(digits)) > LARGEST:
        raise ValueError(digits)
    return number


def largest(ranges: Ranges) -> int:
    """The largest number in the set except `*`; 0 when there is only `*`."""
    return max(max(ends) for ends in ranges)


def normal(ranges: Iterable[tuple[int, int]], star: int) -> Ranges:
    """Ascending and disjoint, adjacent ranges joined; `*` is `star` (0: empty mailbox, ranges of `*` alone vanish)."""
    turned = []
    for lo, hi in ranges:
        lo, hi = lo or star, hi or star
        if lo > hi:
            lo, hi = hi, lo
        if hi:
            turned.append((lo or 1, hi))
    if len(turned) < 2:
        return tuple(turned)
    turned.sort()
    joined: list[tuple[int, int]] = []
    for lo, hi in turned:
        if joined and lo <= joined[-1][1] + 1:
            if hi > joined[-1][1]:
                joined[-1] = (joined[-1][0], hi)
        else:
            joined.append((lo, hi))
    return tuple(joined)


def contains(ranges: Ranges, number: int) -> bool:
    """Whether normal `ranges` contain `number`: a binary search."""
    place = bisect_right(ranges, (number, LARGEST + 1)) - 1
    return place >= 0 and number <= ranges[place][1]


def places_of_uids(ranges: Ranges, uids: "array[int] | Sequence[int]") -> Ranges:
    """The positions (from 0) in ascending `uids` of the UIDs in the set, as normal half-open ranges.

    `*` is the last UID (RFC 9051 §6.4.9: `559:*` contains the last UID even when that is smaller than 559).
    """
    star = uids[-1] if uids else 0
    places: list[tuple[int, int]] = []
    for lo, hi in normal(ranges, star):
        start = bisect_left(uids, lo)
        end = bisect_right(uids, hi, start)
        if start == end:
            continue
        if places and places[-1][1] == start:
            places[-1] = (places[-1][0], end)
        else:
            places.append((start, end))
    return tuple(places)


def places_of_numbers(ranges: Ranges, messages: int) -> Ranges:
    """The same for sequence numbers of a mailbox with so many messages; larger numbers are ignored."""
    return tuple([(lo - 1, min(hi, messages)) for lo, hi in normal(ranges, messages) if lo <= messages])


def encode_set(numbers: Iterable[int]) -> bytes:
    """Numbers in the order given as a set, consecutive ones as ranges: [1, 2, 3, 7] is `1:3,7`. Empty: b""."""
    return encode_ranges(ranges_of(numbers))


def ranges_of(numbers: Iterable[int]) -> Ranges:
    """Numbers in the order given, consecutive ones joined."""
    ranges: list[tuple[int, int]] = []
    start = end = -1
    for number in numbers:
        if number == end + 1 and start >= 0:
            end = number
            continue
        if start >= 0:
            ranges.append((start, end))
        start = end = number
    if start >= 0:
        ranges.append((start, end))
    return tuple(ranges)


def encode_ranges(ranges: Iterable[tuple[int, int]]) -> bytes:
    """The inverse of `parse_set`."""
    return b",".join([_end(lo) if lo == hi else b"%b:%b" % (_end(lo), _end(hi)) for lo, hi in ranges])


def _end(number: int) -> bytes:
    return b"%d" % number if number else b"*"
