"""Mailbox names: one encoding each, patterns in linear time."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.errors import MisuseError
from appliance.protocol.imap.mailbox_name import Patterns, decode_name, encode_name, flaw, parse_name

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)


def test_rfc_3501_examples() -> None:
    assert decode_name(b"~peter/mail/&U,BTFw-/&ZeVnLIqe-") == "~peter/mail/台北/日本語"
    assert encode_name("~peter/mail/台北/日本語") == b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"
    assert encode_name("Q&A") == b"Q&-A"
    assert encode_name("Entwürfe") == b"Entw&APw-rfe"


@given(NAMES)
def test_names_come_back(name: str) -> None:
    octets = encode_name(name)
    assert octets.isascii()
    assert decode_name(octets) == name


@given(st.binary(max_size=30))
def test_what_is_accepted_is_canonical(octets: bytes) -> None:
    try:
        name = decode_name(octets)
    except MisuseError:
        return
    assert encode_name(name) == octets


@pytest.mark.parametrize(
    "octets",
    [
        b"&U,BTFw",  # not closed
        b"&Jjo!",  # RFC 3501 §5.1.3: back to ASCII without -
        b"&U,BTFw-&ZeVnLIqe-",  # superfluous shift
        b"&AGE-",  # ASCII in base64
        b"&AAA-",  # NUL, coded
        b"&2AA-",  # half a surrogate pair
        b"&A-",  # half a unit
        b"&U/BTFw-",  # / for ,
        b"Entw\xc3\xbcrfe",  # raw UTF-8
        b"a\x00b",
        b"a\x7fb",
        b"a\tb",
    ],
)
def test_invalid_encodings_are_refused(octets: bytes) -> None:
    if octets == b"&AAA-":
        assert flaw(decode_name(octets))  # validly encoded, yet no name
        return
    with pytest.raises(MisuseError):
        decode_name(octets)


def test_inbox_is_one_name() -> None:
    for octets, name in ((b"inbox", "INBOX"), (b"InBoX/x", "INBOX/x"), (b"inboxes", "inboxes"), (b"a/inbox", "a/inbox")):
        assert parse_name(octets) == name
    assert parse_name("Entwürfe".encode(), utf8=True) == "Entwürfe"
    with pytest.raises(MisuseError):
        parse_name(b"\xff", utf8=True)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "a//b",
        "/a",
        "a/",
        "..",
        "a/../b",
        ".",
        "a\x00",
        "a\nb",
        "a*",
        "%",
        "x" * 1001,
        "/".join("a" * 40),
        " ",
        "a\u0085b",
        "a\u2028b",
        "a\u202eb",
        "a\u200bb",
        "a\ud800",
    ],
)
def test_names_that_cannot_be_created(name: str) -> None:
    assert flaw(name)


@pytest.mark.parametrize(
    "name",
    [
        "Sent",
        "a/b",
        "Entwürfe",
        "日本語",
        "a.b",
        "...",
        "~peter",
        "INBOX/x",
        "a b",
        "نامه\u200cها",
        "👨\u200d👩\u200d👧",
        "東京\u3000駅",
        "\U0001fadf",
    ],
)
def test_names_that_can_be_created(name: str) -> None:
    assert not flaw(name)


def by_regex(pattern: str, name: str) -> bool:
    parts = {"*": ".*", "%": "[^/]*"}
    return re.fullmatch("".join(parts.get(c, re.escape(c)) for c in pattern), name, re.DOTALL) is not None


@given(st.text("ab/*%", max_size=8), st.text("ab/", min_size=1, max_size=10))
def test_patterns_match_as_a_backtracking_matcher_would(pattern: str, name: str) -> None:
    assert Patterns([pattern]).match(name) == by_regex(pattern, name)


@given(st.lists(st.text("ab/*%", max_size=5), max_size=5), st.text("ab/", min_size=1, max_size=8))
def test_several_patterns_match_as_one_by_one(patterns: list[str], name: str) -> None:
    assert Patterns(patterns).match(name) == any(Patterns([pattern]).match(name) for pattern in patterns)


def test_patterns_fold_inbox() -> None:
    for pattern in ("inbox", "INBOX", "inb*", "InBo%", "*", "%"):
        assert Patterns([pattern]).match("INBOX")
    assert Patterns(["inbox/%"]).match("INBOX/a")
    assert not Patterns(["INBO"]).match("INBOX")


def test_a_hostile_pattern_takes_linear_time() -> None:
    pattern = Patterns(["*a%" * 300 + "b", *(f"%{number}*%b" for number in range(100))])
    start = time.process_time()
    for _ in range(50):
        assert not pattern.match("a" * 1000)
    assert time.process_time() - start < 2
