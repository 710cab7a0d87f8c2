"""outbound/message_edits: edits by octet range give the same octets whatever the chunks, and everything else passes unchanged."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.body_encoders import Base64Encoder, QuotedPrintableEncoder
from appliance.outbound.message_edits import Edit, EditList, apply_edits

from .test_conversion import chunks_of

HEAD, BODY, MORE = b"A: b\r\nC: d\r\n\r\n", b"Gr\xc3\xbc\xc3\x9fe\r\n" * 30, b"--x--\r\n"
MESSAGE = HEAD + BODY + MORE


async def edited(message: bytes, edit_list: EditList, size: int) -> bytes:
    async with apply_edits(chunks_of(message, size), edit_list)() as octets:
        return b"".join([chunk async for chunk in octets])


@pytest.mark.parametrize("size", [1, 2, 13, 14, 15, 64, 10_000])
async def test_a_header_comes_whole_and_a_body_through_its_encoder(size: int) -> None:
    whole: list[bytes] = []

    def header(block: bytes) -> bytes:
        whole.append(block)
        return b"H: 1\r\n" + block

    edits = [Edit(0, len(HEAD), header=header), Edit(len(HEAD), len(HEAD) + len(BODY), encoder=QuotedPrintableEncoder)]
    assert await edited(MESSAGE, EditList(False, edits), size) == b"H: 1\r\n" + HEAD + b"Gr=C3=BC=C3=9Fe\r\n" * 30 + MORE
    assert whole == [HEAD]


@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_between_parts_octets_that_must_not_be_sent_are_removed(size: int) -> None:
    message = b"pre\xffamble\0\r\n--x\r\n" + BODY + b"\r\n--x--\r\nepi\nlogue\r"
    start = message.index(BODY)
    edit_list = EditList(True, [Edit(start, start + len(BODY), encoder=QuotedPrintableEncoder)])
    assert await edited(message, edit_list, size) == b"preamble\r\n--x\r\n" + b"Gr=C3=BC=C3=9Fe\r\n" * 30 + b"\r\n--x--\r\nepilogue"
    kept = await edited(message, EditList(False, []), size)
    assert kept == message, "without edits and with nothing between, no octet changes"


@pytest.mark.parametrize("size", [1, 5, 10_000])
async def test_a_part_without_a_header_gets_one(size: int) -> None:
    """A body part may begin with its blank line (RFC 2046 §5.1): the range of its header is empty."""
    message = b"--x\r\n\r\ntext\r\n"
    edit_list = EditList(False, [Edit(5, 5, header=lambda block: b"New: field\r\n" + block)])
    assert await edited(message, edit_list, size) == b"--x\r\nNew: field\r\n\r\ntext\r\n"


async def test_a_message_that_ends_early_loses_nothing_that_was_held() -> None:
    edit_list = EditList(False, [Edit(0, 100, header=bytes.upper)])
    assert await edited(b"a: b\r\n", edit_list, 3) == b"A: B\r\n"
    assert await edited(b"abcd", EditList(False, [Edit(1, 100, encoder=Base64Encoder)]), 2) == b"aYmNk\r\n"


@given(st.binary(min_size=1, max_size=400), st.integers(0, 2**32), st.integers(1, 50))
def test_the_chunks_never_matter(message: bytes, seed: int, size: int) -> None:
    import trio

    chance = random.Random(seed)
    marks = sorted(chance.randint(0, len(message)) for _ in range(4))
    edits = [
        Edit(marks[0], marks[1], header=lambda block: b"<" + block + b">"),
        Edit(marks[1], marks[2], encoder=Base64Encoder),
        Edit(marks[2], marks[3]),
    ]

    async def both() -> tuple[bytes, bytes]:
        return await edited(message, EditList(False, edits), size), await edited(message, EditList(False, edits), 1000)

    one, other = trio.run(both)
    assert one == other
    assert one.startswith(message[: marks[0]]) and one.endswith(message[marks[2] :])
