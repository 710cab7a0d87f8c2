"""A message on the wire is decoded to its own octets, however it was divided into chunks."""

import re

from hypothesis import given
from hypothesis import strategies as st

from appliance.protocol.dot_stuffing import DotStuffer, dot_stuffed
from appliance.protocol.pop3.multiline import Top

atoms = [b"\r\n", b"\n", b"\r", b".", b"..", b"a", b"\r\n.", b"\r\n.\r\n", b"\0", b"\xff"]
texts = st.lists(st.sampled_from(atoms), max_size=30).map(b"".join)


def cut(octets: bytes, places: list[int]) -> list[bytes]:
    """`octets` in chunks; some of them may be empty."""
    ends = sorted(place % (len(octets) + 1) for place in places)
    return [octets[start:end] for start, end in zip([0, *ends], [*ends, len(octets)], strict=True)]


def read_multiline(wire: bytes) -> bytes:
    """The message as a client decodes it: lines end in CRLF only, the lone dot ends the response (RFC 1939 §3)."""
    octets = b""
    while True:
        line, end, wire = wire.partition(b"\r\n")
        assert end, "the response never ended"
        if line == b".":
            assert not wire, "octets behind the end"
            return octets
        octets += line.removeprefix(b".") + b"\r\n"


def lines_of(octets: bytes) -> bytes:
    """The expected message, bare LF as CRLF, with a last line end."""
    octets = re.sub(rb"(?<!\r)\n", b"\r\n", octets)
    return octets if not octets or octets.endswith(b"\r\n") else octets + b"\r\n"


@given(texts, st.lists(st.integers(0, 1000), max_size=8))
def test_chunks_make_no_difference(octets: bytes, places: list[int]) -> None:
    stuffer = DotStuffer()
    wire = b"".join(map(stuffer.feed, cut(octets, places))) + stuffer.finish()
    assert wire == dot_stuffed(octets)
    assert read_multiline(wire) == lines_of(octets)


@given(texts)
def test_no_client_sees_an_early_end(octets: bytes) -> None:
    """Also one that accepts a bare LF as a line end."""
    wire = dot_stuffed(octets)
    assert b"\n" not in wire.replace(b"\r\n", b"")
    assert re.split(rb"\r?\n", wire).index(b".") == wire.count(b"\n") - 1


def test_nul_is_an_octet_like_others() -> None:
    """RFC 1939 §3 forbids no octet, and there is no other form that could send it."""
    stuffer = DotStuffer()
    assert stuffer.feed(b"a\0b\r\n\0\r\n") + stuffer.finish() == b"a\0b\r\n\0\r\n.\r\n"


def test_own_octets() -> None:
    assert dot_stuffed(b"") == b".\r\n"
    assert dot_stuffed(b".\r\n") == b"..\r\n.\r\n"
    assert dot_stuffed(b"a\rb\r\r\n.\r\n") == b"a\rb\r\r\n..\r\n.\r\n"
    assert dot_stuffed(b"a\r") == b"a\r\r\n.\r\n"


@given(texts, st.integers(0, 12), st.lists(st.integers(0, 1000), max_size=8))
def test_top_is_the_header_and_so_many_lines(body: bytes, lines: int, places: list[int]) -> None:
    header = b"Subject: a\r\n\r\n"
    expected = header + b"".join(line + b"\n" for line in body.split(b"\n")[:lines])
    expected = expected if lines < len(body.split(b"\n")) else header + body
    top = Top(len(header), lines)
    out = b""
    for chunk in cut(header + body, places):
        out += top.feed(chunk)
        if top.done:
            break
    assert out == expected
