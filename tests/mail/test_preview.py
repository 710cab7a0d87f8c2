"""Previews of plain text and HTML."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.content import Content
from appliance.mail.partmap import BASE64, IDENTITY, QUOTED_PRINTABLE, UNKNOWN
from appliance.mail.preview import PREVIEW_CHARACTERS, preview, without_markup

TEXT = Content()
HTML = Content(type=b"text", subtype=b"HTML", parameters=[(b"charset", b"utf-8")])


@pytest.mark.parametrize(
    ("transfer", "octets", "words"),
    [
        (IDENTITY, b"one\r\n\r\n  two\tthree\r\n", "one two three"),
        (IDENTITY, b"> quoted\r\nsaid\r\n>again\r\n", "said"),
        (IDENTITY, b"caf\xc3", "caf"),
        (IDENTITY, b"a\0b", "a b"),
        (BASE64, b"SGVsbG8gd29y", "Hello wor"),
        (BASE64, b"SGVsbG8gd29yb", "Hello wor"),
        (QUOTED_PRINTABLE, b"caf=C3=A9 au l=", "café au l"),
        (UNKNOWN, b"secret", ""),
        (IDENTITY, b"", ""),
    ],
)
def test_plain_text(transfer: int, octets: bytes, words: str) -> None:
    assert preview(TEXT, transfer, octets) == words


def test_the_charset_is_used() -> None:
    assert preview(Content(parameters=[(b"Charset", b"iso-8859-1")]), IDENTITY, b"caf\xe9") == "café"


@pytest.mark.parametrize(
    ("markup", "words"),
    [
        ("<p>a<br>b</p>", "a b"),
        ("<style>p { x }</style>seen<!-- not --> too", "seen too"),
        ("<HEAD><title>no</title></HEAD><body>yes", "yes"),
        ("1 &lt; 2 &amp;&#32;&#x41;&uuml;&bogus;", "1 < 2 & Aü"),
        ("cut <a href='x", "cut"),
        ("2 < 3", "2 < 3"),
        ("<script>x", ""),
        ("&#0;&#xD800;&#9999999;x", "x"),
    ],
)
def test_html(markup: str, words: str) -> None:
    assert preview(HTML, IDENTITY, markup.encode()) == words


def test_length_limit() -> None:
    assert len(preview(TEXT, IDENTITY, b"word " * 1000)) <= PREVIEW_CHARACTERS


@given(st.text(st.sampled_from("<>&#x;ab -!scriptSTYLE/\n")))
def test_any_markup_is_accepted(markup: str) -> None:
    assert len(without_markup(markup)) <= 2 * len(markup)
