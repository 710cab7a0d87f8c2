"""A client that follows what another account shares with it knows every message it may read, and nothing of any other."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.mail.ids import ModSeq, Uid
from appliance.mail.rights import parse_rights
from appliance.store import shared_members, shared_sight
from appliance.store.account_changes import WHOLE, Position
from appliance.store.account_messages import account_messages, thread_messages
from appliance.store.scope import Scope, own, scope_modseq
from appliance.store.store import Store
from appliance.store.values import Mode, Placement
from appliance.store.visible import VisibleMailboxes

from .server import ANN, BEN, a_server, put
from .test_account_changes import STEPS, Client, Known, all_messages, place_of, step

SCOPE = Scope(ANN, BEN)
READABLE = ("lr", "lrswite")


async def share(store: Store, name: str, rights: str) -> None:
    await VisibleMailboxes(store, ANN).set_rights(name, BEN, Mode.REPLACE, parse_rights(rights))


class Viewer(Client):
    """Reads everything anew where changes are not known."""

    anew = 0

    async def there(self, store: Store) -> Known:
        infos = {info.id for info in await store.mailboxes_in(SCOPE) if "r" in info.rights}
        found = {
            message: frozenset(place for place in places if place[0] in infos) for message, places in (await all_messages(store)).items()
        }
        return {message: places for message, places in found.items() if places}

    async def follow(self, store: Store) -> None:
        found = await store.message_changes(SCOPE, self.since)
        now = await self.there(store)
        if found is None:
            self.anew += 1
            state = await store.database.read(lambda connection: scope_modseq(connection, SCOPE))
            self.known, self.since = now, Position(state, WHOLE)
            return
        self.take(*found, now)


RIGHTS = st.tuples(st.just("rights"), st.sampled_from(["INBOX", "Archive", "Trash"]), st.sampled_from(["", "l", "r", *READABLE]))


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.one_of(STEPS, STEPS, STEPS, RIGHTS), st.booleans()), max_size=25))
def test_a_viewer_that_follows_knows_what_may_be_read(steps: list[tuple[Any, bool]]) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as directory:
            async with a_server(Path(directory)) as store:
                await share(store, "Archive", "lr")
                await share(store, "Trash", "lr")
                often, seldom, slow = Viewer(), Viewer(), Viewer(batch=2)
                for change, both in steps:
                    if change[0] == "rights":
                        await share(store, *change[1:])
                    else:
                        await step(store, *change)
                    await often.follow(store)
                    if both:
                        await seldom.follow(store)
                    await slow.follow(store)
                await seldom.follow(store)
                await slow.catch_up(store)
                await slow.follow(store)
                await slow.catch_up(store)
                assert often.known == seldom.known == slow.known == await often.there(store)

    trio.run(run)


async def test_flags_and_moves_within_sight_are_told_and_what_is_out_of_sight_is_not(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        await share(store, "Archive", "lr")
        viewer = Viewer()
        await viewer.follow(store)
        assert viewer.anew == 1, "a state from before anything was shared"
        state = viewer.since.modseq
        (hidden,) = await put(store, Placement(await place_of(store, "INBOX"), b""))
        (seen,) = await put(store, Placement(await place_of(store, "Archive"), b"x"))
        await viewer.follow(store)
        assert viewer.anew == 1 and set(viewer.known) == {seen.message}

        def work(connection: Any) -> Any:
            messages = account_messages(connection, SCOPE, [hidden.message, seen.message])
            return set(messages), thread_messages(connection, SCOPE, [hidden.message, seen.message])

        assert await store.database.read(work) == ({seen.message}, {seen.message: [seen.message]})
        inbox = await store.open(ANN, "INBOX")
        await inbox.set_flags([Uid(1)], Mode.ADD, ("\\Flagged",))
        found = await store.message_changes(SCOPE, viewer.since)
        assert found is not None and found == (viewer.since.modseq, []), "the owner's other mail changes no state"
        await inbox.move([Uid(1)], "Archive")
        inbox.close()
        await viewer.follow(store)
        assert set(viewer.known) == {seen.message, hidden.message}, "made long ago, and created for who sees it now"
        archive = await store.open(ANN, "Archive")
        await archive.move([Uid(1), Uid(2)], "INBOX")
        archive.close()
        found = await store.message_changes(SCOPE, viewer.since)
        assert found is not None and {one.message for one in found[1] if one.destroyed} == {seen.message, hidden.message}
        found = await store.message_changes(SCOPE, Position(state, WHOLE))
        assert found is not None and [one.kind(Position(state, WHOLE)) for one in found[1]] == [], "all of it came and went"


async def test_mailboxes_come_into_sight_and_go(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        ann = VisibleMailboxes(store, ANN)
        tours = (await ann.create("Tours")).id
        year = (await ann.create("Tours/2024")).id
        await share(store, "Tours/2024", "lr")
        state = await store.database.read(lambda connection: scope_modseq(connection, SCOPE))
        await ann.create("Private")
        nothing = await store.mailbox_changes(SCOPE, state)
        assert nothing is not None and (nothing.modseq, nothing.created, nothing.changed, nothing.deleted) == (state, (), (), ())
        await share(store, "Tours", "l")
        changes = await store.mailbox_changes(SCOPE, state)
        assert changes is not None and changes.created == (tours,) and changes.changed == (year,), "it has a parent now"
        below = (await ann.create("Tours/2024/May")).id
        later = await store.mailbox_changes(SCOPE, changes.modseq)
        assert later is not None and later.created == (below,) and not later.deleted
        await share(store, "Tours", "lr")
        reading = await store.mailbox_changes(SCOPE, later.modseq)
        assert reading is not None and reading.changed == (tours,) and not reading.created
        await share(store, "Tours", "r")
        await ann.delete("Tours/2024/May")
        gone = await store.mailbox_changes(SCOPE, reading.modseq)
        assert gone is not None and set(gone.deleted) == {tours, below} and gone.changed == (year,)
        whole = await store.mailbox_changes(SCOPE, state)
        assert whole is not None and whole.modseq == gone.modseq and not whole.created and year in whole.changed
        await VisibleMailboxes(store, BEN).subscribe("Shared/Tours/2024", False)
        own_view = await store.mailbox_changes(SCOPE, gone.modseq)
        assert own_view is not None and own_view.changed == (year,)


async def test_a_change_of_many_messages_is_not_kept_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_members, "MOST", 3)
    async with a_server(tmp_path) as store:
        await share(store, "Archive", "lr")
        state = await store.database.read(lambda connection: scope_modseq(connection, SCOPE))
        inbox = Placement(await place_of(store, "INBOX"), b"")
        for _ in range(4):
            await put(store, inbox)
        mailbox = await store.open(ANN, "INBOX")
        await mailbox.copy([Uid(1), Uid(2), Uid(3)], "Archive")
        found = await store.message_changes(SCOPE, Position(state, WHOLE))
        assert found is not None and len(found[1]) == 3
        await mailbox.copy([Uid(1), Uid(2), Uid(3), Uid(4)], "Archive")
        mailbox.close()
        assert await store.message_changes(SCOPE, Position(found[0], WHOLE)) is None
        now = await store.database.read(lambda connection: scope_modseq(connection, SCOPE))
        assert await store.message_changes(SCOPE, Position(now, WHOLE)) == (now, [])


async def test_what_is_kept_is_bounded_and_too_long_ago_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_members, "KEPT", 8)
    monkeypatch.setattr(shared_members, "SLACK", 2)
    monkeypatch.setattr(shared_sight, "KEPT", 3)
    async with a_server(tmp_path) as store:
        await share(store, "Archive", "lr")
        start = await store.database.read(lambda connection: scope_modseq(connection, SCOPE))
        archive = Placement(await place_of(store, "Archive"), b"")
        for _ in range(40):
            (placed,) = await put(store, archive)
        rows = await store.database.read(lambda connection: connection.execute("SELECT count(*) FROM shared_change").fetchone()[0])
        assert 8 <= rows < 25
        assert await store.message_changes(SCOPE, Position(start, WHOLE)) is None
        assert await store.message_changes(own(ANN), Position(start, WHOLE)) is not None
        assert await store.message_changes(SCOPE, Position(placed.modseq, WHOLE)) == (placed.modseq, [])
        ann = VisibleMailboxes(store, ANN)
        for number in range(6):
            await ann.create(f"Tours {number}")
            await share(store, f"Tours {number}", "l")
            await share(store, f"Tours {number}", "")
        assert await store.mailbox_changes(SCOPE, start) is None
        rows = await store.database.read(lambda connection: connection.execute("SELECT count(*) FROM shared_sight").fetchone()[0])
        assert rows == 1 + 3
        await share(store, "Archive", "")
        rows = await store.database.read(lambda connection: connection.execute("SELECT count(*) FROM shared_change").fetchone()[0])
        assert rows == 0, "nobody else sees it"
        assert (await store.mailbox_changes(SCOPE, ModSeq(2**40))) is not None
