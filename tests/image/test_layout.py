"""The card's layout: frozen starts, a table the boot ROM reads, and an initrd that knows the same figures."""

import struct
from itertools import pairwise
from pathlib import Path

from image.build import layout
from image.build.cli import SETTINGS, SOURCE, initrd_layout


def test_no_start_ever_changes() -> None:
    """A card that is flashed again keeps its mail only while p4 begins where it began."""
    assert [(part.number, part.start_mib, part.size_mib) for part in (*layout.SHIPPED, layout.DATA)] == [
        (1, 4, 32),
        (2, 36, 512),
        (3, 548, 512),
        (4, 1060, 0),
    ]
    assert layout.DISK_ID == 0x50424F58
    assert layout.DATA_LABEL == "pillarbox-data"


def test_partitions_follow_each_other_without_overlap() -> None:
    for one, other in pairwise((*layout.SHIPPED, layout.DATA)):
        assert one.start_octets + one.size_octets == other.start_octets


def test_labels_fit_their_file_systems() -> None:
    assert all(len(part.label) <= 11 and part.label.isupper() for part in layout.SHIPPED)
    assert len(layout.DATA.label) <= 16


def test_table_names_three_partitions() -> None:
    lines = layout.partition_table().splitlines()
    assert lines[0] == "label: dos"
    assert len([line for line in lines if line.startswith("start=")]) == 3
    assert "size=1048576, type=c" in lines[-1]  # 512 MiB of sectors, FAT32 by LBA


def test_autoboot_fits_what_the_firmware_reads() -> None:
    assert len(layout.autoboot()) <= 512
    assert layout.autoboot().splitlines() == ["[all]", "tryboot_a_b=1", "boot_partition=2", "[tryboot]", "boot_partition=3"]


def test_initrd_knows_the_same_figures() -> None:
    known = dict(line.split("=", 1) for line in initrd_layout().splitlines())
    assert int(known["DATA_START"]) * layout.SECTOR_OCTETS == layout.DATA.start_octets
    assert struct.unpack("<I", known["DISK_MARK"].encode())[0] == layout.DISK_ID
    assert (SOURCE / "firmware-config/boot/settings" / SETTINGS).is_file()


def test_mount_table_names_our_labels() -> None:
    table = Path(SOURCE / "firmware-config/rootfs/etc/fstab").read_text()
    assert f"LABEL={layout.DATA_LABEL} /data" in table
    assert f"LABEL={layout.BOOT_LABEL} " in table


def test_firmware_configuration_names_the_files_of_a_slot() -> None:
    config = (SOURCE / "firmware-config/boot/slot/config.txt").read_text()
    assert "kernel=vmlinuz.gz" in config
    assert "initramfs initrd.img" in config
    named = {line.split("=", 1)[1] for line in config.splitlines() if line.startswith("dtoverlay=")}
    assert named == {path.stem for path in (SOURCE / "firmware-config/overlays").glob("*.dts")}
