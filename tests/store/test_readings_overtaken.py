"""Forced interleavings: another session's commit or question falls between two steps of a reading (RFC 7162 §3.1, RFC 9051 §7.4.1)."""

from pathlib import Path
from typing import Any

import pytest
import trio

from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import ModSeq, Uid
from appliance.store import mailbox_cache as mailbox_cache_module
from appliance.store.mailbox import Mailbox
from appliance.store.salvage import Salvaged
from appliance.store.store import Store
from appliance.store.transfer import export, import_into
from appliance.store.values import Mode, Want
from appliance.store.view import SequenceView

from .server import ANN, a_server, deliver


def at_next_checkpoint(monkeypatch: pytest.MonkeyPatch, call: Any) -> None:
    """`call` runs once where the next question is answered without a reading."""
    plain = trio.lowlevel.checkpoint

    async def checkpoint() -> None:
        monkeypatch.setattr(mailbox_cache_module.trio.lowlevel, "checkpoint", plain)
        await call()

    monkeypatch.setattr(mailbox_cache_module.trio.lowlevel, "checkpoint", checkpoint)


async def test_an_answer_is_for_who_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one session waits for its turn another one's answer, for a later `since`, takes the place of the shared answer."""
    async with a_server(tmp_path) as store:
        slow, quick = await store.open(ANN, "INBOX"), await store.open(ANN, "INBOX")
        behind = slow.modseq
        await deliver(store)
        half = quick.newest()
        await deliver(store)
        await quick.changes(behind)
        asked = []

        async def another_asks() -> None:
            asked.append([row[0] for row in (await quick.changes(half)).flags])

        at_next_checkpoint(monkeypatch, another_asks)
        assert [row[0] for row in (await slow.changes(behind)).flags] == [1, 2]
        assert asked == [[2]]
        for box in (slow, quick):
            box.close()


async def test_an_answer_outlives_the_session_that_asked_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last session gives the mailbox back during the checkpoint, which forgets the shared answer."""
    async with a_server(tmp_path) as store:
        box = await store.open(ANN, "INBOX")
        behind = box.modseq
        await deliver(store)
        await box.changes(behind)

        async def leave() -> None:
            box.close()

        at_next_checkpoint(monkeypatch, leave)
        assert [row[0] for row in (await box.changes(behind)).flags] == [1]


async def test_a_snapshot_newer_than_the_reading_is_no_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SELECT's transaction has begun when messages come, one goes, and another session moves the shared snapshot on."""
    async with a_server(tmp_path) as store:
        for _ in range(3):
            await deliver(store)
        other = await store.open(ANN, "INBOX")
        token, plain = trio.lowlevel.current_trio_token(), store.mailbox_cache.peek

        async def meanwhile() -> None:
            await deliver(store)
            await deliver(store)
            await other.remove([Uid(2)])
            await other.changes(other.modseq)

        def peek(number: Any) -> Any:
            monkeypatch.setattr(store.mailbox_cache, "peek", plain)
            trio.from_thread.run(meanwhile, trio_token=token)
            return plain(number)

        monkeypatch.setattr(store.mailbox_cache, "peek", peek)
        box = await store.open(ANN, "INBOX")
        assert (list(box.uids), box.info.messages, box.info.uid_next) == ([1, 2, 3], 3, 4)
        view = SequenceView(box.uids, box.modseq, box.info.uid_next)
        view.apply(await box.changes(box.modseq))
        view.expunge()
        assert list(view.uids) == [1, 3, 4, 5]
        for one in (box, other):
            one.close()


