"""A card as a file: flashing the image, reading and writing its partitions, and playing the firmware's part in starting it."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from image.build import layout

KERNEL, INITRD, COMMAND_LINE = "vmlinuz.gz", "initrd.img", "cmdline.txt"
MTOOLS = {**os.environ, "MTOOLS_SKIP_CHECK": "1", "TZ": "UTC"}
TREES = {"virt": "", "raspi3b": "bcm2837-rpi-3-b.dtb"}
OVERLAYS = ("pillarbox-console", "pillarbox-leds", "pillarbox-button")
"""What config.txt has for the Pi 3."""


@dataclass(frozen=True, slots=True)
class Start:
    """What the firmware passes on: files, and the kernel's command line."""

    kernel: Path
    initrd: Path
    tree: Path | None
    command_line: str


class Card:
    """One card. `octets` is its size; QEMU's SD cards are powers of two."""

    def __init__(self, path: Path, octets: int = 2 << 30) -> None:
        self.path = path
        self.octets = octets

    def flash(self, image: Path) -> None:
        """Write image.zst from the first octet, as Imager does: what lies behind its end stays."""
        if not self.path.exists():
            self.path.touch()
            os.truncate(self.path, self.octets)
        unpacked = subprocess.run(["zstd", "-dqc", image], stdout=subprocess.PIPE, check=True).stdout
        with self.path.open("r+b") as file:
            file.write(unpacked)

    def partition(self, part: layout.Partition) -> str:
        """mtools' way to name a partition."""
        return f"{self.path}@@{part.start_octets}"

    def write_settings(self, name: str, text: str) -> None:
        """A file on the partition that any computer shows."""
        subprocess.run(["mcopy", "-o", "-i", self.partition(layout.BOOT), "-", f"::{name}"], input=text.encode(), env=MTOOLS, check=True)

    def read_settings(self, name: str) -> str:
        """The file's text, "" where there is none."""
        done = subprocess.run(["mtype", "-i", self.partition(layout.BOOT), f"::{name}"], env=MTOOLS, capture_output=True, check=False)
        return done.stdout.decode(errors="replace")

    def start(self, folder: Path, machine: str, slot: layout.Partition = layout.SLOT_A) -> Start:
        """What the firmware would load from a slot."""
        folder.mkdir(parents=True, exist_ok=True)
        tree = TREES[machine]
        overlays = [f"overlays/{name}.dtbo" for name in OVERLAYS] if tree else []
        names = [KERNEL, INITRD, COMMAND_LINE, *([tree] if tree else []), *overlays]
        subprocess.run(["mcopy", "-n", "-o", "-i", self.partition(slot), *[f"::{name}" for name in names], folder], env=MTOOLS, check=True)
        kernel = folder / "Image"
        with kernel.open("wb") as file:
            subprocess.run(["gzip", "-dc", folder / KERNEL], stdout=file, check=True)
        line = (folder / COMMAND_LINE).read_text().strip()
        if tree:
            laid = [folder / Path(name).name for name in overlays]
            subprocess.run(["fdtoverlay", "-i", folder / tree, "-o", folder / "board.dtb", *laid], check=True, capture_output=True)
        return Start(kernel, folder / INITRD, folder / "board.dtb" if tree else None, f"{line} pillarbox.slot={slot.number}")

    def check_data(self) -> str:
        """e2fsck's complaint about the data partition as the plug left it, after its journal was played back; "" where it is whole."""
        copy = self.path.with_suffix(".data")
        words = ["bs=1M", f"skip={layout.DATA.start_mib}", "conv=sparse", "status=none"]
        subprocess.run(["dd", f"if={self.path}", f"of={copy}", *words], check=True)
        played = subprocess.run(["e2fsck", "-p", copy], capture_output=True, text=True, check=False)
        done = subprocess.run(["e2fsck", "-f", "-n", copy], capture_output=True, text=True, check=False)
        copy.unlink()
        return "" if played.returncode < 4 and done.returncode == 0 else played.stdout + done.stdout
