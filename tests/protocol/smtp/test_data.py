"""The octets of a message over DATA and BDAT: equal to a naive reader, however they are cut."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.protocol.smtp.data import DotStream, LineEnds
from tests.support.smtp import stuff


def naive(stream: bytes) -> tuple[bytes, bytes, bool] | None:
    """RFC 5321 §4.5.2 line by line: (message, what follows it, a bare CR or LF before the end), or None when it does not end."""
    message, at = b"", 0
    while True:
        end = stream.find(b"\r\n", at)
        if end < 0:
            return None
        line, at = stream[at:end], end + 2
        if line == b".":
            bare = message.count(b"\r") != message.count(b"\r\n") or message.count(b"\n") != message.count(b"\r\n")
            return message, stream[at:], bare
        message += (line[1:] if line[:1] == b"." else line) + b"\r\n"


def run(chunks: list[bytes]) -> tuple[bytes, bytes, bool] | None:
    dots, message = DotStream(), b""
    for number, chunk in enumerate(chunks):
        message += dots.feed(chunk)
        if dots.done:
            return message, dots.rest + b"".join(chunks[number + 1 :]), dots.bare
    return None


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[a:b] for a, b in pairwise(edges)]


HARD = st.lists(st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"\r\n.\r\n", b"a", b"..", b"\0"]), max_size=24).map(b"".join)


@settings(max_examples=600)
@given(HARD, st.lists(st.integers(0, 200), max_size=8))
def test_equals_the_naive_reader(stream: bytes, places: list[int]) -> None:
    stream += b"\r\n.\r\nQUIT\r\n"
    expected = naive(stream)
    found = run(cut(stream, places))
    assert expected is not None and found is not None
    assert found[1:] == expected[1:]
    if not expected[2]:
        assert found[0] == expected[0]


@pytest.mark.parametrize(
    "stream",
    [
        b".\r\nX", b"\r\n.\r\nX", b"a\r\n.\r\nX", b"..\r\n.\r\nX",
        b"..a\r\n...\r\n.b\r\n.\r\nX", b"\r\n\r\n..\r\n\r\n.\r\n.\r\nX", b".a\r\n.\r\n",
    ],
)  # fmt: skip
def test_every_split_of_hard_cases(stream: bytes) -> None:
    expected = naive(stream)
    for first in range(len(stream) + 1):
        for second in range(first, len(stream) + 1):
            assert run([stream[:first], stream[first:second], stream[second:]]) == expected
    assert run([bytes([octet]) for octet in stream]) == expected


SMUGGLED = (
    b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n.\r", b"\r.\n", b"\r\r\n.\r\r\n", b"\r\n.\r\r\n", b"\n\n.\n\n",
    b"\r\n\x00.\r\n", b"\r\n.\x00\r\n",
)  # fmt: skip


@pytest.mark.parametrize("false_end", SMUGGLED)
def test_only_crlf_dot_crlf_ends(false_end: bytes) -> None:
    inner = b"message one" + false_end + b"MAIL FROM:<boss@home.example>\r\nRCPT TO:<ada@home.example>\r\nDATA\r\nmessage two"
    for chunks in ([inner + b"\r\n.\r\n"], [bytes([octet]) for octet in inner + b"\r\n.\r\n"]):
        found = run(chunks)
        assert found is not None
        message, rest, bare = found
        assert rest == b""
        assert bare or message.endswith(b"message two\r\n")
        assert bare == (b"\x00" not in false_end)


def test_a_refused_message_still_ends() -> None:
    assert run([b"a\nb", b"c\r\n.\r", b"\nQUIT\r\n"]) == (b"a\nbc\r\n", b"QUIT\r\n", True)


@given(HARD.filter(lambda message: message.replace(b"\r\n", b"").count(b"\r") == 0 == message.replace(b"\r\n", b"").count(b"\n")))
def test_what_a_client_stuffs_comes_out_again(message: bytes) -> None:
    whole = message if message.endswith(b"\r\n") or not message else message + b"\r\n"
    assert run([stuff(message)]) == (whole, b"", False)


def test_a_long_message_of_dots_in_64_kib_chunks() -> None:
    message = b".line\r\n" * 40_000
    stream = stuff(message)
    assert run([stream[at : at + 65536] for at in range(0, len(stream), 65536)]) == (message, b"", False)


@settings(max_examples=400)
@given(HARD, st.lists(st.integers(0, 200), max_size=8))
def test_line_ends_of_chunks(octets: bytes, places: list[int]) -> None:
    watch = LineEnds()
    for chunk in cut(octets, places):
        watch.feed(chunk)
    watch.end()
    rest = octets.replace(b"\r\n", b"")
    assert watch.bare == (b"\r" in rest or b"\n" in rest)
