"""Kernel, modules and device trees, out of Debian's kernel packages.

Modules are those image/modules.txt names and what they need; uncompressed, because root and initrd are compressed as a whole.
"""

import fnmatch
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import drivers, own_modules
from .host import BuildError
from .tools import Tools

TREES = ("bcm2837-rpi-*.dtb", "bcm2711-rpi-*.dtb", "bcm2712*-rpi-*.dtb")
"""Pi 3 and Zero 2 W, Pi 4, Pi 5."""

ALIASES = (("bcm2837-", "bcm2710-"),)
"""The firmware asks for the 64-bit trees of Pi 3 and Zero 2 W under the second name (start.elf of 2024); both are shipped."""


@dataclass(frozen=True, slots=True)
class ModuleList:
    """Lines of modules.txt."""

    everywhere: tuple[str, ...]
    initrd: tuple[str, ...]
    unwanted: tuple[str, ...]
    """What boards ask for and the image does without."""


def parse_modules(text: str) -> ModuleList:
    """Lines of modules.txt; "#" begins a comment; BuildError names a line that is none."""
    found: dict[str, list[str]] = {"": [], "initrd": [], "not": []}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        *how, path = words
        if len(how) > 1 or "".join(how) not in found:
            raise BuildError(f"modules.txt, line {number}: {line.strip()!r} is none of PATH, initrd PATH and not PATH.")
        found["".join(how)].append(path)
    return ModuleList(tuple(found[""] + found["initrd"]), tuple(found["initrd"]), tuple(found["not"]))


def matches(path: str, patterns: tuple[str, ...]) -> bool:
    """Whether a module's path below kernel/ is named by a pattern."""
    return any(
        path.startswith(one) if one.endswith("/") else fnmatch.fnmatch(path, one) or fnmatch.fnmatch(path, one + ".xz") for one in patterns
    )


def with_needed(chosen: set[str], depends: dict[str, list[str]]) -> set[str]:
    """The chosen modules and, transitively, those they need (modules.dep(5))."""
    found: set[str] = set()
    waiting = list(chosen)
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += depends[one]
    return found


def parse_depends(text: str) -> dict[str, list[str]]:
    """modules.dep: path of each module, and of those it needs."""
    return {path: needs.split() for path, _, needs in (line.partition(":") for line in text.splitlines())}


def install_kernel(tools: Tools, work: Path, listed: ModuleList) -> str:
    """From /build/kernel (the kernel's packages): chosen modules to /build/root and /build/initrd, image and trees to /build/slot.
    Returns the release."""
    unpacked = work / "kernel/usr/lib/modules"
    releases = [path.name for path in unpacked.iterdir()]
    if len(releases) != 1:
        raise BuildError(f"The packages have {len(releases)} kernels instead of one.")
    release, whole = releases[0], unpacked / releases[0]
    (work / "kernel/lib").symlink_to("usr/lib")
    tools.run("depmod", "-b", "/build/kernel", release)
    depends = parse_depends((whole / "modules.dep").read_text())
    chosen = {"root": _chosen(listed.everywhere, depends), "initrd": _chosen(listed.initrd, depends)}
    _check_drivers(whole, depends, chosen, _named(listed.unwanted, depends))
    for place, modules in chosen.items():
        _copy_modules(tools, whole, work / place / "usr/lib/modules" / release, modules)
        if not (work / place / "lib").is_symlink():
            (work / place / "lib").symlink_to("usr/lib")
        if place == "root":
            own_modules.compile_modules(tools, work, release)
        tools.run("depmod", "-b", f"/build/{place}", release)
    slot = work / "slot"
    shutil.copyfile(whole / "vmlinuz", work / "Image")
    tools.run("sh", "-ec", "gzip -9 -n -c /build/Image > /build/slot/vmlinuz.gz")
    for pattern in TREES:
        for tree in sorted((whole / "dtb/broadcom").glob(pattern)):
            shutil.copyfile(tree, slot / tree.name)
            for ours, asked in ALIASES:
                if tree.name.startswith(ours):
                    shutil.copyfile(tree, slot / tree.name.replace(ours, asked, 1))
    return release


def _named(patterns: tuple[str, ...], depends: dict[str, list[str]]) -> set[str]:
    return {path for path in depends if matches(path.removeprefix("kernel/"), patterns)}


def _chosen(patterns: tuple[str, ...], depends: dict[str, list[str]]) -> set[str]:
    return with_needed(_named(patterns, depends), depends)


def _check_drivers(whole: Path, depends: dict[str, list[str]], chosen: dict[str, set[str]], unwanted: set[str]) -> None:
    aliases = (whole / "modules.alias").read_text()
    trees = {
        tree.name: drivers.drivers_of(tree.read_bytes(), aliases, depends)
        for pattern in TREES
        for tree in (whole / "dtb/broadcom").glob(pattern)
    }
    rows = drivers.missing(trees, chosen["root"], chosen["initrd"], unwanted)
    if rows:
        raise BuildError("Drivers are missing; name them in modules.txt, or as not wanted:\n" + "\n".join(rows))


def _copy_modules(tools: Tools, whole: Path, to: Path, chosen: set[str]) -> None:
    for path in sorted(chosen):
        (to / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(whole / path, to / path)
    for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
        if (whole / name).exists():
            shutil.copyfile(whole / name, to / name)
    tools.run(
        "sh",
        "-ec",
        'find "$1" -name "*.ko.xz" -print0 | xargs -0 -r -n 40 -P 2 xz -d -q',
        "sh",
        f"/build/{to.parents[3].name}/usr/lib/modules/{to.name}",
    )
