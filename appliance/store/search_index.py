"""The search index: which messages may have a needle in their text, found without reading them; it knows no protocol.

An index of its own for each account, in files beside the database (`search_shard`), keyed by the message's identity: copies and moves
cost nothing, and an expunged message is no candidate from its commit on, because candidates are looked for among a mailbox's rows.
Nothing of it is needed: a file that is missing, damaged, of another server or of a database that was restored from a backup since
is removed and filled again by `search_filling`, and until then its messages are scanned.

    | a message's id        | a search                                                                     |
    |-----------------------|------------------------------------------------------------------------------|
    | in no file's range    | scans it                                                                     |
    | in a file's range     | scans it if it is a candidate, takes it unread if a common word proves it,     |
    |                       | else it does not match                                                       |

Invariants: all messages of the account in a file's range that existed when the range was closed are in the file, or in its list of
messages to be scanned; ids only rise, so none is added to the range later. `meta.search_mark` in the database is at least as high as
every id in a file: it is committed before the file is written, so a file with ids above it is of a later database than this one.

Files are read on one thread, written on another; both end when they are idle, and open files are closed then.
"""

import sqlite3
import struct
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

import trio

from appliance.mail.ids import AccountId
from appliance.mail.query import ENVELOPE_FIELDS, BodyHas, HeaderHas, Query, ShownHas, TextHas

from .base import StoreBase
from .search_found import Hits, Lookup, TextHits
from .search_shard import NEW, DamagedShard, ShardInfo, ShardReader, is_damage, read_info, remove

T = TypeVar("T")
OPEN_FILES = 24
"""Files kept open between look-ups; 100,000 messages have 25. Each costs some 100 KB."""
LOOKUPS = 64
"""Needles of one search that are looked up; what depends on the others is scanned."""
AT_ONCE = 200
"""Needles looked up in files before others have their turn: some 50 ms."""
MARK = "search_mark"