async def test_a_row_newer_than_this_process_heard_of_is_followed_by_news_as_new(tmp_path: Path) -> None:
    """A reading may see a commit before the event loop knows of it: what is sent next must not be older."""
    async with a_server(tmp_path) as store:
        await deliver(store)
        box, other = await store.open(ANN, "INBOX"), await store.open(ANN, "INBOX")
        since = box.modseq
        await other.set_flags([Uid(1)], Mode.ADD, ("\\Seen",))
        await box.changes(since)
        known, heard = box._held(), box.newest()
        await other.set_flags([Uid(1)], Mode.ADD, ("\\Flagged",))
        known.newest = heard  # as if the loop had not come to it yet
        rows, _ = await box.named_rows(Uid(1), Uid(9), Want.FLAGS, 9, since)
        assert rows[0][2] == since + 2
        assert (await box.changes(since)).flags == [rows[0]]
        heard = box.newest()
        await other.remove([Uid(1)])
        known.newest = heard
        assert not (await box.changes(since)).expunged, "nobody has heard of it yet"
        assert list((await box.changes(since, fresh=True)).expunged) == [1], "who missed the message reads afresh"
        for one in (box, other):
            one.close()


# --- keywords: names and rows of one reading -----------------------------------------------------------------------


async def fill(box: Mailbox, uid: int, count: int = 57) -> None:
    """Give every bit a name, and leave the message without any of them."""
    await box.set_flags([Uid(uid)], Mode.ADD, [f"k{number}" for number in range(count)])
    await box.set_flags([Uid(uid)], Mode.REPLACE, ())


async def test_names_come_with_the_rows_they_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_server(tmp_path) as store:
        await deliver(store)
        box, other = await store.open(ANN, "INBOX"), await store.open(ANN, "INBOX")
        await fill(other, 1)
        await box.changes(box.modseq)
        since = box.newest()
        rows, names = await box.named_rows(Uid(1), Uid(9), Want.FLAGS, 9, since)
        assert (rows[0][1], names) == (0, None), "nothing changed: the names of then are right"
        await other.set_flags([Uid(1)], Mode.ADD, ("new",))
        rows, names = await box.named_rows(Uid(1), Uid(9), Want.FLAGS, 9, since)
        assert names is not None and [name for place, name in enumerate(names) if rows[0][1] >> (5 + place) & 1] == ["new"]
        for one in (box, other):
            one.close()


