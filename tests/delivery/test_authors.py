"""From and Sender scanned while a message streams in: all of them, however it is cut, in bounded memory."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.delivery.authors import ADDRESSES, FIELD_OCTETS, Authors


def read(*chunks: bytes) -> Authors:
    authors = Authors()
    for chunk in chunks:
        authors.feed(chunk)
    authors.end()
    return authors


def addresses(*chunks: bytes) -> list[str]:
    return [str(address) for address in read(*chunks).addresses]


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (b"From: a@b.example\r\n\r\n", ["a@b.example"]),
        (b"fRoM : Al <A@B.Example>, c@d.example\r\nSENDER: e@f.example\r\n\r\n", ["A@b.example", "c@d.example", "e@f.example"]),
        (b"From:\r\n a@b.example\r\nFrom: (x)c@d.example\r\n\r\nFrom: body@g.example\r\n", ["a@b.example", "c@d.example"]),
        (b"X-From: a@b.example\r\nTo: c@d.example\r\n\r\n", []),
        (b"X: y\r\n From: a@b.example\r\n\r\n", []),
        (b"From: friends: a@b.example, c@d.example;\r\n\r\n", ["a@b.example", "c@d.example"]),
        (b"From: a@xn--bcher-kva.example\r\n", ["a@bücher.example"]),
        (b"\r\nFrom: a@b.example\r\n", []),
        (b"", []),
    ],
)
def test_fields(header: bytes, found: list[str]) -> None:
    assert addresses(header) == found
    assert addresses(*[bytes([octet]) for octet in header]) == found
    assert not read(header).unreadable


@pytest.mark.parametrize("value", [b"alice", b"<a@b.example", b"a@b..example", b"\xff@b.example", b"a@b.example c@d.example <"])
def test_what_cannot_be_read(value: bytes) -> None:
    assert read(b"From: " + value + b"\r\n\r\n").unreadable


def test_after_a_long_header() -> None:
    header = b"X: y\r\n" * 20_000 + b"From: a@b.example\r\n" + b"X: y\r\n" * 20_000 + b"Sender: c@d.example\r\n\r\n"
    for octets in (10, 1000, 65536, 2**20):
        chunks = [header[at : at + octets] for at in range(0, len(header), octets)]
        assert addresses(*chunks) == ["a@b.example", "c@d.example"]


def test_a_header_of_from_fields() -> None:
    """CVE-2024-23184 and its like: many addresses cost little and are not kept."""
    for header in (b"From: a@b.example\r\n" * 100_000, b"From: " + b"a@b.example, " * 100_000 + b"\r\n"):
        authors = read(*[header[at : at + 65536] for at in range(0, len(header), 65536)], b"\r\n")
        assert authors.unreadable
        assert len(authors.addresses) <= 2 * ADDRESSES + 1 and len(authors.texts) <= ADDRESSES + 1


def test_small_chunks_cost_no_more_than_large_ones() -> None:
    header = b"X: " + b"y" * 70 + b"\r\n"
    authors = Authors()
    started = time.process_time()
    for _ in range(3000):
        for octet in header:
            authors.feed(bytes((octet,)))
    assert time.process_time() - started < 5, "225,000 octets one by one; quadratic work would take a minute"


def test_an_endless_field_is_not_kept() -> None:
    authors = Authors()
    authors.feed(b"From: a@b.example,")
    for _ in range(50):
        authors.feed(b" " * 4096)
        assert len(authors._pending) <= 2 * FIELD_OCTETS
    authors.feed(b"mary@example.org\r\nSender: c@d.example\r\n\r\n")
    assert authors.unreadable
    assert "c@d.example" in [str(address) for address in authors.addresses]


def test_a_header_that_ends_after_an_endless_field() -> None:
    field = b"X: " + b"y" * 2 * FIELD_OCTETS + b"\r\n"
    for cut in range(len(field) - 3, len(field) + 1):
        assert addresses(field[:cut], field[cut:] + b"\r", b"\nFrom: body@b.example\r\n") == []
        assert addresses(field[:cut], field[cut:], b"From: a@b.example\r\n\r\n") == ["a@b.example"]


@given(st.binary(max_size=300), st.integers(0, 300))
def test_any_octets_however_cut(octets: bytes, place: int) -> None:
    header = b"From: " + octets
    whole, halves = read(header), read(header[:place], header[place:])
    assert (whole.addresses, whole.unreadable, whole.texts) == (halves.addresses, halves.unreadable, halves.texts)


@pytest.mark.parametrize(
    ("header", "been_at"),
    [
        (b"Delivered-To: A@b.example\r\ndelivered-to:\r\n c@d.example \r\nFrom: e@f.example\r\n\r\n", {b"a@b.example", b"c@d.example"}),
        (b"X-Delivered-To: a@b.example\r\n\r\nDelivered-To: c@d.example\r\n", set()),
        (b"Delivered-To: " + b"x" * 3 * FIELD_OCTETS + b"\r\nDelivered-To: a@b.example\r\n\r\n", {b"a@b.example"}),
    ],
)
def test_delivered_to(header: bytes, been_at: set[bytes]) -> None:
    """It ends forwarding loops; it says nothing about the author."""
    for chunks in ([header], [header[at : at + 7] for at in range(0, len(header), 7)]):
        authors = read(*chunks)
        assert {one for one in authors.been_at if b"@" in one} == been_at
        assert not authors.unreadable and len(authors.addresses) <= 1


def test_many_deliveries_are_bounded() -> None:
    assert len(read(b"".join(b"Delivered-To: a%d@b.example\r\n" % n for n in range(9 * ADDRESSES))).been_at) == ADDRESSES
