"""Trace header fields are well formed whatever the client sent (RFC 5321 §4.4)."""

import re

from hypothesis import given
from hypothesis import strategies as st

from appliance.delivery.trace import WARNING, ReceivedField, address_literal, encode_received, protocol_word
from appliance.mail.address import Address
from appliance.mail.envelope import Recipient


def test_protocol_words() -> None:
    """RFC 3848 and RFC 6531 §4.3."""
    assert protocol_word(extended=False, utf8=False, secure=False, signed_in=False) == "SMTP"
    assert protocol_word(extended=True, utf8=False, secure=False, signed_in=False) == "ESMTP"
    assert protocol_word(extended=True, utf8=False, secure=True, signed_in=False) == "ESMTPS"
    assert protocol_word(extended=True, utf8=False, secure=True, signed_in=True) == "ESMTPSA"
    assert protocol_word(extended=True, utf8=True, secure=True, signed_in=True) == "UTF8SMTPSA"


def test_literals() -> None:
    assert address_literal("192.0.2.1") == "[192.0.2.1]"
    assert address_literal("2001:db8::1") == "[IPv6:2001:db8::1]"
    assert address_literal("fe80::1%eth0") == "[IPv6:fe80::1]"


def field(name: str, recipient: Recipient | None = None) -> bytes:
    facts = ReceivedField(
        greeted_as=name,
        peer="192.0.2.7",
        host="mail.example.org",
        word="ESMTPS",
        tls="TLSv1.3 X",
        message="abc",
        recipient=recipient,
        at=0,
        offset_s=3600,
    )
    return encode_received(facts)


def test_a_whole_field() -> None:
    assert field("client.example", Recipient(Address("a b", "example.org"))) == (
        b"Received: from client.example ([192.0.2.7])\r\n by mail.example.org with ESMTPS\r\n (TLSv1.3 X)\r\n id abc\r\n"
        b' for <"a b"@example.org>;\r\n Thu, 01 Jan 1970 01:00:00 +0100\r\n'
    )
    assert b" for " not in field("client.example", Recipient(None))


@given(st.text(max_size=300))
def test_any_greeting(name: str) -> None:
    lines = field(name).split(b"\r\n")
    assert len(lines) == 6 and lines[0].startswith(b"Received: from ")
    assert re.fullmatch(rb"Received: from [A-Za-z0-9_.:\[\]-]+ \(\[192\.0\.2\.7\]\)", lines[0])
    assert all(len(line) < 998 for line in lines)


def test_the_warning_is_one_line() -> None:
    assert WARNING.endswith(b"\r\n") and WARNING.count(b"\n") == 1 and len(WARNING) < 1000
