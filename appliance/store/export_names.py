"""File names for mailbox names: what every common file system takes, the same at each export, no two alike.

A mailbox name has up to 1000 octets and any character but controls; a file name has 255 octets, and on a USB stick no
case and fewer characters. A level that is too long, or that another mailbox took without regard to case, ends in "~" and a
checksum of the whole mailbox name. "%XX" stands for a character that file names do not hold everywhere; it can be read
back, because no mailbox name holds "%". Pure: which names are taken is kept here.
"""

import re
import unicodedata
from pathlib import PurePath
from zlib import crc32

LEVEL_OCTETS = 200
"""A longer level is cut and marked with a checksum; file systems take 255, and an ending must fit as well."""
FORBIDDEN = frozenset('/\\:?*"<>|%')
"""Characters that FAT refuses beside controls, and the mark itself."""
_ESCAPE = re.compile("%([0-9A-F]{2})")


def fitting(name: str, whole: str = "") -> str:
    """The name, or what of it a file system takes with a checksum of `whole`."""
    octets = name.encode(errors="replace")
    return name if len(octets) <= LEVEL_OCTETS else marked(name, whole or name)


def marked(name: str, whole: str) -> str:
    """The name made another by a checksum of `whole`."""
    return f"{name.encode(errors='replace')[:LEVEL_OCTETS].decode(errors='ignore')}~{crc32(whole.encode(errors='replace')):08x}"


def escaped(level: str) -> str:
    """One level without what a file name cannot hold or means something else by."""
    if not level.strip("."):
        return level.replace(".", "%2E") or "%20"
    return "".join([f"%{ord(one):02X}" if one in FORBIDDEN or ord(one) < 32 or ord(one) == 127 else one for one in level])


def unescaped(name: str) -> str:
    """A file name's level as a mailbox's."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), name)


class ExportNames:
    """Paths below one folder for mailboxes, each its own."""

    def __init__(self, ending: str) -> None:
        self._ending = ending
        self._taken: dict[str, str] = {}
        """Path without regard to case: what has it, a mailbox ("m" and its name) or a folder of mailboxes ("f")."""

    def path_of(self, mailbox: str) -> PurePath:
        """ "a/b" becomes a/b.mbox."""
        levels = mailbox.split("/")
        path = PurePath()
        for depth, level in enumerate(levels, 1):
            whole = "/".join(levels[:depth])
            last = depth == len(levels)
            path = self._free(path, fitting(escaped(level), whole), whole, self._ending if last else "", ("m" if last else "f") + whole)
        return path

    def folder_of(self, name: str) -> PurePath:
        """One folder for something that has no levels, as an address."""
        return self._free(PurePath(), fitting(escaped(name)), name, "", "f" + name)

    def _free(self, above: PurePath, name: str, whole: str, ending: str, owner: str) -> PurePath:
        for candidate in (name, marked(name, whole), *(marked(name, f"{whole}\n{number}") for number in range(1000))):
            path = above / (candidate + ending)
            if self._taken.setdefault(_alike(path), owner) == owner:
                return path
        raise AssertionError("a thousand checksums in a row were taken")


def _alike(path: PurePath) -> str:
    return unicodedata.normalize("NFC", str(path)).casefold()
