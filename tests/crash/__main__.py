"""`make crash-sweep`: power cuts beyond the thousand of the gate, in both models of storage.

    python -m tests.crash [--all | --cuts N] [--seed N] [--rounds N]

TEARS (torn writes of 512 octets) must break nothing: exit status 1 otherwise. RUINS (a whole 4 KiB block of garbage) is
what no log without powersafe overwrite survives at every instant; its figure is printed, not checked.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from .storage import Model
from .sweep import cut_points, record_day, sweep
from .trace import Said


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--all", action="store_true", help="cut at every write, sync and name")
    words.add_argument("--cuts", type=int, default=1000)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--rounds", type=int, default=12)
    options = words.parse_args()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as work:
        recording = record_day(Path(work) / "day", seed=options.seed, rounds=options.rounds)
        everywhere = [number for number, event in enumerate(recording.events) if not isinstance(event, Said)]
        cuts = everywhere if options.all else cut_points(recording.events, options.cuts, options.seed)
        print(f"{len(recording.events)} events recorded, {len(cuts)} cuts a model")
        broken = 0
        for model in Model:
            faults = sweep(recording, cuts, Path(work) / model.name, model, options.seed)
            print(f"{model.name} ({model.value}): {len(faults)} of {len(cuts)} cuts broke a promise")
            print("\n".join(fault[:400] for fault in faults[:5]))
            broken += len(faults) if model is Model.TEARS else 0
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
