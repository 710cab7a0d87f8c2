"""Maildirs, read and written: one file a letter, flags in its name, folders beside (Maildir++) or below (nested).

Reading takes `cur` and `new` of every folder in the order of the files' unique names; `tmp` is not mail. Flags are the
letters after ":2,"; small letters are keywords where `dovecot-keywords` names them, else passed over. The file's
modification time is the time of arrival. LF becomes CRLF. Folder names of Maildir++ are in modified UTF-7, levels
apart by ".".
Writing puts each file into `tmp`, then renames it into `cur`. Not lost: keywords, up to 26 a folder.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from appliance.mail.errors import MisuseError
from appliance.mail.flags import INBOX
from appliance.protocol.imap.mailbox_name import decode_name, encode_name

from .mbox import PIECE_OCTETS, with_crlf, with_lf

LETTERS: tuple[tuple[str, str], ...] = (
    ("D", "\\Draft"), ("F", "\\Flagged"), ("P", "$Forwarded"), ("R", "\\Answered"), ("S", "\\Seen"), ("T", "\\Deleted"),
)  # fmt: skip
"""In the order they stand in a name."""
KEYWORDS_FILE = "dovecot-keywords"
DOT = "&AC4-"
"""How a "." inside a level is written."""
FOLDER_OCTETS = 200
"""A longer folder name is cut and marked with a checksum; file systems take 255."""
KEYWORD_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(slots=True)
class Folder:
    """One folder and the mailbox name it stands for."""

    path: Path
    mailbox: str


def is_maildir(path: Path) -> bool:
    return (path / "cur").is_dir() or (path / "new").is_dir()


def folders(root: Path) -> list[Folder]:
    """The root as INBOX and all folders, by name; both ways of nesting."""
    found = [Folder(root, INBOX)] if is_maildir(root) else []
    _gather(root, "", found)
    found.sort(key=lambda folder: (folder.mailbox != INBOX, folder.mailbox))
    return found


def _gather(path: Path, above: str, found: list[Folder]) -> None:
    for child in sorted(path.iterdir()):
        if child.name in ("cur", "new", "tmp") or child.is_symlink() or not child.is_dir():
            continue
        levels = child.name[1:].split(".") if child.name.startswith(".") else [child.name]
        name = "/".join([*([above] if above else []), *map(_decoded, levels)])
        if is_maildir(child):
            found.append(Folder(child, name))
        _gather(child, name, found)


def _decoded(level: str) -> str:
    """A name that is no modified UTF-7 is taken as it is."""
    try:
        return ".".join([decode_name(os.fsencode(part)) for part in level.split(DOT)])
    except MisuseError:
        return level


def files(folder: Folder, after: str = "") -> Iterator[Path]:
    """The folder's letters by unique name, those beyond `after`."""
    names = []
    for part in ("cur", "new"):
        directory = folder.path / part
        if directory.is_dir():
            with os.scandir(directory) as entries:
                names += [(unique(entry.name), part, entry.name) for entry in entries if entry.name[0] != "." and entry.is_file()]
    names.sort()
    for name, part, file in names:
        if name > after:
            yield folder.path / part / file


def unique(name: str) -> str:
    return name.partition(":")[0]


def keyword_names(folder: Folder) -> dict[str, str]:
    """Keyword letter to name; empty without a `dovecot-keywords` file."""
    try:
        text = (folder.path / KEYWORDS_FILE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    found = {}
    for line in text.splitlines():
        number, _, name = line.partition(" ")
        if number.isdecimal() and int(number) < len(KEYWORD_LETTERS) and name:
            found[KEYWORD_LETTERS[int(number)]] = name
    return found


def flags_of(name: str, keywords: dict[str, str]) -> tuple[str, ...]:
    _, mark, letters = name.rpartition(":2,")
    if not mark:
        return ()
    table = {**dict(LETTERS), **keywords}
    return tuple([table[letter] for letter in letters if letter in table])


def pieces(path: Path) -> Iterator[bytes]:
    """The letter with CRLF."""
    with path.open("rb") as file:
        rest = b""
        while chunk := file.read(PIECE_OCTETS):
            data = rest + chunk
            rest = b"\r" if data.endswith(b"\r") else b""  # its LF may be the next octet
            yield with_crlf(data.removesuffix(b"\r") if rest else data)
        if rest:
            yield rest


class MaildirWriter:
    """Letters into folders below `root`: `begin`, `write` pieces, `end`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._count = 0
        self._keywords: dict[Path, list[str]] = {}
        self._folder = root
        self._name = ""
        self._rest = b""

    def begin(self, mailbox: str, flags: tuple[str, ...], internal_at: int) -> None:
        """`internal_at` in UTC seconds."""
        self._folder = self._root if mailbox == INBOX else self._root / fitting(f".{'.'.join(map(_encoded, mailbox.split('/')))}")
        if self._folder not in self._keywords:
            for part in ("tmp", "new", "cur"):
                (self._folder / part).mkdir(parents=True, exist_ok=True)
            self._keywords[self._folder] = []
        self._count += 1
        self._name = f"{internal_at}.{self._count:08d}.pillarbox:2,{self._letters(flags)}"
        self._rest = b""
        self._file = (self._folder / "tmp" / self._name).open("xb")
        self._internal_at = internal_at

    def write(self, piece: bytes) -> None:
        data = self._rest + piece
        cut = max(0, len(data) - 2)  # a CR or two at the end may belong to a line end
        if data.endswith(b"\n"):
            cut = len(data)
        self._rest = data[cut:]
        self._file.write(with_lf(data[:cut]))

    def end(self) -> None:
        self._file.write(with_lf(self._rest))
        self._file.close()
        path = self._folder / "tmp" / self._name
        os.utime(path, (self._internal_at, self._internal_at))
        path.rename(self._folder / "cur" / self._name)

    def _letters(self, flags: tuple[str, ...]) -> str:
        system = "".join([letter for letter, flag in LETTERS if flag in flags])
        own = self._keywords[self._folder]
        standard = {flag for _, flag in LETTERS}
        fresh = [flag for flag in flags if flag not in standard and flag[:1] != "\\" and flag not in own]
        if fresh and len(own) < len(KEYWORD_LETTERS):
            own += fresh[: len(KEYWORD_LETTERS) - len(own)]
            lines = [f"{number} {name}\n" for number, name in enumerate(own)]
            (self._folder / KEYWORDS_FILE).write_text("".join(lines), encoding="utf-8")
        return system + "".join(sorted([KEYWORD_LETTERS[own.index(flag)] for flag in flags if flag in own]))


def _encoded(level: str) -> str:
    """One level as a folder name: modified UTF-7, in which "." is written as well (it separates levels)."""
    return encode_name(level).decode().replace(".", DOT)


def fitting(name: str) -> str:
    """The name, or what of it a file system takes."""
    octets = name.encode()
    if len(octets) <= FOLDER_OCTETS:
        return name
    return f"{octets[:FOLDER_OCTETS].decode(errors='ignore')}~{crc32(octets):08x}"
