"""Transfer decoders fed in chunks, invalid octets, encoded words, encoded parameters."""

from base64 import encodebytes
from quopri import encodestring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.encoding import DamagedOctets, decode_parameter, decode_text, decode_words, header_as_binary, transfer_decoder
from appliance.mail.partmap import BASE64, IDENTITY, QUOTED_PRINTABLE, UNKNOWN


def decode(transfer: int, octets: bytes, size: int = 1 << 30) -> bytes:
    decoder = transfer_decoder(transfer)
    assert decoder is not None
    chunks = [decoder.feed(octets[at : at + size]) for at in range(0, len(octets), size)]
    return b"".join(chunks) + decoder.finish()


@given(st.binary(), st.integers(1, 100))
def test_base64_round_trip(octets: bytes, size: int) -> None:
    assert decode(BASE64, encodebytes(octets).replace(b"\n", b"\r\n"), size) == octets


@given(st.binary(max_size=300), st.integers(1, 50))
def test_quoted_printable_round_trip(octets: bytes, size: int) -> None:
    text = octets.replace(b"\r", b"").replace(b"\n", b"")
    assert decode(QUOTED_PRINTABLE, encodestring(text, quotetabs=True).replace(b"\n", b"\r\n"), size) == text


@given(st.binary())
def test_identity_changes_nothing(octets: bytes) -> None:
    assert decode(IDENTITY, octets, 7) == octets


def test_an_unknown_encoding_has_no_decoder() -> None:
    assert transfer_decoder(UNKNOWN) is None


@pytest.mark.parametrize(
    ("octets", "decoded"),
    [
        (b"", b""),
        (b"SGVs\r\nbG8=\r\n", b"Hello"),
        (b"SGVsbG8\t=\n ", b"Hello"),
        (b"S G V s", b"Hel"),
        (b"SA==", b"H"),
        (b"S\r\nA=\r\n=", b"H"),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_base64(octets: bytes, decoded: bytes, size: int) -> None:
    assert decode(BASE64, octets, size) == decoded


@pytest.mark.parametrize(
    "octets", [b"SGVsbG8", b"SGVs!", b"SGVsbG8=SGVs", b"SA==\r\n-- \r\nlist footer", b"=", b"A===", b"SGVsbA=", b"S\0VsbA=="]
)
@pytest.mark.parametrize("size", [1, 100])
def test_damaged_base64(octets: bytes, size: int) -> None:
    with pytest.raises(DamagedOctets):
        decode(BASE64, octets, size)


@pytest.mark.parametrize(
    ("octets", "decoded"),
    [
        (b"a=3D=20b\r\n", b"a= b\r\n"),
        (b"a=3d\nb", b"a=\r\nb"),
        (b"soft=\r\n break= \t\r\ns", b"soft breaks"),
        (b"blanks \t\r\ngo  ", b"blanks\r\ngo"),
        (b"a_b=5F", b"a_b_"),
        (b"ends soft=", b"ends soft"),
        (b"=41=\n=42", b"AB"),
        (b"\xff raw", b"\xff raw"),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_quoted_printable(octets: bytes, decoded: bytes, size: int) -> None:
    assert decode(QUOTED_PRINTABLE, octets, size) == decoded


@pytest.mark.parametrize("octets", [b"a=ZZ\r\n", b"a=4", b"a==41", b"a\rb", b"a= b\r\n", b"x=4\r\n1"])
@pytest.mark.parametrize("size", [1, 100])
def test_damaged_quoted_printable(octets: bytes, size: int) -> None:
    with pytest.raises(DamagedOctets):
        decode(QUOTED_PRINTABLE, octets, size)


def test_an_endless_line_of_quoted_printable_is_decoded_in_chunks() -> None:
    octets = b"=41b" * 100_000
    decoder = transfer_decoder(QUOTED_PRINTABLE)
    assert decoder is not None
    decoded = [decoder.feed(octets[at : at + 1001]) for at in range(0, len(octets), 1001)]
    assert max(map(len, decoded)) > 0
    assert b"".join(decoded) + decoder.finish() == b"Ab" * 100_000


def test_endless_white_space_is_not_buffered() -> None:
    assert decode(QUOTED_PRINTABLE, b"a" + b" " * 1_000_000 + b"\r\n", 65_536) == b"a\r\n"


def test_the_header_of_a_decoded_part_says_binary() -> None:
    block = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: BASE64\r\nX: y\r\n\r\n"
    assert header_as_binary(block, BASE64) == b"Content-Type: text/plain\r\nX: y\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    assert header_as_binary(block, IDENTITY) == block


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"plain", "plain"),
        (b"=?utf-8?q?J=C3=B6rg_M?= x", "Jörg M x"),
        (b"=?UTF-8?B?w6Q=?= =?utf-8?b?w7Y=?=", "äö"),
        (b"=?utf-8?b?ww==?= =?utf-8?q?=A4?=", "ä"),
        (b"=?iso-8859-1*de?q?=E4?=", "ä"),
        (b"=?gb2312?b?xOO6ww==?=", "你好"),
        (b"=?x-unknown?q?=C3=A4?=", "ä"),
        (b"=?utf-8?q?open", "=?utf-8?q?open"),
        (b"=?utf-8?x?a?=", "=?utf-8?x?a?="),
        (b"caf\xc3\xa9 \xff", "café \ufffd"),
        (b"a =?utf-8?q?b?= c =?utf-8?q?d?=", "a b c d"),
        (b"=?punycode?q?a-b?=", "a-b"),
        (b"=?utf-7?q?+2AA-?= x", "\ufffd x"),
    ],
)
def test_encoded_words(value: bytes, words: str) -> None:
    assert decode_words(value) == words


@given(st.lists(st.sampled_from([b"=?", b"?=", b"utf-8", b"?q?", b"?B?", b"=", b"A", b" ", b"\xe9", b"_"])))
def test_decoding_words_never_raises(chunks: list[bytes]) -> None:
    decode_words(b"".join(chunks)).encode("utf-8")


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ([(b"FileName", b"a.txt")], "a.txt"),
        ([(b"filename", b"plain"), (b"filename*", b"utf-8'en'na%C3%AFve")], "naïve"),
        ([(b"filename*", b"iso-8859-1''%E4")], "ä"),
        ([(b"filename*", b"''%C3%A4")], "ä"),
        ([(b"filename*", b"no quotes %C3%A4")], "no quotes ä"),
        ([(b"filename", b"=?utf-8?q?=C3=A4?=")], "ä"),
        ([(b"name", b"x")], None),
    ],
)
def test_parameters_for_display(parameters: list[tuple[bytes, bytes]], name: str | None) -> None:
    assert decode_parameter(parameters, b"filename") == name


@pytest.mark.parametrize("charset", ["", "\0", "x" * 500, "utf-8\0", "rot13", "base64", "idna", "unicode_escape", "ütf"])
def test_any_charset_name_is_accepted(charset: str) -> None:
    assert decode_text(b"\\u0041=41", charset) == "\\u0041=41"


@pytest.mark.parametrize(
    ("octets", "text"), [(b"a+2AA-b", "a\ufffdb"), (b"+3gDYAA-", "\ufffd\ufffd"), (b"+2D3eAA-", "\U0001f600"), (b"+AOQ-", "ä")]
)
def test_half_a_character_in_utf_7_is_none(octets: bytes, text: str) -> None:
    assert decode_text(octets, "UTF-7") == text
