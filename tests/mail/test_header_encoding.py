"""Header fields written are read back as they were, in ASCII, in short lines (RFC 5322 §2.1.1, RFC 2047, RFC 2231)."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from appliance.mail.content import parse_disposition
from appliance.mail.encoding import decode_parameter, decode_words
from appliance.mail.errors import MisuseError
from appliance.mail.header import unfold
from appliance.mail.header_encoding import LINE_OCTETS, encode_field, mime_tokens, parameter_tokens, phrase_tokens, text_tokens

PLAIN = st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\u2028\u2029")
TEXTS = st.one_of(st.text(PLAIN, max_size=120), st.text(st.sampled_from(" =?_\"\\,;<>()aé漢😀%*'"), max_size=120))


def lines_are_short(field: bytes) -> bool:
    lines = field.split(b"\r\n")
    return field.isascii() and lines[-1] == b"" and all(line.strip() and len(line) <= LINE_OCTETS for line in lines[:-1])


@given(TEXTS)
@settings(max_examples=150, deadline=None)
@example(" a  b ")
@example("a ?= é b")
@example("=?utf-8?q?x?=")
def test_texts(text: str) -> None:
    field = encode_field("X-Subject", text_tokens(text))
    assert decode_words(unfold(field[10:])) == text and (lines_are_short(field) or max(map(len, text.split())) > 60)


@given(TEXTS)
@settings(max_examples=150, deadline=None)
@example("a" * 300)
@example("é" * 100 + ".pdf")
def test_file_names(name: str) -> None:
    field = encode_field("Content-Disposition", mime_tokens("attachment", parameter_tokens("filename", name)))
    found = parse_disposition(unfold(field[20:]))
    assert found is not None and decode_parameter(found[1], b"filename") == name and lines_are_short(field)


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("Ann Smith", [b"Ann", b"Smith"]), ("Smith, Ann", [b'"Smith, Ann"']), ('A "B" \\', [b'"A \\"B\\" \\\\"']), ("  ", []),
        ("J\xfcrgen", [b"=?utf-8?q?J=C3=BCrgen?="]), ("Zo\xeb Longer Name", [b"=?utf-8?q?Zo=C3=AB_Longer_Name?="]),
        ("a  b", [b'"a  b"']), ("=?x", [b"=?utf-8?b?PT94?="]),
    ],
)  # fmt: skip
def test_display_names(name: str, tokens: Sequence[bytes]) -> None:
    assert phrase_tokens(name) == tokens


def test_encoded_words_stand_between_plain_ones() -> None:
    assert encode_field("Subject", text_tokens("Re: Gr\xfc\xdfe aus K\xf6ln an alle")) == (
        b"Subject: Re: =?utf-8?q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?= an alle\r\n"
    )


@pytest.mark.parametrize("text", ["a\r\nBcc: x", "a\nb", "a\0", "\x7f", "\ud800", "a\u2028b"])
def test_what_no_field_holds_is_refused(text: str) -> None:
    for tokens in (text_tokens, phrase_tokens, lambda value: parameter_tokens("name", value)):
        with pytest.raises(MisuseError):
            tokens(text)


def test_a_word_that_fits_in_no_line_is_refused() -> None:
    with pytest.raises(MisuseError):
        encode_field("X", [b"a" * 999])
