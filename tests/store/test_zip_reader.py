"""ZIP archives that lie: nothing more comes out of an entry than it says, and nothing that its checksum does not vouch for."""

import io
import struct
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from appliance.store.zip_reader import ZipArchive, ZipFault


def packed(*entries: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytearray:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, octets in entries:
            archive.writestr(zipfile.ZipInfo(name, (2001, 9, 9, 1, 46, 40)), octets, method)
    return bytearray(out.getvalue())


def read(octets: bytes) -> dict[str, bytes]:
    archive = ZipArchive(BytesIO(bytes(octets)))
    return {entry.name: b"".join(archive.chunks(entry)) for entry in archive.walk()}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_what_others_packed_is_read(method: int) -> None:
    entries = {"a/ü.txt": b"one" * 100_000, "b": b""}
    archive = ZipArchive(BytesIO(bytes(packed(*entries.items(), method=method))))
    found = list(archive.walk())
    assert {one.name: b"".join(archive.chunks(one)) for one in found} == entries
    assert archive.entries == 2 and found[0].modified_at == 1_000_000_000
    assert [one.name for one in archive.walk(found[0].after)] == ["b"]


def test_zip64_sizes_are_read() -> None:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive, archive.open("large", "w", force_zip64=True) as entry:
        entry.write(b"x" * 10)
    assert read(out.getvalue()) == {"large": b"x" * 10}


def test_a_wrong_checksum_is_told_at_the_end() -> None:
    octets = packed(("a", b"hello hello hello"), method=zipfile.ZIP_STORED)
    octets[octets.index(b"hello")] ^= 1
    with pytest.raises(ZipFault, match="checksum"):
        read(octets)


def test_a_bomb_is_cut_off_where_the_directory_says() -> None:
    octets = packed(("bomb", bytes(3_000_000)))
    at = octets.index(b"PK\x01\x02") + 24
    octets[at : at + 4] = struct.pack("<I", 1000)
    archive = ZipArchive(BytesIO(bytes(octets)))
    came = 0
    with pytest.raises(ZipFault, match="larger"):
        for chunk in archive.chunks(next(archive.walk())):
            came += len(chunk)
    assert came <= 1000


@pytest.mark.parametrize("length", [0, 10, 60, 200])
def test_what_is_cut_off_is_no_archive(length: int) -> None:
    with pytest.raises(ZipFault):
        read(packed(("a", b"x" * 300), method=zipfile.ZIP_STORED)[:length])


def test_every_damaged_octet_is_a_fault_or_harmless() -> None:
    whole = packed(("a", b"hello" * 20), ("cur/b:2,S", b"more"))
    for at in range(len(whole)):
        for value in (0, 0xFF, whole[at] ^ 0x40):
            octets = bytearray(whole)
            octets[at] = value
            try:
                read(octets)
            except ZipFault:
                continue


def test_encrypted_and_unknown_entries_are_refused() -> None:
    octets = packed(("a", b"x"))
    for place, value in ((8, 1), (10, 12)):
        changed = bytearray(octets)
        changed[changed.index(b"PK\x01\x02") + place] |= value
        with pytest.raises(ZipFault, match=r"encrypted|compression"):
            read(changed)


def test_many_entries_take_no_memory(tmp_path: Path) -> None:
    import tracemalloc

    record = struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    directory = record * 10_000
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 10_000, 10_000, len(directory), 0, 0)
    (tmp_path / "many.zip").write_bytes(directory + end)
    with (tmp_path / "many.zip").open("rb") as file:
        tracemalloc.start()
        assert sum(1 for _ in ZipArchive(file).walk()) == 10_000
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 1_500_000


def test_entries_that_share_octets_are_a_fault() -> None:
    """A bomb whose directory names the same octets many times unpacks to more than any ratio of a single one."""
    octets = packed(("a", b"x" * 100_000))
    start = octets.index(b"PK\x01\x02")
    record, end = octets[start : octets.index(b"PK\x05\x06")], bytearray(octets[octets.index(b"PK\x05\x06") :])
    struct.pack_into("<HHI", end, 8, 50, 50, 50 * len(record))
    archive = ZipArchive(io.BytesIO(octets[:start] + 50 * record + end))
    with pytest.raises(ZipFault, match="overlap"):
        list(archive.walk())
