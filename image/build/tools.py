"""The tools root: a Debian 13 root for this machine's architecture with every program the build runs.

It makes the result independent of the build machine: the same erofs-utils, dtc, cross-compiler and Python everywhere. It is made
once a cache and package list (half a minute), and used read-only.
"""

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from .host import run

PACKAGES = (
    "ca-certificates",
    "cpio",
    "device-tree-compiler",
    "dosfstools",
    "dpkg-dev",
    "erofs-utils",
    "fdisk",
    "gcc-aarch64-linux-gnu",
    "kmod",
    "libc6-dev-arm64-cross",
    "mtools",
    "openssl",
    "python3.13",
    "python3-pip",
    "python3-setuptools",
    "swig",
    "systemd",
    "xz-utils",
    "zstd",
)

SUITE = "trixie"
PLACES = ("build", "cache", "source")
"""Folders that are mounted in the tools root."""


class Tools:
    """Runs programs in the tools root, where `work` is /build, `cache` is /cache and the checkout is /source."""

    def __init__(self, root: Path, epoch: int) -> None:
        self._root = root
        self._environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "DEBIAN_FRONTEND": "noninteractive",
            "SOURCE_DATE_EPOCH": str(epoch),
            "SYSTEMCTL_SKIP_SYSV": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        passed = ("http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
        self._environment |= {name: os.environ[name] for name in passed if name in os.environ}

    def run(self, *command: str | Path, text: str | None = None, env: dict[str, str] | None = None) -> str:
        """Run a program inside and return what it printed; BuildError where it fails."""
        inside = shutil.which("chroot", path=os.environ["PATH"] + ":/usr/sbin:/sbin") or "chroot"
        return run([inside, self._root, *command], env=self._environment | (env or {}), text=text)


def make_tools(cache: Path, mirror: str) -> Path:
    """The tools root in the cache, made where it is missing. An interrupted attempt is never taken for a whole one."""
    name = hashlib.sha256("\n".join((SUITE, *PACKAGES, *PLACES)).encode()).hexdigest()[:12]
    root = cache / f"tools-{name}"
    if root.is_dir():
        return root
    making = cache / f"making-{name}"
    shutil.rmtree(making, ignore_errors=True)
    run(
        [
            "mmdebstrap",
            "--quiet",
            "--variant=apt",
            "--components=main",
            '--aptopt=Acquire::Languages "none"',
            '--aptopt=APT::Install-Recommends "false"',
            '--aptopt=APT::Sandbox::User "root"',
            f"--include={','.join(PACKAGES)}",
            SUITE,
            making,
            mirror,
        ]
    )
    making.chmod(0o755)
    for place in PLACES:
        (making / place).mkdir()
    making.rename(root)
    return root


def open_tools(root: Path, places: Sequence[tuple[str, Path]], epoch: int) -> Tools:
    """Mount what programs inside need (in the private namespace): /proc, /dev, a /tmp of their own, and `places`."""
    run(["mount", "--bind", root, root])
    run(["mount", "-o", "remount,bind,ro", root])
    run(["mount", "-t", "proc", "proc", root / "proc"])
    run(["mount", "--rbind", "/dev", root / "dev"])
    run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", root / "tmp"])
    run(["mount", "-t", "tmpfs", "tmpfs", root / "run"])
    for inside, outside in places:
        run(["mount", "--bind", outside, root / inside])
    for name in ("etc/resolv.conf", "etc/ssl/certs/ca-certificates.crt"):
        if Path("/", name).exists() and (root / name).exists():
            run(["mount", "--bind", Path("/", name).resolve(), root / name])
    return Tools(root, epoch)


def debian_mirror() -> str:
    """The mirror this machine is set up with, deb.debian.org where it has none."""
    lists = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    for path in lists:
        if not path.is_file():
            continue
        for word in path.read_text(errors="replace").split():
            if word.startswith(("http://", "https://")) and word.rstrip("/").endswith("/debian"):
                return word.rstrip("/")
    return "http://deb.debian.org/debian"
