"""`make image-test`: the image is built twice and compared, then started in QEMU for everything it promises. An hour on two idle cores,
75 minutes at most; with TMPDIR=/dev/shm the cards are in memory (3 GB).

    python -m tests.image [--image FILE] [--only WORDS] [--slowness FACTOR]

Exit status 1 when a step failed. Every step is printed with its time.
"""

import argparse
import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .bench import Bench
from .steps import IDLE, LARGEST_OCTETS, STEPS, Step

CLONE_NEWUTS = 0x04000000


def build_twice(work: Path) -> Path:
    """The image, built again from the same cache under another clock, umask, host name and time zone: the same octets."""
    files = []
    for number in range(2):
        output = work / f"build-{number}"
        words = [sys.executable, "-m", "image", "--output", str(output), *(["--offline"] if number else [])]
        other = {"TZ": "Pacific/Kiritimati", **another_clock(work)} if number else {}
        subprocess.run(words, check=True, env={**os.environ, **other}, preexec_fn=_another_host if number else None)
        files.append(output / "pillarbox.img.zst")
    first, second = (hashlib.sha256(path.read_bytes()).hexdigest() for path in files)
    assert first == second, f"two builds differ: {first}, {second}"
    assert files[0].stat().st_size <= LARGEST_OCTETS
    return files[0]


def another_clock(work: Path) -> dict[str, str]:
    """An environment in which it is 400 days later; a program `chroot`, found before the real one, takes it along into the tools root."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if library is None:
        raise SystemExit("Building under another clock needs libfaketime: apt install faketime")
    wrapper = work / "programs/chroot"
    wrapper.parent.mkdir()
    wrapper.write_text(f'''#!/bin/sh
root=$1; shift
[ -e "$root/tmp/clock.so" ] || cp {library} "$root/tmp/clock.so"
LD_PRELOAD= exec /usr/sbin/chroot "$root" /usr/bin/env LD_PRELOAD=/tmp/clock.so FAKETIME={LATER} NO_FAKE_STAT=1 DONT_FAKE_MONOTONIC=1 "$@"
''')
    wrapper.chmod(0o755)
    path = f"{wrapper.parent}:{os.environ['PATH']}"
    return {"PATH": path, "LD_PRELOAD": str(library), "FAKETIME": LATER, "NO_FAKE_STAT": "1", "DONT_FAKE_MONOTONIC": "1"}


LATER = "+400d"
BEGUN = time.monotonic()


def _another_host() -> None:
    os.umask(0o077)
    libc = ctypes.CDLL(None)
    if libc.unshare(CLONE_NEWUTS) == 0:
        libc.sethostname(b"elsewhere", 9)


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--image", type=Path, help="an image that is built already")
    words.add_argument("--only", default="", help="the steps with these words in their name")
    words.add_argument("--slowness", type=float, default=3.0, help="timeouts are multiplied by this; 1 is enough for two idle cores")
    options = words.parse_args()
    with tempfile.TemporaryDirectory(prefix="pillarbox-image-test.", dir=os.environ.get("TMPDIR", "/var/tmp")) as place:
        work = Path(place)
        image = options.image or build_twice(work)
        chosen = [row for row in STEPS if options.only in row[0]]

        def run(row: tuple[str, Step], folder: str = "steps") -> bool:
            return follow(*row, Bench(image, work / folder, options.slowness))

        with ThreadPoolExecutor(1) as pool:
            results = [run(row) for row in chosen[:1]]  # alone: it measures time
            beside = [pool.submit(run, IDLE, "beside")] if options.only in IDLE[0] else []
            results += [run(row) for row in chosen[1:]]
            results += [one.result() for one in beside]
    print(f"{sum(results)} of {len(results)} steps are ok; {(time.monotonic() - BEGUN) / 60:.0f} minutes")
    return 0 if all(results) else 1


def follow(name: str, step: Step, bench: Bench) -> bool:
    """Run a step and print what it found; whether its promise holds. The steps after it are run all the same."""
    started, verdict = time.monotonic(), "ok"
    bench.work.mkdir()
    try:
        found = step(bench)
    except Exception as error:
        found, verdict = f"{type(error).__name__}: {error}", "FAILED"
    print(f"{time.monotonic() - started:7.1f} s  {verdict:6}  {name}: {found}", flush=True)
    shutil.rmtree(bench.work)
    return verdict == "ok"


if __name__ == "__main__":
    sys.exit(main())
