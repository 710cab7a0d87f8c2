"""SEARCH against a naive evaluation of the same keys; bounds of hostile searches; concurrent searches."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.mail.date import encode_day
from tests.support.services import some_components

from .client import signed_in
from .picture import ok

DAY_S = 86_400
DAY = 19_700
"""Days of the messages begin here."""


@dataclass
class Sample:
    number: int
    flags: frozenset[str]
    arrived: int
    sent: int | None
    subject: str
    body: str
    octets: int = 0

    def message(self) -> bytes:
        date = b"Date: %b 23:30:00 -1100\r\n" % encode_day(self.sent).strip().replace(b"-", b" ") if self.sent is not None else b""
        return b"Subject: %b\r\nX-Word: %b\r\n%b\r\n%b\r\n" % (self.subject.encode(), self.subject[::-1].encode(), date, self.body.encode())


WORDS = ("alpha", "beta", "ALPHAbet", "ga ma")
SAMPLES = [
    Sample(
        n + 1,
        frozenset(name for bit, name in ((1, "\\Seen"), (2, "\\Deleted"), (4, "work")) if n & bit),
        DAY + n % 5,
        DAY + n % 3 if n % 4 else None,
        WORDS[n % 4],
        WORDS[n // 4 % 4] + "." * (n * 7),
    )
    for n in range(16)
]
for sample in SAMPLES:
    sample.octets = len(sample.message())

Key = tuple[bytes, Callable[[Sample], bool]]
"""The text of a key, and its predicate."""


def _flag(word: bytes, name: str) -> list[Key]:
    return [(word, lambda one: name in one.flags), (b"UN" + word, lambda one: name not in one.flags)]


def _day(day: int) -> list[Key]:
    text = encode_day(day).strip()
    return [
        (b"BEFORE " + text, lambda one: one.arrived < day),
        (b"ON " + text, lambda one: one.arrived == day),
        (b"SINCE " + text, lambda one: one.arrived >= day),
        (b"SENTBEFORE " + text, lambda one: one.sent is not None and one.sent < day),
        (b"SENTON " + text, lambda one: one.sent is not None and one.sent == day),
        (b"SENTSINCE " + text, lambda one: one.sent is not None and one.sent >= day),
    ]


def _word(word: str) -> list[Key]:
    quoted = b'"%b"' % word.encode()
    low = word.lower()
    return [
        (b"SUBJECT " + quoted, lambda one: low in one.subject.lower()),
        (b"BODY " + quoted, lambda one: low in one.body.lower()),
        (b"TEXT " + quoted, lambda one: low in (one.message().decode() + "\n").lower()),
        (b"HEADER x-word " + quoted, lambda one: low in one.subject[::-1].lower()),
    ]


def _number(number: int) -> list[Key]:
    return [
        (b"LARGER %d" % (number * 15), lambda one: one.octets > number * 15),
        (b"SMALLER %d" % (number * 15), lambda one: one.octets < number * 15),
        (b"%d:*" % max(number, 1), lambda one: one.number >= min(max(number, 1), 16)),
        (b"%d,3" % max(number, 1), lambda one: one.number in (max(number, 1), 3)),
        (b"UID 2:%d" % max(number, 1), lambda one: min(2, max(number, 1)) <= one.number <= max(number, 2)),
        (b"MODSEQ 1", lambda one: True),
        (b"ALL", lambda one: True),
    ]


LEAVES: list[Key] = [
    *_flag(b"SEEN", "\\Seen"),
    *_flag(b"DELETED", "\\Deleted"),
    *_flag(b"KEYWORD work", "work"),
    *(key for day in range(DAY - 1, DAY + 6) for key in _day(day)),
    *(key for word in (*WORDS, "a", "zz", "") for key in _word(word)),
    *(key for number in range(0, 20, 3) for key in _number(number)),
]
KEYS: "st.SearchStrategy[Key]" = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        inner.map(lambda key: (b"NOT " + key[0], lambda one: not key[1](one))),
        st.tuples(inner, inner).map(lambda two: (b"OR %b %b" % (two[0][0], two[1][0]), lambda one: two[0][1](one) or two[1][1](one))),
        st.tuples(inner, inner).map(lambda two: (b"(%b %b)" % (two[0][0], two[1][0]), lambda one: two[0][1](one) and two[1][1](one))),
    ),
    max_leaves=8,
)


@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
)
@given(st.lists(KEYS, min_size=60, max_size=90))
def test_searches_match_a_naive_evaluation(keys: list[Key]) -> None:
    trio.run(compare, keys)


async def compare(keys: list[Key]) -> None:
    with tempfile.TemporaryDirectory() as place:
        async with some_components(Path(place)) as components:
            for one in SAMPLES:
                await components.deliver(one.message(), flags=tuple(one.flags), at=one.arrived * DAY_S + 80_000)
            client = await signed_in(components, b"INBOX")
            for words, means in [*((key[0], key[1]) for key in LEAVES), *keys]:
                found = (await ok(client, b"SEARCH " + words))[-1].partition(b" (MODSEQ ")[0]
                assert [int(word) for word in found.split()[2:]] == [one.number for one in SAMPLES if means(one)], words


async def test_hostile_searches_are_refused_or_cheap(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        for number in range(200):
            await components.deliver(b"Subject: %d\r\n\r\n%b" % (number, b"ab" * 2000))
        client = await signed_in(components, b"INBOX")
        started = time.process_time()
        for words in (b"(" * 60_000, b"NOT " * 16_000 + b"ALL", b"OR " * 20_000, b" ".join([b"ALL"] * 15_000), b"BODY " * 10_000):
            _, tagged = await client.command(b"SEARCH " + words)
            assert tagged.startswith(b"BAD"), words[:20]
        assert (await ok(client, b"SEARCH " + b" ".join([b"NOT BODY ba%dc" % n for n in range(200)])))[0].count(b" ") == 201
        assert (await ok(client, b"SEARCH " + b",".join(b"%d" % n for n in range(12_000, 0, -1))))[0].count(b" ") == 201
        assert (await ok(client, b"SEARCH OR BODY %b ALL" % (b"ab" * 20_000)))[0].count(b" ") == 201
        assert time.process_time() - started < 20


async def test_others_are_served_during_a_long_search(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        for number in range(600):
            await components.deliver(b"Subject: %d\r\n\r\n%b" % (number, b"words and more words\r\n" * 300))
        searcher, other = await signed_in(components, b"INBOX"), await signed_in(components, b"INBOX")
        answered: list[bytes] = []

        async def search() -> None:
            await ok(searcher, b"SEARCH TEXT nowhere BODY nothing")
            answered.append(b"search")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(search)
            await trio.lowlevel.checkpoint()
            for _ in range(5):
                await ok(other, b"NOOP")
                answered.append(b"noop")
        assert answered[0] == b"noop", "another session was answered during the search"
