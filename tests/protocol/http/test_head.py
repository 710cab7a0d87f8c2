"""protocol/http/head: what two readers could understand differently is refused before the parser sees it."""

import pytest

from appliance.protocol.http.head import FIELDS, HEAD_OCTETS, LINE_OCTETS, HeadFault, blank_octets, next_head

GOOD = b"GET / HTTP/1.1\r\nHost: box.local\r\n\r\n"


def status(octets: bytes) -> int:
    found = next_head(octets)
    assert isinstance(found, HeadFault), found
    return found.status


def test_a_whole_head_and_what_comes_after_it() -> None:
    assert next_head(GOOD) == len(GOOD) and next_head(GOOD + b"body") == len(GOOD)
    assert next_head(GOOD[:-1]) is None and next_head(b"GE") is None
    assert blank_octets(b"\r\n" + GOOD) == 2 and blank_octets(GOOD) == 0


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\nY: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rY: b\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        b"GET /\r\nHost: a\r\n\r\n",
        b"G\xc3\x84T / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"EHLO client\r\n",
    ],
)
def test_what_could_be_read_in_two_ways_is_malformed(head: bytes) -> None:
    assert status(head) == 400


def test_too_long() -> None:
    assert status(b"GET /" + b"a" * LINE_OCTETS) == 414
    assert status(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * HEAD_OCTETS) == 431
    assert status(b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * (FIELDS + 1) + b"\r\n") == 431


def test_other_versions_and_codings() -> None:
    assert status(b"GET / HTTP/2.0\r\nHost: a\r\n\r\n") == 505
    assert status(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n") == 501
    assert isinstance(next_head(b"GET / HTTP/1.0\r\n\r\n"), int)
