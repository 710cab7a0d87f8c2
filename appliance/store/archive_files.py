"""Opening the files of an archive that its owner may be changing: no symbolic link in it is ever followed.

`import` is often run by root on folders that other users own, and a link there would bring a file of root's choice of
rights, not of the owner's, into a mailbox. What was decided, for mbox files and Maildirs alike:
  - the given file or folder itself must not be a link: the refusal names what it leads to, to be given instead;
  - of the folders above it, a link is followed only when root or the running user made it (/home -> /data/home);
  - below it no link is followed: each level is opened by name in its opened parent (O_NOFOLLOW), so that a folder
    exchanged for a link in between is not followed either. Links are passed over and counted;
  - a file with several hard links that belongs to another user than its folder is passed over and counted;
  - pipes, devices and sockets are never opened, and nothing that opens can block (O_NONBLOCK).
What cannot be read is passed over and counted (`PassedOver`), the rest is taken.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePath

from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
ABOVE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
"""Folders above the given one need not be readable, and a link opens as itself."""
LINKS = 40
"""Links followed in one path, as the kernel counts."""
LEVELS = 64
"""Folders inside each other that are looked into; a mailbox name has fewer levels."""

KINDS = (
    (stat.S_ISLNK, "it is a symbolic link"),
    (stat.S_ISDIR, "it is a folder"),
    (stat.S_ISFIFO, "it is a pipe"),
    (stat.S_ISSOCK, "it is a socket"),
    (stat.S_ISCHR, "it is a device"),
    (stat.S_ISBLK, "it is a device"),
)


@dataclass(slots=True)
class PassedOver:
    """What an archive holds that could not be read: how many, and the first of them with the reason."""

    count: int = 0
    first: str = ""

    def note(self, path: PurePath, reason: str) -> None:
        self.count += 1
        self.first = self.first or f"{printable(str(path))}: {reason}"

    def add(self, other: "PassedOver") -> None:
        self.count += other.count
        self.first = self.first or other.first


def printable(name: str) -> str:
    """A file name as text: octets that are no UTF-8 are written \\xNN."""
    return os.fsencode(name).decode(errors="backslashreplace")


def reason_of(error: OSError) -> str:
    return error.strerror or "it cannot be read"


def open_given(path: Path) -> int:
    """A descriptor of the file or folder named on the command line. Raises SetupError for links, OSError."""
    left = list(path.parts)
    at = os.open(left.pop(0) if path.is_absolute() else ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    links = 0
    try:
        while left:
            part = left.pop(0)
            step = os.open(part, ABOVE, dir_fd=at)
            if not stat.S_ISLNK(os.fstat(step).st_mode):
                at = _instead(at, step)
                continue
            try:
                links += 1
                target = PurePath(_target(step, path, last=not left, too_many=links > LINKS))
            finally:
                os.close(step)
            if target.is_absolute():
                at = _instead(at, os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
            left[:0] = [one for one in target.parts if one != "/"]
        return _readable(at, path)
    finally:
        os.close(at)


def _instead(old: int, new: int) -> int:
    os.close(old)
    return new


def _target(link: int, path: Path, *, last: bool, too_many: bool) -> str:
    """Where the opened link leads, if it may be followed."""
    if last:
        raise SetupError(
            Sentence("%(path)s is a symbolic link, and import follows none.", path=path),
            Sentence("Name what it leads to: %(resolve)s", resolve=path.resolve()),
        )
    if os.fstat(link).st_uid not in (0, os.geteuid()) or too_many:
        raise SetupError(
            Sentence("The path %(path)s leads through a symbolic link of another user.", path=path), "Name the folder without the link."
        )
    return os.readlink("", dir_fd=link)


def _readable(at: int, path: Path) -> int:
    """The file or folder that `at` stands for, opened for reading."""
    mode = os.fstat(at).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise SetupError(Sentence("%(path)s is neither a file nor a folder.", path=path), "Name an mbox file or a Maildir folder.")
    return os.open(f"/proc/self/fd/{at}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def open_folder(root: Path, parts: tuple[str, ...] = ()) -> int:
    """The folder `parts` below the given `root`, each level opened in the one above. Raises SetupError, OSError."""
    at = open_given(root)
    try:
        for part in parts:
            at = _instead(at, os.open(part, FOLDER, dir_fd=at))
    except BaseException:
        os.close(at)
        raise
    return at


def open_file(folder: int, name: str, path: PurePath, passed: PassedOver) -> int | None:
    """A regular file of the opened folder; None when it was passed over. Raises FileNotFoundError: it is gone, or was renamed."""
    try:
        problem = _problem(os.stat(name, dir_fd=folder, follow_symlinks=False), folder)
        if not problem:
            file = os.open(name, FILE, dir_fd=folder)
            problem = _problem(os.fstat(file), folder)  # it may be another by now
            if not problem:
                return file
            os.close(file)
    except FileNotFoundError:
        raise
    except OSError as error:
        problem = reason_of(error)
    passed.note(path, problem)
    return None


def _problem(found: os.stat_result, folder: int) -> str:
    """Why a file is not read, or ""."""
    for is_kind, text in KINDS:
        if is_kind(found.st_mode):
            return text
    if found.st_nlink > 1 and found.st_uid != os.fstat(folder).st_uid:
        return "it is a hard link to a file of another user"
    return ""
