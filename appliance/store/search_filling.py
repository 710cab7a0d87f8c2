"""Fill the search index in the background, and rebuild files whose messages were expunged (`search_index` has the invariants).

    | what                                  | when                                                                          |
    |---------------------------------------|-------------------------------------------------------------------------------|
    | an account's new messages             | BATCH of them have come, or a search had to scan many of them                  |
    | a range no file holds (damage, restore)| at once                                                                       |
    | a file of which messages were expunged| REBUILD_AGE_S after it was begun: their text is gone within a week               |

A batch is read and folded chunk by chunk at OCTETS_A_S and written in one transaction; stopping half way loses that batch's work, no
more. A message that cannot be read, moved while it was read, or has too much text stands in the file's list of messages to be scanned.
Nothing is read or written while no mail changes, save a look at the files once a day. Fails quietly: storage that is full or cannot
be read now is tried again later; other errors end the task.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import trio

from appliance.mail.clock import Clock
from appliance.mail.errors import StoreError
from appliance.mail.ids import AccountId, MailboxId
from appliance.mail.index_text import Described, MessageIndexText, message_index_text, read_from

from . import loading, messages
from .base import StoreBase
from .body_readers import StoredMessage, header_octets
from .loading import OPENING
from .redescription import AT_ONCE, remade
from .search_index import MARK, SearchIndex, erase
from .search_shard import NEW, ShardInfo, add, close, create, ids_of, install, is_damage, is_full, remove
from .values import Row, Want

BATCH = 500
BATCH_CHARACTERS = 3 * 2**20
"""Text of one batch; held in memory twice while it is written."""
CHUNK_ROWS = 64
CHUNK_OCTETS = 256 * 2**10
LISTED = 4000
"""Ids found in one scan of an account's rows."""
OCTETS_A_S = 2**20
"""Octets of messages a second while catching up: a quarter of a small board's core, and 0.6 MB of writing."""
START_S = 20.0
"""After the start, when others have less to do; unless a search wants it sooner."""
LOOK_S = 60.0
"""Between two looks whether enough mail has come; none while no mail changes."""
CLOSE_S = 20.0
"""After the last look-up, and within this time again, the files are closed."""
AGAIN_S = 300.0
"""After storage that was full or could not be read."""
DAY_S = 86_400
REBUILD_AGE_S = 4 * DAY_S
Texts = list[tuple[int, MessageIndexText | None]]
LARGE = MessageIndexText("", "")


class _Place(NamedTuple):
    """Where a message can be read: one of its mailboxes."""

    message: int
    mailbox: int
    uid: int


