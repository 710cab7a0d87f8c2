"""SELECT's parameter QRESYNC, and what its pairs of numbers and UIDs prove (RFC 7162 §3.2.5)."""

import random
from array import array

import pytest

from appliance.mail.errors import MisuseError
from appliance.protocol.imap.resync import KnownUids, last_match, parse_resync
from appliance.protocol.imap.tokens import Tokens


def parsed(text: bytes) -> KnownUids:
    tokens = Tokens(text)
    known = parse_resync(tokens)
    tokens.end()
    return known


@pytest.mark.parametrize(
    ("text", "known"),
    [
        (b" (67890007 20050715194045000)", KnownUids(67890007, 20050715194045000)),
        (b" (67890007 20050715194045000 41,43:211,214:541)", KnownUids(67890007, 20050715194045000, ((41, 41), (43, 211), (214, 541)))),
        (b" (1 2 3:9 (1:2,4 3:4,9))", KnownUids(1, 2, ((3, 9),), ((1, 3, 2), (4, 9, 1)))),
        (b" (1 2 (1:4 10:11,20:21))", KnownUids(1, 2, (), ((1, 10, 2), (3, 20, 2)))),
        (b" (1 2 (1:4294967295 1:4294967295))", KnownUids(1, 2, (), ((1, 1, 4294967295),))),
        (b" (1 0)", KnownUids(1, 0)),
    ],
)
def test_what_a_client_knows(text: bytes, known: KnownUids) -> None:
    assert parsed(text) == known


@pytest.mark.parametrize(
    "text",
    [
        b"", b" ()", b" (0 5)", b" (1)", b" (1 2 )", b" (1 2 *)", b" (1 2 1:*)", b" (1 2 1:5 )", b" (1 2 (1:2))", b" (1 2 (1:2 3))",
        b" (1 2 (1 3:4))", b" (1 2 (2,1 3,4))", b" (1 2 (1,2 4,3))", b" (1 2 (2:1 3:4))", b" (1 2 1:5 (1 2)) x", b" (1 2 $)",
        b" (1 9223372036854775808)", b" (1 2 (1,1 3,3))",
    ],
)  # fmt: skip
def test_what_is_no_such_parameter(text: bytes) -> None:
    with pytest.raises(MisuseError):
        parsed(text)


def test_the_last_match_is_that_of_a_plain_comparison() -> None:
    chance = random.Random(7162)
    for _ in range(400):
        before = sorted(chance.sample(range(1, 60), chance.randrange(1, 40)))
        gone = set(chance.sample(before, chance.randrange(0, min(4, len(before)))))
        now = array("I", [uid for uid in before if uid not in gone] + list(range(61, 61 + chance.randrange(5))))
        told = sorted(chance.sample(range(len(before)), chance.randrange(1, len(before) + 1)))
        numbers, uids = b",".join(b"%d" % (at + 1) for at in told), b",".join(b"%d" % before[at] for at in told)
        found = last_match(parsed(b" (1 2 (%b %b))" % (numbers, uids)).matches, now)
        true = max([before[at] for at in told if at < len(now) and now[at] == before[at]], default=0)
        assert found == true
        assert not any(uid <= found for uid in gone)


def test_one_pair_of_huge_ranges_costs_a_search_not_a_walk() -> None:
    uids = array("I", range(1, 100_001))
    assert last_match(((1, 1, 4294967295),), uids) == 100_000
    assert last_match(((1, 2, 4294967295),), uids) == 0
    assert last_match(((5, 1, 10),), array("I")) == 0
