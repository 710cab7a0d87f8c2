"""A mailbox that its owner opens again: what is known is not read, and what changed since is."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import Uid
from appliance.mail.rights import parse_rights
from appliance.store import mailbox_cache
from appliance.store.mailbox import Mailbox
from appliance.store.store import Store
from appliance.store.values import Mode
from appliance.store.visible import VisibleMailboxes

from .server import ANN, BEN, a_server, deliver


async def opened(store: Store, name: str = "Work") -> tuple[Any, ...]:
    """All that a session learns by opening it, as read and from memory alike."""
    box = await VisibleMailboxes(store, ANN).open(name)
    box.close()
    return box.info, list(box.uids), box.modseq, box.keywords, box.first_unseen


def readings(store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    plain, count = store.database.read, 0

    async def read(work: Any) -> Any:
        nonlocal count
        count += 1
        return await plain(work)

    monkeypatch.setattr(store.database, "read", read)
    return lambda: count


async def a_mailbox(store: Store) -> VisibleMailboxes:
    mailboxes = VisibleMailboxes(store, ANN)
    await mailboxes.create("Work")
    for flags in (("\\Seen", "bills"), ()):
        await deliver(store, mailbox="Work", flags=flags)
    return mailboxes


async def test_nothing_is_read_while_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_server(tmp_path) as store:
        await a_mailbox(store)
        first = await opened(store)
        assert first[0].recent == 2
        await deliver(store, BEN)
        count = readings(store, monkeypatch)
        again = await opened(store)
        assert not count()
        assert again[0].recent == 0
        again[0].recent = 2
        assert again == first


async def test_of_large_mailboxes_the_last_one_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their UIDs are given up when others were used since."""
    monkeypatch.setattr(mailbox_cache, "SNAPSHOT_OCTETS", 0)
    async with a_server(tmp_path) as store:
        await a_mailbox(store)
        await opened(store)
        count = readings(store, monkeypatch)
        await opened(store)
        assert count() == 0
        await opened(store, "INBOX")
        await opened(store)
        assert count() == 2


async def flagged(mailboxes: VisibleMailboxes, store: Store) -> None:
    box = await mailboxes.open("Work")
    await box.set_flags([Uid(2)], Mode.ADD, ("\\Seen", "new"))
    box.close()


async def removed(mailboxes: VisibleMailboxes, store: Store) -> None:
    box = await mailboxes.open("Work")
    await box.remove([Uid(1)])
    box.close()


async def delivered(mailboxes: VisibleMailboxes, store: Store) -> None:
    await deliver(store, mailbox="Work")


async def renamed_and_made_again(mailboxes: VisibleMailboxes, store: Store) -> None:
    await mailboxes.rename("Work", "Play")
    await mailboxes.create("Work")


async def deleted_and_made_again(mailboxes: VisibleMailboxes, store: Store) -> None:
    await mailboxes.delete("Work")
    await mailboxes.create("Work")


async def with_a_child(mailboxes: VisibleMailboxes, store: Store) -> None:
    await mailboxes.create("Work/Old")


async def unsubscribed(mailboxes: VisibleMailboxes, store: Store) -> None:
    await mailboxes.subscribe("Work", not (await mailboxes.find("Work")).subscribed)


CHANGES = (flagged, removed, delivered, renamed_and_made_again, deleted_and_made_again, with_a_child, unsubscribed)


@pytest.mark.parametrize("change", CHANGES)
async def test_what_changed_is_there(tmp_path: Path, change: Callable[[VisibleMailboxes, Store], Awaitable[None]]) -> None:
    async with a_server(tmp_path) as store:
        mailboxes = await a_mailbox(store)
        before = await opened(store)
        await change(mailboxes, store)
        now = await opened(store)
        store.mailbox_cache._named.clear()
        read = await opened(store)
        now[0].recent = read[0].recent
        assert now == read != before


async def test_a_mailbox_that_is_gone_or_called_otherwise_is_not_opened(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        mailboxes = await a_mailbox(store)
        await opened(store)
        await mailboxes.rename("Work", "Play")
        await opened(store, "Play")
        for change in (None, mailboxes.delete("Play")):
            if change is not None:
                await change
            with pytest.raises(StoreError) as caught:
                await opened(store, "Work" if change is None else "Play")
            assert caught.value.trouble is Trouble.NO_MAILBOX


async def test_a_rename_while_the_mailbox_is_read_is_not_overlooked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its commit is heard of before the session has what it read."""
    async with a_server(tmp_path) as store:
        mailboxes = await a_mailbox(store)
        plain = store.database.read

        async def overtaken(work: Any) -> Any:
            monkeypatch.setattr(store.database, "read", plain)
            found = await plain(work)
            await mailboxes.rename("Work", "Play")
            return found

        monkeypatch.setattr(store.database, "read", overtaken)
        await opened(store)
        with pytest.raises(StoreError) as caught:
            await opened(store)
        assert caught.value.trouble is Trouble.NO_MAILBOX


async def test_what_another_shares_is_read_each_time(tmp_path: Path) -> None:
    """Rights may have gone without a word to the mailbox's owner."""
    async with a_server(tmp_path) as store:
        mailboxes = await a_mailbox(store)
        await mailboxes.set_rights("Work", BEN, Mode.REPLACE, parse_rights("lr"))
        theirs = VisibleMailboxes(store, BEN)

        async def look() -> Mailbox:
            box = await theirs.open("Shared/Work")
            box.close()
            return box

        assert (await look()).read_only
        await opened(store)
        assert (await look()).info.name == "Shared/Work"
        await mailboxes.set_rights("Work", BEN, Mode.REPLACE, parse_rights(""))
        with pytest.raises(StoreError):
            await look()
