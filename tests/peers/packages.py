"""Debian's mail servers, downloaded and unpacked without being installed: they conflict with one another as packages."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.support.needs import missing

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pillarbox-peers"
PARTS = {"postfix": ("postfix",), "exim": ("exim4-daemon-light", "exim4-base"), "opensmtpd": ("opensmtpd",)}
LIBRARIES = "libicu72 libnsl2 libsasl2-2 libidn12 libgnutls-dane0 libpcre2-8-0 libevent-2.1-7 libdb5.3"
"""What they load that a bare Debian 12 may lack; the gate installs it."""


def unpacked(name: str) -> Path:
    """The tree of one mail server, ready to lie over the machine's own files."""
    tree = CACHE / name
    if not (tree / ".complete").exists():
        _unpack(name, tree)
    return tree


def _unpack(name: str, tree: Path) -> None:
    shutil.rmtree(tree, ignore_errors=True)
    (tree / "debs").mkdir(parents=True)
    words = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *PARTS[name]]
    done = subprocess.run(words, cwd=tree / "debs", capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        missing(f"the Debian package of {name}", done.stderr.strip())
    for package in sorted((tree / "debs").iterdir()):
        subprocess.run(["dpkg-deb", "-x", package, tree], check=True, timeout=60)
    shutil.rmtree(tree / "debs")
    for old in ("bin", "sbin", "lib"):  # on the machine these are links into /usr, and a folder would hide them
        if (tree / old).is_dir():
            shutil.copytree(tree / old, tree / "usr" / old, dirs_exist_ok=True)
            shutil.rmtree(tree / old)
    (tree / ".complete").touch()
