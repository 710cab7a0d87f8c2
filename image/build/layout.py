"""Partition layout of the card: one place for sizes, names and identifiers.

    p1  FAT16   32 MB   autoboot.txt, bootcode.bin, the user's settings file
    p2  FAT32  512 MB   slot A: firmware, device trees, kernel, initrd, root.erofs
    p3  FAT32  512 MB   slot B: empty until the first update
    p4  ext4   the rest data: made by the initrd at the first boot

Invariants: the table is an MBR, because the boot ROM of Pi 3 and Zero 2 W reads no other. No start ever changes: a card that is
flashed again keeps its mail because p4 begins where it began. The image ends with the last cluster slot A uses, so flashing
writes neither zeros nor anything of p3 and p4.
"""

from dataclasses import dataclass

SECTOR_OCTETS = 512
MIB = 1024 * 1024

DISK_ID = 0x50424F58
"""MBR disk signature: the initrd finds its disk by it."""

BOOT_LABEL, SLOT_A_LABEL, SLOT_B_LABEL, DATA_LABEL = "PILLARBOX", "PBSLOTA", "PBSLOTB", "pillarbox-data"
"""FAT labels have at most 11 characters (Microsoft FAT specification §6.1), ext4's 16."""

FAT16_TYPE, FAT32_TYPE, LINUX_TYPE = 0x0E, 0x0C, 0x83


@dataclass(frozen=True, slots=True)
class Partition:
    """A primary partition; start and size in MiB, size 0 means up to the end of the card."""

    number: int
    start_mib: int
    size_mib: int
    type: int
    label: str

    @property
    def start_octets(self) -> int:
        return self.start_mib * MIB

    @property
    def size_octets(self) -> int:
        return self.size_mib * MIB


BOOT = Partition(1, 4, 32, FAT16_TYPE, BOOT_LABEL)
SLOT_A = Partition(2, 36, 512, FAT32_TYPE, SLOT_A_LABEL)
SLOT_B = Partition(3, 548, 512, FAT32_TYPE, SLOT_B_LABEL)
DATA = Partition(4, 1060, 0, LINUX_TYPE, DATA_LABEL)
SHIPPED = (BOOT, SLOT_A, SLOT_B)
"""What the table of the image names; p4 is entered on the device, once its file system is complete."""


def partition_table() -> str:
    """The table as sfdisk(8) reads it."""
    lines = ["label: dos", f"label-id: {DISK_ID:#010x}", f"sector-size: {SECTOR_OCTETS}"]
    for part in SHIPPED:
        start, size = (octets // SECTOR_OCTETS for octets in (part.start_octets, part.size_octets))
        active = ", bootable" if part is BOOT else ""
        lines.append(f"start={start}, size={size}, type={part.type:x}{active}")
    return "\n".join(lines) + "\n"


def autoboot() -> str:
    """autoboot.txt of p1 (at most 512 octets): slot A, and slot B for the one boot after `reboot "0 tryboot"`."""
    return f"[all]\ntryboot_a_b=1\nboot_partition={SLOT_A.number}\n[tryboot]\nboot_partition={SLOT_B.number}\n"
