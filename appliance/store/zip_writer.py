"""ZIP archives, written as a stream in constant memory (PKWARE APPNOTE 6.3.10).

Nothing is known of an entry before its octets are: sizes and checksum come behind them (data descriptor, §4.3.9), and the directory
of all entries comes last. Until then it waits, compressed, in `waiting`, a file-like store that its maker bounds: some 20 octets for each
entry. Entries that may pass 4 GiB say so before they begin (ZIP64, §4.5.3); offsets and counts pass 4 GiB and 65,535 by themselves.

| between       | allowed                                   |
|---------------|-------------------------------------------|
| entries       | `begin`, `folder`, `close` (once, at last)|
| begin and end | `write`, any number of times              |
"""

import struct
import time
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

LEVEL = 1
"""Of deflate: text gets half as long at a third of the CPU time of level 6."""
STORED, DEFLATED = 0, 8
ZIP64, PLAIN = 45, 20
"""Versions needed to extract (§4.4.3)."""
STREAMED, UTF8 = 0x0008, 0x0800
"""Flags (§4.4.4)."""
LIMIT_32, LIMIT_16 = 0xFFFFFFFF, 0xFFFF
TIMES = (315_532_800, 4_354_819_198)
"""What MS-DOS can say: 1980 to 2107."""
READ_OCTETS = 64 * 2**10


class ZipWriter:
    """One archive. `put` takes its octets; `waiting` keeps the directory until the end and is read once."""

    def __init__(self, put: Callable[[bytes], object], waiting: BinaryIO) -> None:
        self._put_out = put
        self._waiting = waiting
        self._directory = zlib.compressobj(6)
        self._entries = 0
        self._at = 0
        """Octets of the archive so far."""

    def begin(self, name: str, at: int, *, large: bool = False) -> None:
        """A new entry. `name` has "/" between levels; `at` in UTC seconds; `large`: it may pass 4 GiB."""
        self._name, self._modified_at, self._large = name.encode(), at, large
        self._offset, self._octets, self._crc = self._at, 0, 0
        self._packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        sizes = (LIMIT_32, LIMIT_32) if large else (0, 0)
        extra = (struct.pack("<HHQQ", 1, 16, 0, 0) if large else b"") + _timestamp(at)
        version = ZIP64 if large else PLAIN
        fixed = (0x04034B50, version, STREAMED | UTF8, DEFLATED, *_dos(at), 0, *sizes, len(self._name), len(extra))
        self._put(struct.pack("<IHHHHHIIIHH", *fixed) + self._name + extra)
        self._packed_from = self._at

    def write(self, octets: bytes) -> None:
        self._octets += len(octets)
        self._crc = zlib.crc32(octets, self._crc)
        self._put(self._packer.compress(octets))

    def end(self) -> None:
        self._put(self._packer.flush())
        packed = self._at - self._packed_from
        self._put(struct.pack("<IIQQ" if self._large else "<IIII", 0x08074B50, self._crc, packed, self._octets))
        self._list(self._name, self._modified_at, STREAMED | UTF8, DEFLATED, (self._crc, packed, self._octets), self._offset)

    def folder(self, name: str, at: int) -> None:
        """An empty folder; `name` ends in "/"."""
        octets, extra, offset = name.encode(), _timestamp(at), self._at
        fixed = (0x04034B50, PLAIN, UTF8, STORED, *_dos(at), 0, 0, 0, len(octets), len(extra))
        self._put(struct.pack("<IHHHHHIIIHH", *fixed) + octets + extra)
        self._list(octets, at, UTF8, STORED, (0, 0, 0), offset)

    def close(self) -> Iterator[None]:
        """The directory and its end; each step puts some octets."""
        self._waiting.write(self._directory.flush())
        self._waiting.seek(0)
        start, unpacker = self._at, zlib.decompressobj()
        while octets := self._waiting.read(READ_OCTETS):
            self._put(unpacker.decompress(octets))
            yield
        self._put(_end(self._entries, self._at - start, start))

    def _put(self, octets: bytes) -> None:
        if octets:
            self._at += len(octets)
            self._put_out(octets)

    def _list(self, name: bytes, at: int, flags: int, method: int, sums: tuple[int, int, int], offset: int) -> None:
        """An entry of the directory (§4.3.12). `sums`: checksum, octets packed, octets."""
        crc, packed, octets = sums
        wide = b"".join(struct.pack("<Q", one) for one in (octets, packed, offset) if one >= LIMIT_32)
        extra = (struct.pack("<HH", 1, len(wide)) + wide if wide else b"") + _timestamp(at)
        version, mode = ZIP64 if wide else PLAIN, 0o40700 if name.endswith(b"/") else 0o100600
        sizes = (min(packed, LIMIT_32), min(octets, LIMIT_32), len(name), len(extra), 0, 0, 0, mode << 16, min(offset, LIMIT_32))
        fixed = (0x02014B50, 3 << 8 | ZIP64, version, flags, method, *_dos(at), crc, *sizes)
        self._waiting.write(self._directory.compress(struct.pack("<IHHHHHHIIIHHHHHII", *fixed) + name + extra))
        self._entries += 1


def _dos(at: int) -> tuple[int, int]:
    """Time and date of MS-DOS, in UTC."""
    then = time.gmtime(min(max(at, TIMES[0]), TIMES[1]))
    return (
        then.tm_hour << 11 | then.tm_min << 5 | then.tm_sec // 2,
        (then.tm_year - 1980) << 9 | then.tm_mon << 5 | then.tm_mday,
    )


def _timestamp(at: int) -> bytes:
    """The extra field of Info-ZIP with the modification time in UTC seconds."""
    return struct.pack("<HHBi", 0x5455, 5, 1, at) if 0 <= at < 2**31 else b""


def _end(entries: int, octets: int, start: int) -> bytes:
    """The end of the directory (§4.3.16), with that of ZIP64 before it where the numbers need it (§4.3.14)."""
    wide = b""
    if entries >= LIMIT_16 or octets >= LIMIT_32 or start >= LIMIT_32:
        wide = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 3 << 8 | ZIP64, ZIP64, 0, 0, entries, entries, octets, start)
        wide += struct.pack("<IIQI", 0x07064B50, 0, start + octets, 1)
    short = min(entries, LIMIT_16)
    return wide + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, short, short, min(octets, LIMIT_32), min(start, LIMIT_32), 0)
