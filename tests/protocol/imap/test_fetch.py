"""The grammar of FETCH: RFC examples, encoding and parsing back, what is refused."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.errors import MisuseError
from appliance.protocol.imap.fetch import TEXTS, Attribute, Section, encode_attribute, label, parse_attribute, parse_fetch
from appliance.protocol.imap.modifiers import parse_modifiers
from appliance.protocol.imap.tokens import Tokens


def attributes(words: bytes) -> list[bytes]:
    return [encode_attribute(a) for a in parse_fetch(Tokens(b" 1:* " + words)).attributes]


def test_rfc_9051_examples() -> None:
    fetch = parse_fetch(Tokens(b" 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])"))
    assert fetch.messages == b"2:4"
    assert fetch.attributes == (Attribute(b"FLAGS"), Attribute(b"BODY[]", Section((), b"HEADER.FIELDS", (b"DATE", b"FROM"))))
    assert attributes(b"body.peek[4.2.2.1]<0.100>") == [b"BODY.PEEK[4.2.2.1]<0.100>"]
    assert attributes(b"(BINARY.SIZE[1] binary[1.2]<5.6> BODY[1.MIME] BODY[3.HEADER.FIELDS.NOT (\"a\" b)])") == [
        b"BINARY.SIZE[1]", b"BINARY[1.2]<5.6>", b"BODY[1.MIME]", b"BODY[3.HEADER.FIELDS.NOT (a b)]",
    ]  # fmt: skip


def test_macros_stand_alone() -> None:
    assert attributes(b"all") == [b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE"]
    assert attributes(b"FAST") == [b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE"]
    assert attributes(b"FULL")[-1] == b"BODY"
    assert attributes(b"(ALL)") == [b"ALL"], "no macro in a list: the command refuses ALL"


@dataclass(frozen=True)
class Modifier:
    name: bytes
    parse: Callable[[Tokens], Any]


def number_after_space(tokens: Tokens) -> int:
    tokens.space()
    return tokens.number64()


SINCE, VANISHED = Modifier(b"CHANGEDSINCE", number_after_space), Modifier(b"VANISHED", lambda tokens: None)
KNOWN = {modifier.name: modifier for modifier in (SINCE, VANISHED)}


def test_modifiers() -> None:
    assert parse_fetch(Tokens(b" 1:* (UID FLAGS) (CHANGEDSINCE 12345)"), KNOWN).modifiers == ((SINCE, 12345),)
    assert parse_fetch(Tokens(b" 1:* FLAGS (changedsince 12345 VANISHED)"), KNOWN).modifiers == ((SINCE, 12345), (VANISHED, None))
    assert parse_fetch(Tokens(b" 1:* FLAGS (VANISHED CHANGEDSINCE 1)"), KNOWN).modifiers == ((VANISHED, None), (SINCE, 1))
    assert parse_modifiers(Tokens(b""), KNOWN) == ()
    for words in (
        b" ()",
        b" (CHANGEDSINCE)",
        b" (VANISHED 1)",
        b" (VANISHED VANISHED)",
        b" (OTHER)",
        b" (VANISHED",
        b" (VANISHED  CHANGEDSINCE 1)",
    ):
        with pytest.raises(MisuseError):
            tokens = Tokens(words)
            parse_modifiers(tokens, KNOWN)
            tokens.end()


def test_repeated_attributes_count_once() -> None:
    assert attributes(b"(UID uid UID FLAGS UID)") == [b"UID", b"FLAGS"]


def test_labels() -> None:
    assert label(parse_attribute(Tokens(b"BODY.PEEK[1.TEXT]<10.20>"))) == b"BODY[1.TEXT]<10>"
    assert label(parse_attribute(Tokens(b"BINARY.SIZE[2]"))) == b"BINARY.SIZE[2]"
    assert label(parse_attribute(Tokens(b'BODY[HEADER.FIELDS ("a(b" from)]'))) == b'BODY[HEADER.FIELDS ("a(b" from)]'


@pytest.mark.parametrize(
    "words",
    [
        b"()",
        b"",
        b"(FLAGS",
        b"FLAGS)",
        b"BODY[",
        b"BODY[MIME]",
        b"BODY[1.]",
        b"BODY[0]",
        b"BODY[1.0.2]",
        b"BODY[HEADER.FIELDS]",
        b"BODY[HEADER.FIELDS ()]",
        b"BODY[FOO]",
        b"BODY[]<1>",
        b"BODY[]<1.0>",
        b"BODY[]<.5>",
        b"BODY[TEXT.1]",
        b"(FLAGS  UID)",
        b"FLAGS UID",
        b"FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 2)",
        b'BODY[HEADER.FIELDS ("a b")]',
        b'BODY[HEADER.FIELDS ("")]',
        b'BODY[HEADER.FIELDS ("a:")]',
        b"FLAGS ()",
    ],
)
def test_what_is_refused(words: bytes) -> None:
    with pytest.raises(MisuseError):
        parse_fetch(Tokens(b" 1 " + words), KNOWN)


def test_bounds() -> None:
    with pytest.raises(MisuseError):
        parse_fetch(Tokens(b" 1 (%b)" % b" ".join(b"BODY[%d]" % n for n in range(1, 1000))))
    with pytest.raises(MisuseError):
        parse_attribute(Tokens(b"BODY[%b1]" % (b"1." * 30_000)))
    with pytest.raises(MisuseError):
        parse_fetch(Tokens(b" 1 " + b"(" * 60_000))
    with pytest.raises(MisuseError):
        parse_attribute(Tokens(b"BODY[HEADER.FIELDS (%b)]" % b" ".join(b"f%d" % n for n in range(20_000))))


NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=":"), min_size=1, max_size=9).map(str.encode)
PARTS = st.lists(st.integers(1, 2**32 - 1), max_size=5).map(tuple)
SECTIONS = st.one_of(
    st.builds(Section, PARTS),
    st.builds(Section, PARTS.filter(bool), st.just(b"MIME")),
    st.builds(Section, PARTS, st.sampled_from([b"HEADER", b"TEXT"])),
    st.builds(Section, PARTS, st.sampled_from(TEXTS[:2]), st.lists(NAMES, min_size=1, max_size=4).map(tuple)),
)
PARTIALS = st.none() | st.tuples(st.integers(0, 2**63 - 1), st.integers(1, 2**63 - 1))


@given(st.builds(Attribute, st.sampled_from([b"BODY[]", b"BODY.PEEK[]", b"BINARY[]"]), SECTIONS, PARTIALS))
def test_what_is_encoded_is_parsed_back(attribute: Attribute) -> None:
    tokens = Tokens(encode_attribute(attribute))
    assert parse_attribute(tokens) == attribute
    tokens.end()
