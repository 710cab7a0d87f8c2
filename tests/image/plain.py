"""The distribution itself, to compare with: Debian with the image's kernel, a root on ext4 and a login on the serial console.

    python -m tests.image.plain OUTPUT

What Debian's own images for boards have at least, and no more: systemd with logind, D-Bus, networkd and timesyncd, an SSH server.
As in the image no maintainer script is run. It starts from the image's small initrd instead of Debian's, which would take longer.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from image.build import host, packages, root
from image.build.cli import default_cache
from image.build.tools import debian_mirror, make_tools, open_tools

from .card import Card, Start

PACKAGES = (
    "base-files", "base-passwd", "bash", "coreutils", "cron", "dash", "dbus", "e2fsprogs", "findutils", "grep", "hostname", "iproute2",
    "kmod", "libc-bin", "libpam-systemd", "login", "logrotate", "mawk", "mount", "nftables", "openssh-server", "passwd", "procps", "sed",
    "systemd", "systemd-sysv", "systemd-timesyncd", "udev", "util-linux",
)  # fmt: skip
RECORD = "chosen-plain.json"
OCTETS = 2 << 30
LOGIN = "login:"
COMMAND_LINE = "console=ttyAMA0,115200 rw quiet net.ifnames=0"
INIT = """#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin
/bin/busybox mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /root
while [ ! -b /dev/vda ]; do find /sys/devices -name modalias -exec cat {} + | sort -u | xargs modprobe -q -b -a 2> /dev/null; done
modprobe ext4
mount -t ext4 /dev/vda /root
for place in run dev proc sys; do mount --move /$place /root/$place; done
exec /bin/busybox switch_root /root /usr/lib/systemd/systemd
"""


class PlainCard:
    """A disk with the distribution on it, started with kernel and initrd of a card of ours."""

    def __init__(self, path: Path, card: Card) -> None:
        self.path = path
        self._card = card

    def start(self, folder: Path, machine: str) -> Start:
        ours = self._card.start(folder, machine)
        (folder / "init").write_text(INIT)
        (folder / "init").chmod(0o755)
        words = ["cpio", "--quiet", "-o", "-H", "newc", "--owner=0:0"]
        laid_over = subprocess.run(words, input=b"init\n", cwd=folder, capture_output=True, check=True).stdout
        ours.initrd.write_bytes(_padded(ours.initrd.read_bytes()) + laid_over)
        return Start(ours.kernel, ours.initrd, None, COMMAND_LINE)


def _padded(archive: bytes) -> bytes:
    """The kernel looks for the next archive at multiples of four octets (Documentation/driver-api/early-userspace/buffer-format.rst)."""
    return archive + bytes(-len(archive) % 4)


def make(output: Path) -> None:
    """The root file system, as the file `output`; in a process of its own, for its mounts."""
    done = subprocess.run([sys.executable, "-m", "tests.image.plain", str(output)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"the distribution's root could not be made: {done.stderr[-500:]}"


def build(output: Path) -> None:
    cache = default_cache()
    host.enter_private_namespace()
    with tempfile.TemporaryDirectory(prefix="pillarbox-plain.", dir=output.parent) as place:
        work = Path(place)
        tools = open_tools(make_tools(cache, debian_mirror()), (("build", work), ("cache", cache)), 0)
        archive = packages.Archive(tools, cache, debian_mirror())
        ours = [one for one in archive.recorded() if one.name.startswith("linux-") and not packages.only_for_build(one.name)]
        chosen = archive.fetch([packages.Wanted(name) for name in PACKAGES], RECORD, update=False)  # the lists date the image
        (work / "root").mkdir()
        root.unpack(tools, [*chosen, *ours])
        root.finish(tools, work / "root", archive.release_date())
        shutil.copytree(work / "kernel/usr/lib/modules", work / "root/usr/lib/modules", symlinks=True)
        tools.run("depmod", "-b", "/build/root", next((work / "root/usr/lib/modules").iterdir()).name)
        (work / "root/etc/fstab").write_text("/dev/vda / ext4 errors=remount-ro 0 1\n")
        (work / "root/etc/hostname").write_text("plain\n")
        shutil.copyfile(work / "root/usr/share/openssh/sshd_config", work / "root/etc/ssh/sshd_config")
        (work / "root/etc/systemd/system/systemd-firstboot.service").symlink_to("/dev/null")  # it asks questions
        (work / "root/etc/systemd/network/wired.network").write_text("[Match]\nType=ether\n[Network]\nDHCP=yes\n")
        with (work / "disk").open("wb") as file:
            file.truncate(OCTETS)
        subprocess.run(["/usr/sbin/mkfs.ext4", "-q", "-d", work / "root", work / "disk"], check=True)
        shutil.move(work / "disk", output)


if __name__ == "__main__":
    build(Path(sys.argv[1]).resolve())
