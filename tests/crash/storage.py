"""Two models of an SD card that loses power, fed with a recorded trace.

Durable is what a sync covered: a file's octets by a sync of the file, a name by a sync of its directory. The rest is
pending, and a cut may leave any part of it: each 512-octet sector of each pending write kept or not, in any order
(model TEARS, neighbouring sectors intact); pending names kept up to some point. Model RUINS also fills one whole
4 KiB block that a pending write touched with garbage.
"""

import random
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from .trace import Event, Made, MadeDirectory, Removed, Renamed, Resized, Said, Synced, Wrote

SECTOR = 512
BLOCK = 4096


class Model(Enum):
    TEARS = "torn writes of 512 octets"
    RUINS = "a ruined 4 KiB block"


@dataclass(slots=True, eq=False)
class File:
    octets: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, Wrote | Resized]] = field(default_factory=list)

    def sync(self, before: int) -> None:
        """Changes before event number `before` become durable."""
        keep = []
        for number, change in self.pending:
            if number < before:
                _apply(self.octets, change)
            else:
                keep.append((number, change))
        self.pending = keep


@dataclass(slots=True, eq=False)
class Folder:
    names: dict[str, "File | Folder"] = field(default_factory=dict)
    pending: list[tuple[int, str, "File | Folder | None"]] = field(default_factory=list)
    """(event number, name, what it names from then on or None)."""

    def sync(self, before: int) -> None:
        keep = []
        for number, name, what in self.pending:
            if number < before:
                _name(self.names, name, what)
            else:
                keep.append((number, name, what))
        self.pending = keep

    def now(self, name: str) -> "File | Folder | None":
        for _, pending, what in reversed(self.pending):
            if pending == name:
                return what
        return self.names.get(name)


def _name(names: "dict[str, File | Folder]", name: str, what: "File | Folder | None") -> None:
    if what is None:
        names.pop(name, None)
    else:
        names[name] = what


def _apply(octets: bytearray, change: Wrote | Resized) -> None:
    if isinstance(change, Resized):
        if change.octets < len(octets):
            del octets[change.octets :]
        else:
            octets.extend(bytes(change.octets - len(octets)))
    else:
        if change.at > len(octets):
            octets.extend(bytes(change.at - len(octets)))
        octets[change.at : change.at + len(change.data)] = change.data


class Storage:
    """A directory on storage, fed with events; `cut` writes out what a power cut now could leave."""

    def __init__(self, start: Path) -> None:
        self.top = _load(start)
        self.count = 0

    def feed(self, event: Event) -> None:
        number, self.count = self.count, self.count + 1
        if isinstance(event, Said):
            return
        if isinstance(event, Synced):
            found = self._find(event.path)
            if found is not None:
                found.sync(event.covers)
            return
        if isinstance(event, Renamed):
            moved = self._find(event.old)
            self._set(number, event.old, None)
            self._set(number, event.new, moved)
        elif isinstance(event, Removed):
            self._set(number, event.path, None)
        elif isinstance(event, Made):
            self._set(number, event.path, File())
        elif isinstance(event, MadeDirectory):
            self._set(number, event.path, Folder())
        else:
            changed = self._find(event.path)
            if not isinstance(changed, File):
                raise AssertionError(f"{event.path} is written but was never made")
            changed.pending.append((number, event))

    def _find(self, path: str) -> "File | Folder | None":
        here: File | Folder | None = self.top
        for part in filter(None, path.split("/")):
            here = here.now(part) if isinstance(here, Folder) else None
        return here

    def _set(self, number: int, path: str, what: "File | Folder | None") -> None:
        base, _, name = path.rpartition("/")
        folder = self._find(base)
        if not isinstance(folder, Folder):
            raise AssertionError(f"{base} is no directory")
        folder.pending.append((number, name, what))

    def cut(self, target: Path, chance: random.Random, model: Model) -> None:
        """Write one possible state after a cut into an empty directory."""
        outcome = chance.choice(("nothing", "everything", "some", "some", "torn", "torn"))
        _write(self.top, target, chance, outcome, model)


def _load(path: Path) -> Folder:
    folder = Folder()
    for entry in path.iterdir():
        if entry.is_dir():
            folder.names[entry.name] = _load(entry)
        elif entry.is_file():
            folder.names[entry.name] = File(bytearray(entry.read_bytes()))
    return folder


def _write(folder: Folder, target: Path, chance: random.Random, outcome: str, model: Model) -> None:
    names = dict(folder.names)
    kept = {"nothing": 0, "everything": len(folder.pending)}.get(outcome, chance.randint(0, len(folder.pending)))
    for _, name, what in folder.pending[:kept]:
        _name(names, name, what)
    for name, what in names.items():
        if name.endswith("-shm") or name in ("lock", "control.sock"):
            continue  # memory of the running server, not of storage
        place = target / name
        if isinstance(what, Folder):
            place.mkdir()
            _write(what, place, chance, outcome, model)
        else:
            place.write_bytes(_after_cut(what, chance, outcome, model))


def _after_cut(file: File, chance: random.Random, outcome: str, model: Model) -> bytes | bytearray:
    if not file.pending:
        return file.octets
    octets = bytearray(file.octets)
    changes = [change for _, change in file.pending]
    if outcome in ("some", "torn"):
        changes = [change for change in changes if chance.random() < 0.6]
    if outcome != "nothing":
        for change in changes:
            if outcome == "torn" and isinstance(change, Wrote):
                for at in range(0, len(change.data), SECTOR):
                    if chance.random() < 0.5:
                        _apply(octets, Wrote(change.path, change.at + at, change.data[at : at + SECTOR]))
            else:
                _apply(octets, change)
    writes = [change for _, change in file.pending if isinstance(change, Wrote)]
    if model is Model.RUINS and writes:
        block = chance.choice(writes).at // BLOCK * BLOCK
        _apply(octets, Wrote("", block, chance.randbytes(min(BLOCK, max(len(octets) - block, SECTOR)))))
    return octets
