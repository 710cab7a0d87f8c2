"""Every block comes out as it went in, and base64 is worth what it costs."""

import base64
import hashlib
import os

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from appliance.store.blocks import BLOCK_OCTETS, RUN_LINES, pack, pack_many, split_many, unpack
from appliance.store.dictionary import WORDS


def base64_lines(octets: int, line: int = 76) -> bytes:
    text = base64.b64encode(os.urandom(octets))
    return b"".join(text[at : at + line] + b"\r\n" for at in range(0, len(text), line))


run = st.builds(base64_lines, st.integers(0, 4000), st.sampled_from((40, 60, 64, 72, 76, 77, 80, 988)))
octets = st.lists(
    st.one_of(st.binary(max_size=200), run, st.sampled_from((b"\r\n\r\n", b"\r\n", b"\n", b"--boundary\r\n", b"AAAA" * 19 + b"\r\n"))),
    max_size=12,
).map(b"".join)


@settings(max_examples=300)
@given(octets, st.booleans())
@example(b"", True)
@example(b"\r\n\r\n" + base64_lines(628, 40) + b"\r\n\r\n" + base64_lines(628, 40), False)  # full last lines with padding
@example(b"\r\n", True)
@example(b"\r\n" * 100, False)
@example(b"\r\n\r\n" + (b"QUJD" * 19 + b"\r\n") * 40, True)
@example(b"\r\n\r\n" + (b"QUJD" * 18 + b"QUI=" + b"\r\n") * 40, True)  # padding inside
@example(b"\r\n\r\n" + (b"QUJD" * 18 + b"QU\r\n" + b"\r\n") * 40, True)
@example(b"\r\n\r\n" + (b"QUJD" * 19 + b"\r ") * 40, True)
@example(b"\r\n\r\n" + (b"----" * 19 + b"\r\n") * 40, True)
def test_a_block_comes_out_as_it_went_in(raw: bytes, first: bool) -> None:
    assert unpack(pack(raw, first=first)) == raw


def test_base64_is_kept_decoded_in_every_block_of_a_message() -> None:
    message = b"Subject: a photo\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64_lines(300_000)
    stored = 0
    for at in range(0, len(message), BLOCK_OCTETS):
        raw = message[at : at + BLOCK_OCTETS]
        block = pack(raw, first=at == 0)
        assert unpack(block) == raw
        stored += len(block)
    assert stored < 0.745 * len(message)


def test_text_in_base64_is_decoded_and_squeezed() -> None:
    raw = b"\r\n\r\n" + base64.encodebytes(b"the same words again and again " * 200).replace(b"\n", b"\r\n")
    assert len(pack(raw, first=False)) < len(raw) / 20


def test_a_few_lines_stay_text() -> None:
    raw = b"\r\n\r\n" + base64_lines(57 * (RUN_LINES - 1))
    assert pack(raw, first=False)[0] != 3


def test_hostile_blocks_cost_no_more_than_plain_ones() -> None:
    import time

    plain = os.urandom(BLOCK_OCTETS)
    started = time.process_time()
    pack(plain, first=True)
    honest = time.process_time() - started
    for pattern in (b"\r\n\r\n", b"\r\n\r\n" + b"A" * 76, b"A", b"\r", b"A" * 76 + b"\r\n\r\n"):
        evil = (pattern * BLOCK_OCTETS)[:BLOCK_OCTETS]
        started = time.process_time()
        pack(evil, first=True)
        assert time.process_time() - started < 20 * honest + 0.05


@given(st.binary(max_size=300))
def test_damage_raises_value_error(damaged: bytes) -> None:
    for data in (damaged, b"\x03" + damaged, b"\x02" + damaged, b"\x04" + damaged):
        try:
            unpack(data)
            split_many(data)
        except ValueError:
            continue


def test_a_cut_block_raises_value_error() -> None:
    block = pack(b"\r\n\r\n" + base64_lines(30_000) + b"text " * 300, first=True)
    for at in (1, 2, 5, 12, 14, 40):
        with pytest.raises(ValueError):
            unpack(block[:at])


def test_many_blocks_in_a_row() -> None:
    blocks = [pack(b"a" * BLOCK_OCTETS, first=True), pack(b"b", first=False)]
    assert split_many(pack_many(blocks)) == blocks
    assert split_many(blocks[0]) is None


def test_the_dictionary_is_part_of_the_stored_form() -> None:
    assert hashlib.blake2b(WORDS, digest_size=8).hexdigest() == "c1df34120ee9d932", "add a new form octet instead of changing WORDS"
