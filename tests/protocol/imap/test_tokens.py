"""The tokens of a command."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.errors import MisuseError
from appliance.protocol.imap import encode
from appliance.protocol.imap.tokens import Tokens


def test_words_in_a_row() -> None:
    tokens = Tokens(b' LOGIN "a \\"b\\\\" {3}\r\n 17 (\\Seen $Work) NIL 1:*,4')
    tokens._literals = [b"x\0y"]
    tokens.space()
    assert tokens.keyword() == b"LOGIN"
    tokens.space()
    assert tokens.astring() == b'a "b\\'
    tokens.space()
    assert tokens.string() == b"x\0y"
    tokens.space()
    assert tokens.number() == 17
    tokens.space()
    assert tokens.flag_list() == ["\\Seen", "$Work"]
    tokens.space()
    assert tokens.nstring() is None
    tokens.space()
    assert tokens.sequence_set() == b"1:*,4"
    tokens.end()


@given(st.binary(max_size=60))
def test_strings_are_parsed_back(octets: bytes) -> None:
    for read in (Tokens.string, Tokens.astring, Tokens.nstring):
        written = encode.string(octets)
        literals: list[bytes] = []
        if written.startswith(b"{"):
            header, _, literal = written.partition(b"\r\n")
            written, literals = header + b"\r\n", [literal]
        tokens = Tokens(written, literals)
        assert read(tokens) == octets
        tokens.end()


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30), st.booleans())
def test_mailbox_names_are_parsed_back(name: str, utf8: bool) -> None:
    written = encode.mailbox(name, utf8)
    literals: list[bytes] = []
    if written.startswith(b"{"):
        header, _, literal = written.partition(b"\r\n")
        written, literals = header + b"\r\n", [literal]
    assert Tokens(written, literals, utf8=utf8).mailbox().upper() == name.upper()


def test_dates() -> None:
    assert Tokens(b'"17-Jul-1996 02:44:25 -0700"').date_time() == 837596665
    assert Tokens(b'" 1-jan-1970 00:00:00 +0000"').date_time() == 0
    for wrong in (
        b'"31-Feb-2024 00:00:00 +0000"',
        b'"1-Jan-2024 00:00:00 +0000"',
        b'"01-Xxx-2024 00:00:00 +0000"',
        b'"01-Jan-2024 25:00:00 +0000"',
        b'"01-Jan-2024 00:00:00 +9999"',
        b'"01-Jan-2024 00:00:00 +0000',
        b'01-Jan-2024 00:00:00 +0000"',
        b'"01-Jan-2024 00:00:00 +00000"',
        b"x",
    ):
        with pytest.raises(MisuseError):
            Tokens(wrong).date_time()


@pytest.mark.parametrize(
    ("text", "method"),
    [
        (b"4294967296", "number"), (b"0", "nz_number"), (b"9223372036854775808", "number64"), (b"9" * 23, "number"), (b"x", "number"),
        (b'"abc', "string"), (b'"a\\b"', "string"), (b"abc", "string"), (b"{3}\r\n", "string"), (b'"a\rb"', "string"),
        (b"(a", "flag_list"), (b"(a  b)", "flag_list"), (b"\\\\x", "flag"),
        (b"\xff", "atom"), (b"", "astring"), (b"a%", "end"), (b"&x", "mailbox"), (b"a\xffb", "end"),
    ],
)  # fmt: skip
def test_what_is_no_word(text: bytes, method: str) -> None:
    with pytest.raises(MisuseError):
        getattr(Tokens(text), method)()


@given(st.binary(max_size=80), st.lists(st.binary(max_size=5), max_size=2))
def test_hostile_octets_only_misuse(text: bytes, literals: list[bytes]) -> None:
    for method in (
        "atom",
        "astring",
        "string",
        "nstring",
        "mailbox",
        "pattern",
        "flag_list",
        "number",
        "date_time",
        "sequence_set",
        "literal8",
        "word",
        "keyword",
    ):
        try:
            getattr(Tokens(text, literals), method)()
        except MisuseError as problem:
            assert str(problem)


def test_a_long_quoted_string_takes_linear_time() -> None:
    start = time.process_time()
    for text in (b'"' + b"\\\\" * 200_000 + b'"', b'"' + b"x" * 400_000 + b'"'):
        Tokens(text).string()
    with pytest.raises(MisuseError):
        Tokens(b'"' + b'\\"' * 200_000).string()
    assert time.process_time() - start < 1
