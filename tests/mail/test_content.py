"""Content- fields: types, continued parameters, dispositions, languages, and which of repeated fields counts."""

import time

import pytest

from appliance.mail.content import parse_content_type, parse_disposition, parse_encoding, parse_languages, read_content
from appliance.mail.limits import HEADER_OCTETS


@pytest.mark.parametrize(
    ("value", "kind", "subtype", "parameters"),
    [
        (b"text/plain", b"text", b"plain", []),
        (b"TEXT / HTML ; Charset = UTF-8", b"TEXT", b"HTML", [(b"Charset", b"UTF-8")]),
        (b'(c) text/plain (d); charset="us-\\ascii" (e)', b"text", b"plain", [(b"charset", b"us-ascii")]),
        (b'text/plain; name="fol\r\n ded"', b"text", b"plain", [(b"name", b"fol ded")]),
        (b"text/plain;;; a=b;", b"text", b"plain", [(b"a", b"b")]),
        (b"text/plain; a=; b=c", b"text", b"plain", [(b"a", b""), (b"b", b"c")]),
        (b"text/plain; a==?utf-8?q?x?= y; b=c", b"text", b"plain", [(b"a", b"=?utf-8?q?x?="), (b"b", b"c")]),
        (b"text/\xe9", b"text", b"\xe9", []),
    ],
)
def test_content_type(value: bytes, kind: bytes, subtype: bytes, parameters: list[tuple[bytes, bytes]]) -> None:
    assert parse_content_type(value) == ((kind, subtype), parameters)


@pytest.mark.parametrize(
    ("value", "kind", "parameters"),
    [
        # the type
        (b"text/html charset=utf-8", (b"text", b"html"), [(b"charset", b"utf-8")]),
        (b"text/html, charset=utf-8", (b"text", b"html"), [(b"charset", b"utf-8")]),
        (b"text/html: charset=utf-8", (b"text", b"html"), [(b"charset", b"utf-8")]),
        (b'"text/html"; charset=utf-8', (b"text", b"html"), [(b"charset", b"utf-8")]),
        (b"text/html/x; charset=utf-8", (b"text", b"html"), [(b"charset", b"utf-8")]),
        (b"text/plain junk; a=b", (b"text", b"plain"), [(b"a", b"b")]),
        (b'multipart/mixed\r\n\tboundary="b 1"', (b"multipart", b"mixed"), [(b"boundary", b"b 1")]),
        (b"text", (b"text", b"plain"), []),
        (b"Text; a=b", (b"text", b"plain"), [(b"a", b"b")]),
        (b"text/", (b"text", b"plain"), []),
        (b"text/; a=b", (b"text", b"plain"), [(b"a", b"b")]),
        (b"html", (b"text", b"html"), []),
        (b"multipart; boundary=b", (b"multipart", b"mixed"), [(b"boundary", b"b")]),
        (b"image; name=x.png", (b"application", b"octet-stream"), [(b"name", b"x.png")]),
        (b";", None, []),
        (b"", None, []),
        (b"/", None, []),
        (b"/html", None, []),
        (b"nonsense", None, []),
        (b"(open", None, []),
        (b"charset=utf-8", None, [(b"charset", b"utf-8")]),
        (b"text=x", None, [(b"text", b"x")]),
        (b"; charset=utf-8", None, [(b"charset", b"utf-8")]),
        # the parameters
        (b"x/y; a; b=c", (b"x", b"y"), [(b"b", b"c")]),
        (b"x/y; a b=c", (b"x", b"y"), [(b"b", b"c")]),
        (b"x/y; a=b c=d", (b"x", b"y"), [(b"a", b"b"), (b"c", b"d")]),
        (b"x/y; a=b, c=d", (b"x", b"y"), [(b"a", b"b"), (b"c", b"d")]),
        (b'x/y; a="b"c=d', (b"x", b"y"), [(b"a", b"b"), (b"c", b"d")]),
        (b"x/y; a=b=c/d:e?f (g); h=i", (b"x", b"y"), [(b"a", b"b=c/d:e?f"), (b"h", b"i")]),
        (b"x/y; name=my own, file.txt; a=b c", (b"x", b"y"), [(b"name", b"my own, file.txt"), (b"a", b"b")]),
        (b"x/y; filename=a b c=d", (b"x", b"y"), [(b"filename", b"a b"), (b"c", b"d")]),
        (b'x/y; a="open', (b"x", b"y"), [(b"a", b"open")]),
        (b'x/y; a="open; b=c', (b"x", b"y"), [(b"a", b"open"), (b"b", b"c")]),
        (b'x/y; boundary="open', (b"x", b"y"), []),
        (b'x/y; a="b" (open', (b"x", b"y"), [(b"a", b"b")]),
        (b"x/y; =b; a=c", (b"x", b"y"), [(b"a", b"c")]),
    ],
)
def test_common_errors_of_mail_programs(value: bytes, kind: tuple[bytes, bytes] | None, parameters: list[tuple[bytes, bytes]]) -> None:
    assert parse_content_type(value) == (kind, parameters)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({b"content-type": [b";"]}, (b"text", b"plain")),
        ({b"content-type": [b"nonsense; name=x.jpg"]}, (b"application", b"octet-stream")),
        ({b"content-type": [b""], b"content-disposition": [b"attachment"]}, (b"application", b"octet-stream")),
        ({b"content-type": [b"text"], b"content-disposition": [b"attachment"]}, (b"text", b"plain")),
        ({b"content-type": [b"", b";", b"text/html"]}, (b"text", b"html")),
        ({b"content-disposition": [b"attachment"]}, (None, None)),
    ],
)
def test_default_type_is_text_or_octet_stream_for_a_file(fields: dict[bytes, list[bytes]], kind: tuple[bytes | None, bytes | None]) -> None:
    content = read_content(fields)
    assert (content.type, content.subtype) == kind


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
def test_continued_parameters_are_joined_not_decoded(value: bytes, parameters: list[tuple[bytes, bytes]]) -> None:
    assert parse_content_type(value)[1] == parameters


