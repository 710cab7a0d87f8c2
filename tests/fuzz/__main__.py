"""`make fuzz`: hostile octets on each port of a running server for a while; exit status 1 when a promise is broken.

python -m tests.fuzz [--seconds 60] [--seed N] [--port smtp|imap|pop3|console|sessions]

`sessions` sends nothing hostile: many IMAP sessions change one mailbox, and every response is checked (tests.support.many_sessions).
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import trio

from tests.bench.meters import Process
from tests.support.cable import Cable
from tests.support.mailbox_model import Wrong
from tests.support.many_sessions import MIXES, play
from tests.support.server import Pillarbox, new_data

from .line_noise import shake
from .machine import WORDS, Outcome, fuzz

PORTS = (*sorted(WORDS), "console", "sessions")
GROWTH_KB = 16 * 1024
"""Memory by which a fuzzed server may grow."""


@contextmanager
def fuzzed_server() -> Iterator[tuple[Pillarbox, Cable]]:
    """A server of its own, and the far end of its serial console."""
    with tempfile.TemporaryDirectory() as place, closing(Cable()) as cable:
        settings, data = Path(place) / "settings.toml", new_data(Path(place) / "data")
        settings.write_text(f'[panel]\nconsole = "{cable.device}"\n')
        with Pillarbox(data, "--settings", str(settings)) as server:
            yield server, cable


def attack(server: Pillarbox, cable: Cable, seconds: float, seed: int, ports: Sequence[str]) -> int:
    """The exit status: 1 when a promise is broken."""
    logged = len(server.log.read_bytes())

    def one(port: str, seconds: float, seed: int) -> Outcome:
        if port == "console":
            return shake(server, cable, seconds=seconds, seed=seed)
        if port == "sessions":
            return many_sessions(server, seconds=seconds, seed=seed)
        return fuzz(port, server.ports[port], seconds=seconds, seed=seed)

    broken, process = 0, Process(server.pid)
    for port in ports:
        first = one(port, min(seconds, 5), seed - 1)  # caches fill first
        print("\n".join(first.faults), end="")
        broken += len(first.faults)
    before = process.memory_kb()["Rss"]
    for port in ports:
        outcome = one(port, seconds, seed)
        print(f"{port}: {outcome.sessions} sessions, {outcome.octets} octets, {len(outcome.faults)} faults (seed {seed})")
        if outcome.worst_s:
            print(f"{port}: a message sent and read meanwhile took at most {outcome.worst_s:.2f} s")
        print("\n".join(outcome.faults), end="")
        broken += len(outcome.faults)
    grown = process.memory_kb()["Rss"] - before
    log = server.log.read_bytes()[logged:].decode(errors="replace")
    failed = [line for line in log.splitlines() if "session failed" in line or "Traceback" in line]
    print(f"memory: {grown:+d} KB; faults in the log: {len(failed)}")
    print("\n".join(failed[:5]))
    return 1 if broken or failed or grown > GROWTH_KB else 0


def many_sessions(server: Pillarbox, *, seconds: float, seed: int) -> Outcome:
    """Each mix in turn, in rounds of 15 s with a mailbox each; `sessions` counts the commands."""
    outcome = Outcome()
    rounds = max(len(MIXES), round(seconds / 15))
    for number in range(rounds):
        mix = list(MIXES)[number % len(MIXES)]
        try:
            result = trio.run(
                lambda mix=mix, number=number: play(
                    server.ports["imap"], seed=seed + number, seconds=seconds / rounds, mix=MIXES[mix], mailbox=f"box{seed}-{number}"
                )
            )
        except* Wrong as wrong:
            outcome.faults += [f"{mix}, seed {seed + number}: {one}\n" for one in leaves(wrong)]
        else:
            outcome.sessions += result.commands
    return outcome


def leaves(group: BaseExceptionGroup[Wrong]) -> list[BaseException]:
    return [leaf for one in group.exceptions for leaf in (leaves(one) if isinstance(one, BaseExceptionGroup) else [one])]


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--seconds", type=float, default=60)
    words.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    words.add_argument("--port", choices=PORTS, action="append")
    options = words.parse_args()
    with fuzzed_server() as (server, cable):
        return attack(server, cable, options.seconds, options.seed, options.port or PORTS)


if __name__ == "__main__":
    sys.exit(main())
