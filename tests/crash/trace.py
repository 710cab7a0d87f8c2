"""What a process did to its files, in order, as the kernel saw it: SQLite's own calls are in it.

`record_words` put a program under strace; `events` reads the trace back. A write counts from the moment it was called,
a sync from the moment it returned (and covers what was written before it was called); what was sent to a client
counts from the moment it was handed to the kernel. That is the order that is worst for the program.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.needs import program

CALLS = (
    "open,openat,creat,write,pwrite64,writev,pwritev,fsync,fdatasync,sync_file_range,ftruncate,truncate,rename,renameat,renameat2,"
    "unlink,unlinkat,mkdir,mkdirat,rmdir,link,linkat,symlink,fallocate,lseek,copy_file_range,sendfile,mmap,sendto,sendmsg"
)


@dataclass(slots=True)
class Made:
    """A name appeared: a new, empty file (an existing one is `Cut` to 0 by O_TRUNC)."""

    path: str


@dataclass(slots=True)
class MadeDirectory:
    path: str


@dataclass(slots=True)
class Wrote:
    path: str
    at: int
    data: bytes


@dataclass(slots=True)
class Resized:
    path: str
    octets: int


@dataclass(slots=True)
class Synced:
    """`covers`: the number of events before the call was made."""

    path: str
    covers: int


@dataclass(slots=True)
class Renamed:
    old: str
    new: str


@dataclass(slots=True)
class Removed:
    path: str


@dataclass(slots=True)
class Said:
    data: bytes


Event = Made | MadeDirectory | Wrote | Resized | Synced | Renamed | Removed | Said


def record_words(output: Path) -> list[str]:
    """What to put in front of a command so that it is recorded."""
    return [program("strace"), "-f", "-y", "-xx", "-qq", "--seccomp-bpf", "-s", "100000000", "-e", f"trace={CALLS}", "-o", str(output)]


_CALL = re.compile(r"^(\d+) +(\w+)\((.*)$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)$")
_RESULT = re.compile(r"\) += (-?\d+)(?:<([^>]*)>)?[^=]*$")
_HEX = re.compile(r"\\x([0-9a-f]{2})")
_NAMED = re.compile(r"(-?\d+|AT_FDCWD)<([^>]*)>")


def _octets(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _name(text: str) -> str:
    return _HEX.sub(lambda m: chr(int(m[1], 16)), text)


def _strings(arguments: str) -> list[bytes]:
    return [_octets(part) for part in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', arguments)]


def events(trace: Path, below: Path, start: Path | None = None) -> list[Event]:
    """The events on files below a directory, paths relative to it ("" is the directory itself).

    `start` is a copy of the directory as it was before (None: it was empty).
    """
    known = {str(p.relative_to(start)) for p in start.rglob("*")} if start else set()
    return list(_Reader(str(below.resolve()), {"", *known}).read(trace))


class _Reader:
    def __init__(self, root: str, known: set[str]) -> None:
        self.root = root
        self.known = known
        self.places: dict[tuple[str, str], int] = {}
        self.count = 0

    def read(self, trace: Path) -> Iterator[Event]:
        waiting: dict[str, tuple[str, str, int]] = {}
        with trace.open(encoding="latin-1") as lines:
            for line in lines:
                line = line.rstrip("\n")
                covers = self.count
                resumed = _RESUMED.match(line)
                if resumed:
                    thread, name, rest = resumed.groups()
                    _, begun, covers = waiting.pop(thread, (name, "", covers))
                    whole, phase = begun + rest, "end"
                else:
                    call = _CALL.match(line)
                    if not call:
                        continue
                    thread, name, whole = call.groups()
                    phase = "both"
                    if whole.endswith("<unfinished ...>"):
                        whole = whole.removesuffix("<unfinished ...>").rstrip()
                        waiting[thread] = (name, whole, covers)
                        phase = "start"
                for event in self.event(name, whole, phase, covers):
                    self.count += 1
                    yield event

    def relative(self, path: str, base: str = "") -> str | None:
        """The path below the root, or None when it is elsewhere or already unlinked."""
        if path.endswith("(deleted)"):
            return None
        if not path.startswith("/"):
            path = f"{base}/{path}"
        if path == self.root:
            return ""
        return path[len(self.root) + 1 :] if path.startswith(self.root + "/") else None

    def event(self, name: str, text: str, phase: str, covers: int) -> Iterator[Event]:
        result = _RESULT.search(text)
        if phase != "start" and (not result or int(result[1]) < 0):
            return
        named = [(number, _name(path)) for number, path in _NAMED.findall(text)]
        if name in ("sendto", "sendmsg") or (name == "write" and named and named[0][1].startswith("socket:")):
            if phase != "end":
                yield Said(b"".join(_strings(text)))
            return
        if name in ("write", "pwrite64", "writev", "pwritev", "ftruncate"):
            if not named or (path := self.relative(named[0][1])) is None:
                return
            if phase == "end":
                return
            yield from self.change(name, named[0][0], path, text)
            return
        if phase == "start":
            return
        if name in ("open", "openat", "creat"):
            yield from self.opened(text, result[2] if result else "", result[1] if result else "")
        elif name == "lseek" and named and (path := self.relative(named[0][1])) is not None and result:
            self.places[named[0][0], path] = int(result[1])
        elif name in ("fsync", "fdatasync") and named and (path := self.relative(named[0][1])) is not None:
            yield Synced(path, covers)
        elif name.startswith(("rename", "unlink", "mkdir", "rmdir")):
            yield from self.names(name, text, [path for _, path in named])
        elif name == "fallocate" and named and (path := self.relative(named[0][1])) is not None:
            _, mode, at, octets = text.split(")")[0].split(", ")
            if mode == "0":
                yield Resized(path, int(at) + int(octets))
        elif name == "mmap" and "MAP_SHARED" in text and "PROT_WRITE" in text and named:
            path = self.relative(named[0][1])
            if path is not None and not path.endswith("-shm"):
                raise AssertionError(f"{path} is written through a memory map: this recorder cannot see it")
        elif name in ("link", "linkat", "symlink", "truncate", "copy_file_range", "sendfile", "sync_file_range"):
            for _, path in named:
                if self.relative(path) is not None:
                    raise AssertionError(f"{name} on {path}: this recorder does not know it yet")

    def change(self, name: str, number: str, path: str, text: str) -> Iterator[Event]:
        if name == "ftruncate":
            yield Resized(path, int(text.split(", ")[1].split(")")[0]))
            return
        data = b"".join(_strings(text))
        if name in ("pwrite64", "pwritev"):
            at = (
                int(text.rsplit('"', 1)[1].split(", ")[-1].split(")")[0])
                if name == "pwrite64"
                else int(text.split("], ")[1].split(", ")[1].split(")")[0])
            )
        else:
            at = self.places.get((number, path), 0)
            self.places[number, path] = at + len(data)
        yield Wrote(path, at, data)

    def opened(self, text: str, named: str, number: str) -> Iterator[Event]:
        path = self.relative(_name(named or ""))
        if path is None:
            return
        self.places[number, path] = 0
        if path not in self.known:
            self.known.add(path)
            if "O_CREAT" in text:
                yield Made(path)
        elif "O_TRUNC" in text:
            yield Resized(path, 0)

    def names(self, name: str, text: str, bases: list[str]) -> Iterator[Event]:
        texts = [raw.decode() for raw in _strings(text)]
        paths = [self.relative(part, bases[n] if n < len(bases) else "") for n, part in enumerate(texts)]
        if name.startswith("rename"):
            old, new = paths[0], paths[1]
            if old is not None and new is not None:
                self.known.discard(old)
                self.known.add(new)
                yield Renamed(old, new)
        elif paths and paths[0] is not None:
            if name.startswith("mkdir"):
                self.known.add(paths[0])
                yield MadeDirectory(paths[0])
            else:
                self.known.discard(paths[0])
                yield Removed(paths[0])