def test_disposition() -> None:
    assert parse_disposition(b"attachment; filename=a.txt") == (b"attachment", [(b"filename", b"a.txt")])
    assert parse_disposition(b"attachment filename=a.txt") == (b"attachment", [(b"filename", b"a.txt")])
    assert parse_disposition(b'"attachment"; filename=a.txt') == (b"attachment", [(b"filename", b"a.txt")])
    assert parse_disposition(b"; filename=a b.txt") == (b"attachment", [(b"filename", b"a b.txt")])
    assert parse_disposition(b"filename=a.txt") == (b"attachment", [(b"filename", b"a.txt")])
    assert parse_disposition(b"inline;") == (b"inline", [])
    assert parse_disposition(b"(open") is parse_disposition(b"") is parse_disposition(b";") is None


@pytest.mark.parametrize(
    ("value", "encoding"),
    [
        (b" base64 (x)", b"base64"), (b"base64;", b"base64"), (b"BASE64, really", b"BASE64"), (b'"base64"', b"base64"),
        (b"base64; charset=utf-8", b"base64"), (b"7bit 8bit", b"7bit"), (b"8 bit", b"8bit"), (b"7-bit", b"7bit"), (b"", None), (b";", None),
        (b"Quoted-Printable", b"Quoted-Printable"), (b"quoted_printable", b"quoted-printable"), (b"x-unknown", b"x-unknown"),
    ],
)  # fmt: skip
def test_encoding(value: bytes, encoding: bytes | None) -> None:
    assert parse_encoding(value) == encoding


@pytest.mark.parametrize("word", [b'"', b'"\\', b"a=(", b"a ", b"a=b ", b"name=a b ", b"=", b"(a)", b'a="b', b"a,", b"(", b";", b"a*1=b;"])
def test_parsing_is_linear(word: bytes) -> None:
    started = time.process_time()
    parse_content_type(b"x/y; name=" + word * (HEADER_OCTETS // len(word)))
    assert time.process_time() - started < 5, "quadratic work on 256 KiB takes minutes"


@pytest.mark.parametrize(
    ("value", "tags"), [(b"de", [b"de"]), (b"de, en-GB (x) ,fr", [b"de", b"en-GB", b"fr"]), (b", de", []), (b"", []), (b"de en", [b"de"])]
)
def test_languages(value: bytes, tags: list[bytes]) -> None:
    assert parse_languages(value) == tags


def test_of_repeated_fields_the_first_that_can_be_parsed_counts() -> None:
    content = read_content(
        {
            b"content-type": [b"text/plain", b"text/html"],
            b"content-transfer-encoding": [b"", b"8bit", b"base64"],
            b"content-disposition": [b"", b"attachment; filename=x", b"inline; filename=y"],
            b"content-id": [b" ", b"<1>", b"<2>"],
        }
    )
    assert (content.type, content.subtype, content.encoding, content.id) == (b"text", b"plain", b"8bit", b"<1>")
    assert (content.disposition, content.disposition_parameters) == (b"attachment", [(b"filename", b"x")])
    assert content.is_text()
    assert content.parameter(b"charset") is None
