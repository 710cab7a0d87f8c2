"""Content of the FAT partitions: a slot is everything one version boots from; the boot partition is what all versions share."""

import shutil
from pathlib import Path

from . import layout
from .host import BuildError
from .tools import Tools

FIRMWARE = ("start.elf", "fixup.dat", "start4.elf", "fixup4.dat")
"""Pi 3 and Zero 2 W; Pi 4. The Pi 5 has its firmware on the board."""

BOOTCODE = "bootcode.bin"
"""What the boot ROM of Pi 3 and Zero 2 W loads; it reads autoboot.txt, so it stands in the first partition as well."""

EROFS_UUID = "50424f58-0000-4000-8000-000000000001"
COMPRESSION = "lz4hc,12"
"""125 MB, quickest to unpack on a small processor; zstd makes 110 MB of the same tree."""


def install_firmware(root: Path, work: Path) -> None:
    """The Pi's firmware, out of the root (before it is cut)."""
    place = root / "usr/lib/raspi-firmware"
    for name in (*FIRMWARE, BOOTCODE):
        if not (place / name).exists():
            raise BuildError(f"raspi-firmware has no {name} any more.")
        shutil.copyfile(place / name, work / "slot" / name)
    shutil.copyfile(place / BOOTCODE, work / "boot" / BOOTCODE)


def install_boot_files(tools: Tools, source: Path, work: Path) -> None:
    """config.txt, cmdline.txt and overlays to the slot; autoboot.txt and what the user edits to the boot partition."""
    (work / "boot/autoboot.txt").write_text(layout.autoboot())
    for tree, place in (("slot", "slot"), ("settings", "boot")):
        shutil.copytree(source / "firmware-config/boot" / tree, work / place, dirs_exist_ok=True, copy_function=shutil.copyfile)
    (work / "slot/overlays").mkdir(exist_ok=True)
    for overlay in sorted((source / "firmware-config/overlays").glob("*.dts")):
        compiled = f"/build/slot/overlays/{overlay.stem}.dtbo"
        tools.run("dtc", "-q", "-@", "-I", "dts", "-O", "dtb", "-o", compiled, f"/source/firmware-config/overlays/{overlay.name}")


def make_root_image(tools: Tools, epoch: int) -> None:
    """/build/slot/root.erofs from /build/root."""
    tools.run(
        "mkfs.erofs",
        "--quiet",
        f"-z{COMPRESSION}",
        "-C65536",
        "-x1",
        "-T",
        str(epoch),
        "-U",
        EROFS_UUID,
        "/build/slot/root.erofs",
        "/build/root",
    )
