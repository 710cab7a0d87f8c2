"""Records a run of the server, simulates power cuts at many instants and checks each; used by the tests and `make crash-sweep`."""

import random
import shutil
import sys
import traceback
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.support.server import Pillarbox, new_data

from .storage import Model, Storage
from .trace import Event, Said, events, record_words
from .verdict import Promised, find_promises, judge_now
from .workload import Ledger, Workload

WORKERS = 2


@dataclass(slots=True)
class Recording:
    start: Path
    events: list[Event]
    promised: Promised


def record_day(work: Path, *, seed: int = 1, rounds: int = 12, broken: str = "") -> Recording:
    """Run the workload against the real command, or a deliberately broken one, under the recorder."""
    data = new_data(work / "data")
    with Pillarbox(data):
        pass  # the first start creates certificates; the second one, which is recorded, creates nothing
    start = work / "start"
    shutil.copytree(data, start, ignore=shutil.ignore_patterns("control.sock", "lock"))
    trace = work / "trace"
    command = [sys.executable, "-m", "tests.crash.broken", broken] if broken else None
    with Pillarbox(data, protocols=("smtp", "imap", "pop3"), wrapper=record_words(trace), command=command) as server:
        ledger: Ledger = Workload(server, seed).run(rounds)
    recorded = events(trace, data, start)
    return Recording(start, recorded, find_promises(ledger, recorded))


def cut_points(recorded: list[Event], count: int, seed: int) -> list[int]:
    """Instants drawn from all prefixes; those right before and after each promise are always among the candidates."""
    chance = random.Random(seed)
    everywhere = [number for number, event in enumerate(recorded) if not isinstance(event, Said)]
    promises = [number for number, event in enumerate(recorded) if isinstance(event, Said) for number in (number, number + 1)]
    return sorted(chance.choices(everywhere, k=count - count // 3) + chance.choices(promises, k=count // 3))


def judge_cuts(recording: Recording, cuts: list[int], work: Path, model: Model, seed: int) -> list[str]:
    """The broken promises, one sentence for each failed cut."""
    storage = Storage(recording.start)
    faults = []
    fed = 0
    for number, cut in enumerate(cuts):
        while fed < cut:
            storage.feed(recording.events[fed])
            fed += 1
        place = work / f"cut-{number}"
        place.mkdir(parents=True)
        storage.cut(place, random.Random(f"{seed}/{number}"), model)
        try:
            judge_now(place, recording.promised, cut)
        except AssertionError as fault:
            faults.append(f"cut {cut} (seed {seed}/{number}, {model.name}): {fault}")
        except BaseException:
            faults.append(f"cut {cut} (seed {seed}/{number}, {model.name}): {traceback.format_exc(limit=-4)}")
        shutil.rmtree(place)
    return faults


def sweep(recording: Recording, cuts: list[int], work: Path, model: Model, seed: int) -> list[str]:
    """The same in WORKERS processes."""
    parts = [cuts[n::WORKERS] for n in range(WORKERS)]
    with ProcessPoolExecutor(WORKERS) as pool:
        jobs = [pool.submit(judge_cuts, recording, part, work / str(n), model, seed + n) for n, part in enumerate(parts)]
        return [fault for job in jobs for fault in job.result()]
