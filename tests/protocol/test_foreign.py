"""Requests of other protocols are distinguished from mail commands."""

import pytest

from appliance.protocol.foreign import foreign_protocol, foreign_tagged, is_header_field, is_tls

REQUESTS = [
    (b"GET / HTTP/1.1\r\n", "HTTP"), (b"HEAD /a HTTP/1.0\r\n", "HTTP"), (b"POST /x HTTP/1.1\r\n", "HTTP"), (b"PUT /x HTTP/1.1\n", "HTTP"),
    (b"DELETE /x HTTP/1.1\r\n", "HTTP"), (b"PATCH /x HTTP/1.1\r\n", "HTTP"), (b"TRACE / HTTP/1.1\r\n", "HTTP"), (b"get /\r\n", "HTTP"),
    (b"CONNECT mail.example:25 HTTP/1.1\r\n", "HTTP"), (b"OPTIONS * HTTP/1.1\r\n", "HTTP"), (b"PRI * HTTP/2.0\r\n", "HTTP"),
    (b"GET http://example.org/ HTTP/1.1\r\n", "HTTP"), (b"CUSTOM /path HTTP/1.1\r\n", "HTTP"), (b"CONNECT host HTTP/1.1\r\n", "HTTP"),
    (b"OPTIONS rtsp://example.org RTSP/1.0\r\n", "RTSP"), (b"DESCRIBE rtsp://a/b RTSP/1.0\r\n", "RTSP"),
    (b"OPTIONS sip:nm SIP/2.0\r\n", "SIP"), (b"REGISTER sip:a SIP/2.0\r\n", "SIP"), (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
    (b"HTTP/1.1 200 OK\r\n", "HTTP"), (b"\x16\x03\x01\x02\x00\x01\n", "TLS"), (b"\x80\x2e\x01\x03\x01\n", "TLS"),
]  # fmt: skip
VERBS = [b"EHLO a.example", b"MAIL FROM:<a@b.example>", b"RCPT TO: <a@b.example>", b"NOOP", b"PASS my HTTP/2 word", b"RETR 1", b"*", b""]
TAGGED = [
    b"a1 NOOP", b"GET NOOP", b"POST LOGIN a b", b'OPTIONS ID ("name" "x")', b"SSH-1 NOOP", b"HEAD UID FETCH 1 FLAGS", b"a LOGIN b c/HTTP/1",
]  # fmt: skip


@pytest.mark.parametrize(("line", "name"), REQUESTS)
def test_requests_of_other_protocols(line: bytes, name: str) -> None:
    assert foreign_protocol(line) == foreign_tagged(line) == name


@pytest.mark.parametrize("line", VERBS)
def test_mail_commands_are_not_foreign(line: bytes) -> None:
    assert foreign_protocol(line + b"\r\n") == "" and not is_header_field(line)


@pytest.mark.parametrize("line", TAGGED)
def test_any_word_may_be_a_tag(line: bytes) -> None:
    assert foreign_tagged(line + b"\r\n") == ""


def test_header_fields() -> None:
    assert is_header_field(b"Host: localhost:25") and is_header_field(b"X-Y:z") and not is_header_field(b"MAIL FROM:<>")


def test_one_octet_is_not_recognised_as_tls() -> None:
    assert not is_tls(b"\x16") and not is_tls(b"") and is_tls(b"\x16\x03")
