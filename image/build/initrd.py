"""The initrd: image/initrd/init, a static shell, the tools for the data partition with their libraries, and some modules."""

import re
import shutil
from pathlib import Path

from .host import BuildError
from .tools import Tools

PROGRAMS = (
    "usr/sbin/mke2fs",
    "usr/sbin/e2fsck",
    "usr/sbin/resize2fs",
    "usr/sbin/dumpe2fs",
    "usr/sbin/sfdisk",
    "usr/sbin/blkid",
    "usr/bin/mount",
)
SHELL = "usr/bin/busybox"
LOADER = "usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1"
LIBRARIES = "usr/lib/aarch64-linux-gnu"
NEEDED = re.compile(r"\(NEEDED\)\s+Shared library: \[([^]]+)\]")


def libraries(tools: Tools, root: Path, programs: tuple[str, ...]) -> set[str]:
    """File names of the shared libraries the programs need, transitively (read, not run)."""
    found: set[str] = set()
    waiting = list(programs)
    while waiting:
        printed = tools.run("aarch64-linux-gnu-readelf", "-d", *[f"/build/root/{path}" for path in waiting])
        fresh = set(NEEDED.findall(printed)) - found
        for name in fresh:
            if not (root / LIBRARIES / name).exists():
                raise BuildError(f"The initrd needs {name}, which no package of the image has.")
        found |= fresh
        waiting = [f"{LIBRARIES}/{name}" for name in sorted(fresh)]
    return found


def make_initrd(tools: Tools, work: Path, source: Path, epoch: int) -> None:
    """/build/slot/initrd.img from /build/root and the modules in /build/initrd. The same input gives the same octets."""
    root, initrd = work / "root", work / "initrd"
    for name in ("dev", "proc", "sys", "run", "etc", "usr/bin", "usr/sbin", LIBRARIES):
        (initrd / name).mkdir(parents=True, exist_ok=True)
    for name in ("bin", "sbin"):
        (initrd / name).symlink_to(f"usr/{name}")
    for path in (SHELL, *PROGRAMS):
        shutil.copy(root / path, initrd / path)
    for name in libraries(tools, root, PROGRAMS):
        shutil.copy(root / LIBRARIES / name, initrd / LIBRARIES / name)
    (initrd / "usr/sbin/modprobe").symlink_to("../bin/busybox")  # the kernel's own requests: file systems, character sets
    (initrd / "usr/lib/ld-linux-aarch64.so.1").symlink_to("aarch64-linux-gnu/ld-linux-aarch64.so.1")
    (initrd / "etc/mke2fs.conf").write_bytes((root / "etc/mke2fs.conf").read_bytes())
    (initrd / "etc/mtab").symlink_to("/proc/mounts")
    shutil.copyfile(source / "image/initrd/init", initrd / "init")
    (initrd / "init").chmod(0o755)
    tools.run("sh", "-ec", PACK, "sh", str(epoch))


PACK = """
cd /build/initrd
find . -exec touch -h -d "@$1" {} +
find . -print0 | LC_ALL=C sort -z | cpio --quiet --null -o -H newc --reproducible --owner=0:0 | zstd -q -19 -T1 -f -o /build/slot/initrd.img
"""
