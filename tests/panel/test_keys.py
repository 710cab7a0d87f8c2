"""Octets to keys: every key of a keyboard, split anywhere; noise never raises, memory is bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.panel.keys import LONGEST, NOISE, Keys

ROWS = [
    (b"a", ["a"]),
    (b"19?", ["1", "9", "?"]),
    (b"\r", ["enter"]),
    (b"\n", ["enter"]),
    (b"\r\n", ["enter"]),
    (b"\r\n\n", ["enter", "enter"]),
    (b"\x7f\x08", ["backspace", "backspace"]),
    (b"\x03\x04\x0c\x15\t", ["ctrl-c", "ctrl-d", "ctrl-l", "ctrl-u", "tab"]),
    (b"\x1b[A\x1b[B\x1b[C\x1b[D", ["up", "down", "right", "left"]),
    (b"\x1bOA\x1bOB", ["up", "down"]),
    (b"\x1b[H\x1b[F\x1b[1~\x1b[4~", ["home", "end", "home", "end"]),
    (b"\x1b[5~\x1b[6~\x1b[3~", ["page up", "page down", "backspace"]),
    (b"\x1b[1;5A", ["up"]),
    (b"\x1bOp\x1bOy\x1bOM", ["0", "9", "enter"]),
    (b"\x1b\x1b[A", ["esc", "up"]),
    (b"\x1b[[Aq", [NOISE, "q"]),
    (b"\x1bxq", ["esc", "x", "q"]),
    (b"\x1b\rq", ["esc", "enter", "q"]),
    (b"\x1b[12\rq", ["enter", "q"]),
    (b"\x1b[" + b"9" * 40 + b"Aq", [NOISE, "q"]),
    ("é€😀".encode(), ["é", "€", "😀"]),
    (b"\xff\xfe\xffq", [NOISE, "q"]),
    (b"\xe2\x82q", ["q"]),
    (b"\x00", [NOISE]),
    (b"\xc2\x9b1A", [NOISE, "1", "A"]),
    (b"\x11\x13", [NOISE]),
]


@pytest.mark.parametrize(("octets", "keys"), ROWS, ids=lambda value: repr(value)[:30])
def test_each_key(octets: bytes, keys: list[str]) -> None:
    assert Keys().feed(octets) == keys


@pytest.mark.parametrize(("octets", "keys"), ROWS, ids=lambda value: repr(value)[:30])
def test_split_anywhere(octets: bytes, keys: list[str]) -> None:
    for at in range(1, len(octets)):
        decoder = Keys()
        assert [key for key in decoder.feed(octets[:at]) + decoder.feed(octets[at:]) if key != NOISE] == [k for k in keys if k != NOISE]


def test_esc_alone_is_known_by_the_pause_after_it() -> None:
    keys = Keys()
    assert keys.feed(b"\x1b") == [] and keys.waiting
    assert keys.idle() == ["esc"] and not keys.waiting
    assert keys.idle() == []
    assert keys.feed(b"\x1b[1") == [] and keys.idle() == [NOISE]
    assert keys.feed(b"A") == ["A"]


@given(st.lists(st.binary(max_size=80), max_size=20))
def test_noise_never_raises_never_grows_and_never_blocks_later_keys(chunks: list[bytes]) -> None:
    keys = Keys()
    for chunk in chunks:
        found = keys.feed(chunk)
        assert found.count(NOISE) <= 1
        assert all(key.isprintable() for key in found)
        assert len(keys._held) <= LONGEST + 1
    keys.idle()
    assert keys.feed(b"\rq")[-1] == "q"
