"""The data directory: all that must outlive the power, and the one lock that says who is the house.

    house.db, house.db-wal   accounts, index, small bodies (database/)
    bodies/                  large bodies (store/)
    certificates/            the house's authority and certificate (secret)
    control.sock             where commands reach the running house
    lock                     held by the kernel for whoever writes; never stale, so nobody ever has to remove it

Two writers on one database are two truths. `DataDirectory.open` takes the lock or raises SetupError; the kernel gives
it back when the process ends, however it ends.
"""

import fcntl
import os
from pathlib import Path
from types import TracebackType

from appliance.mail.errors import SetupError

SOCKET = "control.sock"


class InUse(SetupError):
    """Somebody else is the house of this directory."""


class DataDirectory:
    """An open, locked data directory."""

    def __init__(self, path: Path, descriptor: int, lock: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self._lock = lock

    @classmethod
    def open(cls, path: Path) -> "DataDirectory":
        """Make the directory if it is missing (mode 0700) and lock it; raises InUse, SetupError."""
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise SetupError(f"The data directory {path} cannot be used: {error.strerror}.", "Choose another with --data.") from error
        try:
            lock = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=descriptor)
        except OSError as error:
            os.close(descriptor)
            raise SetupError(f"The data directory {path} cannot be written: {error.strerror}.", "Check who owns it.") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            os.close(descriptor)
            raise InUse(f"Another Pillarbox is at work on {path}.", "Stop it first, or name another directory with --data.") from error
        return cls(path, descriptor, lock)

    @property
    def ended_badly(self) -> bool:
        """The house before was killed, or lost its power: one that ends in order takes its socket away."""
        return os.access(SOCKET, os.F_OK, dir_fd=self.descriptor)

    def close(self) -> None:
        os.close(self._lock)
        os.close(self.descriptor)

    def __enter__(self) -> "DataDirectory":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
