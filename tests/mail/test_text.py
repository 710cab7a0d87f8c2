"""Decoded text: any chunks give the same text; invalid octets are skipped."""

import base64
import quopri
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.partmap import BASE64, IDENTITY, QUOTED_PRINTABLE, UNKNOWN
from appliance.mail.query import folded
from appliance.mail.text import Needles, PartText, field_texts, header_text, text_charset

TEXTS = st.lists(st.sampled_from(["words", "grüße", "日本", "a=b", "\r\n", " ", "x" * 90, ".", "é"]), max_size=30).map("".join)
CHUNKS = st.lists(st.integers(1, 40), max_size=40)


def encoded(octets: bytes, transfer: int) -> bytes:
    if transfer == BASE64:
        return base64.encodebytes(octets).replace(b"\n", b"\r\n")
    return quopri.encodestring(octets.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n") if transfer == QUOTED_PRINTABLE else octets


def read(octets: bytes, transfer: int, charset: str, chunks: list[int]) -> str:
    part, out, at = PartText(transfer, charset), [], 0
    for size in chunks:
        out.append(part.feed(octets[at : at + size]))
        at += size
    return "".join([*out, part.feed(octets[at:]), part.finish()])


@given(TEXTS, CHUNKS, st.sampled_from([IDENTITY, BASE64, QUOTED_PRINTABLE, UNKNOWN]))
def test_chunks_make_no_difference(text: str, chunks: list[int], transfer: int) -> None:
    assert read(encoded(text.encode(), transfer), transfer, "utf-8", chunks) == text


@given(
    st.binary(max_size=300),
    CHUNKS,
    st.sampled_from([IDENTITY, BASE64, QUOTED_PRINTABLE]),
    st.sampled_from(["utf-8", "iso-2022-jp", "koi8-r", "x-none"]),
)
def test_any_octets_are_decoded(octets: bytes, chunks: list[int], transfer: int, charset: str) -> None:
    read(octets, transfer, charset, chunks)


def test_charsets() -> None:
    assert read("Grüße".encode("iso-8859-1"), IDENTITY, "iso-8859-1", []) == "Grüße"
    assert read(base64.b64encode("привет".encode("koi8-r")), BASE64, "KOI8-R", [3]) == "привет"
    assert read(b"aGVs!!bG8g\r\n-- d29ybGQ=", BASE64, "utf-8", []).startswith("hello"), "junk between is passed over"


@pytest.mark.parametrize(
    ("header", "charset"),
    [
        (b"", "utf-8"),
        (b"Content-Type: text/plain; charset=ISO-8859-1\r\n", "ISO-8859-1"),
        (b"X: y\r\nCONTENT-TYPE: text/html;\r\n\tcharset=\"koi8-r\"\r\nContent-Type: image/png\r\n", "koi8-r"),
        (b"Content-Type: image/png\r\n", None),
        (b"Content-Type: multipart/mixed; boundary=b\r\n", None),
        (b"Content-Type: message/delivery-status\r\n", "utf-8"),
        (b"Content-Type: broken\r\n", "utf-8"),
    ],
)  # fmt: skip
def test_charset_of_text_parts(header: bytes, charset: str | None) -> None:
    found = text_charset(header)
    assert found == charset or (header.endswith(b"broken\r\n") and found is None)


def test_fields() -> None:
    block = b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n aus Bonn\r\nX-A: 1\r\nx-a : 2\r\n\tfold\r\nNot-X-A: 3\r\n\r\n"
    assert field_texts(block, "subject") == ["Grüße aus Bonn"]
    assert field_texts(block, "x-a") == ["1", "2 fold"]
    assert field_texts(block, "none") == []
    assert "Grüße aus Bonn\nX-A: 1" in header_text(block)


NEEDLES = st.lists(st.text("ab", max_size=5), max_size=6)


@given(NEEDLES, st.text("ab", max_size=60), CHUNKS)
def test_needles_are_found_across_chunks(needles: list[str], text: str, chunks: list[int]) -> None:
    looking, at = Needles(needles), 0
    for size in chunks:
        looking.feed(text[at : at + size])
        at += size
    looking.feed(text[at:])
    assert looking.found == {needle for needle in needles if needle in text}


def test_no_match_across_a_reset() -> None:
    looking = Needles([folded("AB")])
    looking.feed("a")
    looking.reset()
    looking.feed("b")
    assert not looking.found


def test_hostile_text_takes_linear_time() -> None:
    started = time.process_time()
    read(b"a" * 4_000_000, QUOTED_PRINTABLE, "utf-8", [65536] * 60)
    read(b"=" * 2_000_000, BASE64, "utf-8", [65536] * 30)
    read(b"=\r\n" * 600_000, QUOTED_PRINTABLE, "utf-8", [65536] * 30)
    field_texts(b"X: y\r\n" * 150_000, "x")
    field_texts(b"x\r\n" * 300_000, "x")
    header_text(b"a\r\n " * 200_000)
    assert time.process_time() - started < 15
