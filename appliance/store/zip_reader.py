"""ZIP archives of strangers, read in constant memory and believed in nothing (PKWARE APPNOTE 6.3.10).

The directory at the end is walked entry by entry, so a million entries cost time and no memory. Names are text for whoever asks; no file
is ever made from one. An entry yields as many octets as it says it has, or fails: a bomb that says less is cut off there, and what it says
can be added up before anything is unpacked. Entries that share octets, as in a bomb, are a fault of the directory. Encrypted entries and
methods other than stored and deflated are refused one by one.

Fails with ZipFault (an OSError): no archive, damage, an entry that cannot be read.
"""

import os
import struct
import zlib
from calendar import timegm
from collections.abc import Iterator
from dataclasses import dataclass
from errno import EBADMSG
from typing import BinaryIO

CHUNK_OCTETS = 64 * 2**10
ENTRIES = 2_000_000
"""Most entries of an archive that is taken."""
END, END_64, LOCATOR_64, ENTRY, LOCAL = 0x06054B50, 0x06064B50, 0x07064B50, 0x02014B50, 0x04034B50
END_OCTETS, COMMENT_OCTETS = 22, 65_535
ENTRY_OCTETS, LOCAL_OCTETS = 46, 30
STORED, DEFLATED = 0, 8
ENCRYPTED, UTF8 = 0x0001, 0x0800
LIMIT_32 = 0xFFFFFFFF
WIDE, TIMESTAMP = 0x0001, 0x5455
"""Extra fields: ZIP64 (§4.5.3), Info-ZIP's modification time in UTC."""


class ZipFault(OSError):
    """The archive, or the entry, cannot be read. `strerror` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(EBADMSG, reason)


@dataclass(slots=True)
class ZipEntry:
    """`octets` and `packed` as the directory says. `at`: where it stands in the directory, `after` where the next one does."""

    name: str
    flags: int
    method: int
    crc: int
    packed: int
    octets: int
    offset: int
    modified_at: int
    at: int
    after: int


class ZipArchive:
    """An archive in an opened file, which nobody changes meanwhile. Raises ZipFault."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, os.SEEK_END)
        self.entries, self.start, self._end = self._directory()
        if self.entries > ENTRIES:
            raise ZipFault(f"it has more than {ENTRIES:,} files")

    def _directory(self) -> tuple[int, int, int]:
        """(entries, where the directory begins, where it ends)."""
        tail_at = max(0, self._size - END_OCTETS - COMMENT_OCTETS)
        tail = self._read(tail_at, self._size - tail_at)
        found = tail.rfind(struct.pack("<I", END))
        if found < 0 or len(tail) - found < END_OCTETS:
            raise ZipFault("it is no ZIP archive, or its end is missing")
        _, _, _, _, entries, octets, start, _ = struct.unpack_from("<IHHHHIIH", tail, found)
        end_at = tail_at + found
        if entries == 0xFFFF or LIMIT_32 in (octets, start):
            entries, octets, start = self._directory_64(end_at) or (entries, octets, start)
        if start + octets > end_at:
            raise ZipFault("its directory is damaged")
        return entries, start, start + octets

    def _directory_64(self, end_at: int) -> tuple[int, int, int] | None:
        locator = self._read(max(0, end_at - 20), 20)
        if len(locator) < 20 or locator[:4] != struct.pack("<I", LOCATOR_64):
            return None
        record = self._read(struct.unpack_from("<Q", locator, 8)[0], 56)
        if len(record) < 56 or record[:4] != struct.pack("<I", END_64):
            raise ZipFault("its directory is damaged")
        entries, octets, start = struct.unpack_from("<QQQ", record, 32)
        return entries, octets, start

    def _read(self, at: int, octets: int) -> bytes:
        if at > self._size:
            raise ZipFault("its directory is damaged")
        self._file.seek(at)
        return self._file.read(octets)

    def walk(self, at: int = 0) -> Iterator[ZipEntry]:
        """The entries from `at` on, 0 or where another one ended. The file may be read elsewhere in between."""
        at = at or self.start
        buffer, buffer_at, count, taken = b"", at, 0, 0
        while at < self._end:
            count += 1
            if count > ENTRIES:
                raise ZipFault(f"it has more than {ENTRIES:,} files")
            if at + ENTRY_OCTETS + 3 * 0xFFFF > buffer_at + len(buffer) and buffer_at + len(buffer) < self._end:
                buffer, buffer_at = self._read(at, min(self._end - at, 4 * CHUNK_OCTETS)), at
            entry = _entry(buffer, at - buffer_at, at)
            taken += entry.packed
            if taken > self.start:
                raise ZipFault("its files overlap")
            yield entry
            at = entry.after

    def chunks(self, entry: ZipEntry) -> Iterator[bytes]:
        """The octets of an entry, checked at the end."""
        if entry.flags & ENCRYPTED:
            raise ZipFault("it is encrypted")
        if entry.method not in (STORED, DEFLATED):
            raise ZipFault("its compression is not known here")
        head = self._read(entry.offset, LOCAL_OCTETS)
        if len(head) < LOCAL_OCTETS or head[:4] != struct.pack("<I", LOCAL):
            raise ZipFault("it is not where the directory says")
        at = entry.offset + LOCAL_OCTETS + sum(struct.unpack_from("<HH", head, 26))
        octets, crc = 0, 0
        for chunk in self._unpacked(at, entry):
            octets += len(chunk)
            if octets > entry.octets:
                raise ZipFault("it is larger than the directory says")
            crc = zlib.crc32(chunk, crc)
            yield chunk
        if octets != entry.octets or crc != entry.crc:
            raise ZipFault("its checksum is wrong")

    def _unpacked(self, at: int, entry: ZipEntry) -> Iterator[bytes]:
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS) if entry.method == DEFLATED else None
        end = at + entry.packed
        while at < end:
            packed = self._read(at, min(CHUNK_OCTETS, end - at))
            if not packed:
                raise ZipFault("it is cut off")
            at += len(packed)
            if unpacker is None:
                yield packed
                continue
            try:
                while packed and not unpacker.eof:
                    if chunk := unpacker.decompress(packed, CHUNK_OCTETS):
                        yield chunk
                    packed = unpacker.unconsumed_tail
            except zlib.error:
                raise ZipFault("it is damaged") from None
        if unpacker is not None:
            yield unpacker.flush()


