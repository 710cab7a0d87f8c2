"""Header blocks: where they end, their fields, folding, selection; malformed blocks too."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.header import Field, fields, header_end, select, unfold, value, values

BLOCK = b"Received: one\r\n\tfolded\r\nSubject : odd blank\r\nno colon here\r\nSUBJECT: second\r\n: nameless\r\n\r\nBody: no field\r\n"


@pytest.mark.parametrize(
    ("octets", "end"),
    [
        (b"", 0),
        (b"\r\nbody", 2),
        (b"\nbody", 1),
        (b"A: b\r\n\r\nbody", 8),
        (b"A: b\n\nbody", 6),
        (b"A: b\r\n \r\nC: d\r\n\r\nx", 17),
        (b"A: b\r\nno end", 12),
    ],
)
def test_the_header_ends_with_the_first_empty_line(octets: bytes, end: int) -> None:
    assert header_end(octets) == end


def test_fields_in_order() -> None:
    assert [field.name for field in fields(BLOCK)] == [b"Received", b"Subject", b"no colon here", b"SUBJECT", b""]
    assert next(fields(BLOCK)) == Field(b"Received", 0, 9, 24)


@given(st.lists(st.sampled_from([b"A: b", b"\r\n", b"\n", b" ", b"\t", b":", b"\r", b"name", b"\0"])))
def test_fields_cover_the_block_up_to_its_end(words: list[bytes]) -> None:
    block = b"".join(words)
    at = 0
    for field in fields(block):
        assert field.start == at
        assert at < field.end <= len(block)
        assert field.start <= field.value_start <= field.end
        at = field.end
    assert at == len(block) or block[at:].startswith((b"\n", b"\r\n"))


def test_lookup_ignores_case_and_white_space_before_the_colon() -> None:
    assert values(BLOCK, b"subject") == [b"odd blank", b"second"]
    assert value(BLOCK, b"Received") == b"one\tfolded"
    assert value(BLOCK, b"body") is None


@pytest.mark.parametrize(
    ("raw", "line"),
    [(b" a\r\n b\r\n", b"a b"), (b"a\n\tb", b"a\tb"), (b" \r\n", b""), (b"a\rb\r\n", b"a\rb")],
)
def test_unfolding_removes_line_ends_only(raw: bytes, line: bytes) -> None:
    assert unfold(raw) == line


def test_selected_fields_are_unchanged() -> None:
    assert select(BLOCK, frozenset((b"received", b"nothing"))) == b"Received: one\r\n\tfolded\r\n\r\n"
    assert select(BLOCK, frozenset((b"received", b"subject", b"")), leave_out=True) == b"no colon here\r\n\r\n"
    assert select(b"A: b", frozenset((b"a",))) == b"A: b\r\n\r\n"
