"""Large bodies as files: written in blocks, named by the digest of their octets, durable before a commit names them.

A file is its blocks (see `blocks`), then four octets for each block's stored length, then a trailer. Names are the
hex digits of a BLAKE2b digest of the octets as received.

Promises: when `place` returns, the file and its name survive a power cut. A file that a row names is never
replaced by one that is not durable yet. A name is removed only while no arrival has it claimed, and only where a row
says that nothing needs it (refcount 0) or this process made the file itself for an arrival that was given up. A file no row
names is moved aside (`set_aside`), stays readable there, and is removed after ASIDE_S of a trusted clock.
Everything here blocks: it runs in threads.

Fails with StoreError FULL when storage is full, BROKEN for other faults of storage or a damaged file.
"""

import errno
import os
import struct
import zlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from appliance.mail.errors import StoreError, Trouble

from .blocks import unpack

DIGEST_OCTETS = 24
_TRAILER = struct.Struct("<QII4s")
_MARK = b"PBX1"
KEPT = "kept"
"""One directory for all: messages that arrive together share its sync. (With 16 they did not: 0.05 flushes a message more with
50 sessions; with 256 the first hundreds of messages each made a directory: a flush and 8 KB more. ext4 and f2fs hash names.)"""
ASIDE = "aside"
"""Where files go that no row names: the database may be the wrong one. Their modification time is 0 until a trusted clock sets it."""
ASIDE_S = 30 * 86400
NAMES_AT_ONCE = 256
NEW = "new"
"""Where files are written before they have a name; emptied at every start."""


def trouble_of(error: OSError) -> StoreError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return StoreError(Trouble.FULL if full else Trouble.BROKEN, "" if full else f"a body file failed: {error}")


class Staging:
    """A file being written; nameless until it is placed."""

    __slots__ = ("_fd", "lengths", "octets", "path", "stored_octets")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lengths = array("I")
        self.octets = 0
        self.stored_octets = 0
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(self, blocks: Sequence[bytes], octets: int) -> None:
        """Packed blocks of `octets` octets in all; every block but the message's last stands for BLOCK_OCTETS."""
        for block in blocks:
            self.lengths.append(len(block))
        self._write(b"".join(blocks))
        self.octets += octets

    def end(self) -> None:
        """Index and trailer."""
        index = self.lengths.tobytes()
        self._write(index + _TRAILER.pack(self.octets, len(self.lengths), zlib.crc32(index), _MARK))
        # begins to write out at once: files that are synced together then share one journal commit
        os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]
        self.stored_octets += len(data)

    def sync(self) -> None:
        # not fdatasync: the rename belongs to the same journal transaction and is made durable with it
        os.fsync(self._fd)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class BodyFiles:
    """All body files of one server. `new_lock` makes locks that threads share."""

    def __init__(self, directory: Path, new_lock: Callable[[], AbstractContextManager[object]]) -> None:
        self.directory = directory
        self._claims: dict[bytes, int] = {}
        self._own: dict[bytes, bool] = {}
        """Names given by this process that the writer must still check after their arrival unclaimed them; True: a file stood there
        before."""
        self._lock = new_lock()
        self._staged = 0
        self._ready = False

    def prepare(self) -> None:
        """Make the directories durable and drop what was being written when the server stopped; at the first call only."""
        with self._lock:
            if not self._ready:
                self._prepare()
                self._ready = True

    def _prepare(self) -> None:
        if not self.directory.exists():
            self.directory.mkdir(mode=0o700)
            _sync(self.directory.parent)
        made = False
        for name in (NEW, KEPT):
            if not (self.directory / name).exists():
                (self.directory / name).mkdir(mode=0o700)
                made = True
        if made:
            _sync(self.directory)
        for left in (self.directory / NEW).iterdir():
            left.unlink()

    def path_of(self, digest: bytes) -> Path:
        return self.directory / KEPT / digest.hex()

    # --- arriving --------------------------------------------------------------------------------------

    def stage(self) -> Staging:
        if not self._ready:
            self.prepare()
        with self._lock:
            self._staged += 1
            number = self._staged
        return Staging(self.directory / NEW / str(number))

    def place(self, staged: Sequence[tuple[Staging, bytes]]) -> list[OSError | None]:
        """Claim the names, give them to the files and make all durable: the fault of each, or None.

        The claim stays until `unclaim`; after a fault there is none. Files placed together share the directory's sync.
        """
        faults: list[OSError | None] = []
        for staging, digest in staged:
            with self._lock:
                known = self._claims.get(digest, 0)
                self._claims[digest] = known + 1
            try:
                path = self.path_of(digest)
                there = path.exists()
                if known or there:
                    # a twin: what stands there may be named by a row already, so ours must be durable before it takes its place
                    staging.sync()
                with self._lock:
                    self._own.setdefault(digest, there)
                staging.path.replace(path)
                faults.append(None)
            except OSError as error:
                faults.append(error)
        for number, (staging, _) in enumerate(staged):
            if faults[number] is None:
                faults[number] = _fault(staging.sync)
        if None in faults:
            fault = _fault(lambda: _sync(self.directory / KEPT))
            faults = [earlier or fault for earlier in faults]
        for (staging, digest), bad in zip(staged, faults, strict=True):
            staging.close()
            if bad is not None:
                self.unclaim(digest)
        return faults

    def unclaim(self, digest: bytes) -> None:
        with self._lock:
            left = self._claims[digest] - 1
            if left:
                self._claims[digest] = left
            else:
                del self._claims[digest]

    @staticmethod
    def discard(staging: Staging) -> None:
        staging.close()
        staging.path.unlink(missing_ok=True)

    # --- going -----------------------------------------------------------------------------------------

    def unlink_unless(self, digest: bytes, refcount: Callable[[], int | None]) -> None:
        """On the writer thread, outside a transaction: remove the file unless it is claimed or needed.

        `refcount` gives the count of the row that names it, None without a row: then only what this process made is removed.
        """
        with self._lock:
            if digest in self._claims:
                return
            stood_there = self._own.pop(digest, True)
            count = refcount()
            if count:
                return
            if count is None and stood_there:
                self._move_aside(digest)
            else:
                self.path_of(digest).unlink(missing_ok=True)

    def set_aside_unless(self, digest: bytes, refcount: Callable[[], int | None]) -> None:
        """On the writer thread, outside a transaction: move the file aside unless a row names it or an arrival of ours made it."""
        with self._lock:
            if digest not in self._claims and digest not in self._own and refcount() is None:
                self._move_aside(digest)

    def bring_back_if(self, digest: bytes, refcount: Callable[[], int | None]) -> None:
        """On the writer thread, outside a transaction: the database that names this file is back."""
        with self._lock:
            aside = self.directory / ASIDE / digest.hex()
            if refcount() and not self.path_of(digest).exists() and aside.exists():
                os.utime(aside)
                aside.replace(self.path_of(digest))

    def _move_aside(self, digest: bytes) -> None:
        path = self.path_of(digest)
        if path.exists():
            (self.directory / ASIDE).mkdir(mode=0o700, exist_ok=True)
            os.utime(path, (0, 0))
            path.replace(self.directory / ASIDE / digest.hex())

    def is_gone(self, digest: bytes) -> bool:
        """Neither a file nor an arrival that is about to have one."""
        with self._lock:
            return digest not in self._claims and not self.path_of(digest).exists()

    def sync(self) -> None:
        """Make what was unlinked stay so."""
        _sync(self.directory / KEPT)

    def count_aside(self, now_s: float | None) -> int:
        """How many files lie aside; `now_s`, from a trusted clock, removes those that have for ASIDE_S."""
        count = 0
        for digest in self._digests(ASIDE):
            path = self.directory / ASIDE / digest.hex()
            since = path.stat().st_mtime
            if now_s is not None and not 0 < since <= now_s:
                os.utime(path, (now_s, now_s))
            elif now_s is not None and now_s - since > ASIDE_S:
                path.unlink()
                continue
            count += 1
        return count

    # --- reading ---------------------------------------------------------------------------------------

    def open(self, digest: bytes) -> "BodyFile":
        """Raises StoreError GONE, BROKEN."""
        try:
            return BodyFile(self.path_of(digest))
        except StoreError as missing:
            aside = self.directory / ASIDE / digest.hex()
            if missing.trouble is not Trouble.GONE or not aside.exists():
                raise
        return BodyFile(aside)

    def names(self, where: str = KEPT) -> Iterator[list[bytes]]:
        """The digests of all files there are, or of those that lie ASIDE, NAMES_AT_ONCE at a time."""
        self.prepare()
        found = []
        for digest in self._digests(where):
            found.append(digest)
            if len(found) == NAMES_AT_ONCE:
                yield found
                found = []
        yield found

    def _digests(self, where: str) -> Iterator[bytes]:
        try:
            with os.scandir(self.directory / where) as entries:
                for entry in entries:
                    with suppress(ValueError):
                        yield bytes.fromhex(entry.name)
        except FileNotFoundError:
            return


