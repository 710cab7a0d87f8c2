"""Other processes on the serial console's device: a getty left on it takes every other key and writes its login prompt.

Looks through /proc: a process uses a device that is its controlling terminal (proc(5), stat, tty_nr; readable for everybody), or
that it has open (readable for its owner and root). Nothing is opened, so looking disturbs no process. How it fails: it finds nothing.
"""

import os
from pathlib import Path

from appliance.mail.sentence import Sentence

PROC = Path("/proc")
NAMED = 5
"""Most processes that are named."""


def others_on(device: str, proc: Path = PROC) -> list[tuple[int, str]]:
    """(process number, name) of each process but this one that uses `device`, a few at most. Slow: some milliseconds."""
    try:
        number = os.stat(device).st_rdev  # noqa: PTH116 - a device number
    except OSError:
        return []
    found = []
    for place in proc.iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid() and (_controls(place, number) or _has_open(place, number)):
            found.append((int(place.name), _name(place)))
        if len(found) == NAMED:
            break
    return sorted(found)


def sentences(device: str, others: list[tuple[int, str]]) -> tuple[str, ...]:
    """One sentence for each of them."""
    return tuple(
        Sentence(
            "The program %(name)s (process %(process)s) uses the serial console's device %(device)s too: "
            "keys and text get lost between the two.",
            name=name,
            process=number,
            device=device,
        )
        for number, name in others
    )


def _controls(place: Path, device: int) -> bool:
    try:
        fields = (place / "stat").read_bytes().rpartition(b")")[2].split()
        number = int(fields[4])  # the fourth behind the name in brackets, which may hold anything
    except (OSError, ValueError, IndexError):
        return False
    return number != 0 and os.makedev((number >> 8) & 0xFFF, (number & 0xFF) | ((number >> 12) & 0xFFF00)) == device


def _has_open(place: Path, device: int) -> bool:
    try:
        return any(_is(descriptor, device) for descriptor in (place / "fd").iterdir())
    except OSError:
        return False


def _is(descriptor: Path, device: int) -> bool:
    try:
        return descriptor.readlink().parts[:2] == ("/", "dev") and descriptor.stat().st_rdev == device
    except OSError:
        return False


def _name(place: Path) -> str:
    try:
        return (place / "comm").read_text(errors="replace").strip() or "?"
    except OSError:
        return "?"