class SearchFilling:
    """The background run; the one of its kind in a process. `described` gives the texts of an ENVELOPE; `give_back` is called when the
    memory of its work is free."""

    def __init__(
        self,
        store: StoreBase,
        index: SearchIndex,
        clock: Clock,
        *,
        described: Described,
        give_back: Callable[[], object] = lambda: None,
        octets_a_s: float = OCTETS_A_S,
    ) -> None:
        self._store = store
        self._index = index
        self._clock = clock
        self._described = described
        self._give_back = give_back
        self._written = False
        self._octets_a_s = octets_a_s
        self._next_id = 0
        self._day = 0.0

    async def run(self) -> None:
        """For ever."""
        self._store.database.watch(lambda _: self._index.wake.set())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._close_unused)
            nursery.start_soon(self._fill_for_ever)

    async def _close_unused(self) -> None:
        while True:
            await self._index.opened.wait()
            while self._index.used:
                self._index.used = False
                await trio.sleep(CLOSE_S)
            await self._index.close_files()
            self._give_back()

    async def _fill_for_ever(self) -> None:
        with trio.move_on_after(START_S):
            await self._index.demand.wait()
        while True:
            self._index.wake, self._index.demand = trio.Event(), trio.Event()
            begun_mono = trio.current_time()
            try:
                await self.catch_up()
                await self._rebuild_old()
            except (StoreError, sqlite3.Error, OSError):
                await trio.sleep(AGAIN_S)
                continue
            if self._written:
                self._written = False
                self._give_back()
            with trio.move_on_after(DAY_S):
                await self._index.wake.wait()
            with trio.move_on_after(max(begun_mono + LOOK_S - trio.current_time(), 0)):
                await self._index.demand.wait()

    async def catch_up(self, least: int = BATCH) -> None:
        """Index all accounts of which `least` messages are not indexed, those a search wants, and ranges that were lost."""
        next_id, accounts = await self._store.database.read(_accounts)
        wanted = self._index.wanted
        await self._index.load()
        if next_id - self._next_id < least and not wanted and not self._has_gaps():
            return
        self._index.wanted = set()
        for account in accounts:
            await self._fill(AccountId(account), 1 if account in wanted else least)
        for account in set(self._index.shards) - set(accounts):
            self._index.forget(account)
        self._next_id = next_id

    def _has_gaps(self) -> bool:
        return any(_gaps(shards)[:-1] for shards in self._index.shards.values())

    async def _fill(self, account: AccountId, least: int) -> None:
        while True:
            shards = self._index.shards.get(account, [])
            first, last = _gaps(shards)[0]
            places = await self._store.database.read(lambda connection, lo=first, hi=last: _listed(connection, account, lo, hi))  # type: ignore[misc]
            whole = len(places) < LISTED
            if (last is None and len(places) < least) or account in self._index.gone:
                return
            while True:
                texts, places = await self._texts(places)
                end = last if last is not None and whole and not places else texts[-1][0]
                await self._write(account, first, texts, end)
                first = end + 1
                if not places or account in self._index.gone or (last is None and len(places) < least):
                    break

    async def _write(self, account: AccountId, first: int, texts: Texts, last: int) -> None:
        """Add a batch for the range from `first` to `last`: to the file that ends before it, or to a new one."""
        index = self._index
        self._written = True
        await self._store.database.write(
            lambda transaction: transaction.execute(
                "INSERT INTO meta VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = max(value, ?2)", (MARK, last)
            )
        )
        shards = index.shards.setdefault(account, [])
        before = next((shard for shard in shards if shard.last + 1 == first and not shard.closed), None)
        begun_at = int(self._clock.wall_s())

        def work() -> ShardInfo:
            if before is not None:
                return _closed_if_full(add(before, texts, last))
            directory = index.directory_of(account)
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = directory / f"{first:016d}.db"
            remove(path)
            return _closed_if_full(add(create(path, first, begun_at, index.origin), texts, last))

        try:
            written = await index.write_hop(work)
        except sqlite3.Error as error:
            if before is not None and is_damage(error):
                index.damaged(account, before, error)
            raise
        if account in index.gone:
            erase(index.directory_of(account))
            return
        shards = index.shards[account]
        if before is None:
            shards.append(written)
            shards.sort(key=lambda shard: shard.first)
        elif before in shards:
            shards[shards.index(before)] = written

    # --- texts ------------------------------------------------------------------------------------------------

    async def _texts(self, places: Sequence[_Place]) -> tuple[Texts, list[_Place]]:
        """The texts of one batch, ascending ids, and the places that are left."""
        texts: dict[int, MessageIndexText | None] = {}
        characters = at = 0
        while at < len(places) and len(texts) < BATCH and characters < BATCH_CHARACTERS:
            some = places[at : at + min(CHUNK_ROWS, BATCH - len(texts))]
            at += len(some)
            texts |= dict.fromkeys([place.message for place in some])
            octets = 0
            for mailbox, group in groupby(sorted(some, key=lambda place: place.mailbox), key=lambda place: place.mailbox):
                wanted = {place.uid: place.message for place in group}
                for message, text, size in await self._mailbox_texts(MailboxId(mailbox), wanted):
                    texts[message] = text
                    octets += size
                    characters += text.characters if text is not None else 0
            await trio.sleep(octets / self._octets_a_s)
        last = max(texts, default=0)
        return sorted(texts.items()), [place for place in places[at:] if place.message > last]

    async def _mailbox_texts(self, mailbox: MailboxId, wanted: dict[int, int]) -> list[tuple[int, MessageIndexText | None, int]]:
        """(id, text, octets) of messages of one mailbox that are still there."""
        store, want = self._store, OPENING | Want.FACTS
        uids = list(wanted)
        rows = await store.database.read(lambda connection: messages.some(connection, mailbox, uids, want))
        described: list[Row] = []
        for start in range(0, len(rows), AT_ONCE):
            described += await remade(store, mailbox, rows[start : start + AT_ONCE], want)
        found: list[tuple[int, MessageIndexText | None, int]] = []
        todo = [row for row in described if row.message == wanted.get(row.uid) and row.described_by == store.described_by]
        most = len(todo)
        while todo:
            chosen = loading.fitting(todo[:most], CHUNK_OCTETS)
            try:
                opened = await store.messages(chosen, CHUNK_OCTETS)
            except StoreError:  # one of them cannot be read: one by one, and that one is left out
                todo = todo[most == 1 :]
                most = 1
                continue
            todo = todo[len(chosen) :]
            some = list(zip(chosen, opened, strict=True))
            texts = await self._index.write_hop(partial(self._texts_in_memory, some))
            for (row, message), text in zip(some, texts, strict=True):
                found.append((row.message, await self._text_of_large(row, message) if text is LARGE else text, row.octets))
        return found

    def _texts_in_memory(self, some: Sequence[tuple[Row, StoredMessage]]) -> list[MessageIndexText | None]:
        """In a thread; LARGE for a message that is not in memory."""
        texts: list[MessageIndexText | None] = []
        for row, message in some:
            octets, shift = message.whole(), len(row.prefix)
            reading = message_index_text(row.parts, shift, shift + header_octets(row.parts), self._described(row.envelope))
            texts.append(LARGE if octets is None else read_from(octets, reading))
        return texts

    async def _text_of_large(self, row: Row, message: StoredMessage) -> MessageIndexText | None:
        """Read chunk by chunk; None when it cannot be read."""
        try:
            await message.open()
            reading = message_index_text(row.parts, len(row.prefix), message.header_octets, self._described(row.envelope))
            offset, size = next(reading)
            while True:
                offset, size = reading.send(await message.read(offset, size))
        except StopIteration as end:
            text: MessageIndexText | None = end.value
            return text
        except StoreError:
            return None

    # --- expunged messages -------------------------------------------------------------------------------------

    async def _rebuild_old(self) -> None:
        """Once a day: build files anew that were begun long ago and hold the text of messages that are gone."""
        now_s = self._clock.wall_s()
        if not self._clock.trusted() or now_s < self._day + DAY_S:
            return
        self._day = now_s
        await self.rebuild(now_s - REBUILD_AGE_S)

    async def rebuild(self, begun_before: float) -> int:
        """Build files anew that were begun before then and hold the text of messages that are gone; how many."""
        await self._index.load()
        count = 0
        for account, shards in list(self._index.shards.items()):
            for shard in list(shards):
                if shard.begun_at <= begun_before and await self._has_expunged(shard):
                    await self._build_anew(account, shard)
                    count += 1
        return count

    async def _has_expunged(self, shard: ShardInfo) -> bool:
        ids = await self._index.write_hop(lambda: ids_of(shard))
        there = await self._store.database.read(lambda connection: _there(connection, ids))
        return there < len(ids)

    async def _build_anew(self, account: AccountId, shard: ShardInfo) -> None:
        """Write the messages that are still there to a file beside it, which then takes its name."""
        index = self._index
        new = shard.path.with_name(shard.path.name + NEW)
        begun_at = int(self._clock.wall_s())

        def begun() -> ShardInfo:
            remove(new)
            return create(new, shard.first, begun_at, index.origin)

        built = await index.write_hop(begun)
        while built.last < shard.last:
            places = await self._store.database.read(
                lambda connection, lo=built.last + 1: _listed(connection, account, lo, shard.last)  # type: ignore[misc]
            )
            whole = len(places) < LISTED
            while True:
                texts, places = await self._texts(places)
                last = shard.last if whole and not places else texts[-1][0]
                built = await index.write_hop(lambda part=built, texts=texts, last=last: add(part, texts, last))  # type: ignore[misc]
                if not places:
                    break
        shards = index.shards.get(account, [])
        if shard in shards and account not in index.gone:
            await index.write_hop(lambda: install(new, shard.path))
            built = replace(built, path=shard.path)
            shards[shards.index(shard)] = await index.write_hop(lambda: close(built)) if shard.closed else built
        else:
            await index.write_hop(lambda: remove(new))