class BodyFile:
    """One file open for reading; it stays readable when its name is removed meanwhile. Closed with its last reference."""

    __slots__ = ("_fd", "_offsets")

    def __init__(self, path: Path) -> None:
        self._fd = -1
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            size = os.fstat(self._fd).st_size
            _, blocks, check, mark = _TRAILER.unpack(os.pread(self._fd, _TRAILER.size, max(0, size - _TRAILER.size)))
            index = os.pread(self._fd, 4 * blocks, max(0, size - _TRAILER.size - 4 * blocks))
        except FileNotFoundError:
            raise StoreError(Trouble.GONE) from None
        except (OSError, struct.error) as error:
            raise StoreError(Trouble.BROKEN, f"{path.name} cannot be read: {error}") from error
        if mark != _MARK or zlib.crc32(index) != check:
            raise StoreError(Trouble.BROKEN, f"{path.name} is damaged")
        lengths = array("I", index)
        self._offsets = array("Q", (0,))
        at = 0
        for length in lengths:
            at += length
            self._offsets.append(at)

    def blocks(self, first: int, last: int) -> bytes:
        """The octets of blocks `first` to `last`, both counted from 0 and included."""
        start, end = self._offsets[first], self._offsets[last + 1]
        try:
            packed = os.pread(self._fd, end - start, start)
            return b"".join([unpack(packed[self._offsets[n] - start : self._offsets[n + 1] - start]) for n in range(first, last + 1)])
        except (OSError, ValueError) as error:
            raise StoreError(Trouble.BROKEN, f"a body could not be read: {error}") from error

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


def _fault(call: Callable[[], None]) -> OSError | None:
    try:
        call()
    except OSError as error:
        return error
    return None


def _sync(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
