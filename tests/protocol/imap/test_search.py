"""The grammar of SEARCH: RFC examples, every key, bounds."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.date import encode_day
from appliance.mail.errors import MisuseError
from appliance.mail.flags import ANSWERED, DELETED, SEEN
from appliance.mail.query import (
    And,
    BodyHas,
    Dated,
    DateKind,
    Everything,
    Flagged,
    HeaderHas,
    Identified,
    Not,
    Numbered,
    Or,
    Query,
    RecentFlag,
    Saved,
    Size,
    TextHas,
    folded,
    leaves,
)
from appliance.protocol.imap.search import KEYS, BadCharset, Search, parse_day, parse_search
from appliance.protocol.imap.tokens import Tokens

TABLE = {key.name: key for key in KEYS}


@dataclass(frozen=True)
class Option:
    name: bytes
    parse: Callable[[Tokens], Any] = lambda tokens: None


MIN, COUNT, ALL = Option(b"MIN"), Option(b"COUNT"), Option(b"ALL")
OPTIONS = {option.name: option for option in (MIN, COUNT, ALL)}


def search(words: bytes, *literals: bytes, utf8: bool = False) -> Search:
    return parse_search(Tokens(b" " + words, literals), TABLE, OPTIONS, utf8=utf8)


def query(words: bytes, *literals: bytes) -> Query:
    return search(words, *literals).query


FEB_1 = 8797  # 1-Feb-1994


@pytest.mark.parametrize(
    ("words", "tree"),
    [
        (b"ALL", Everything()),
        (
            b'FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"',
            And((Flagged(4), Dated(DateKind.ARRIVED, first=FEB_1), Not(HeaderHas("from", "Smith")))),
        ),
        (b"2,4:7,9,12:*", Numbered(((2, 2), (4, 7), (9, 9), (12, 0)))),
        (b"*", Numbered(((0, 0),))),
        (b"uid 5:*", Identified(((5, 0),))),
        (b"$", Saved()),
        (b"UID $", Saved()),
        (b"(ALL)", Everything()),
        (
            b'OR (SUBJECT re LARGER 3000) (FROM "com" SMALLER 1500)',
            Or((And((HeaderHas("subject", "re"), Size(above=3000))), And((HeaderHas("from", "com"), Size(below=1500))))),
        ),
        (b"new", And((RecentFlag(), Not(Flagged(SEEN))))),
        (b"old", Not(RecentFlag())),
        (b"undeleted answered", And((Not(Flagged(DELETED)), Flagged(ANSWERED)))),
        (b"keyword $Junk UNKEYWORD work", And((Flagged(keyword="$junk"), Not(Flagged(keyword="work"))))),
        (b'HEADER Message-ID ""', HeaderHas("message-id", "")),
        (b"body x text y", And((BodyHas("x"), TextHas("y")))),
        (b"before 1-feb-1994", Dated(DateKind.ARRIVED, end=FEB_1)),
        (b'ON "1-Feb-1994"', Dated(DateKind.ARRIVED, first=FEB_1, end=FEB_1 + 1)),
        (
            b"SENTBEFORE 01-Feb-1994 SENTSINCE 1-Feb-1994 SENTON 1-Feb-1994",
            And((Dated(DateKind.SENT, end=FEB_1), Dated(DateKind.SENT, first=FEB_1), Dated(DateKind.SENT, first=FEB_1, end=FEB_1 + 1))),
        ),
        (b"NOT NOT SEEN", Not(Not(Flagged(SEEN)))),
    ],
)
def test_keys(words: bytes, tree: Query) -> None:
    assert query(words) == tree


def test_charsets() -> None:
    assert query(b"CHARSET UTF-8 SUBJECT {6}\r\n", "日本".encode()) == HeaderHas("subject", "日本")
    assert query(b"CHARSET iso-8859-1 SUBJECT {2}\r\n", b"\xe9a") == HeaderHas("subject", "éa")
    assert query(b"CHARSET KOI8-R BODY {1}\r\n", b"\xd0") == BodyHas("п")
    assert query(b"SUBJECT {2}\r\n", b"\xc3\xa9") == HeaderHas("subject", "é"), "UTF-8 without saying so is understood"
    for name in (b"X-NONE", b"punycode", b"zlib_codec", b"rot13", b"undefined", b'"a b"', b"idna", b"../x"):
        with pytest.raises(BadCharset):
            query(b"CHARSET %b SUBJECT x" % name)
    with pytest.raises(MisuseError):
        query(b"CHARSET UTF-8 SUBJECT {1}\r\n", b"\xff")
    with pytest.raises(MisuseError):
        search(b"CHARSET UTF-8 ALL", utf8=True)


def test_return_options() -> None:
    assert search(b"RETURN (MIN COUNT min) UNSEEN") == Search(Not(Flagged(SEEN)), ((MIN, None), (COUNT, None)), frozenset((b"UNSEEN",)))
    assert search(b"RETURN () ALL").options == ((ALL, None),)
    assert search(b"ALL").options is None


def test_the_keys_used_are_named() -> None:
    assert search(b"NOT (OR SEEN LARGER 1)").keys == {b"NOT", b"OR", b"SEEN", b"LARGER"}
    assert search(b"1:*").keys == frozenset()


@pytest.mark.parametrize(
    "words",
    [
        b"",
        b"FOO",
        b"NOT",
        b"OR ALL",
        b"(",
        b"()",
        b"ALL ",
        b"ALL  SEEN",
        b"SUBJECT",
        b"BEFORE 32-Feb-1994",
        b"BEFORE 1-Foo-1994",
        b"BEFORE 1994-02-01",
        b"LARGER x",
        b"LARGER -1",
        b"1:",
        b"0",
        b"HEADER x",
        b"UID x",
        b"RETURN (MIN",
        b"RETURN (OTHER) ALL",
        b"RETURN (MIN MIN MIN MIN MIN MIN MIN MIN MIN MIN MIN) ALL",
        b"RETURN MIN ALL",
        b"KEYWORD \\Seen",
        b"BEFORE 1-Feb-94",
    ],
)
def test_what_is_refused(words: bytes) -> None:
    with pytest.raises(MisuseError):
        query(words)


def test_depth_and_number_are_bounded_and_cheap() -> None:
    started = time.process_time()
    for words in (
        b"(" * 60_000,
        b"NOT " * 16_000 + b"ALL",
        b"OR " * 20_000,
        b"(" * 30_000 + b"ALL" + b")" * 30_000,
        b" ".join([b"ALL"] * 16_000),
    ):
        with pytest.raises(MisuseError):
            query(words)
    assert len(leaves(query(b" ".join([b"ALL"] * 400)))) == 400
    assert len(leaves(query(b"NOT " * 40 + b"ALL"))) == 1
    assert time.process_time() - started < 5


@given(st.integers(-25_000, 100_000))
def test_days_are_parsed_back(day: int) -> None:
    assert parse_day(encode_day(day).lstrip()) == day


def test_folding() -> None:
    assert folded("GRÜSSE") in folded("viele grüsse")
    assert folded("ß") == folded("SS")
    assert folded("ﬁ") == "fi"
    assert folded("Ångström") == folded("ÅNGSTRÖM") == folded("ångström")
    assert folded("CAFE") in folded("café") and folded("café") not in folded("CAFE")
