"""The step that builds the image once more, and compares."""

import ctypes
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from .bench import Bench

CLONE_NEWUTS = 0x04000000
LARGEST_OCTETS = 150_000_000
LATER = "+400d"


def build(output: Path, *options: str, environment: dict[str, str] | None = None, before: Callable[[], None] | None = None) -> Path:
    """The image, built into a folder; its path."""
    words = [sys.executable, "-m", "image", "--output", str(output), *options]
    subprocess.run(words, check=True, env={**os.environ, **(environment or {})}, preexec_fn=before)
    return output / "pillarbox.img.zst"


def built_again(bench: Bench) -> str:
    """From the same packages under another clock, umask, host name and time zone: the same octets."""
    other = {"TZ": "Pacific/Kiritimati", **another_clock(bench.work)}
    again = build(bench.work / "again", "--offline", environment=other, before=_another_host)
    first, second = (hashlib.sha256(path.read_bytes()).hexdigest() for path in (bench.image, again))
    assert first == second, f"two builds differ: {first}, {second}"
    octets = again.stat().st_size
    assert octets <= LARGEST_OCTETS, f"{octets} octets"
    return f"the same {octets / 1e6:.0f} MB"


def another_clock(work: Path) -> dict[str, str]:
    """An environment in which it is 400 days later; a program `chroot`, found before the real one, takes it along into the tools root."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    wrapper = work / "programs/chroot"
    wrapper.parent.mkdir()
    wrapper.write_text(f"""#!/bin/sh
root=$1; shift
[ -e "$root/tmp/clock.so" ] || cp {library} "$root/tmp/clock.so"
LD_PRELOAD= exec /usr/sbin/chroot "$root" /usr/bin/env LD_PRELOAD=/tmp/clock.so FAKETIME={LATER} NO_FAKE_STAT=1 DONT_FAKE_MONOTONIC=1 "$@"
""")
    wrapper.chmod(0o755)
    path = f"{wrapper.parent}:{os.environ['PATH']}"
    return {"PATH": path, "LD_PRELOAD": str(library), "FAKETIME": LATER, "NO_FAKE_STAT": "1", "DONT_FAKE_MONOTONIC": "1"}


def _another_host() -> None:
    os.umask(0o077)
    libc = ctypes.CDLL(None)
    if libc.unshare(CLONE_NEWUTS) == 0:
        libc.sethostname(b"elsewhere", 9)
