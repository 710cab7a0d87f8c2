"""HEADER.FIELDS: any division into chunks gives what a plain slicer gives."""

import re
import time

from hypothesis import given
from hypothesis import strategies as st

from appliance.protocol.imap.fields import Fields

HEADER = b"From: a\r\nTo: b\r\n c\r\n\td\r\nX-Long : e\r\nno field\r\nFROM: f\r\n\r\n"


def cut(octets: bytes, names: list[bytes], others: bool, chunks: list[int] | None = None) -> bytes:
    fields = Fields(names, others=others)
    out, at = [], 0
    for size in chunks or [len(octets)]:
        out.append(fields.feed(octets[at : at + size]))
        at += size
    return b"".join([*out, fields.feed(octets[at:]), fields.finish()])


def naive(octets: bytes, names: list[bytes], others: bool) -> bytes:
    kept, keeping = b"", others
    for line in re.findall(rb"[^\n]*\n|[^\n]+$", octets):
        if line[:1] not in (b" ", b"\t"):
            name, colon, _ = line.partition(b":")
            named = bool(colon) and name.rstrip(b" \t").lower() in {n.lower() for n in names}
            keeping = line in (b"\n", b"\r\n") or named != others
        kept += line if keeping else b""
    return kept


def test_fields_asked_for_and_the_others() -> None:
    assert cut(HEADER, [b"from"], False) == b"From: a\r\nFROM: f\r\n\r\n"
    assert cut(HEADER, [b"TO", b"x-long"], False) == b"To: b\r\n c\r\n\td\r\nX-Long : e\r\n\r\n"
    assert cut(HEADER, [b"to", b"from"], True) == b"X-Long : e\r\nno field\r\n\r\n"
    assert cut(HEADER, [b"none"], False) == b"\r\n"  # the blank line stays, RFC 9051 §6.4.5.1


LINES = st.lists(
    st.sampled_from([b"From: a\r\n", b"To: b\n", b" fold\r\n", b"\t\r\n", b"junk\r\n", b"from : c\r\n", b"\r\n", b"\n", b"X:\r", b"To"]),
    max_size=12,
)


@given(LINES, st.sets(st.sampled_from([b"From", b"TO", b"X"]), min_size=1), st.booleans(), st.lists(st.integers(1, 9), max_size=30))
def test_chunks_do_not_matter(lines: list[bytes], names: set[bytes], others: bool, chunks: list[int]) -> None:
    octets = b"".join(lines)
    assert cut(octets, list(names), others, chunks) == naive(octets, list(names), others)


def test_a_header_that_is_one_line_costs_little() -> None:
    started = time.process_time()
    fields, kept = Fields([b"x"]), 0
    for _ in range(1000):
        kept += len(fields.feed(b"a" * 65536))
    assert kept == 0 and fields.finish() == b""
    fields = Fields([b"from"], others=True)
    for _ in range(100):
        fields.feed(b"b\n" * 10_000)
    assert time.process_time() - started < 5
