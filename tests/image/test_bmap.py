"""Block maps: bmaptool itself reads them, and copies exactly what they name."""

import hashlib
import re
import subprocess
from pathlib import Path

import pytest

from image.build.bmap import BLOCK_OCTETS, block_map
from tests.support.needs import program


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(b"a" * BLOCK_OCTETS + b"\0" * 3 * BLOCK_OCTETS + b"b" * 2 * BLOCK_OCTETS + b"c" * 100)
    return path


RANGES = [(0, BLOCK_OCTETS), (4 * BLOCK_OCTETS, 6 * BLOCK_OCTETS + 100)]


def test_counts_and_ranges(image: Path) -> None:
    text = block_map(image, RANGES)
    assert re.findall(r"<(\w+)> (\d+) </", text) == [
        ("ImageSize", str(6 * BLOCK_OCTETS + 100)),
        ("BlockSize", "4096"),
        ("BlocksCount", "7"),
        ("MappedBlocksCount", "4"),
    ]
    assert re.findall(r'chksum="\w{64}"> (\S+) <', text) == ["0", "4-6"]


def test_checksums_are_those_of_the_blocks(image: Path) -> None:
    text = block_map(image, RANGES)
    octets = image.read_bytes()
    assert hashlib.sha256(octets[: 1 * BLOCK_OCTETS]).hexdigest() in text
    assert hashlib.sha256(octets[4 * BLOCK_OCTETS :]).hexdigest() in text


def test_own_checksum_is_over_the_text_with_zeros_in_its_place(image: Path) -> None:
    text = block_map(image, RANGES)
    stated = re.search(r"<BmapFileChecksum> (\w{64}) <", text)
    assert stated
    assert hashlib.sha256(text.replace(stated[1], "0" * 64).encode()).hexdigest() == stated[1]


def test_bmaptool_copies_by_it(image: Path, tmp_path: Path) -> None:
    tool = program("bmaptool", "bmap-tools")
    (tmp_path / "disk.bmap").write_text(block_map(image, RANGES))
    target = tmp_path / "card"
    target.write_bytes(b"x" * 8 * BLOCK_OCTETS)
    subprocess.run([tool, "copy", "--bmap", tmp_path / "disk.bmap", image, target], check=True, capture_output=True)
    written = target.read_bytes()
    assert written[:BLOCK_OCTETS] == b"a" * BLOCK_OCTETS
    assert written[4 * BLOCK_OCTETS : 6 * BLOCK_OCTETS] == b"b" * 2 * BLOCK_OCTETS
