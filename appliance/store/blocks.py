"""Compressed blocks of up to 64 KiB of a message: a few forms, identified by the leading octet.

    | octet | form   | after it                                                                              |
    |-------|--------|---------------------------------------------------------------------------------------|
    | 0     | raw    | the octets                                                                            |
    | 1     | zlib   | RFC 1950, no dictionary                                                               |
    | 2     | zlib   | RFC 1950 with the dictionary WORDS (the DICTID inside says which)                     |
    | 3     | base64 | count of runs; for each: text octets before it, line octets, lines; octets of the kept|
    |       |        | text; the kept text (a block of form 0 to 2); the kept data (likewise)                |
    | 4     | many   | count of blocks, the length of each, the blocks: a row of more than BLOCK_OCTETS      |

Rule: every block decodes to exactly what was put in; base64 is stored decoded only where encoding it again gave
the same octets. Linear in the block. Decoding something damaged raises ValueError.
"""

import binascii
import struct
import zlib

from .dictionary import WORDS

BLOCK_OCTETS = 64 * 1024
LEVEL = 2
"""On the bench's text of 4 KB, with and without WORDS: level 1 0.522 and 0.555 of the octets, level 2 0.514 and 0.551 for
5 % more CPU (110 us), level 6 0.494 and 0.538 for 80 % more. On 1,700 real small mails WORDS saves 12 %, on the mixed set 1 %."""
SMALL_OCTETS = 8 * 1024
SMALL_DEFLATE = (5, zlib.DEFLATED, 13, 7)
"""Level, method, window and memory for small texts: 100 us and 0.456 of the octets, where LEVEL with the usual window costs 155 us (its
tables are pages fresh from the kernel each time, see `app/process`) and leaves 0.48."""
RUN_LINES = 12
"""Base64 lines below which decoding them is not worth a run."""
RUNS = 32
"""Runs in one block; further ones stay text."""
SAMPLE_OCTETS = 2048
TINY_OCTETS = 256
"""Text beside base64 that is not worth a compressor (65 us to set one up)."""
WORTH = 0.92
"""A sample that does not shrink below this stands for data that is compressed already (photos): kept as it is."""

_RUN = struct.Struct("<IHH")


def pack(raw: bytes, *, first: bool) -> bytes:
    """One block of at most BLOCK_OCTETS; `first` when it begins the message (its header likes the dictionary)."""
    runs = _runs(raw)
    if not runs:
        return _squeeze(raw, first)
    head = bytearray((3, len(runs)))
    texts: list[bytes] = []
    datas: list[bytes] = []
    at = 0
    for start, line, lines, data in runs:
        head += _RUN.pack(start - at, line, lines)
        texts.append(raw[at:start])
        datas.append(data)
        at = start + lines * (line + 2)
    texts.append(raw[at:])
    text, data = _squeeze(b"".join(texts), first), b"".join(datas)
    # a small window costs 30 us where the usual one costs 100
    deflate = zlib.compressobj(1, zlib.DEFLATED, 12, 5)
    sample = deflate.compress(data[:SAMPLE_OCTETS]) + deflate.flush()
    shrinks = len(sample) < WORTH * min(len(data), SAMPLE_OCTETS)
    head += struct.pack("<I", len(text))
    return b"".join((head, text, _squeeze(data, False) if shrinks else b"\x00" + data))


def unpack(block: bytes) -> bytes:
    """The octets `pack` was given. Raises ValueError."""
    form = block[:1]
    try:
        if form == b"\x00":
            return block[1:]
        if form == b"\x01":
            return zlib.decompress(block[1:])
        if form == b"\x02":
            inflate = zlib.decompressobj(zdict=WORDS)
            return inflate.decompress(block[1:]) + inflate.flush()
        if form == b"\x03":
            return _unpack_runs(block)
    except (zlib.error, struct.error, IndexError) as error:
        raise ValueError(f"a damaged block: {error}") from error
    raise ValueError("a block of unknown form")


