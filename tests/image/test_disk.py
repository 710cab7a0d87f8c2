"""The FAT file systems: what is in use is read from the allocation table, and the same tree gives the same octets."""

import os
import subprocess
from pathlib import Path

import pytest

from image.build.disk import read_fat
from tests.support.needs import program


def fat(path: Path, bits: int, mib: int, content: bytes) -> Path:
    """A file system with one file."""
    path.touch()
    os.truncate(path, mib << 20)
    subprocess.run([program("mkfs.vfat", "dosfstools"), "-F", str(bits), path], check=True, capture_output=True)
    (path.parent / "content").write_bytes(content)
    subprocess.run([program("mcopy", "mtools"), "-i", path, path.parent / "content", "::file"], check=True)
    return path


@pytest.mark.parametrize(("bits", "mib"), [(16, 32), (32, 512)])
def test_everything_in_use_lies_before_the_end(tmp_path: Path, bits: int, mib: int) -> None:
    """A file system cut off there still has its file, octet for octet; one cluster less has not."""
    content = b"content" * 100_000 + b"\0" * 5000
    path = fat(tmp_path / "fat", bits, mib, content)
    used = read_fat(path).used_octets
    assert used < 4 << 20
    os.truncate(path, used)
    os.truncate(path, mib << 20)
    read = subprocess.run(["mtype", "-i", path, "::file"], check=True, capture_output=True).stdout
    assert read == content
    assert path.read_bytes()[:used].rstrip(b"\0")[-7:] == b"content"


def test_an_empty_file_system_ends_with_its_tables(tmp_path: Path) -> None:
    path = tmp_path / "fat"
    path.touch()
    os.truncate(path, 32 << 20)
    subprocess.run([program("mkfs.vfat", "dosfstools"), "-F", "16", path], check=True, capture_output=True)
    found = read_fat(path)
    assert found.last_cluster == 1
    assert found.used_octets == found.data_start


def test_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "zeros").write_bytes(bytes(4096))
    with pytest.raises(ValueError, match="no FAT"):
        read_fat(tmp_path / "zeros")
