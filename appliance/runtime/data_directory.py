"""The data directory: all persistent state, and the lock that makes one process its only writer.

    pillarbox.db, pillarbox.db-wal   accounts, index, small bodies (database/)
    bodies/                  large bodies (store/)
    bodies/server-id         whose bodies they are: the id stands in the database too (identity)
    bodies/aside/            orphaned files, kept for 30 days
    certificates/            the server's authority and certificate (secret)
    imports/                 files whose mail is being brought in (store/received_files)
    listener-trial.json      while changed listeners are on trial (app/listener_trial)
    control.sock             where commands reach the running server
    lock                     held by the kernel for whoever writes; never stale: it needs no cleaning up

Only the owner may read it: the directory is 0700 and its entries 0600 or 0700. A more open one (made by hand, or by an earlier
version) is tightened when it is opened, and a sentence says so. A directory with other subdirectories too is a shared one: it
keeps its mode, the server's own files in it are tightened all the same.

Two writers would corrupt the database. `DataDirectory.open` takes the lock or raises SetupError; the kernel releases it when
the process ends, however it ends.
"""

import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence

DIRECTORIES = ("bodies", "search", "certificates", "dkim", "imports")
READ_ONLY = Sentence(
    "Failing SD cards become read-only: save the mail with `pillarbox export --all TARGET`, then remount or replace the card."
)
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class InUse(SetupError):
    """Another process holds the lock of this directory."""


class DataDirectory:
    """An open, locked data directory."""

    def __init__(self, path: Path, descriptor: int, lock: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self._lock = lock
        self.tightened = ""
        """A sentence when the directory was open to other users; "" when it was not."""

    @classmethod
    def open(cls, path: Path) -> "DataDirectory":
        """Make the directory if it is missing (mode 0700) and lock it; raises InUse, SetupError."""
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            remedy = Sentence("Choose another with --data, or have root make it: install -d -o USER -m 700 %(path)s", path=path)
            raise SetupError(
                Sentence("The data directory %(path)s cannot be used: %(strerror)s.", path=path, strerror=error.strerror), remedy
            ) from error
        try:
            lock = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=descriptor)
        except OSError as error:
            os.close(descriptor)
            remedy = READ_ONLY if error.errno == errno.EROFS else Sentence("Check who owns it.")
            raise SetupError(
                Sentence("The data directory %(path)s cannot be written: %(strerror)s.", path=path, strerror=error.strerror), remedy
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            os.close(descriptor)
            raise InUse(
                Sentence("Another Pillarbox process uses %(path)s.", path=path), "Stop it first, or name another directory with --data."
            ) from error
        directory = cls(path, descriptor, lock)
        directory.tightened = _tighten(path, descriptor)
        return directory

    @classmethod
    def open_to_read(cls, path: Path) -> "DataDirectory":
        """For a command that writes nothing: nothing is made, and read-only storage will do. Raises InUse, SetupError.

        Several may read at once; a server that starts meanwhile gets InUse.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise SetupError(
                Sentence("The data directory %(path)s cannot be read: %(strerror)s.", path=path, strerror=error.strerror),
                "Check its name and who owns it.",
            ) from error
        try:
            lock = os.open("lock", os.O_RDONLY | os.O_CLOEXEC, dir_fd=descriptor)
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            lock = -1  # a copy that no server has opened yet
        except BlockingIOError as error:
            os.close(lock)
            os.close(descriptor)
            raise InUse(
                Sentence("Another Pillarbox process uses %(path)s.", path=path), "Stop it first, or name another directory with --data."
            ) from error
        except OSError as error:
            os.close(descriptor)
            raise SetupError(
                Sentence("%(path)s cannot be read: %(strerror)s.", path=path / "lock", strerror=error.strerror), "Use sudo."
            ) from error
        directory = cls(path, descriptor, lock)
        with suppress(OSError):
            directory.tightened = _tighten(path, descriptor)
        return directory

    def close(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
        os.close(self.descriptor)

    def __enter__(self) -> "DataDirectory":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _tighten(path: Path, descriptor: int) -> str:
    """Remove other users' permissions; a sentence when there were any, else ""."""
    with os.scandir(descriptor) as found:
        entries = list(found)
    others = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False) and entry.name not in (*DIRECTORIES, "lost+found")]
    was = os.fstat(descriptor)
    changed = False
    for entry in entries:
        if entry.name.startswith("pillarbox.db") or entry.name in ("lock", *DIRECTORIES):
            changed |= _tighten_entry(entry.name, descriptor)
    if not was.st_mode & OTHERS:
        return ""  # nothing in it could be reached
    if others or was.st_mode & stat.S_ISVTX or was.st_uid != os.geteuid():
        sentence = f"Other users can read {path}; the mail files in it are private now. Give the server a directory of its own."
        return sentence if changed else ""
    os.fchmod(descriptor, stat.S_IMODE(was.st_mode) & ~OTHERS)
    return f"Other users could read {path}; now only its owner can."


def _tighten_entry(name: str, directory: int) -> bool:
    """Was it open to others? Never follows a symbolic link."""
    with suppress(OSError):
        mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
        if mode & OTHERS and not stat.S_ISLNK(mode):
            os.chmod(name, stat.S_IMODE(mode) & ~OTHERS, dir_fd=directory)
            return True
    return False
