"""`make fuzz`: hostile octets on each port of a running house for a while; exit status 1 when a promise broke.

python -m tests.fuzz [--seconds 60] [--seed N] [--port smtp|imap|pop3]
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.bench.meters import Process
from tests.fuzz.machine import WORDS, fuzz
from tests.support.house import House, new_data

GROWTH_KB = 16 * 1024
"""Memory a fuzzed house may gain and keep."""


def run(seconds: float, seed: int, protocols: list[str]) -> int:
    broken = 0
    with tempfile.TemporaryDirectory() as place, House(new_data(Path(place) / "data")) as house:
        process = Process(house.pid)
        for protocol in protocols:
            fuzz(protocol, house.ports[protocol], seconds=min(seconds, 5), seed=seed - 1)  # caches fill first
        before = process.memory_kb()["Rss"]
        for protocol in protocols:
            outcome = fuzz(protocol, house.ports[protocol], seconds=seconds, seed=seed)
            print(f"{protocol}: {outcome.sessions} sessions, {outcome.octets} octets, {len(outcome.faults)} faults (seed {seed})")
            print("\n".join(outcome.faults), end="")
            broken += len(outcome.faults)
        grown = process.memory_kb()["Rss"] - before
        log = house.log.read_text(errors="replace")
        failed = [line for line in log.splitlines() if "session failed" in line or "Traceback" in line]
        print(f"memory: {grown:+d} KB; faults in the log: {len(failed)}")
        print("\n".join(failed[:5]))
        return 1 if broken or failed or grown > GROWTH_KB else 0


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--seconds", type=float, default=60)
    words.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    words.add_argument("--port", choices=sorted(WORDS), action="append")
    options = words.parse_args()
    return run(options.seconds, options.seed, options.port or sorted(WORDS))


if __name__ == "__main__":
    sys.exit(main())
