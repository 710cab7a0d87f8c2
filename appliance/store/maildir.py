"""Maildirs, read and written: one file a message, flags in its name, folders beside (Maildir++) or below (nested).

Reading takes `cur` and `new` of every folder in the order of the files' base names; `tmp` is not mail. Flags are the
characters after ":2,", or after ";2," "!2," "-2," "_2," as programs write where a file name may hold no colon (there the rest
of the name must be ASCII alphabetic, because base names hold these characters too); lower-case ones are keywords where
`dovecot-keywords` names them, else passed over. The file's modification time is the time of arrival. LF becomes CRLF.
A running server or client may rename files meanwhile: a file is found again by its base name. No link is followed
(archive_files); what cannot be read is passed over and counted. Folder names of Maildir++ are in modified UTF-7, levels
apart by ".".
Writing puts each file into `tmp`, then renames it into `cur`. Not lost: keywords, up to 26 a folder.
"""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from appliance.mail.errors import MisuseError
from appliance.mail.flags import INBOX
from appliance.protocol.imap.mailbox_name import decode_name, encode_name

from .archive_files import FOLDER, LEVELS, PassedOver, open_file, open_folder, printable, reason_of
from .export_names import fitting, marked
from .mbox import CHUNK_OCTETS, with_crlf, with_lf

FLAG_CHARACTERS: tuple[tuple[str, str], ...] = (
    ("D", "\\Draft"), ("F", "\\Flagged"), ("P", "$Forwarded"), ("R", "\\Answered"), ("S", "\\Seen"), ("T", "\\Deleted"),
)  # fmt: skip
"""In the order they stand in a name."""
KEYWORDS_FILE = "dovecot-keywords"
KEYWORDS_OCTETS = 64 * 2**10
RENAMES = 5
"""How often one file is looked for again under another name before it counts as gone."""
_OTHER_INFO = re.compile(r"[;!_-]2,([A-Za-z]*)\Z")
DOT = "&AC4-"
"""How a "." inside a level is written."""
KEYWORD_CHARACTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(slots=True)
class Folder:
    """One folder `parts` below the archive's `root`, and the mailbox name it stands for."""

    root: Path
    parts: tuple[str, ...]
    mailbox: str

    @property
    def path(self) -> Path:
        return self.root.joinpath(*self.parts)


@dataclass(slots=True)
class Entry:
    """One file of a folder, as it was listed."""

    base: str
    part: str
    name: str
    inode: int


# --- reading -------------------------------------------------------------------------------------------------


def folders(root: Path, passed: PassedOver | None = None) -> list[Folder]:
    """The root as INBOX and all folders, by name; both ways of nesting. Raises SetupError, OSError for the root alone."""
    found: list[Folder] = []
    top = open_folder(root)
    try:
        _gather(top, Folder(root, (), ""), found, passed or PassedOver())
    finally:
        os.close(top)
    found.sort(key=lambda folder: (folder.mailbox != INBOX, folder.mailbox))
    return found


def _gather(opened: int, here: Folder, found: list[Folder], passed: PassedOver) -> None:
    with os.scandir(opened) as entries:
        kinds = {entry.name: (entry.is_symlink(), entry.is_dir(follow_symlinks=False)) for entry in entries}
    if any(any(kinds.get(part, ())) for part in ("cur", "new")):
        found.append(Folder(here.root, here.parts, here.mailbox or INBOX))
    for name, (link, directory) in sorted(kinds.items()):
        if name in ("cur", "new", "tmp") or not (link or directory):
            continue
        mailbox = "/".join([*([here.mailbox] if here.mailbox else []), mailbox_below((name,))])
        child = Folder(here.root, (*here.parts, name), mailbox)
        if len(child.parts) > LEVELS:
            passed.note(child.path, "too many folders inside each other")
            continue
        try:
            below = os.open(name, FOLDER, dir_fd=opened)
        except OSError as error:
            passed.note(child.path, "it is a symbolic link" if link else reason_of(error))
            continue
        try:
            _gather(below, child, found, passed)
        finally:
            os.close(below)


def mailbox_below(parts: tuple[str, ...]) -> str:
    """The mailbox of a folder by the names that lead to it from the root, of both ways of nesting; "" for the root."""
    return "/".join([_decoded(level) for part in parts for level in (part[1:].split(".") if part.startswith(".") else [part])])


def _decoded(level: str) -> str:
    """A name that is no modified UTF-7 is taken as it is."""
    try:
        return ".".join([decode_name(os.fsencode(part)) for part in level.split(DOT)])
    except MisuseError:
        return printable(level)


