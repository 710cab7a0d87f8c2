"""No acknowledged message or change is lost, truncated, duplicated or undone by a power cut: a thousand seeded cuts."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.needs import program

from .broken import KINDS
from .storage import Model
from .sweep import Recording, cut_points, record_day, sweep

CUTS = 1000
PARTS = 5
"""Tests that they are divided among, so that none takes long."""
SEED = int(os.environ.get("PILLARBOX_SEED", "20251006"))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    program("strace")
    return record_day(tmp_path_factory.mktemp("day"), seed=SEED)


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory for thousands of written states: in memory where possible."""
    with TemporaryDirectory(prefix="pillarbox-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as name:
        yield Path(name)


@pytest.mark.parametrize("part", range(PARTS))
def test_a_thousand_cuts_with_torn_sectors(recording: Recording, place: Path, part: int) -> None:
    cuts = cut_points(recording.events, CUTS, SEED)[part::PARTS]
    faults = sweep(recording, cuts, place / "tears", Model.TEARS, SEED + part)
    assert not faults, f"{len(faults)} of {len(cuts)} cuts broke a promise:\n" + "\n".join(faults[:10])


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_broken_store_is_caught(kind: str, tmp_path: Path, place: Path) -> None:
    """Each of these passes every test without power cuts; the checks after a cut must find it."""
    program("strace")
    recording = record_day(tmp_path / "day", seed=SEED, rounds=8, broken=kind)
    faults = sweep(recording, cut_points(recording.events, 160, SEED), place / kind, Model.TEARS, SEED)
    assert faults, f"{kind} was not noticed"
