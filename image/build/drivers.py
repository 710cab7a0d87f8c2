"""Whether the image has the drivers its boards ask for: each `compatible` of a device tree against the kernel's modules.

A regulator or an interrupt controller that is left out shows nowhere but on the board, which then finds no card or no network:
the kernel waits for it without a word. So every module that a tree asks for stands in modules.txt, as wanted or, after "not", as
unwanted; and those that others wait for (SUPPLIERS) are in the initrd, because the card's controller may be one of the others.
"""

import re
import struct
from collections.abc import Iterable, Iterator, Mapping

SUPPLIERS = ("drivers/clk/", "drivers/gpio/", "drivers/irqchip/", "drivers/pinctrl/", "drivers/regulator/", "drivers/reset/")
"""Paths of drivers whose devices supply others."""
ALIAS = re.compile(r"alias of:N\*T\*C(?P<compatible>\S+?)(?:C\*)? (?P<module>\S+)")
MAGIC, BEGIN_NODE, END_NODE, PROPERTY, NOP = 0xD00DFEED, 1, 2, 3, 4
"""Devicetree specification 0.4 §5.2, §5.4.1."""


def compatibles(tree: bytes) -> set[str]:
    """What the devices of a flattened tree are compatible with, but for those switched off. ValueError where it is no tree."""
    magic, _, structure, strings = struct.unpack_from(">IIII", tree)
    if magic != MAGIC:
        raise ValueError("this is no device tree")
    found: set[str] = set()
    nodes: list[tuple[bool, set[str]]] = []
    for token, name, value in _tokens(tree, structure, strings):
        if token == BEGIN_NODE:
            nodes.append((nodes[-1][0] if nodes else True, set()))
        elif token == END_NODE:
            on, names = nodes.pop()
            found |= names if on else set()
        elif name == "status" and value not in (b"okay\0", b"ok\0"):
            nodes[-1] = (False, nodes[-1][1])
        elif name == "compatible":
            nodes[-1][1].update(value.decode("ascii").rstrip("\0").split("\0"))
    return found


def _tokens(tree: bytes, at: int, strings: int) -> Iterator[tuple[int, str, bytes]]:
    """(token, name of the property, its value); properties come before the nodes inside (§5.4.2)."""
    while True:
        (token,) = struct.unpack_from(">I", tree, at)
        at += 4
        if token == BEGIN_NODE:
            at = (tree.index(b"\0", at) + 4) & ~3
            yield token, "", b""
        elif token == END_NODE:
            yield token, "", b""
        elif token == PROPERTY:
            length, name_at = struct.unpack_from(">II", tree, at)
            name = tree[strings + name_at : tree.index(b"\0", strings + name_at)].decode("ascii")
            yield token, name, tree[at + 8 : at + 8 + length]
            at = (at + 8 + length + 3) & ~3
        elif token > PROPERTY and token != NOP:
            return


def drivers_of(tree: bytes, aliases: str, paths: Iterable[str]) -> set[str]:
    """Of the modules with these `paths`, those that a device of the tree loads by modules.alias (its text)."""
    asked = compatibles(tree)
    names = {match["module"] for match in ALIAS.finditer(aliases) if match["compatible"] in asked}
    return {path for path in paths if module_name(path) in names}


def module_name(path: str) -> str:
    """kernel/drivers/regulator/gpio-regulator.ko.xz: gpio_regulator."""
    return path.rpartition("/")[2].partition(".")[0].replace("-", "_")


def missing(trees: Mapping[str, set[str]], everywhere: set[str], initrd: set[str], unwanted: set[str]) -> list[str]:
    """A line for every module that a tree asks for and that is left out; `trees` has each tree's modules."""
    rows = []
    for name, asked in sorted(trees.items()):
        for path in sorted(asked - unwanted):
            short = path.removeprefix("kernel/").removesuffix(".xz")
            if path not in everywhere:
                rows.append(f"{name} asks for {short}")
            elif short.startswith(SUPPLIERS) and path not in initrd:
                rows.append(f"{name} asks for {short}, which others may wait for, in the initrd")
    return rows
