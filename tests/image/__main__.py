"""`make image-test`: the image is built twice and compared, then started in QEMU for everything it promises. An hour on two idle cores,
75 minutes at most; with TMPDIR=/dev/shm the cards are in memory (3 GB).

    python -m tests.image [--image FILE] [--only WORDS] [--slowness FACTOR]

Exit status 1 when a step failed. Every step is printed with its time.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from image.build import host

from . import building
from .bench import Bench
from .steps import BESIDE, STEPS, Step

NEEDED = (
    ("qemu-system-aarch64", "qemu-system-arm"),
    ("mcopy", "mtools"),
    ("e2fsck", "e2fsprogs"),
    ("fdtoverlay", "device-tree-compiler"),
    ("cpio", "cpio"),
    ("faketime", "faketime"),
    ("chromium", "chromium"),
)
"""Program, and the Debian package that has it, besides those of the build."""
BEGUN = time.monotonic()


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--image", type=Path, help="an image that is built already")
    words.add_argument("--only", default="", help="the steps with these words in their name")
    words.add_argument("--slowness", type=float, default=3.0, help="timeouts are multiplied by this; 1 is enough for two idle cores")
    options = words.parse_args()
    try:
        host.require((*host.NEEDED, *NEEDED))
    except host.BuildError as error:
        print(f"make image-test: {error}")
        return 2
    with tempfile.TemporaryDirectory(prefix="pillarbox-image-test.", dir=os.environ.get("TMPDIR", "/var/tmp")) as place:
        work = Path(place)
        image = options.image or building.build(work / "image")
        chosen = [row for row in STEPS if options.only in row[0]]

        def run(row: tuple[str, Step], folder: str = "steps") -> bool:
            return follow(*row, Bench(image, work / folder, options.slowness))

        with ThreadPoolExecutor(1) as pool:
            results = [run(row) for row in chosen[:1]]  # alone: it measures time
            beside = [pool.submit(run, row, "beside") for row in BESIDE if options.only in row[0]]
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
