"""Strings and ENVELOPE: quoting, literals, folds, address placeholders, repeated fields."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.protocol.imap.envelope import envelope, nstring, string, text


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (b"", b'""'),
        (b"plain", b'"plain"'),
        (b'a "b" \\', b'"a \\"b\\" \\\\"'),
        (b'""""', b'"\\"\\"\\"\\""'),
        (b'"""""', b'{5}\r\n"""""'),
        (b"caf\xc3\xa9", b"{5}\r\ncaf\xc3\xa9"),
        (b"two\nlines", b"{9}\r\ntwo\nlines"),
    ],
)
def test_a_string_is_quoted_where_it_can_be(value: bytes, written: bytes) -> None:
    assert string(value) == written


@given(st.binary())
def test_a_string_says_how_long_it_is(value: bytes) -> None:
    written = string(value)
    if written.startswith(b"{"):
        head, _, rest = written.partition(b"\r\n")
        assert rest == value
        assert head == b"{%d}" % len(value)
    else:
        assert re.sub(rb"\\(.)", rb"\1", written[1:-1], flags=re.DOTALL) == value
        assert not set(written) & {10, 13}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, b"NIL"),
        (b"<a@b>\n <c@d>", b'"<a@b> <c@d>"'),
        (b"one\rtwo", b'"one two"'),
        (b"one\r\n", b'"one"'),
        (b"  blanks stay ", b'"  blanks stay "'),
    ],
)
def test_an_nstring_is_one_line(value: bytes | None, written: bytes) -> None:
    assert nstring(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (b"as it is", b'"as it is"'),
        (b"two  blanks", b"{10}\r\ntwo blanks"),
        (b" a\tb\n c ", b"{5}\r\na b c"),
        (b'say "yes"', b'{9}\r\nsay "yes"'),
        (b" \t ", b'""'),
        (b"", b'""'),
    ],
)
def test_display_text_has_single_spaces(value: bytes, written: bytes) -> None:
    assert text(value) == written


def test_an_empty_header_fields_has_an_envelope() -> None:
    assert envelope({}) == b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"


def test_sender_and_reply_to_are_from_where_they_say_nothing() -> None:
    made = envelope({b"from": [b"a@b.c"], b"sender": [b""], b"reply-to": [b"d@e.f"]})
    assert made == b'(NIL NIL ((NIL NIL "a" "b.c")) ((NIL NIL "a" "b.c")) ((NIL NIL "d" "e.f")) NIL NIL NIL NIL NIL)'


def test_addresses_of_repeated_fields_follow_one_another_and_of_other_fields_the_last_counts() -> None:
    made = envelope({b"to": [b"a@b", b"c@d"], b"subject": [b"one", b"two"], b"message-id": [b"<1>", b"<2>"]})
    assert made == b'(NIL "two" NIL NIL NIL ((NIL NIL "a" "b")(NIL NIL "c" "d")) NIL NIL NIL "<2>")'