def files(folder: Folder, after: str = "") -> Iterator[Path]:
    """The names of the folder's files by base name, those beyond `after`."""
    with ExitStack() as stack:
        listed = _listed(_parts(folder, stack, PassedOver()))
    yield from [folder.path / entry.part / entry.name for entry in listed if entry.base > after]


def messages(folder: Folder, after: str, passed: PassedOver) -> Iterator[tuple[str, BinaryIO]]:
    """Name and opened file of each message by base name, those beyond `after`; the file is closed when the next is asked for."""
    with ExitStack() as stack:
        try:
            parts = _parts(folder, stack, passed)
        except OSError as error:
            passed.note(folder.path, reason_of(error))
            return
        for entry in _listed(parts):
            if entry.base <= after:
                continue
            descriptor = _open_message(parts, entry, folder, passed)
            if descriptor is not None:
                with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
                    yield entry.name, file


def _parts(folder: Folder, stack: ExitStack, passed: PassedOver) -> dict[str, int]:
    """`new` and `cur`, opened. A part that is missing is empty."""
    opened = open_folder(folder.root, folder.parts)
    stack.callback(os.close, opened)
    parts = {}
    for part in ("new", "cur"):  # in this order: a message moved from new to cur in between is seen twice, not never
        try:
            parts[part] = os.open(part, FOLDER, dir_fd=opened)
        except FileNotFoundError:
            continue
        except OSError as error:
            link = stat.S_ISLNK(os.stat(part, dir_fd=opened, follow_symlinks=False).st_mode)
            passed.note(folder.path / part, "it is a symbolic link" if link else reason_of(error))
            continue
        stack.callback(os.close, parts[part])
    return parts


def _listed(parts: dict[str, int]) -> list[Entry]:
    """All files by base name. Listed twice: a file renamed while a folder is read may be missing from that reading (POSIX)."""
    found: dict[tuple[str, int], Entry] = {}
    for _ in range(2):
        for part, descriptor in parts.items():
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    if entry.name[0] != ".":
                        base = unique(entry.name)
                        found[base, entry.inode()] = Entry(base, part, entry.name, entry.inode())
        if not found:
            break
    return sorted(found.values(), key=lambda entry: (entry.base, entry.part, entry.name))


def _open_message(parts: dict[str, int], entry: Entry, folder: Folder, passed: PassedOver) -> int | None:
    """The message opened, under its new name (then `entry` says so) when a client changed its flags since it was listed."""
    for _ in range(RENAMES):
        try:
            return open_file(parts[entry.part], entry.name, folder.path / entry.part / entry.name, passed)
        except FileNotFoundError:
            same = [one for one in _listed(parts) if one.base == entry.base]
            same.sort(key=lambda one: one.inode != entry.inode)
            if not same:
                break
            entry.part, entry.name = same[0].part, same[0].name
    passed.note(folder.path / entry.part / entry.name, "it was removed or renamed meanwhile")
    return None


def unique(name: str) -> str:
    """The base name, which flag changes leave alone."""
    return printable(_split(name)[0])


def _split(name: str) -> tuple[str, str]:
    """Base name and flag characters."""
    if ":" in name:
        return name.partition(":")[0], name.rpartition(":2,")[2].partition(",")[0] if ":2," in name else ""
    info = _OTHER_INFO.search(name)
    return (name[: info.start()], info[1]) if info else (name, "")


def keyword_names(folder: Folder) -> dict[str, str]:
    """Keyword character to name; empty without a `dovecot-keywords` file."""
    try:
        opened = open_folder(folder.root, folder.parts)
        try:
            descriptor = open_file(opened, KEYWORDS_FILE, folder.path / KEYWORDS_FILE, PassedOver())
        finally:
            os.close(opened)
        if descriptor is None:
            return {}
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
            text = file.read(KEYWORDS_OCTETS).decode(errors="replace")
    except OSError:
        return {}
    return keywords_in(text)


def keywords_in(text: str) -> dict[str, str]:
    """Keyword character to name, as `dovecot-keywords` says."""
    found = {}
    for line in text.splitlines():
        number, _, name = line.partition(" ")
        if number.isdecimal() and int(number) < len(KEYWORD_CHARACTERS) and name:
            found[KEYWORD_CHARACTERS[int(number)]] = name
    return found


def flags_of(name: str, keywords: dict[str, str]) -> tuple[str, ...]:
    table = {**dict(FLAG_CHARACTERS), **keywords}
    return tuple([table[character] for character in _split(name)[1] if character in table])


def chunks(file: BinaryIO) -> Iterator[bytes]:
    """The message with CRLF."""
    return crlf_chunks(iter(lambda: file.read(CHUNK_OCTETS), b""))


