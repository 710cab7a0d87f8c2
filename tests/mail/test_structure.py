"""The MIME tree and its offsets: what a boundary ends, where headers end, what is buffered."""

import time

import pytest

from appliance.mail.limits import HEADER_OCTETS
from appliance.mail.partmap import LEAF, MESSAGE, MULTIPART
from appliance.mail.structure import Node, StructureScanner
from tests.support import messages as messages

A100 = b"a" * 100
HEAD = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=%b\r\n\r\n"


def scan(octets: bytes, size: int = 1 << 30) -> Node:
    scanner = StructureScanner()
    for at in range(0, len(octets), size):
        scanner.feed(octets[at : at + size])
    return scanner.finish()


def bodies(octets: bytes, node: Node | None = None) -> list[bytes]:
    """Bodies of all leaves in order."""
    node = node or scan(octets)
    if node.kind == LEAF:
        return [octets[node.body_start : node.end]]
    return [body for child in node.children for body in bodies(octets, child)]


def test_offsets_of_a_mixed_message() -> None:
    octets = messages.MIXED
    root = scan(octets)
    assert (root.kind, root.header_start, root.end) == (MULTIPART, 0, len(octets))
    assert octets[root.body_start :].startswith(b"This is the preamble.")
    alternative, data, picture = root.children
    assert bodies(octets, alternative) == [b"Words.", b"<p>Words &amp; <b>more</b></p>"]
    assert octets[data.header_start :].startswith(b"Content-Type: application/octet-stream")
    assert octets[data.header_start : data.body_start].endswith(b"==\r\n\r\n")
    assert octets[picture.body_start : picture.end] == b"iVBORw0KGgo="


def test_a_message_inside_a_message() -> None:
    octets = messages.FORWARDED
    message = scan(octets).children[1]
    inner = message.children[0]
    assert (message.kind, inner.kind) == (MESSAGE, MULTIPART)
    assert (inner.header_start, inner.end) == (message.body_start, message.end)
    assert inner.header_fields[b"subject"] == [b"hello"]
    assert message.lines == octets[message.body_start : message.end].count(b"\n")


@pytest.mark.parametrize(
    ("boundary", "body", "parts"),
    [
        (b"b", b"--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n", [b"one", b"two"]),
        (b"b", b"--b \t\r\n\r\none\r\n--b--junk\r\n", [b"one"]),
        (b"b", b"--b\n\none\n--b--\n", [b"one"]),
        (b"b", b"\r\n--b\r\n\r\none\r\r\n--b--", [b"one\r"]),
        (b"b", b"--b\r\n\r\n--b\r\n\r\n\r\n--b--", [b"", b""]),
        (b"b", b"--b\r\n\r\n a --b\r\n--c\r\n-\r\n--b--", [b" a --b\r\n--c\r\n-"]),
        (b"b", b"--b--\r\n", [b"--b--\r\n"]),
        (b"b", b"--b--\r\n\r\nafter\r\n", [b"--b--\r\n\r\nafter\r\n"]),
        (b"b", b"--b", [b"--b"]),
        (b"b", b"", [b""]),
        (b"b", b"one\r\n-b\r\ntwo", [b"one\r\n-b\r\ntwo"]),
        (b'""', b"--\r\n\r\none\r\n----\r\n", [b"--\r\n\r\none\r\n----\r\n"]),
        (b'" "', b"-- \r\n\r\none", [b"-- \r\n\r\none"]),
        (b'"b', b"--b\r\n\r\none\r\n--b--", [b"--b\r\n\r\none\r\n--b--"]),
        (b"b", b"--b\r\n", [b""]),
        (b"b--", b"--b--\r\n\r\none\r\n--b----\r\n", [b"one"]),
        (
            A100,
            b"--" + b"a" * 90 + b"\r\n\r\none\r\n--" + A100 + b"\r\n\r\ntwo\r\n--" + A100[1:] + b"b\r\n--" + A100 + b"--\r\n",
            [b"two\r\n--" + A100[1:] + b"b"],
        ),
        (b"b" * 5000, b"--" + b"b" * 4999 + b"\r\n--" + b"b" * 5000 + b"\r\n\r\none\n--" + b"b" * 5000 + b"--", [b"one"]),
    ],
)
@pytest.mark.parametrize("size", [1, 4, 1 << 30])
def test_boundaries(boundary: bytes, body: bytes, parts: list[bytes], size: int) -> None:
    octets = HEAD % boundary + body
    root = scan(octets, size)
    assert [octets[child.body_start : child.end] for child in root.children] == parts


@pytest.mark.parametrize("size", [1, 7, 1 << 30])
def test_lines_of_a_multipart_without_parts(size: int) -> None:
    """Each child counts all lines of its body, those after the closing delimiter too."""
    outer = HEAD % b"o" + b"p\r\n--o\r\nContent-Type: multipart/x; boundary=i\r\n\r\na\r\nb\r\n--i--\r\nc\r\n\r\n--o--\r\nd\r\n"
    (inner,) = scan(outer, size).children
    (text,) = inner.children
    assert (text.lines, text.kind, text.children) == (4, LEAF, [])
    assert outer[text.body_start : text.end] == b"a\r\nb\r\n--i--\r\nc\r\n"
    (text,) = scan(HEAD % b"o" + b"a\r\n--o--\r\nb\r\n", size).children
    assert text.lines == 3


def test_long_boundaries_cost_no_more_than_short_ones() -> None:
    boundary = b"b" * 100_000
    octets = HEAD % boundary + (b"--" + boundary[:-1] + b"\r\n") * 20 + b"--" + boundary + b"\r\n\r\none\r\n--" + boundary + b"--\r\n"
    started = time.process_time()
    assert bodies(octets, scan(octets, 500)) == [b"one"]
    assert time.process_time() - started < 5


def test_an_outer_boundary_ends_inner_parts_and_the_longest_match_wins() -> None:
    inner = b"--ab\r\nContent-Type: multipart/mixed; boundary=abc\r\n\r\n--abc\r\n\r\none\r\n--ab\r\n\r\ntwo"
    assert bodies(HEAD % b"ab" + inner) == [b"one", b"two"]


def test_a_boundary_inside_a_header_ends_it_without_its_line_end() -> None:
    octets = messages.CUT_HEADER
    first, second = scan(octets).children
    assert octets[first.header_start : first.body_start] == b"Content-Type: text/plain; charset=utf-8"
    assert first.body_start == first.end
    assert second.kind == MESSAGE
    assert second.children[0].header_start == second.children[0].end == second.body_start


def test_boundaries_among_many_false_candidates() -> None:
    doubtful = b"--no\r\n" * 1000
    octets = (
        HEAD % b"one" + b"--one\r\nContent-Type: multipart/mixed; boundary=two\r\n\r\n" + doubtful + b"--two\r\n\r\nx\r\n--two--\r\n--one--"
    )
    assert bodies(octets) == bodies(octets.replace(doubtful, b"")) == [b"x"]


def test_little_is_buffered() -> None:
    scanner = StructureScanner()
    scanner.feed(HEAD % b"b" + b"--b\r\n\r\n")
    for _ in range(100):
        scanner.feed(b"x" * 100_000)
        assert len(scanner._held) < 200
    scanner = StructureScanner()
    for _ in range(100):
        scanner.feed(b"X: " + b"x" * 100_000)
        assert len(scanner._held) <= HEADER_OCTETS


def test_content_fields_without_mime_version_and_type_are_ignored() -> None:
    node = scan(messages.NOT_MIME)
    assert node.content.description is None
    assert node.content.encoding is None