def _closed_if_full(shard: ShardInfo) -> ShardInfo:
    return close(shard) if is_full(shard, BATCH) else shard


def _gaps(shards: Sequence[ShardInfo]) -> list[tuple[int, int | None]]:
    """Ranges of ids that no file holds; the last has no end."""
    gaps: list[tuple[int, int | None]] = []
    first = 1
    for shard in shards:
        if first < shard.first:
            gaps.append((first, shard.first - 1))
        first = shard.last + 1
    return [*gaps, (first, None)]


def _accounts(connection: Any) -> tuple[int, list[int]]:
    """The next message's id, and the accounts that have mailboxes."""
    row = connection.execute("SELECT next FROM counter WHERE name = 'message'").fetchone()
    return row[0] if row else 1, [one for (one,) in connection.execute("SELECT DISTINCT account FROM mailbox").fetchall()]


def _listed(connection: Any, account: AccountId, lo: int, hi: int | None) -> list[_Place]:
    """The account's messages in a range of ids, each once, ascending, LISTED at most; all of one snapshot."""
    rows = connection.execute(
        "SELECT message_data, mailbox, uid FROM message WHERE mailbox IN (SELECT id FROM mailbox WHERE account = ?)"
        " AND message_data BETWEEN ? AND ? GROUP BY message_data ORDER BY message_data LIMIT ?",
        (account, lo, 2**62 if hi is None else hi, LISTED),
    ).fetchall()
    return [_Place(*row) for row in rows]


def _there(connection: Any, ids: Sequence[int]) -> int:
    """How many of the messages are there."""
    found = connection.execute(
        "SELECT count(*) FROM message_data WHERE id IN (SELECT value FROM json_each(?))", (messages.listed(ids),)
    ).fetchone()
    return int(found[0])
