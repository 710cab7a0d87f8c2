"""A client that follows an account by MODSEQ, as JMAP does, knows every message and the mailboxes it is in."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.mail.errors import StoreError
from appliance.mail.flags import DELETED
from appliance.mail.ids import MailboxId, MessageId, ModSeq, Uid
from appliance.store import departures
from appliance.store.account_changes import CREATED, WHOLE, MessageChange, Position
from appliance.store.scope import own
from appliance.store.store import Store
from appliance.store.values import Mode, Placement, Want

from .server import ANN, BEN, a_server, put

Known = dict[MessageId, frozenset[tuple[MailboxId, int]]]
"""Each message's mailboxes, with its flags there."""


async def all_messages(store: Store) -> Known:
    found: dict[MessageId, set[tuple[MailboxId, int]]] = {}
    for info in await store.list(ANN):
        mailbox = await store.open(ANN, info.name)
        for row in await mailbox.rows(Uid(1), Uid(2**32), Want.DATES):
            if not row.flags & DELETED:
                found.setdefault(row.message, set()).add((info.id, row.flags))
        mailbox.close()
    return {message: frozenset(places) for message, places in found.items()}


class Client:
    """`batch`: so many changes are taken at a time, as with maxChanges."""

    def __init__(self, batch: int = 1000) -> None:
        self.since = Position(ModSeq(0), WHOLE)
        self.batch = batch
        self.known: Known = {}

    async def follow(self, store: Store) -> None:
        found = await store.message_changes(own(ANN), self.since)
        assert found is not None
        self.take(*found, await all_messages(store))

    def take(self, modseq: ModSeq, changes: Sequence[MessageChange], now: Known) -> None:
        """A batch of changes, where there are these messages now."""
        places = [one.place(self.since) for one in changes]
        assert places == sorted(places)
        for change in changes[: self.batch]:
            assert self.since < change.place(self.since) and change.modseq <= modseq
            if change.destroyed:
                assert change.message not in now
                self.known.pop(change.message, None)
            else:
                assert change.kind(self.since) == CREATED or change.message in self.known
                self.known[change.message] = now[change.message]
        if len(changes) > self.batch:
            self.since = places[self.batch - 1]
        else:
            assert self.known == now
            self.since = Position(modseq, WHOLE)

    async def catch_up(self, store: Store) -> None:
        while self.since.message != WHOLE or not self.since.modseq:
            await self.follow(store)


async def place_of(store: Store, name: str) -> MailboxId:
    return (await store.find(ANN, name)).id


async def step(store: Store, kind: str, name: str, other: str, which: int) -> None:
    mailbox = await store.open(ANN, name)
    uids = [uid for uid in range(1, mailbox.info.uid_next) if uid % 3 == which % 3]
    try:
        if kind == "append":
            places = [Placement(await place_of(store, name), b"p" * which), Placement(await place_of(store, other), b"p" * which)]
            await put(store, *places[: 1 + which % 2], octets=b"o" * (which + 1))
        elif kind == "copy":
            await mailbox.copy([Uid(uid) for uid in uids], other)
        elif kind == "move":
            await mailbox.move([Uid(uid) for uid in uids], other)
        elif kind == "flag":
            await mailbox.set_flags([Uid(uid) for uid in uids], Mode.ADD if which % 2 else Mode.REMOVE, ("\\Flagged",))
        elif kind == "mark":
            await mailbox.set_flags([Uid(uid) for uid in uids], Mode.ADD if which % 2 else Mode.REMOVE, ("\\Deleted",))
        elif kind == "remove":
            await mailbox.remove([Uid(uid) for uid in uids])
        else:
            with pytest.raises(StoreError) if name == "INBOX" else trio.CancelScope():
                await store.delete(ANN, name)
                await store.create(ANN, name)
    finally:
        mailbox.close()


STEPS = st.tuples(
    st.sampled_from(["append", "append", "copy", "move", "flag", "mark", "remove", "delete"]),
    st.sampled_from(["INBOX", "Archive", "Trash"]),
    st.sampled_from(["INBOX", "Archive", "Trash"]),
    st.integers(0, 5),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(STEPS, st.booleans()), max_size=25))
def test_a_client_that_follows_knows_what_is_there(steps: list[tuple[Any, bool]]) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as directory:
            async with a_server(Path(directory)) as store:
                often, seldom, slow = Client(), Client(), Client(batch=2)
                for change, both in steps:
                    await step(store, *change)
                    await often.follow(store)
                    if both:
                        await seldom.follow(store)
                    await slow.follow(store)
                await seldom.follow(store)
                await slow.catch_up(store)
                await slow.follow(store)
                await slow.catch_up(store)
                assert often.known == seldom.known == slow.known

    trio.run(run)


async def test_what_came_and_went_is_nothing_and_threads_are_named(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        inbox = Placement(await place_of(store, "INBOX"), b"")
        (first,) = await put(store, inbox)
        start = Position(ModSeq(0), WHOLE)
        found = await store.message_changes(own(ANN), start)
        assert found is not None
        since, (created,) = Position(found[0], WHOLE), found[1]
        assert created.kind(start) == CREATED and created.thread == created.message == first.message
        (brief,) = await put(store, inbox)
        mailbox = await store.open(ANN, "INBOX")
        await mailbox.remove([brief.uid])
        assert await store.message_changes(own(ANN), since) == (since.modseq + 2, [])
        await mailbox.remove([first.uid])
        mailbox.close()
        found = await store.message_changes(own(ANN), since)
        assert found is not None and [(one.message, one.thread, one.destroyed) for one in found[1]] == [
            (first.message, first.message, True)
        ]
        assert await store.message_changes(own(BEN), start) is not None


async def test_too_long_ago_is_said_and_the_table_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departures, "KEPT", 8)
    monkeypatch.setattr(departures, "SLACK", 2)
    async with a_server(tmp_path) as store:
        inbox = Placement(await place_of(store, "INBOX"), b"")
        mailbox = await store.open(ANN, "INBOX")
        for _ in range(40):
            (placed,) = await put(store, inbox)
            await mailbox.remove([placed.uid])
        mailbox.close()
        rows = await store.database.read(lambda connection: connection.execute("SELECT count(*) FROM departure").fetchone()[0])
        assert 8 <= rows < 25
        assert await store.message_changes(own(ANN), Position(ModSeq(1), WHOLE)) is None
        found = await store.message_changes(own(ANN), Position(placed.modseq, WHOLE))
        assert (found is not None and found[1] == []) or (found is not None and found[1][0].destroyed)
