"""The build machine: what must be there, running programs, and a private mount namespace.

Nothing stays mounted when the build ends, however it ends: everything is mounted in a namespace that dies with the last process.
"""

import ctypes
import ctypes.util
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000
"""unshare(2), mount(2)."""

NEEDED = (
    ("mmdebstrap", "mmdebstrap"),
    ("mount", "mount"),
    ("chroot", "coreutils"),
    ("xz", "xz-utils"),
    ("zstd", "zstd"),
)
"""Program, and the Debian package that has it. Everything else the build uses is in its own Debian root."""

BINFMT = Path("/proc/sys/fs/binfmt_misc")


class BuildError(Exception):
    """The build cannot go on: one sentence, with the remedy."""


def require(machine_programs: Sequence[tuple[str, str]] = NEEDED) -> None:
    """Raise BuildError where this machine lacks something, naming each package with the command that installs it."""
    missing = [
        package for program, package in machine_programs if not shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    ]
    if missing:
        lines = "\n".join(f"  apt install {package}" for package in missing)
        raise BuildError(f"Programs are missing; install their packages:\n{lines}")
    if os.geteuid() != 0:
        raise BuildError("The build needs root, because it makes Debian roots: try sudo make image.")
    foreign = foreign_handlers()
    if foreign:
        raise BuildError(
            f"This kernel runs arm64 programs by an emulator ({foreign[0]}), so the build could run them unnoticed; "
            f"switch it off: echo 0 > {BINFMT / foreign[0]}"
        )


def foreign_handlers() -> list[str]:
    """Names of the enabled binfmt_misc handlers for arm64 programs (Documentation/admin-guide/binfmt-misc.rst)."""
    names = []
    for entry in sorted(BINFMT.glob("*")) if BINFMT.is_dir() else []:
        if entry.name in ("register", "status"):
            continue
        text = entry.read_text(errors="replace")
        if text.startswith("enabled") and ("aarch64" in text or "7f454c460201010000000000000000000200b7" in text):
            names.append(entry.name)
    return names


def enter_private_namespace() -> None:
    """From here on mounts are this process' own, and end with it."""
    libc = ctypes.CDLL(ctypes.util.find_library("c") or "libc.so.6", use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0 or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        raise BuildError(
            f"A private mount namespace was refused ({os.strerror(ctypes.get_errno())}): run the build outside of a container."
        )


def run(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, text: str | None = None) -> str:
    """Run a program and return what it printed; BuildError with the end of its output where it fails."""
    done = subprocess.run(  # noqa: S603 - our own command lines
        [str(word) for word in command],
        env=None if env is None else dict(env),
        input=text,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL if text is None else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        last = "\n".join(done.stdout.strip().splitlines()[-15:])
        raise BuildError(f"{Path(str(command[0])).name} ended with status {done.returncode}:\n{last}")
    return done.stdout


class Progress:
    """One line a step, with the seconds since the start."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self, sentence: str) -> None:
        print(f"{time.monotonic() - self._started:6.1f} s  {sentence}", flush=True)
