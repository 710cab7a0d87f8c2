"""Values of DSN parameters: parsed, refused, and encoded so that the next server parses the same (RFC 3461 §4, RFC 6533 §3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.errors import MisuseError
from appliance.protocol.smtp.dsn import encode_envid, encode_orcpt, parse_envid, parse_notify, parse_orcpt, parse_ret
from appliance.protocol.smtp.grammar import parse_parameters

PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=30)
WRITABLE = st.text(st.characters(min_codepoint=0x20, exclude_categories=("Cs", "Cc", "Cn")), min_size=1, max_size=15).filter(
    lambda text: not set(text) & set("\u2028\u2029\ufeff") and not any(0xFFF0 <= ord(c) <= 0xFFFF for c in text) and "\\x{" not in text
)


@given(PRINTABLE)
def test_what_is_written_is_read_again(text: str) -> None:
    assert parse_envid(encode_envid(text)) == text
    assert parse_orcpt(encode_orcpt(f"rfc822;{text}", utf8=False), utf8=False) == f"rfc822;{text}"


@given(WRITABLE, st.booleans())
def test_addresses_outside_ascii_are_read_again(text: str, utf8: bool) -> None:
    written = encode_orcpt(f"utf-8;{text}", utf8=utf8)
    assert utf8 or written.isascii()
    assert parse_parameters(b"ORCPT=" + written) == {b"ORCPT": written}, "a parameter as RFC 5321 §4.1.2 has them"
    assert parse_orcpt(written, utf8=utf8) == f"utf-8;{text}"


@given(st.binary(max_size=60), st.booleans())
def test_nothing_read_can_break_a_line(value: bytes, utf8: bool) -> None:
    for read in (parse_envid, parse_ret, lambda v: parse_orcpt(v, utf8=utf8), lambda v: parse_orcpt(b"utf-8;" + v, utf8=utf8)):
        try:
            found = read(value)
        except MisuseError:
            continue
        assert found.isprintable() or not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in found)


@pytest.mark.parametrize("value", [None, b"", b",", b"NEVER,NEVER", b"SUCCESS,", b"SUCCESS FAILURE", "ſuccess".encode(), b"NEVER,DELAY"])
def test_wrong_notify(value: bytes | None) -> None:
    with pytest.raises(MisuseError):
        parse_notify(value)


def test_right_notify() -> None:
    assert parse_notify(b"never") == {"NEVER"}
    assert parse_notify(b"Delay,success") == {"DELAY", "SUCCESS"}


@pytest.mark.parametrize(
    "value",
    [
        None, b"", b";", b"rfc822", b";a@b", b"rfc 822;a@b", b"rfc822;a+4", b"rfc822;a+zz", b"rfc822;" + b"a" * 500,
        b"utf-8;\xff", b"utf-8;a\\x{110000}",
        b"utf-8;a\\x{1}", b"utf-8;a\\x{0D}", b"utf-8;a\\x{85}", b"utf-8;a\\x{fe}", b"a" * 40 + b";x",
    ],
)  # fmt: skip
def test_wrong_orcpt(value: bytes | None) -> None:
    with pytest.raises(MisuseError):
        parse_orcpt(value, utf8=True)
