"""Content- fields: types, parameters in pieces, dispositions, languages, and which of repeated fields counts."""

import pytest

from appliance.mail.content import encoding_word, parse_content_type, parse_disposition, parse_encoding, parse_languages, read_content


@pytest.mark.parametrize(
    ("value", "kind", "subtype", "parameters"),
    [
        (b"text/plain", b"text", b"plain", []),
        (b"TEXT / HTML ; Charset = UTF-8", b"TEXT", b"HTML", [(b"Charset", b"UTF-8")]),
        (b'(c) text/plain (d); charset="us-\\ascii" (e)', b"text", b"plain", [(b"charset", b"us-ascii")]),
        (b'text/plain; name="fol\r\n ded"', b"text", b"plain", [(b"name", b"fol ded")]),
        (b"text/plain;;; a=b;", b"text", b"plain", [(b"a", b"b")]),
        (b"text/plain; a; b=c", b"text", b"plain", []),
        (b"text/plain; a=; b=c", b"text", b"plain", [(b"a", b""), (b"b", b"c")]),
        (b"text/plain; a==?utf-8?q?x?= y; b=c", b"text", b"plain", [(b"a", b"=?utf-8?q?x?="), (b"b", b"c")]),
        (b'text/plain; a="open', b"text", b"plain", []),
        (b"text/plain junk; a=b", b"", None, []),
        (b"text; a=b", b"", None, []),
        (b"text", b"text", None, []),
        (b"text/", b"text", None, []),
        (b"", b"", None, []),
        (b"(open", b"", None, []),
        (b"application/x-y.z+w; a=b=c", b"application", b"x-y.z+w", [(b"a", b"b")]),
        (b"text/\xe9", b"text", b"\xe9", []),
    ],
)
def test_content_type(value: bytes, kind: bytes, subtype: bytes | None, parameters: list[tuple[bytes, bytes]]) -> None:
    assert parse_content_type(value) == (kind, subtype, parameters)


@pytest.mark.parametrize(
    ("value", "parameters"),
    [
        (b'x/y; n*0="a "; n*1=b; z=1', [(b"z", b"1"), (b"n", b"a b")]),
        (b"x/y; n*1=b; n*0=a", [(b"n", b"ab")]),
        (b"x/y; n*=utf-8''%e9", [(b"n*", b"utf-8''%e9")]),
        (b"x/y; n*0*=utf-8''%e9; n*1=5%", [(b"n*", b"utf-8''%e95%25")]),
        (b"x/y; n*0=a%; n*1*=%e9", [(b"n*", b"''a%25%e9")]),
        (b"x/y; n*0=a; n*2=c", [(b"n*0", b"a"), (b"n*2", b"c")]),
        (b"x/y; n*x=a; *=b", [(b"n*x", b"a"), (b"*", b"b")]),
        (b"x/y; n*00000000000000000000=a", [(b"n", b"a")]),
    ],
)
def test_parameters_in_pieces_are_joined_not_decoded(value: bytes, parameters: list[tuple[bytes, bytes]]) -> None:
    assert parse_content_type(value)[2] == parameters


def test_disposition() -> None:
    assert parse_disposition(b"attachment; filename=a.txt") == (b"attachment", [(b"filename", b"a.txt")])
    assert parse_disposition(b"(open") is None


@pytest.mark.parametrize(
    ("value", "encoding"), [(b" base64 (x)", b"base64"), (b"7bit 8bit", None), (b"", None), (b"Quoted-Printable", b"Quoted-Printable")]
)
def test_encoding(value: bytes, encoding: bytes | None) -> None:
    assert parse_encoding(value) == encoding


def test_the_first_word_of_an_encoding_decides_how_to_decode() -> None:
    assert encoding_word(b" BASE64; really") == b"base64"


@pytest.mark.parametrize(
    ("value", "tags"), [(b"de", [b"de"]), (b"de, en-GB (x) ,fr", [b"de", b"en-GB", b"fr"]), (b", de", []), (b"", []), (b"de en", [b"de"])]
)
def test_languages(value: bytes, tags: list[bytes]) -> None:
    assert parse_languages(value) == tags


def test_of_repeated_fields_the_first_that_can_be_read_counts() -> None:
    content = read_content(
        {
            b"content-type": [b"text/plain", b"text/html"],
            b"content-transfer-encoding": [b"7bit or so", b"8bit", b"base64"],
            b"content-disposition": [b"inline", b"attachment; filename=x", b"inline; filename=y"],
            b"content-id": [b"<1>", b"<2>"],
        }
    )
    assert (content.type, content.subtype, content.encoding, content.id) == (b"text", b"plain", b"8bit", b"<1>")
    assert (content.disposition, content.disposition_parameters) == (b"attachment", [(b"filename", b"x")])
    assert content.is_text()
    assert content.parameter(b"charset") is None
