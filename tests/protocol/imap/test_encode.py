"""Encoding of responses: valid for any input."""

import re

from hypothesis import given
from hypothesis import strategies as st

from appliance.protocol.imap import encode


def test_forms() -> None:
    assert encode.string(b'a "b" \\') == b'"a \\"b\\" \\\\"'
    assert encode.string(b"a\r\nb") == b"{4}\r\na\r\nb"
    assert encode.string("ü".encode()) == b"{2}\r\n\xc3\xbc"
    assert encode.string("ü".encode(), utf8=True) == '"ü"'.encode()
    assert encode.string(b"\xff", utf8=True) == b"{1}\r\n\xff"
    assert encode.string(b"x" * 2000).startswith(b"{2000}\r\n")
    assert [encode.astring(one) for one in (b"a@b.c", b"", b"nil", b"a b")] == [b"a@b.c", b'""', b'"nil"', b'"a b"']
    assert encode.mailbox("INBOX") == b"INBOX"
    assert encode.mailbox("a b]") == b'"a b]"'
    assert encode.mailbox("Entwürfe") == b"Entw&APw-rfe"
    assert encode.mailbox("Entwürfe", utf8=True) == '"Entwürfe"'.encode()
    assert encode.listed([b"a", b"b"]) == b"(a b)"


@given(st.binary(max_size=40))
def test_quoted_strings_hold_what_they_may(octets: bytes) -> None:
    written = encode.string(octets)
    assert re.fullmatch(rb'"(?:[^"\\\r\n\x00\x80-\xff]|\\["\\])*"', written) or written == b"{%d}\r\n%s" % (len(octets), octets)
