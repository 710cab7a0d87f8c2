"""The data directory: all that must outlive the power, and the one lock that says who is the server.

    pillarbox.db, pillarbox.db-wal   accounts, index, small bodies (database/)
    bodies/                  large bodies (store/)
    bodies/server-id         whose bodies they are: the id stands in the database too (identity)
    bodies/aside/            files no row names, for 30 days
    certificates/            the server's authority and certificate (secret)
    control.sock             where commands reach the running server
    lock                     held by the kernel for whoever writes; never stale, so nobody ever has to remove it

Nobody but the owner may read it: the directory is 0700 and what lies directly in it 0600 or 0700. One that is more open
(made by somebody else, or by an earlier version) is tightened when it is opened, and a sentence says so. A directory that
holds other directories too is a shared place: it keeps its mode, the server's own files in it are tightened all the same.

Two writers on one database are two truths. `DataDirectory.open` takes the lock or raises SetupError; the kernel gives
it back when the process ends, however it ends.
"""

import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from appliance.mail.errors import SetupError

DIRECTORIES = ("bodies", "certificates", "dkim")
READ_ONLY = "Failing cards become so: take the mail out with `pillarbox export --all TARGET`, then mount it to be written, or replace it."
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class InUse(SetupError):
    """Somebody else is the server of this directory."""


class DataDirectory:
    """An open, locked data directory."""

    def __init__(self, path: Path, descriptor: int, lock: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self._lock = lock
        self.tightened = ""
        """The sentence to tell when the directory was open to other users; "" when it was not."""

    @classmethod
    def open(cls, path: Path) -> "DataDirectory":
        """Make the directory if it is missing (mode 0700) and lock it; raises InUse, SetupError."""
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            remedy = f"Choose another with --data, or have root make it: install -d -o USER -m 700 {path}"
            raise SetupError(f"The data directory {path} cannot be used: {error.strerror}.", remedy) from error
        try:
            lock = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=descriptor)
        except OSError as error:
            os.close(descriptor)
            remedy = READ_ONLY if error.errno == errno.EROFS else "Check who owns it."
            raise SetupError(f"The data directory {path} cannot be written: {error.strerror}.", remedy) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            os.close(descriptor)
            raise InUse(f"Another Pillarbox is at work on {path}.", "Stop it first, or name another directory with --data.") from error
        directory = cls(path, descriptor, lock)
        directory.tightened = _tighten(path, descriptor)
        return directory

    @classmethod
    def open_to_read(cls, path: Path) -> "DataDirectory":
        """For a command that writes nothing: nothing is made, and read-only storage will do. Raises InUse, SetupError.

        Several may read at once; a server that starts meanwhile is told that the directory is in use.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise SetupError(f"The data directory {path} cannot be read: {error.strerror}.", "Check its name and who owns it.") from error
        try:
            lock = os.open("lock", os.O_RDONLY | os.O_CLOEXEC, dir_fd=descriptor)
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            lock = -1  # no server has been here since this copy was made
        except BlockingIOError as error:
            os.close(lock)
            os.close(descriptor)
            raise InUse(f"Another Pillarbox is at work on {path}.", "Stop it first, or name another directory with --data.") from error
        except OSError as error:
            os.close(descriptor)
            raise SetupError(f"{path / 'lock'} cannot be read: {error.strerror}.", "Use sudo.") from error
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
    """Take other users' rights away where there are any; the sentence to tell, or ""."""
    with os.scandir(descriptor) as found:
        entries = list(found)
    others = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False) and entry.name not in (*DIRECTORIES, "lost+found")]
    was = os.fstat(descriptor)
    changed = False
    for entry in entries:
        if entry.name.startswith("pillarbox.db") or entry.name in ("lock", *DIRECTORIES):
            changed |= _tighten_entry(entry.name, descriptor)
    if not was.st_mode & OTHERS:
        return ""  # what lay in it could not be reached
    if others or was.st_mode & stat.S_ISVTX or was.st_uid != os.geteuid():
        told = f"Other users may look into {path}; its own mail files are private. Give the server a directory of its own."
        return told if changed else ""
    os.fchmod(descriptor, stat.S_IMODE(was.st_mode) & ~OTHERS)
    return f"Other users could look into {path}; now only its owner can."


def _tighten_entry(name: str, directory: int) -> bool:
    """Was it open to others? Never follows a symbolic link."""
    with suppress(OSError):
        mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
        if mode & OTHERS and not stat.S_ISLNK(mode):
            os.chmod(name, stat.S_IMODE(mode) & ~OTHERS, dir_fd=directory)
            return True
    return False
