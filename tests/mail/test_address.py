"""Email addresses: parsed to one normal form, encoded validly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.address import Address, ascii_domain, encode_address, parse_address
from appliance.mail.errors import MisuseError


@pytest.mark.parametrize(
    ("written", "local", "domain"),
    [
        ("alice@example.com", "alice", "example.com"),
        ("Alice@EXAMPLE.Com", "Alice", "example.com"),
        ('"alice"@example.com', "alice", "example.com"),
        (r'"a\"b\\c"@example.com', 'a"b\\c', "example.com"),
        ('" "@example.com', " ", "example.com"),
        ("postbox@com", "postbox", "com"),
        ("a@[192.0.2.1]", "a", "[192.0.2.1]"),
        ("a@[IPv6:2001:DB8::1]", "a", "[ipv6:2001:db8::1]"),
        ("a@xn--bcher-kva.example", "a", "bücher.example"),
        ("a@BÜCHER.example", "a", "bücher.example"),
        ("用户@例子.广告", "用户", "例子.广告"),
        ("user%other.example@example.com", "user%other.example", "example.com"),
        ("bob@under_scope", "bob", "under_scope"),
    ],
)
def test_parsing_gives_the_normal_form(written: str, local: str, domain: str) -> None:
    assert parse_address(written) == parse_address(written.encode()) == Address(local, domain)


@pytest.mark.parametrize(
    "written",
    [
        "", "@", "a@", "@b", "a", "a b@c", "a@b@c", ".a@b", "a.@b", "a..b@c", '"a@b', '"a"b@c', '""@b', "a@b.",
        "a@.b", "a@b..c", "a@-b", "a@b-",
        "a@[192.0.2.256]", "a@[192.0.2.1", "a@192.0.2.1]", "a@[\\1.2.3.4]", "a@[]", "a@[1.2.3.4.5]",
        "a@xn---", "a@xn--example.com", "a@b c", "a@b\n",
        "a\r@b", '"a\n"@b', '"a\0"@b', "a\0@b", "a(c)@b", "a@b(c)", "<a@b>", "a@b,c", "a;b@c", "a@ü..example", "a@bücher.example.",
        "a\u2028@b",
        "x" * 256 + "@b", "a@" + "b." * 200 + "c", "a@" + "ü" * 300, "a@" + "b" * 64,
    ],
)  # fmt: skip
def test_invalid_addresses_are_refused(written: str) -> None:
    with pytest.raises(MisuseError):
        parse_address(written)


def test_octets_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(MisuseError, match="UTF-8"):
        parse_address(b"\xff@example.com")


def test_encoded_forms() -> None:
    assert encode_address(Address("alice", "bücher.example")) == b"alice@xn--bcher-kva.example"
    assert encode_address(Address("élise", "bücher.example")) == "élise@bücher.example".encode()
    assert encode_address(Address('a"b c', "example.com")) == rb'"a\"b c"@example.com'
    assert encode_address(Address("a..b", "example.com")) == b'"a..b"@example.com'
    assert ascii_domain("bücher.example") == "xn--bcher-kva.example"
    assert not Address("élise", "example.com").ascii_local


LOCALS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=["Cc", "Cs"]), min_size=1, max_size=60)


@given(LOCALS)
def test_parse_and_encode_round_trip(local: str) -> None:
    address = Address(local, "example.com")
    assert parse_address(encode_address(address)) == address


@given(st.binary(max_size=300))
def test_any_octets_are_parsed_or_raise_misuse_error(octets: bytes) -> None:
    try:
        address = parse_address(octets)
    except MisuseError:
        return
    assert parse_address(encode_address(address)) == address
    assert address.domain == address.domain.lower()
    assert not set(address.local) & set("\r\n\0")
