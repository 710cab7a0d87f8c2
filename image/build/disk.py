"""The disk image: FAT file systems by mtools, the table by sfdisk, put together without loop devices.

The image ends with the last cluster in use: free clusters hold nothing, so neither they nor what follows is written to the card.
"""

import array
import os
import shutil
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from . import layout
from .tools import Tools

BLOCK_OCTETS = 4096
LEVEL = 12
"""Of zstd: the root is compressed already, kernel and firmware gain little above it."""
COPY_OCTETS = 4 * layout.MIB
TABLE_OCTETS = layout.MIB
"""What is written of the gap before p1: the table, and zeros over the GPT an old card may have there."""


@dataclass(frozen=True, slots=True)
class Fat:
    """What a FAT file system's first sector and allocation table say (Microsoft FAT specification §3, §4)."""

    data_start: int
    cluster_octets: int
    last_cluster: int

    @property
    def used_octets(self) -> int:
        """Octets from the start of the file system to the end of the last cluster in use."""
        return self.data_start + (self.last_cluster - 1) * self.cluster_octets


def read_fat(path: Path) -> Fat:
    """Read a FAT16 or FAT32 file system; ValueError where it is none."""
    with path.open("rb") as file:
        sector = file.read(512)
        per_sector, per_cluster, reserved, copies, root_entries = struct.unpack_from("<HBHBH", sector, 11)
        short, long = struct.unpack_from("<H", sector, 22)[0], struct.unpack_from("<I", sector, 36)[0]
        if sector[510:512] != b"\x55\xaa" or not per_sector or not per_cluster:
            raise ValueError(f"{path.name} holds no FAT file system")
        table_sectors = short or long
        file.seek(reserved * per_sector)
        table = array.array("H" if short else "I")
        table.frombytes(file.read(table_sectors * per_sector))
    if sys.byteorder == "big":
        table.byteswap()
    last = max((number for number in range(2, len(table)) if table[number]), default=1)
    start = (reserved + copies * table_sectors) * per_sector + root_entries * 32
    return Fat(start, per_sector * per_cluster, last)


def make_fat(tools: Tools, work: Path, name: str, part: layout.Partition, epoch: int) -> Path:
    """A file system of the tree /build/NAME, as /build/NAME.fat. The same tree gives the same octets."""
    image = work / f"{name}.fat"
    image.unlink(missing_ok=True)
    with image.open("wb") as file:
        file.truncate(part.size_octets)
    bits = "16" if part.type == layout.FAT16_TYPE else "32"
    serial = f"{(layout.DISK_ID + part.number) & 0xFFFFFFFF:08x}"
    tools.run(
        "mkfs.vfat",
        "--invariant",
        "-F",
        bits,
        "-i",
        serial,
        "-n",
        part.label,
        "-h",
        str(part.start_octets // layout.SECTOR_OCTETS),
        f"/build/{name}.fat",
    )
    tree = work / name
    for path in (tree, *tree.rglob("*")):
        os.utime(path, (epoch, epoch))
    entries = sorted(path.name for path in tree.iterdir())
    tools.run(
        "mcopy",
        "-s",
        "-m",
        "-Q",
        "-i",
        f"/build/{name}.fat",
        *[f"/build/{name}/{entry}" for entry in entries],
        "::/",
        env={"MTOOLS_SKIP_CHECK": "1"},
    )
    return image


def assemble(tools: Tools, work: Path, boot: Path, slot: Path) -> tuple[Path, list[tuple[int, int]]]:
    """/build/disk.img from its parts: its path, and the ranges of octets (start, end) that have to be written to a card."""
    disk = work / "disk.img"
    disk.unlink(missing_ok=True)
    with disk.open("wb") as file:
        file.truncate(layout.SLOT_B.start_octets + layout.SLOT_B.size_octets)
    tools.run("sfdisk", "--quiet", "/build/disk.img", text=layout.partition_table())
    written = [(0, TABLE_OCTETS)]
    for part, file_system in ((layout.BOOT, boot), (layout.SLOT_A, slot)):
        used = -(-read_fat(file_system).used_octets // BLOCK_OCTETS) * BLOCK_OCTETS
        with disk.open("r+b") as file, file_system.open("rb") as source:
            file.seek(part.start_octets)
            _copy(source, file, used)
        written.append((part.start_octets, part.start_octets + used))
    os.truncate(disk, written[-1][1])
    return disk, written


def _copy(source: BinaryIO, target: BinaryIO, octets: int) -> None:
    """Copy `octets`, leaving holes where whole blocks are zero."""
    while octets:
        block = source.read(min(COPY_OCTETS, octets))
        octets -= len(block)
        if block.count(0) == len(block):
            target.seek(len(block), os.SEEK_CUR)
        else:
            target.write(block)


def compress(tools: Tools, work: Path, to: Path) -> None:
    """disk.img as .zst. The number of threads does not change the octets."""
    tools.run("zstd", "-q", f"-{LEVEL}", "-T0", "--no-progress", "-f", "/build/disk.img", "-o", "/build/disk.img.zst")
    shutil.move(work / "disk.img.zst", to)