def _squeeze(raw: bytes, with_words: bool) -> bytes:
    if with_words:
        deflate = zlib.compressobj(*SMALL_DEFLATE, zdict=WORDS) if len(raw) <= SMALL_OCTETS else zlib.compressobj(LEVEL, zdict=WORDS)
        small = deflate.compress(raw) + deflate.flush()
    elif len(raw) < TINY_OCTETS:
        return b"\x00" + raw
    else:
        small = zlib.compress(raw, LEVEL)
    if len(small) < len(raw):
        return (b"\x02" if with_words else b"\x01") + small
    return b"\x00" + raw


def _runs(raw: bytes) -> list[tuple[int, int, int, bytes]]:
    """Base64 runs worth decoding: (start, octets of a line, lines, data), ascending and apart.

    A run begins after an empty line (a part's header ends) or after the block's first line end (a run of the block
    before goes on): few places, each looked at with strided slices instead of line by line.
    """
    found: list[tuple[int, int, int, bytes]] = []
    at = raw.find(b"\r\n") + 2
    tries = 4 * RUNS
    while at > 1 and tries and len(found) < RUNS:
        tries -= 1
        run = _run_at(raw, at)
        if run is not None:
            found.append(run)
            at += run[2] * (run[1] + 2)
        empty = raw.find(b"\r\n\r\n", at - 2)
        at = empty + 4 if empty >= 0 else 0
    return found


def _run_at(raw: bytes, at: int) -> tuple[int, int, int, bytes] | None:
    line = raw.find(b"\r", at, at + 1024) - at
    if line < 40 or line % 4 or b" " in raw[at : at + line]:
        return None
    step = line + 2
    lines = (len(raw) - at) // step
    ends = raw[at + line : at + lines * step : step]
    lines = len(ends) - len(ends.lstrip(b"\r"))
    if lines < RUN_LINES:
        return None
    run = raw[at : at + lines * step]
    text = run.translate(None, b"\r\n")
    if len(text) != lines * line or run[line + 1 :: step] != b"\n" * lines:
        return None
    # now CR LF stand where they must and nowhere else; the rest must come out of encoding again
    if text.endswith(b"="):
        # a full last line with padding stays text: every run's data is a whole number of lines
        text, lines = text[:-line], lines - 1
    try:
        data = binascii.a2b_base64(text)
    except binascii.Error:
        return None
    exact = 4 * len(data) == 3 * len(text) and binascii.b2a_base64(data, newline=False) == text
    return (at, line, lines, data) if exact else None


def _lines(text: bytes, line: int) -> bytes:
    return b"\r\n".join([text[at : at + line] for at in range(0, len(text), line)]) + b"\r\n"


def _unpack_runs(block: bytes) -> bytes:
    count = block[1]
    at = 2 + count * _RUN.size
    (text_octets,) = struct.unpack_from("<I", block, at)
    at += 4
    text = unpack(block[at : at + text_octets])
    data = unpack(block[at + text_octets :])
    parts: list[bytes] = []
    text_at = data_at = 0
    for number in range(count):
        before, line, lines = _RUN.unpack_from(block, 2 + number * _RUN.size)
        parts.append(text[text_at : text_at + before])
        text_at += before
        octets = line * lines // 4 * 3
        parts.append(_lines(binascii.b2a_base64(data[data_at : data_at + octets], newline=False), line))
        data_at += octets
    parts.append(text[text_at:])
    return b"".join(parts)


def pack_many(blocks: list[bytes]) -> bytes:
    """Several blocks in one row."""
    return b"".join((b"\x04", struct.pack(f"<I{len(blocks)}I", len(blocks), *map(len, blocks)), *blocks))


def split_many(data: bytes) -> list[bytes] | None:
    """The blocks of a row that holds several, or None. Raises ValueError."""
    if data[:1] != b"\x04":
        return None
    try:
        (count,) = struct.unpack_from("<I", data, 1)
        lengths = struct.unpack_from(f"<{count}I", data, 5)
    except struct.error as error:
        raise ValueError(f"a damaged row: {error}") from error
    blocks = []
    at = 5 + 4 * count
    for length in lengths:
        blocks.append(data[at : at + length])
        at += length
    return blocks