class Hop(Protocol):
    """Runs a call on a thread, one at a time."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]: ...


def lookup_of(leaf: Query) -> Lookup | None:
    """What to look up for a leaf of a query; None for one that is not about text."""
    match leaf:
        case HeaderHas(field, needle) if needle:
            return Lookup(needle, fields=(field,)) if field in ENVELOPE_FIELDS else Lookup(needle, header=True)
        case TextHas(needle) if needle:
            return Lookup(needle, header=True, body=True)
        case BodyHas(needle) if needle:
            return Lookup(needle, body=True)
        case ShownHas(needle) if needle:
            return Lookup(needle, body=True, fields=ENVELOPE_FIELDS)
    return None


class SearchIndex:
    """The index of one server's store. `read_hop` and `write_hop` run calls on a thread each; `report` takes a sentence for the log."""

    def __init__(
        self, store: StoreBase, directory: Path, *, read_hop: Hop, write_hop: Hop, report: Callable[[str], object] = lambda _: None
    ) -> None:
        self.directory = directory
        self.write_hop = write_hop
        self.origin = ""
        self.shards: dict[AccountId, list[ShardInfo]] = {}
        """The files of each account by rising ids; changed by `search_filling` alone."""
        self.gone: set[AccountId] = set()
        """Accounts whose mail was erased: nothing of theirs is written any more."""
        self.wanted: set[AccountId] = set()
        """Accounts of which a search had to scan much."""
        self.wake = trio.Event()
        """Mail has changed, or what follows."""
        self.demand = trio.Event()
        """Something is to be indexed soon."""
        self.opened = trio.Event()
        """There are open files."""
        self.used = False
        """A file was used since somebody last looked here."""
        self._store = store
        self._read_hop = read_hop
        self._report = report
        self._readers: dict[Path, ShardReader] = {}
        self._loading = trio.Lock()
        self._loaded = False

    async def look_up(self, account: AccountId, leaves: Sequence[Query], lo: int, hi: int) -> TextHits:
        """Look the text leaves up for messages with ids from `lo` to `hi`. Never raises: what cannot be read is not indexed."""
        await self.load()
        lookups = dict(islice(((leaf, lookup) for leaf in leaves if (lookup := lookup_of(leaf)) is not None), LOOKUPS))
        shards = [one for one in self.shards.get(account, ()) if one.first <= hi and lo <= one.last]
        if not lookups or not shards:
            return TextHits((), {})
        self.used = True
        self.opened.set()
        answered: list[tuple[ShardInfo, list[Hits | None]]] = []
        at_once = max(AT_ONCE // len(lookups), 1)
        for start in range(0, len(shards), at_once):
            some = shards[start : start + at_once]
            found, damaged = await self._read_hop(lambda some=some: self._find(some, list(lookups.values())))  # type: ignore[misc]
            answered += found
            for shard, why in damaged:
                if is_damage(why):
                    self.damaged(account, shard, why)
        hits = {leaf: _joined([each[place] for _, each in answered]) for place, leaf in enumerate(lookups)}
        return TextHits(_ranges([shard for shard, _ in answered]), hits)

    def scanned(self, account: AccountId, messages: int) -> None:
        """A search had to scan so many messages that are not indexed yet: they are worth indexing soon."""
        if messages >= WORTH_MESSAGES and account not in self.wanted:
            self.wanted.add(account)
            self._demand()

    def forget(self, account: AccountId) -> None:
        """An account's mail was erased: its part of the index is erased at once."""
        self.gone.add(account)
        self.shards.pop(account, None)
        try:
            erase(self.directory_of(account))
        except OSError as error:
            self._report(
                f"{self.directory_of(account)} could not be removed: {error.strerror}. Remove it by hand: it holds words of erased mail."
            )

    def damaged(self, account: AccountId, shard: ShardInfo, why: object) -> None:
        """A file could not be read: it is removed, and what it held is indexed again."""
        if shard in self.shards.get(account, ()):
            self.shards[account].remove(shard)
            self._report(f"A file of the search index could not be read ({why}). It is made anew; searches are complete meanwhile.")
            try:
                remove(shard.path)
            except OSError as error:
                self._report(f"{shard.path} could not be removed: {error.strerror}.")
            self._demand()

    def _demand(self) -> None:
        self.wake.set()
        self.demand.set()

    async def close_files(self) -> None:
        """Give the memory of open files back."""
        self.opened = trio.Event()
        await self._read_hop(self._close_files)

    def directory_of(self, account: AccountId) -> Path:
        return self.directory / f"{account:d}"

    async def load(self) -> None:
        """Read once what files there are."""
        async with self._loading:
            if self._loaded:
                return
            server, mark = await self._store.database.read(_identity)
            self.origin = f"{server} {self._store.described_by}"
            files, removed = await self.write_hop(lambda: self._read_directory(mark))
            self.shards = {account: some for account, some in files.items() if account not in self.gone}
            if removed:
                self._report(f"{removed} files of the search index are not of the mail as it is now: they are made anew.")
            self._loaded = True

    def _read_directory(self, mark: int) -> tuple[dict[AccountId, list[ShardInfo]], int]:
        """In a thread: the usable files of each account; the others are removed."""
        found: dict[AccountId, list[ShardInfo]] = {}
        removed = 0
        for directory in sorted(self.directory.iterdir()) if self.directory.is_dir() else ():
            if not directory.name.isdecimal() or not directory.is_dir():
                continue
            shards: list[ShardInfo] = []
            for path in sorted(directory.glob("*.db")):
                info = self._usable(path, mark, shards[-1].last if shards else 0)
                if info is None:
                    remove(path)
                    removed += 1
                else:
                    shards.append(info)
            for left in directory.glob("*" + NEW + "*"):
                left.unlink()
            found[AccountId(int(directory.name))] = shards
        return found, removed

    def _usable(self, path: Path, mark: int, before: int) -> ShardInfo | None:
        try:
            info = read_info(path, self.origin)
        except (DamagedShard, OSError):
            return None
        return info if before < info.first and info.last <= mark else None

    def _find(
        self, shards: Sequence[ShardInfo], lookups: Sequence[Lookup]
    ) -> tuple[list[tuple[ShardInfo, list[Hits | None]]], list[tuple[ShardInfo, Exception]]]:
        """In a thread: the hits in each file, and the files that could not be read."""
        answered: list[tuple[ShardInfo, list[Hits | None]]] = []
        damaged: list[tuple[ShardInfo, Exception]] = []
        for shard in shards:
            try:
                reader = self._reader(shard.path)
                answered.append((shard, [reader.find(lookup) for lookup in lookups]))
            except (sqlite3.Error, OSError, struct.error) as error:
                damaged.append((shard, error))
        return answered, damaged

    def _reader(self, path: Path) -> ShardReader:
        reader = self._readers.pop(path, None)
        if reader is not None and reader.inode != path.stat().st_ino:
            reader.close()
            reader = None
        if reader is None:
            reader = ShardReader(path)
        self._readers[path] = reader  # the one used longest ago stands first
        while len(self._readers) > OPEN_FILES:
            self._readers.pop(next(iter(self._readers))).close()
        return reader

    def _close_files(self) -> None:
        while self._readers:
            self._readers.popitem()[1].close()


WORTH_MESSAGES = 50
"""Messages a search scanned for want of an index, from which on they are indexed before a whole batch has come."""


def erase(directory: Path) -> None:
    """Remove an account's files."""
    if directory.is_dir():
        for path in directory.iterdir():
            path.unlink(missing_ok=True)
        directory.rmdir()


def _identity(connection: Any) -> tuple[str, int]:
    """The server's id, and the highest id that any file may have."""
    rows = dict(connection.execute("SELECT key, value FROM meta WHERE key IN ('server_id', ?)", (MARK,)).fetchall())
    return str(rows.get("server_id", "")), int(rows.get(MARK, 0))


def _ranges(shards: Sequence[ShardInfo]) -> tuple[tuple[int, int], ...]:
    """The ranges of ids, adjacent ones joined."""
    joined: list[tuple[int, int]] = []
    for shard in shards:
        if joined and joined[-1][1] + 1 == shard.first:
            joined[-1] = (joined[-1][0], shard.last)
        else:
            joined.append((shard.first, shard.last))
    return tuple(joined)


def _joined(some: Sequence[Hits | None]) -> Hits | None:
    if None in some:
        return None
    known = [hits for hits in some if hits is not None]
    if len(known) == 1:
        return known[0]
    return Hits(frozenset[int]().union(*[hits.candidates for hits in known]), frozenset[int]().union(*[hits.certain for hits in known]))