def _entry(buffer: bytes, at: int, place: int) -> ZipEntry:
    """The entry at `at` in a part of the directory; `place` is where that is in the file (§4.3.12)."""
    if len(buffer) - at < ENTRY_OCTETS or buffer[at : at + 4] != struct.pack("<I", ENTRY):
        raise ZipFault("its directory is damaged")
    fields = struct.unpack_from("<IHHHHHHIIIHHHHHII", buffer, at)
    flags, method, clock, day, crc, packed, octets, name_octets, extra_octets, comment_octets = fields[3:13]
    name_at = at + ENTRY_OCTETS
    extra_at = name_at + name_octets
    extra = buffer[extra_at : extra_at + extra_octets]
    if len(buffer) < extra_at + extra_octets:
        raise ZipFault("its directory is damaged")
    octets, packed, offset, modified_at = _extra(extra, octets, packed, fields[16])
    name = _text(buffer[name_at:extra_at], utf8=bool(flags & UTF8))
    after = place + ENTRY_OCTETS + name_octets + extra_octets + comment_octets
    return ZipEntry(name, flags, method, crc, packed, octets, offset, modified_at or _dos(day, clock), place, after)


def _extra(extra: bytes, octets: int, packed: int, offset: int) -> tuple[int, int, int, int]:
    """Sizes and offset where ZIP64 has them, and the time of modification, 0 where none is said."""
    at, modified_at = 0, 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        value = extra[at + 4 : at + 4 + length]
        if kind == WIDE:
            wide = [struct.unpack_from("<Q", value, one)[0] for one in range(0, len(value) - 7, 8)]
            octets, packed, offset = (wide.pop(0) if known == LIMIT_32 and wide else known for known in (octets, packed, offset))
        elif kind == TIMESTAMP and len(value) >= 5 and value[0] & 1:
            modified_at = max(0, struct.unpack_from("<i", value, 1)[0])
        at += 4 + length
    return octets, packed, offset, modified_at


def _text(octets: bytes, *, utf8: bool) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("utf-8", "replace") if utf8 else octets.decode("cp437")


def _dos(day: int, clock: int) -> int:
    """UTC seconds of MS-DOS's date and time, which say no zone; 0 for none that can be."""
    month = day >> 5 & 15
    if not (1 <= month <= 12 and day & 31):
        return 0
    return timegm(((day >> 9) + 1980, month, day & 31, clock >> 11, clock >> 5 & 63, (clock & 31) * 2))
