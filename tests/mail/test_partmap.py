"""The packed part map: section lookup, spans of BINARY, size, and invalid maps."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.partmap import BASE64, IDENTITY, LEAF, MESSAGE, MULTIPART, QUOTED_PRINTABLE, Part, Span, binary_spans, find, pack
from appliance.mail.structure import Node, StructureScanner
from tests.support import messages as messages


def parts_of(octets: bytes) -> bytes:
    scanner = StructureScanner()
    scanner.feed(octets)
    return pack(scanner.finish())


def body(octets: bytes, *section: int) -> bytes | None:
    part = find(parts_of(octets), section)
    return None if part is None else octets[part.body_start : part.end]


@pytest.mark.parametrize(
    ("octets", "section", "start"),
    [
        (messages.PLAIN, (), b"Hello Bob"),
        (messages.PLAIN, (1,), b"Hello Bob"),
        (messages.MIXED, (1,), b"--outer inner"),
        (messages.MIXED, (1, 2), b"<p>"),
        (messages.MIXED, (3,), b"iVBOR"),
        (messages.FORWARDED, (2,), b"From: carol"),
        (messages.FORWARDED, (2, 1), b"caf=C3"),
        (messages.FORWARDED, (2, 2), b"Subject: innermost"),
        (messages.FORWARDED, (2, 2, 1), b"deep"),
        (messages.MESSAGE_ALONE, (1,), b"From: b@"),
        (messages.MESSAGE_ALONE, (1, 1), b"text"),
    ],
)
def test_sections(octets: bytes, section: tuple[int, ...], start: bytes) -> None:
    assert (body(octets, *section) or b"").startswith(start)


@pytest.mark.parametrize(
    ("octets", "section"),
    [
        (messages.PLAIN, (0,)),
        (messages.PLAIN, (2,)),
        (messages.PLAIN, (1, 1)),
        (messages.MIXED, (4,)),
        (messages.MIXED, (1, 3)),
        (messages.MIXED, (2, 1)),
        (messages.FORWARDED, (2, 3)),
        (messages.FORWARDED, (2, 2, 1, 1)),
        (messages.NO_PARTS, (2,)),
        (messages.NO_PARTS, (1, 1)),
    ],
)
def test_missing_sections(octets: bytes, section: tuple[int, ...]) -> None:
    assert find(parts_of(octets), section) is None
    assert binary_spans(parts_of(octets), section) is None


def test_fields_of_a_part() -> None:
    octets = messages.FORWARDED
    message = find(parts_of(octets), (2,))
    assert message is not None
    assert message.kind == MESSAGE
    assert octets[message.header_start : message.body_start] == b"Content-Type: message/rfc822\r\n\r\n"
    assert octets[message.body_start : message.inner_body_start].endswith(b"boundary=c\r\n\r\n")
    leaf = find(parts_of(octets), (2, 1))
    assert leaf is not None
    assert (leaf.kind, leaf.transfer, leaf.inner_body_start) == (LEAF, QUOTED_PRINTABLE, leaf.body_start)
    whole = find(parts_of(octets), ())
    assert whole is not None
    assert (whole.kind, whole.end) == (MULTIPART, len(octets))


def test_the_part_of_a_multipart_without_parts_is_its_body() -> None:
    octets = messages.NO_PARTS
    parts = parts_of(octets)
    whole = find(parts, ())
    assert whole is not None
    assert find(parts, (1,)) == Part(whole.body_start, whole.body_start, whole.end, LEAF, IDENTITY, whole.body_start)
    assert find(parts, (2,)) is find(parts, (1, 1)) is None
    assert binary_spans(parts, (1,)) == [Span(whole.body_start, whole.end)]


def test_a_map_of_a_multipart_without_parts_has_one_empty_part() -> None:
    """As packed by scanners before version 2."""
    root = Node(None, 0, 0, 10, 20, kind=MULTIPART)
    assert find(pack(root), (1,)) == Part(0, 0, 0, LEAF, IDENTITY, 0)
    assert binary_spans(pack(root), (1,)) == []


def test_spans_of_a_leaf_and_of_an_enclosed_message() -> None:
    octets = messages.FORWARDED
    parts = parts_of(octets)
    leaf = find(parts, (2, 1))
    message = find(parts, (2,))
    assert leaf is not None
    assert message is not None
    assert binary_spans(parts, (2, 1)) == [Span(leaf.body_start, leaf.end, QUOTED_PRINTABLE)]
    spans = binary_spans(parts, (2,))
    assert spans is not None
    assert (spans[0].start, spans[-1].end) == (message.body_start, message.end)
    assert all(before.end == after.start for before, after in pairwise(spans))
    assert [span.transfer for span in spans if span.transfer] == [QUOTED_PRINTABLE, QUOTED_PRINTABLE]
    assert sum(span.header for span in spans) == 4


def test_maps_are_small() -> None:
    assert len(parts_of(messages.PLAIN)) == 8
    assert len(parts_of(messages.MIXED)) == 1 + 6 * 11


def test_the_base64_part_of_a_mixed_message_has_its_encoding() -> None:
    part = find(parts_of(messages.MIXED), (2,))
    assert part is not None
    assert part.transfer == BASE64


@given(st.binary(max_size=200), st.lists(st.integers(0, 70_000), max_size=5))
def test_any_octets_as_a_map_do_not_raise(octets: bytes, section: list[int]) -> None:
    found = find(octets, tuple(section))
    assert found is None or isinstance(found, Part)


@given(st.integers(0, 80), st.lists(st.integers(1, 3), max_size=4))
def test_a_truncated_map_has_no_offsets_outside_the_message(size: int, section: list[int]) -> None:
    found = find(parts_of(messages.FORWARDED)[:size], tuple(section))
    assert found is None or 0 <= found.header_start <= found.body_start <= found.end <= len(messages.FORWARDED)
