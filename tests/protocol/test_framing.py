"""The receive buffer: lines and counts do not depend on chunks, linear time, nothing held when empty."""

import sys
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.protocol.framing import Overlong, ReceiveBuffer


def chunks(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(places)]


@given(st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"")), max_size=20), st.lists(st.integers(0, 1000), max_size=20))
def test_lines_do_not_depend_on_the_chunks(lines: list[bytes], cuts: list[int]) -> None:
    buffer, found = ReceiveBuffer(), []
    for chunk in chunks(b"".join(line + b"\r\n" for line in lines), cuts):
        buffer.feed(chunk)
        while (line := buffer.line(100)) is not None:
            found.append(line)
    assert found == [line + b"\r\n" for line in lines]
    assert len(buffer) == 0


@given(st.binary(max_size=300), st.lists(st.integers(1, 50), max_size=40), st.lists(st.integers(0, 1000), max_size=20))
def test_counts_do_not_depend_on_the_chunks(data: bytes, counts: list[int], cuts: list[int]) -> None:
    buffer, found = ReceiveBuffer(), b""
    wanted = iter(counts)
    count = next(wanted, None)
    for chunk in chunks(data, cuts):
        buffer.feed(chunk)
        while count is not None and (octets := buffer.exactly(count)) is not None:
            assert len(octets) == count
            found += octets
            count = next(wanted, None)
    assert found + buffer.take(10_000) == data


def test_a_line_over_its_limit_is_refused_complete_or_not() -> None:
    buffer = ReceiveBuffer()
    buffer.feed(b"x" * 9)
    assert buffer.line(10) is None
    buffer.feed(b"x")
    with pytest.raises(Overlong):
        buffer.line(10)
    buffer.clear()
    buffer.feed(b"x" * 9 + b"\n" + b"y" * 10 + b"\n")
    assert buffer.line(10) == b"x" * 9 + b"\n"
    with pytest.raises(Overlong):
        buffer.line(10)


def test_an_empty_buffer_holds_nothing() -> None:
    buffer = ReceiveBuffer()
    for chunk in (b"a" * 60_000, b"b" * 5_000, b"\r\n"):
        buffer.feed(chunk)
    buffer.line(100_000)
    assert buffer._data == b"" and isinstance(buffer._data, bytes)
    assert sys.getsizeof(buffer) < 100


def test_a_line_fed_octet_by_octet_takes_linear_time() -> None:
    def cost(octets: int) -> float:
        buffer, start = ReceiveBuffer(), time.process_time()
        for _ in range(octets):
            buffer.feed(b"x")
            assert buffer.line(10**9) is None
        return time.process_time() - start

    cost(1000)
    assert cost(80_000) < 40 * max(cost(8_000), 0.002)  # quadratic: 100 times


def test_many_lines_in_one_chunk_take_linear_time() -> None:
    buffer = ReceiveBuffer()
    buffer.feed(b"a")
    buffer.feed(b"x NOOP\r\n" * 100_000)  # a second feed: the copying representation
    start = time.process_time()
    while buffer.line(100) is not None:
        pass
    assert time.process_time() - start < 2