def crlf_chunks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """What comes in any chunks, with CRLF."""
    rest = b""
    for chunk in pieces:
        data = rest + chunk
        rest = b"\r" if data.endswith(b"\r") else b""  # its LF may be the next octet
        yield with_crlf(data.removesuffix(b"\r") if rest else data)
    if rest:
        yield rest


# --- writing -------------------------------------------------------------------------------------------------


class MaildirNames:
    """Folder and file names of what is written: folders by mailbox, no two alike but for case; keywords by folder."""

    def __init__(self) -> None:
        self._count = 0
        self._folders: dict[str, str] = {}
        self._taken: set[str] = set()
        self._keywords: dict[str, list[str]] = {}

    def folder_of(self, mailbox: str) -> str:
        """Below the root; "" for INBOX, the root itself."""
        if mailbox not in self._folders:
            name = "" if mailbox == INBOX else f".{'.'.join(map(_encoded, mailbox.split('/')))}"
            name = fitting(name, mailbox)
            self._folders[mailbox] = marked(name, mailbox) if name.casefold() in self._taken else name
            self._taken.add(self._folders[mailbox].casefold())
        return self._folders[mailbox]

    def message(self, mailbox: str, flags: tuple[str, ...], internal_at: int) -> str:
        """The name of one more file."""
        self._count += 1
        return f"{internal_at}.{self._count:08d}.pillarbox:2,{self._characters(mailbox, flags)}"

    def _characters(self, mailbox: str, flags: tuple[str, ...]) -> str:
        system = "".join([character for character, flag in FLAG_CHARACTERS if flag in flags])
        own, standard = self._keywords.setdefault(mailbox, []), {flag for _, flag in FLAG_CHARACTERS}
        fresh = [flag for flag in flags if flag not in standard and flag[:1] != "\\" and flag not in own]
        own += fresh[: max(0, len(KEYWORD_CHARACTERS) - len(own))]
        return system + "".join(sorted([KEYWORD_CHARACTERS[own.index(flag)] for flag in flags if flag in own]))

    def keywords_file(self, mailbox: str) -> bytes:
        """What `dovecot-keywords` of the folder says; b"" without keywords."""
        return "".join([f"{number} {name}\n" for number, name in enumerate(self._keywords.get(mailbox, ()))]).encode()


class MaildirWriter:
    """Messages into folders below `root`: `begin`, `write` chunks, `end`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._names = MaildirNames()
        self._keywords: dict[str, bytes] = {}
        self._folders: dict[str, Path] = {}
        self._folder = root
        self._name = ""
        self._rest = b""

    def begin(self, mailbox: str, flags: tuple[str, ...], internal_at: int) -> None:
        """`internal_at` in UTC seconds."""
        if mailbox not in self._folders:
            self._folders[mailbox] = self._made(mailbox)
        self._folder = self._folders[mailbox]
        self._name = self._names.message(mailbox, flags, internal_at)
        keywords = self._names.keywords_file(mailbox)
        if keywords != self._keywords.get(mailbox, b""):
            self._keywords[mailbox] = keywords
            (self._folder / KEYWORDS_FILE).write_bytes(keywords)
        self._rest = b""
        self._file = (self._folder / "tmp" / self._name).open("xb")
        self._internal_at = internal_at

    def _made(self, mailbox: str) -> Path:
        """The mailbox's folder, made; one that is there already is another mailbox's, where the file system folds more than case."""
        name = self._names.folder_of(mailbox)
        folder = self._root / name
        if name and folder.exists():
            folder = self._root / marked(name, mailbox)
        for part in ("tmp", "new", "cur"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        return folder

    def write(self, chunk: bytes) -> None:
        octets, self._rest = with_lf_so_far(self._rest + chunk)
        self._file.write(octets)

    def end(self) -> None:
        self._file.write(with_lf(self._rest))
        self._file.close()
        path = self._folder / "tmp" / self._name
        os.utime(path, (self._internal_at, self._internal_at))
        path.rename(self._folder / "cur" / self._name)


def with_lf_so_far(data: bytes) -> tuple[bytes, bytes]:
    """(what of a chunk can be written with LF, the rest: a CR or two at its end may belong to a line end)."""
    cut = len(data) if data.endswith(b"\n") else max(0, len(data) - 2)
    return with_lf(data[:cut]), data[cut:]


def _encoded(level: str) -> str:
    """One level as a folder name: modified UTF-7, in which "." is written as well (it separates levels)."""
    return encode_name(level).decode().replace(".", DOT)
