"""The root file system: packages unpacked, cut, configured; what their maintainer scripts would have done is done here.

| maintainer script | here |
|---|---|
| base-passwd, passwd | /etc/passwd, group and shadow from the package's master files |
| base-files | directories of /var, /etc/profile |
| libc-bin | nsswitch.conf |
| ca-certificates | the bundle and its hash links, by openssl of the tools root |
| wireless-regdb | the links of its alternative |
| systemd, udev | systemd-sysusers --root, systemctl --root preset-all |
| python3 | bytecode, by the tools root's own python3.13 (`bytecode.py`) |

The dynamic linker needs no cache: every library is in its default directories.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from .host import BuildError
from .packages import Package, only_for_build
from .tools import Tools

ALTERNATIVES = (
    ("usr/bin/awk", "mawk"),
    ("usr/lib/firmware/regulatory.db", "regulatory.db-debian"),
    ("usr/lib/firmware/regulatory.db.p7s", "regulatory.db.p7s-debian"),
)
"""What update-alternatives would have linked."""

DIRECTORIES = (
    "proc",
    "sys",
    "dev",
    "run",
    "tmp",
    "data",
    "boot",
    "root",
    "home",
    "mnt",
    "opt",
    "srv",
    "var/lib",
    "var/log",
    "var/cache",
    "var/tmp",
    "var/spool",
)
SPLIT_USR = ("bin", "sbin", "lib")


def unpack(tools: Tools, packages: Iterable[Package]) -> None:
    """Unpack the packages: the kernel's to /build/kernel, the others to /build/root, base-files (the merged /usr) first."""
    ordered = sorted(packages, key=lambda one: (one.name != "base-files", one.name))
    kernel = [one.file for one in ordered if one.name.startswith("linux-")]
    root = [one.file for one in ordered if not one.name.startswith("linux-") and not only_for_build(one.name)]
    script = 'to=$1; shift; mkdir -p "$to"; for file; do dpkg-deb -x "/cache/apt/archives/$file" "$to"; done'
    tools.run("sh", "-ec", script, "sh", "/build/root", *root)
    tools.run("sh", "-ec", script, "sh", "/build/kernel", *kernel)


def keep_kernel_licences(work: Path) -> None:
    """The copyright files of the kernel's packages, which are unpacked elsewhere."""
    for path in sorted((work / "kernel/usr/share/doc").iterdir()):
        target = work / "root/usr/share/doc" / path.name
        if path.is_symlink():
            target.symlink_to(path.readlink())
        elif path.is_dir():
            shutil.copytree(path, target)


def cut(root: Path, unwanted: str) -> None:
    """Remove what no program of the image reads: `unwanted` has a pattern a line, "#" begins a comment."""
    patterns = [line.split("#")[0].strip() for line in unwanted.splitlines()]
    for pattern in filter(None, patterns):
        for path in root.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def overlay_tree(source: Path, root: Path) -> None:
    """Copy a tree of configuration over the root: directories and files as a fresh checkout has them, owned by root."""
    for path in sorted(source.rglob("*")):
        target = root / path.relative_to(source)
        if path.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            target.symlink_to(path.readlink())
        elif path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            shutil.copyfile(path, target)
            target.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def finish(tools: Tools, root: Path, epoch: int) -> None:
    """What maintainer scripts would have done; presets decide which units are enabled."""
    for name in SPLIT_USR:
        if not (root / name).is_symlink():
            raise BuildError(f"/{name} of the root is no link into /usr: a package is older than the merged /usr.")
    for name in DIRECTORIES:
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    (root / "var/tmp").chmod(0o1777)
    (root / "root").chmod(0o700)
    _accounts(root, epoch)
    _certificates(tools, root)
    for name, template in (("etc/nsswitch.conf", "usr/share/libc-bin/nsswitch.conf"), ("etc/profile", "usr/share/base-files/profile")):
        if not (root / name).exists() and (root / template).exists():
            shutil.copyfile(root / template, root / name)
    for link, target in ALTERNATIVES:
        if (root / link).parent.joinpath(target).exists() and not (root / link).is_symlink():
            (root / link).symlink_to(target)
    (root / "etc/machine-id").write_text("uninitialized\n")
    (root / "usr/lib/clock-epoch").touch()
    tools.run("systemd-sysusers", "--root=/build/root")
    tools.run("systemctl", "--root=/build/root", "preset-all")
    for unwritten in ("etc/.pwd.lock", "etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-"):
        (root / unwritten).unlink(missing_ok=True)


def settle_times(root: Path, epoch: int) -> None:
    """Every file older than the packages keeps its time; what the build made gets the time of the packages."""
    for path in (root, *root.rglob("*")):
        if path.lstat().st_mtime > epoch:
            os.utime(path, (epoch, epoch), follow_symlinks=False)
    os.utime(root / "usr/lib/clock-epoch", (epoch, epoch))


def _accounts(root: Path, epoch: int) -> None:
    for name in ("passwd", "group"):
        shutil.copyfile(root / f"usr/share/base-passwd/{name}.master", root / "etc" / name)
        (root / "etc" / name).chmod(0o644)
    day = epoch // 86400
    passwd = (root / "etc/passwd").read_text().replace(":*:", ":x:")
    (root / "etc/passwd").write_text(passwd)
    shadow = root / "etc/shadow"
    shadow.write_text("".join(f"{line.split(':')[0]}:*:{day}:0:99999:7:::\n" for line in passwd.splitlines()))
    shadow.chmod(0o640)
    os.chown(shadow, 0, 42)  # group shadow has number 42 on every Debian


def _certificates(tools: Tools, root: Path) -> None:
    place = root / "etc/ssl/certs"
    place.mkdir(parents=True, exist_ok=True)
    bundle = []
    for path in sorted((root / "usr/share/ca-certificates").rglob("*.crt")):
        bundle.append(path.read_text())
        link = place / f"{path.stem}.pem"
        link.symlink_to("../../../" + str(path.relative_to(root)))
    (place / "ca-certificates.crt").write_text("".join(text if text.endswith("\n") else text + "\n" for text in bundle))
    tools.run("openssl", "rehash", "/build/root/etc/ssl/certs")
    prefix = root / "usr/lib/ssl"
    prefix.mkdir(parents=True, exist_ok=True)
    for name, target in (("certs", "/etc/ssl/certs"), ("cert.pem", "/etc/ssl/certs/ca-certificates.crt")):
        if not (prefix / name).is_symlink():
            (prefix / name).symlink_to(target)