async def test_export_names_keywords_as_of_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Right after the rows are read the bit changes its meaning; the export was begun before."""
    async with a_server(tmp_path) as store:
        await deliver(store)
        other = await store.open(ANN, "INBOX")
        await fill(other, 1)
        await other.set_flags([Uid(1)], Mode.ADD, ("k0",))
        plain, reads = store.database.read, 0

        async def read(work: Any) -> Any:
            nonlocal reads
            result = await plain(work)
            if isinstance(result, list) and result and isinstance(result[0], Salvaged):  # a window of rows
                monkeypatch.setattr(store.database, "read", plain)
                reads += 1
                await other.set_flags([Uid(1)], Mode.REPLACE, ())
                await other.set_flags([Uid(1)], Mode.ADD, ("new",))
            return result

        monkeypatch.setattr(store.database, "read", read)
        reported = [message.flags async for message, _ in export(store, ANN, "INBOX")]
        assert (reported, reads) == ([("k0",)], 1)
        other.close()


Names = tuple[str, ...]


async def flags_of(store: Store, name: str) -> list[set[str]]:
    box = await store.open(ANN, name)
    changes = await box.changes(ModSeq(0))
    box.close()
    return [{word for place, word in enumerate(changes.keywords) if row[1] >> (5 + place) & 1} for row in changes.flags]


async def test_a_bit_nobody_carries_takes_a_new_name(tmp_path: Path) -> None:
    """By STORE, APPEND or delivery, COPY and MOVE alike; the names in use, and those wanted at the same time, stay."""
    async with a_server(tmp_path) as store:
        for _ in range(2):
            await deliver(store)
        box = await store.open(ANN, "INBOX")
        await fill(box, 1)
        await box.set_flags([Uid(1)], Mode.ADD, ("k7",))
        await box.set_flags([Uid(2)], Mode.ADD, ("new", "k0", "newer", "NEW"))
        await deliver(store, flags=("third", "k1"))
        assert await flags_of(store, "INBOX") == [{"k7"}, {"new", "k0", "newer"}, {"third", "k1"}]
        await deliver(store, mailbox="Archive")
        archive = await store.open(ANN, "Archive")
        await fill(archive, 1)
        await box.copy([Uid(2)], "Archive")
        await box.move([Uid(1), Uid(3)], "Archive")
        assert await flags_of(store, "Archive") == [set(), {"new", "k0", "newer"}, {"k7"}, {"third", "k1"}]
        assert len((await archive.changes(ModSeq(0))).keywords) == 57
        for one in (box, archive):
            one.close()


async def test_keywords_that_are_replaced_make_room_for_their_successors(tmp_path: Path) -> None:
    """Also where the new name takes the very bit: the message changed, and says so by its MODSEQ."""
    async with a_server(tmp_path) as store:
        await deliver(store, flags=("k0",))
        await deliver(store, flags=tuple(f"k{number}" for number in range(1, 57)))
        box = await store.open(ANN, "INBOX")
        with pytest.raises(StoreError) as refused:
            await box.set_flags([Uid(1)], Mode.ADD, ("new",))
        assert refused.value.trouble is Trouble.TOO_MANY
        with pytest.raises(StoreError):
            await box.set_flags([Uid(1)], Mode.REPLACE, ("new", "newer"))
        assert box.newest() == box.modseq and (await flags_of(store, "INBOX"))[0] == {"k0"}, "nothing changed"
        result = await box.set_flags([Uid(1)], Mode.REPLACE, ("new", "\\Seen"))
        assert result.rows()[0][2] == box.modseq + 1
        assert (await flags_of(store, "INBOX"))[0] == {"new"}
        assert [row[0] for row in (await box.changes(box.modseq)).flags] == [1]
        assert (await store.find(ANN, "INBOX")).unseen == 1
        box.close()


async def test_import_goes_on_without_room_for_a_keyword(tmp_path: Path) -> None:
    maildir = tmp_path / "Maildir"
    for folder in ("cur", "new", "tmp"):
        (maildir / folder).mkdir(parents=True)
    (maildir / "dovecot-keywords").write_text("0 new\n1 k1\n")
    (maildir / "cur" / "1.a.host:2,Sab").write_bytes(b"Subject: a\r\n\r\n")
    async with a_server(tmp_path) as store:
        await deliver(store, flags=tuple(f"k{number}" for number in range(57)))
        assert [taken async for taken, _ in import_into(store, ANN, maildir, "INBOX")][-1:] == [1]
        assert (await flags_of(store, "INBOX"))[1:] == [{"k1"}]


async def test_without_room_a_message_goes_without_its_keyword(tmp_path: Path) -> None:
    """57 in use at once: STORE says no, a message that comes or moves leaves the new keyword behind, and keeps those that are known."""
    async with a_server(tmp_path) as store:
        await deliver(store, mailbox="Archive", flags=tuple(f"k{number}" for number in range(57)))
        await deliver(store, flags=("new", "K3", "\\Flagged"))
        box = await store.open(ANN, "INBOX")
        await box.copy([Uid(1)], "Archive")
        await box.move([Uid(1)], "Archive")
        await deliver(store, mailbox="Archive", flags=("new", "k4", "x" * 300))
        assert (await flags_of(store, "Archive"))[1:] == [{"k3"}, {"k3"}, {"k4"}]
        box.close()


async def test_a_copy_must_be_complete_or_is_none(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        for _ in range(3):
            await deliver(store)
        box = await store.open(ANN, "INBOX")
        await box.remove([Uid(2)])
        with pytest.raises(StoreError) as refused:
            await box.copy([Uid(1), Uid(2)], "Archive", complete=True)
        assert refused.value.trouble is Trouble.GONE
        assert (await store.find(ANN, "Archive")).messages == 0
        assert (await box.copy([Uid(1), Uid(2)], "Archive")).sources == [1]
        assert (await box.copy([Uid(1), Uid(3), Uid(1)], "Archive", complete=True)).sources == [1, 3]
        box.close()
