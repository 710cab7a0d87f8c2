"""What a reconnecting client knows of a mailbox: the value of SELECT's parameter QRESYNC (RFC 7162 §3.2.5, §7).

Time is linear in the command's octets; sets are kept as ranges and never expanded. Raises MisuseError.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from .sequence import STAR, Ranges, parse_set
from .tokens import Tokens

Match = tuple[int, int, int]
"""So many consecutive sequence numbers from the first, with as many consecutive UIDs from the second: (number, UID, count)."""


@dataclass(frozen=True, slots=True)
class KnownUids:
    """`uids` is empty when the client did not say which; `matches` pair sequence numbers with UIDs, both ascending."""

    uid_validity: int
    modseq: int
    uids: Ranges = ()
    matches: tuple[Match, ...] = ()


def parse_resync(tokens: Tokens) -> KnownUids:
    """`SP "(" uidvalidity SP modseq [SP known-uids] [SP "(" numbers SP uids ")"] ")"`; the sets without `*` (RFC 7162 §7)."""
    tokens.space()
    tokens.expect(b"(")
    uid_validity = tokens.nz_number()
    tokens.space()
    modseq = tokens.number64()
    uids: Ranges = ()
    matches: tuple[Match, ...] = ()
    if tokens.accept(b" "):
        more = True
        if tokens.peek() != b"(":
            uids = _known_set(tokens)
            more = tokens.accept(b" ")
        if more:
            matches = _matches(tokens)
    tokens.expect(b")")
    return KnownUids(uid_validity, modseq, uids, matches)


def _known_set(tokens: Tokens) -> Ranges:
    ranges = parse_set(tokens.sequence_set())
    if any(STAR in ends for ends in ranges):
        raise tokens.misuse("a set of known messages has no *")
    return ranges


def _matches(tokens: Tokens) -> tuple[Match, ...]:
    tokens.expect(b"(")
    numbers = _known_set(tokens)
    tokens.space()
    uids = _known_set(tokens)
    tokens.expect(b")")
    return paired(tokens, numbers, uids)


def paired(tokens: Tokens, numbers: Ranges, uids: Ranges) -> tuple[Match, ...]:
    """Both sets side by side in runs of equal length; they must be ascending and of the same size (RFC 7162 §3.2.5.2)."""
    found: list[Match] = []
    places = [0, 0]
    used = [0, 0]
    sets = (numbers, uids)
    while places[0] < len(numbers) and places[1] < len(uids):
        firsts, rests = [], []
        for side in (0, 1):
            lo, hi = sets[side][places[side]]
            if lo > hi:
                raise tokens.misuse("the numbers and UIDs of known messages ascend")
            firsts.append(lo + used[side])
            rests.append(hi - lo + 1 - used[side])
        if found and (firsts[0] < found[-1][0] + found[-1][2] or firsts[1] < found[-1][1] + found[-1][2]):
            raise tokens.misuse("the numbers and UIDs of known messages ascend")
        count = min(rests)
        found.append((firsts[0], firsts[1], count))
        for side in (0, 1):
            used[side] = 0 if rests[side] == count else used[side] + count
            places[side] += rests[side] == count
    if places != [len(numbers), len(uids)]:
        raise tokens.misuse("there are as many numbers as UIDs of known messages")
    return tuple(found)


def last_match(matches: Sequence[Match], uids: Sequence[int]) -> int:
    """The highest UID that still has the number the client knows, so that no message up to it was expunged; 0 for none.

    `uids` ascending, of the messages as numbered now. A message keeps its number only while none before it is expunged.
    """
    for number, uid, count in reversed(matches):
        here = min(count, len(uids) - number + 1)
        if here <= 0:
            continue
        behind = uid - number  # UID less number, which never falls along the mailbox
        place = bisect_right(range(here), behind, key=lambda at: uids[number - 1 + at] - (number + at))
        if place and uids[number + place - 2] - (number + place - 1) == behind:
            return uids[number + place - 2]
    return 0
