"""An open mailbox: what each call guarantees beyond what the model test proves."""

import sqlite3
from pathlib import Path

import pytest
import trio
import trio.testing

from appliance.mail.errors import StoreError, Trouble
from appliance.mail.flags import KEYWORDS_PER_MAILBOX
from appliance.mail.ids import MailboxId, ModSeq, Uid
from appliance.mail.limits import MAILBOX_LEVELS, MAILBOX_NAME_OCTETS
from appliance.store import expunge, mailboxes
from appliance.store.store import Store
from appliance.store.values import Mode, Placement, Want
from tests.support.waiting import until

from .server import ANN, BEN, LaterScanner, a_server, deliver, put
from .test_store_model import check_refcount

EVERY = (Uid(1), Uid(2**32 - 1))


async def trouble_of(call: object) -> Trouble:
    with pytest.raises(StoreError) as refused:
        await call  # type: ignore[misc]
    return refused.value.trouble


# --- placement ----------------------------------------------------------------------------------------------------


async def test_one_message_for_two_accounts(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        ann, ben = await store.inbox_of(ANN), await store.inbox_of(BEN)
        seen = []
        async with store.receive(1000) as incoming:
            await incoming.write(b"Subject: a\r\n\r\n")
            placements = [Placement(ann, b"To: ann\r\n", ("\\Seen",), 5), Placement(ben, b"To: benjamin\r\n", (), 6)]
            filed = await store.file(await incoming.finish(), placements, also=lambda transaction, body: seen.append(body))
        assert [(one.mailbox, one.uid) for one in filed] == [(ann, 1), (ben, 1)]
        assert filed[0].message != filed[1].message
        for account, octets, text in ((ANN, 23, b"To: ann\r\nSubject: a\r\n\r\n"), (BEN, 28, b"To: benjamin\r\nSubject: a\r\n\r\n")):
            box = await store.open(account, "inbox")
            [row] = await box.rows(*EVERY, Want.DATES | Want.BODY | Want.FACTS)
            assert row.octets == octets
            assert [row.body] == seen
            assert row.envelope == b"(1 %d)" % octets
            message = await box.open_row(row)
            assert await message.read(0, 100) == text
            assert (await message.read(4, 8), message.octets) == (text[4:12], octets)
            box.close()


async def test_all_or_nothing_when_one_has_no_space(tmp_path: Path) -> None:
    async with a_server(tmp_path, quota=lambda account: 50 if account == BEN else None) as store:
        ann, ben = await store.inbox_of(ANN), await store.inbox_of(BEN)
        await put(store, Placement(ann, b""), Placement(ben, b""), octets=b"x" * 30)
        assert await trouble_of(put(store, Placement(ann, b""), Placement(ben, b""), octets=b"x" * 30)) is Trouble.OVER_QUOTA
        assert await trouble_of(put(store, Placement(ann, b""), Placement(MailboxId(99), b""), octets=b"x")) is Trouble.NO_MAILBOX
        assert [(await store.find(account, "INBOX")).messages for account in (ANN, BEN)] == [1, 1]
        assert (await store.database.read(lambda connection: connection.execute("SELECT count(*) FROM body").fetchone())) == (1,)
        box = await store.open(BEN, "INBOX")
        assert await trouble_of(box.copy([Uid(1)], "Archive")) is Trouble.OVER_QUOTA
        assert (await box.move([Uid(1)], "Archive")).copies == [1]  # a move takes no space
        box.close()


async def test_quota_follows(tmp_path: Path) -> None:
    async with a_server(tmp_path, quota=lambda _: 1000) as store:
        await deliver(store, octets=b"x" * 90, prefix=b"y" * 10)
        box = await store.open(ANN, "INBOX")
        await box.copy([Uid(1)], "Archive")
        await until(lambda: store.quota(ANN) == (200, 1000))
        await box.remove([Uid(1)])
        await until(lambda: store.quota(ANN) == (100, 1000))
        await store.delete(ANN, "Archive")
        await until(lambda: store.quota(ANN) == (0, 1000))
        assert store.quota(BEN) == (0, 1000)
        await deliver(store, octets=b"z" * 7, prefix=b"")
        box.close()
    async with a_server(tmp_path) as store:
        assert store.quota(ANN) == (7, None)


# --- sessions ----------------------------------------------------------------------------------------------------


async def test_waiting_wakes_at_once_and_costs_one_reading(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        boxes = [await store.open(ANN, "INBOX") for _ in range(50)]
        assert all(box.uids is boxes[0].uids for box in boxes)
        body_items = 0
        read = store.database.read

        async def counted(work: object) -> object:
            nonlocal body_items
            body_items += 1
            return await read(work)  # type: ignore[arg-type]

        reported = []

        async def idle(number: int) -> None:
            box = boxes[number]
            await box.wait(box.modseq)
            changes = await box.changes(box.modseq)
            reported.append((changes.modseq, [row[0] for row in changes.flags]))

        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(idle, number)
            await trio.testing.wait_all_tasks_blocked()
            store.database.read = counted  # type: ignore[method-assign,assignment]
            with trio.fail_after(5):
                filed = (await put(store, Placement(boxes[0].info.id, b"")))[0]
                assert boxes[0].newest() == filed.modseq  # known the moment the write returns
        assert reported == [(filed.modseq, [filed.uid])] * 50
        assert body_items == 1
        assert [list(one) for one in {id(box.shared()[0]): box.shared()[0] for box in boxes}.values()] == [[1]]
        for box in boxes:
            box.close()
            box.close()


async def test_a_selected_mailbox_goes(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        box, other = await store.open(ANN, "Archive"), await store.open(ANN, "Archive")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect_no_mailbox, box.wait, box.modseq)
            await trio.testing.wait_all_tasks_blocked()
            await store.delete(ANN, "Archive")
        assert other.newest() > other.modseq
        await expect_no_mailbox(other.wait, other.modseq)
        await expect_no_mailbox(other.changes, other.modseq)
        assert await trouble_of(other.set_flags([Uid(1)], Mode.ADD, ["\\Seen"])) is Trouble.NO_MAILBOX
        assert await trouble_of(other.copy([Uid(1)], "INBOX")) is Trouble.NO_MAILBOX
        assert await other.remove([Uid(1)]) == []
        await store.create(ANN, "Archive")
        again = await store.open(ANN, "Archive")
        assert again.info.id != box.info.id
        assert again.info.uid_validity > box.info.uid_validity
        await expect_no_mailbox(other.wait, other.modseq)
        for one in (box, other, again):
            one.close()
        await expect_no_mailbox(other.wait, other.modseq)


async def expect_no_mailbox(call: object, *arguments: object) -> None:
    with trio.fail_after(5):
        assert await trouble_of(call(*arguments)) is Trouble.NO_MAILBOX  # type: ignore[operator]


async def test_a_commit_while_opening_is_not_missed(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        inbox = await store.inbox_of(ANN)
        read = store.database.read

        async def slow(work: object) -> object:
            result = await read(work)  # type: ignore[arg-type]
            store.database.read = read  # type: ignore[method-assign]
            await put(store, Placement(inbox, b""))
            return result

        store.database.read = slow  # type: ignore[method-assign,assignment]
        box = await store.open(ANN, "INBOX")
        assert len(box.uids) == 0
        with trio.fail_after(1):
            await box.wait(box.modseq)
        box.close()


async def test_recent_goes_to_the_first_who_may_write(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        await deliver(store)
        await deliver(store)
        peek = await store.open(ANN, "INBOX", read_only=True)
        first = await store.open(ANN, "INBOX")
        second = await store.open(ANN, "INBOX")
        assert [list(box.recent) for box in (peek, first, second)] == [[1, 2], [1, 2], []]
        await deliver(store)
        assert list(second.claim_recent(4)) == [3]
        assert list(first.claim_recent(4)) == []
        assert (await store.find(ANN, "INBOX")).recent == 0
        await deliver(store)
        assert (await store.find(ANN, "INBOX")).recent == 1
        assert (await store.list(ANN))[0].recent == 1
        for box in (peek, first, second):
            box.close()
    async with a_server(tmp_path) as store:
        box = await store.open(ANN, "INBOX")
        assert (list(box.recent), box.info.recent) == ([4], 1)
        box.close()


async def test_seen_by_reading_is_lazy_and_comes_to_all(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        await deliver(store)
        box, examined = await store.open(ANN, "INBOX"), await store.open(ANN, "INBOX", read_only=True)
        examined.see([Uid(1)])
        box.see([])
        await trio.sleep(0.1)
        assert box.newest() == box.modseq
        box.see([Uid(1), Uid(7)])
        assert box.newest() == box.modseq
        with trio.fail_after(5):
            await box.wait(box.modseq)
        assert [row[1] for row in (await box.changes(box.modseq)).flags] == [1]
        assert (await store.find(ANN, "INBOX")).unseen == 0
        box.close()
        examined.close()


async def test_read_only_refuses(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        await deliver(store)
        box = await store.open(ANN, "INBOX", read_only=True)
        for call in (box.set_flags([Uid(1)], Mode.ADD, ["\\Seen"]), box.move([Uid(1)], "Trash"), box.expunge(), box.remove([Uid(1)])):
            assert await trouble_of(call) is Trouble.READ_ONLY
        assert (await box.copy([Uid(1)], "Trash")).copies == [1]
        box.close()


# --- flags -------------------------------------------------------------------------------------------------------


async def test_keywords_have_no_case_and_an_end(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        await deliver(store, flags=("$Label1",))
        box = await store.open(ANN, "INBOX")
        before = box.newest()
        await box.set_flags([Uid(1)], Mode.ADD, ["$LABEL1", "\\SEEN"])
        assert (await box.changes(ModSeq(0))).keywords == ("$Label1",)
        more = [f"k{number}" for number in range(KEYWORDS_PER_MAILBOX - 1)]
        [(_, flags, *_)] = (await box.set_flags([Uid(1)], Mode.ADD, more)).rows()
        assert flags.bit_count() == KEYWORDS_PER_MAILBOX + 1
        newest = box.newest()
        assert newest > before
        assert await trouble_of(box.set_flags([Uid(1)], Mode.ADD, ["onemore"])) is Trouble.TOO_MANY
        assert await trouble_of(box.set_flags([Uid(1)], Mode.ADD, ["x" * 300])) in (Trouble.TOO_MANY, Trouble.TOO_BIG)
        await box.set_flags([Uid(1)], Mode.REMOVE, ["onemore"])
        await box.set_flags([Uid(9)], Mode.ADD, ["onemore"])
        assert box.newest() == newest  # nothing changed, nothing written
        copied = await box.copy([Uid(1)], "Archive")
        archive = await store.open(ANN, "Archive")
        assert set((await archive.changes(ModSeq(0))).keywords) == {"$Label1", *more}
        assert copied.copies == [1]
        for one in (box, archive):
            one.close()


async def test_keywords_keep_their_names_across_mailboxes(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        await deliver(store, mailbox="Archive", flags=("a", "b"))
        await deliver(store, flags=("x", "b", "\\Flagged"))
        box = await store.open(ANN, "INBOX")
        await box.move([Uid(1)], "Archive")
        archive = await store.open(ANN, "Archive")
        assert archive.keywords == ("a", "b", "x")
        assert [row.flags for row in await archive.rows(*EVERY, Want.FLAGS)] == [0b011 << 5, 0b110 << 5 | 4]
        for one in (box, archive):
            one.close()


# --- changes -----------------------------------------------------------------------------------------------------


async def test_below_the_horizon_every_hole_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expunge, "KEPT", 3)
    monkeypatch.setattr(expunge, "SLACK", 1)
    async with a_server(tmp_path) as store:
        for _ in range(30):
            await deliver(store)
        box = await store.open(ANN, "INBOX")
        start = box.modseq
        seen = []
        for uid in range(2, 24, 2):
            await box.remove([Uid(uid)])
            seen.append(box.newest())
        stones = await store.database.read(lambda connection: connection.execute("SELECT count(*), min(modseq) FROM expunged").fetchone())
        assert stones[0] <= 4
        assert list((await box.changes(start)).expunged) == list(range(2, 24, 2))
        assert list((await box.changes(ModSeq(0))).expunged) == list(range(2, 24, 2))
        assert list((await box.changes(seen[-2])).expunged) == [22]
        assert list((await box.changes(seen[-1])).expunged) == []
        late = await store.open(ANN, "INBOX")
        assert list(late.uids) == [uid for uid in range(1, 31) if uid % 2 or uid >= 24]
        for one in (box, late):
            one.close()


async def test_an_expunge_leaves_few_tombstones(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        for _ in range(10):
            await deliver(store)
        box = await store.open(ANN, "INBOX")
        await box.remove([Uid(uid) for uid in (1, 2, 3, 7, 8, 10)])

        def stones(connection: sqlite3.Connection) -> list[tuple[int, int]]:
            return connection.execute("SELECT first_uid, last_uid FROM expunged ORDER BY first_uid").fetchall()

        assert await store.database.read(stones) == [(1, 3), (7, 8), (10, 10)]
        assert list((await box.changes(box.modseq)).expunged) == [1, 2, 3, 7, 8, 10]
        assert (await deliver(store)).uid == 11
        box.close()


# --- facts -------------------------------------------------------------------------------------------------------


async def test_facts_of_an_older_scanner_are_made_anew(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        await deliver(store, octets=b"Subject: a\r\n\r\n" + b"x" * 300_000)
        await deliver(store)
    async with a_server(tmp_path, scanner=LaterScanner) as store:
        box = await store.open(ANN, "INBOX")
        assert [row[6] for row in (await box.named_rows(*EVERY, Want.FACTS, 500, box.modseq))[0]] == [b"(2 300020)", b"(2 23)"]
        assert [row.envelope for row in await box.rows(*EVERY, Want.FACTS)] == [b"(2 300020)", b"(2 23)"]
        await store.database.write(lambda transaction: None)  # what waited lazily goes with it
        kept = await store.database.read(
            lambda connection: connection.execute("SELECT envelope, described_by FROM message_data").fetchall()
        )
        assert kept == [(b"(2 300020)", 2), (b"(2 23)", 2)]
        box.close()


async def test_messages_that_are_gone(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        await deliver(store)
        box = await store.open(ANN, "INBOX")
        [row] = await box.rows(*EVERY, Want.DATES | Want.BODY)
        message = await box.open_row(row)
        await box.remove([Uid(1)])
        assert await message.read(0, 6) == b"P: 1\r\n"  # what was opened may be read on
        assert await trouble_of(box.open_message(Uid(1))) is Trouble.GONE
        assert await box.rows(*EVERY, Want.FACTS) == []
        assert await box.some_rows([Uid(1)], Want.DATES) == []
        box.close()


@pytest.mark.parametrize("want", [*Want, Want.DATES | Want.FACTS, Want.FACTS | Want.BODY, Want.BODY | Want.RARE])
async def test_named_rows_are_the_first_fields_of_rows(tmp_path: Path, want: Want) -> None:
    async with a_server(tmp_path) as store:
        for number in range(3):
            await deliver(store, octets=b"x" * number)
        box = await store.open(ANN, "INBOX")
        rows, raw = await box.rows(*EVERY, want), list((await box.named_rows(*EVERY, want, 500, box.modseq))[0])
        assert [row[: len(plain)] for row, plain in zip(rows, raw, strict=True)] == raw
        width = 3 if want == Want.FLAGS else 6 if want == Want.DATES else 16 if want & (Want.BODY | Want.RARE) else 10
        assert {len(plain) for plain in raw} == {width}
        box.close()


async def test_messages_in_bulk(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        for number in range(5):
            await deliver(store, octets=b"%d" % number * 1000)
        box = await store.open(ANN, "INBOX")
        rows = await box.rows(*EVERY, Want.DATES | Want.BODY)
        messages = await box.open_rows(rows)
        assert [await message.read(6, 2000) for message in messages] == [b"%d" % number * 1000 for number in range(5)]
        assert [row.uid for row in await box.some_rows([Uid(5), Uid(1), Uid(9)], Want.DATES)] == [1, 5]
        assert [message.octets for message in await box.open_rows(rows, 3500)] == [1006] * 3
        assert [message.octets for message in await box.open_rows(rows, 0)] == [1006]
        assert await box.open_rows([]) == []
        window = await box.open_batch(Uid(2), Uid(4), 9, 2500)
        assert [(row.uid, await message.read(0, 8)) for row, message in window] == [(2, b"P: 1\r\n11"), (3, b"P: 1\r\n22")]
        box.close()


# --- the tree ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["", "/", "a//b", "/a", "a/../b", ".", "a\x00", "a\r\nb", "a\x7f", "a\x85b", "a*", "%", "\ud800", "a\u2028",
     "x" * (MAILBOX_NAME_OCTETS + 1), "/".join("a" * (MAILBOX_LEVELS + 1))],
)  # fmt: skip
async def test_names_no_mailbox_can_have(tmp_path: Path, name: str) -> None:
    async with a_server(tmp_path) as store:
        assert await trouble_of(store.create(ANN, name)) is Trouble.BAD_NAME
        assert await trouble_of(store.rename(ANN, "Sent", name)) is Trouble.BAD_NAME
        assert await trouble_of(store.subscribe(ANN, name, True)) is Trouble.BAD_NAME
        assert await trouble_of(store.open(ANN, name)) is Trouble.NO_MAILBOX
        assert len(await store.list(ANN)) == 6


async def test_names_have_one_spelling(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        assert (await store.create(ANN, "Gru\u0308n/")).name == "Grün"
        assert await trouble_of(store.create(ANN, "Grün")) is Trouble.EXISTS
        assert (await store.find(ANN, "Gru\u0308n")).name == "Grün"
        assert (await store.create(ANN, "inbox/Child")).name == "INBOX/Child"
        assert await trouble_of(store.create(ANN, "iNbOx")) is Trouble.EXISTS
        assert await trouble_of(store.find(ANN, "sent")) is Trouble.NO_MAILBOX
        assert [info.name for info in await store.list(ANN)][:2] == ["INBOX", "Archive"]
        assert await trouble_of(store.find(BEN, "Grün")) is Trouble.NO_MAILBOX


async def test_the_first_mailboxes(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        infos = await store.list(ANN)
        assert [(info.name, info.special_use) for info in infos] == [
            ("INBOX", ""), ("Archive", "\\Archive"), ("Drafts", "\\Drafts"), ("Junk", "\\Junk"), ("Sent", "\\Sent"), ("Trash", "\\Trash"),
        ]  # fmt: skip
        assert all(info.subscribed for info in infos)
        assert len({info.uid_validity for info in infos}) == 6
        assert all(0 < info.uid_validity < 2**31 for info in infos)


async def test_special_use_is_given_once(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        assert await trouble_of(store.create(ANN, "Bin", "\\Trash")) is Trouble.NOT_ALLOWED
        assert await trouble_of(store.create(ANN, "Bin", "\\Odd")) is Trouble.NOT_ALLOWED
        await store.delete(ANN, "Trash")
        assert (await store.create(ANN, "Bin", "\\Trash")).special_use == "\\Trash"
        await store.rename(ANN, "Bin", "Papierkorb")
        assert (await store.find(ANN, "Papierkorb")).special_use == "\\Trash"


async def test_children_and_names_without_mailbox(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        await store.create(ANN, "a/b/c")
        await store.create(ANN, "a-b")  # sorts between a and a/b
        assert [info.has_children for info in await store.list(ANN) if info.name[0] == "a"] == [True, False, True, False]
        await store.delete(ANN, "a/b")
        found = await store.find(ANN, "a/b")
        assert (found.selectable, found.has_children) == (False, True)
        assert await trouble_of(store.open(ANN, "a/b")) is Trouble.NO_MAILBOX
        assert await trouble_of(store.delete(ANN, "a/b")) is Trouble.HAS_CHILDREN
        assert await trouble_of(put(store, Placement(found.id, b""))) is Trouble.NO_MAILBOX
        box = await store.open(ANN, "INBOX")
        assert await trouble_of(box.copy([], "a/b")) is Trouble.NO_MAILBOX
        box.close()
        await store.create(ANN, "a/b")
        assert (await store.find(ANN, "a/b")).selectable
        await store.delete(ANN, "a/b")
        await store.rename(ANN, "a", "z/y")
        assert [info.name for info in await store.list(ANN) if info.name[0] in "az"] == ["a-b", "z", "z/y", "z/y/b", "z/y/b/c"]
        await store.delete(ANN, "z/y/b/c")
        await store.delete(ANN, "z/y/b")
        assert await trouble_of(store.delete(ANN, "z/y/b")) is Trouble.NO_MAILBOX


async def test_renaming_what_may_not_be(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        await store.create(ANN, "a/b")
        assert await trouble_of(store.rename(ANN, "a", "a/c")) is Trouble.NOT_ALLOWED
        assert await trouble_of(store.rename(ANN, "a", "a/b/c")) is Trouble.NOT_ALLOWED
        assert await trouble_of(store.rename(ANN, "a", "a")) is Trouble.EXISTS
        assert await trouble_of(store.rename(ANN, "a", "Inbox")) is Trouble.EXISTS
        assert await trouble_of(store.rename(ANN, "nothing", "x")) is Trouble.NO_MAILBOX
        assert await trouble_of(store.delete(ANN, "INBOX")) is Trouble.NOT_ALLOWED
        long = "/".join("x" * (MAILBOX_LEVELS - 1))
        assert await trouble_of(store.rename(ANN, "a", long + "/y")) is Trouble.BAD_NAME  # its child would be too deep
        assert len(await store.list(ANN)) == 8


async def test_renaming_the_inbox(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        await deliver(store, flags=("\\Seen", "k"))
        await store.create(ANN, "INBOX/child")
        box = await store.open(ANN, "INBOX")
        await store.rename(ANN, "inbox", "old/mail")
        assert list((await box.changes(box.modseq)).expunged) == [1]
        names = [info.name for info in await store.list(ANN)]
        assert {"INBOX", "INBOX/child", "old", "old/mail"} <= set(names)
        moved = await store.open(ANN, "old/mail")
        assert (list(moved.uids), moved.keywords) == ([1], ("k",))
        assert (await deliver(store)).uid == 2
        for one in (box, moved):
            one.close()


async def test_an_older_mailbox_under_a_newer_name(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        await store.create(ANN, "old")
        newer = await store.create(ANN, "new")
        await store.delete(ANN, "new")
        box = await store.open(ANN, "old")
        await store.rename(ANN, "old", "new")
        assert (await store.find(ANN, "new")).uid_validity > newer.uid_validity
        await expect_no_mailbox(box.wait, box.modseq)
        box.close()


async def test_subscriptions_outlive_mailboxes(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        await store.subscribe(ANN, "nowhere/yet", True)
        await store.subscribe(ANN, "nowhere/yet", True)
        await store.delete(ANN, "Sent")
        assert set(await store.subscriptions(ANN)) == {"Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash", "nowhere/yet"}
        await store.subscribe(ANN, "inbox", False)
        await store.subscribe(ANN, "never", False)
        assert not (await store.find(ANN, "INBOX")).subscribed


async def test_limits_of_the_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailboxes, "MAILBOXES", 8)
    monkeypatch.setattr(mailboxes, "SUBSCRIPTIONS", 7)
    async with a_server(tmp_path) as store:
        assert await trouble_of(store.create(ANN, "a/b/c")) is Trouble.TOO_MANY
        await store.create(ANN, "a/b")
        assert await trouble_of(store.create(ANN, "c")) is Trouble.TOO_MANY
        await store.subscribe(ANN, "a", True)
        assert await trouble_of(store.subscribe(ANN, "b", True)) is Trouble.TOO_MANY
        assert len(await store.subscriptions(ANN)) == 7
        assert len(await store.list(ANN)) == 8


async def test_a_account_goes(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        ann, ben = await store.inbox_of(ANN), await store.inbox_of(BEN)
        await put(store, Placement(ann, b""), Placement(ben, b""))
        await deliver(store, ANN, "Sent", flags=("k",))
        await store.database.write(lambda transaction: store.remove_mailboxes(transaction, ANN))
        assert await store.list(ANN) == []
        assert await store.subscriptions(ANN) == []
        await until(lambda: store.quota(ANN) == (0, None))
        assert await trouble_of(store.inbox_of(ANN)) is Trouble.NO_MAILBOX
        assert await store.database.read(left_of) == (1, 1, 1, 0)
        box = await store.open(BEN, "INBOX")
        assert await (await box.open_message(Uid(1))).read(0, 10) == b"Subject: a"
        box.close()


def left_of(connection: sqlite3.Connection) -> tuple[int, ...]:
    counts: tuple[int, ...] = connection.execute(
        "SELECT (SELECT count(*) FROM message), (SELECT count(*) FROM message_data), (SELECT count(*) FROM body), "
        "(SELECT count(*) FROM keyword)"
    ).fetchone()
    return counts


# --- being cut short ------------------------------------------------------------------------------------------------


async def test_a_cancelled_session_leaves_the_others_whole(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        await deliver(store)
        box, other = await store.open(ANN, "INBOX"), await store.open(ANN, "INBOX")
        await deliver(store)
        with trio.CancelScope() as scope:
            scope.cancel()
            await box.changes(box.modseq)
        with trio.fail_after(5):
            assert [row[0] for row in (await other.changes(other.modseq)).flags] == [2]
        with trio.CancelScope() as scope:
            scope.cancel()
            await store.open(ANN, "INBOX")
        for one in (box, other):
            one.close()
        assert await whole(store)


async def whole(store: Store) -> bool:
    info = await store.find(ANN, "INBOX")
    return (info.messages, info.uid_next) == (2, 3)


async def subscriptions(store: Store) -> set[str]:
    return set(await store.subscriptions(ANN))


async def test_subscriptions_follow_a_rename(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        for name in ("Work", "Work/2020", "Work/2021", "Workshop"):
            await store.create(ANN, name)
        for name in ("Work", "Work/2020", "Work/gone", "Workshop", "Play/2020"):
            await store.subscribe(ANN, name, True)
        before = await subscriptions(store) - {"Work", "Work/2020", "Work/gone"}
        await store.rename(ANN, "Work", "Play")
        assert await subscriptions(store) == before | {"Play", "Play/2020", "Play/gone"}
        found = {info.name: info.subscribed for info in await store.list(ANN)}
        assert found["Play"] and found["Play/2020"] and not found["Play/2021"]


async def test_subscription_and_use_of_a_special_mailbox_follow_a_rename(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        await store.rename(ANN, "Trash", "Bin/Papers")
        found = {info.name: (info.special_use, info.subscribed) for info in await store.list(ANN)}
        assert found["Bin/Papers"] == ("\\Trash", True) and "Trash" not in found
        assert "Trash" not in await subscriptions(store)


@pytest.mark.parametrize("subscribed", [True, False])
async def test_inbox_stays_subscribed_and_what_took_its_messages_is_like_it(tmp_path: Path, subscribed: bool) -> None:
    async with a_server(tmp_path) as store:
        await store.create(ANN, "INBOX/below")
        await store.subscribe(ANN, "INBOX/below", True)
        await store.subscribe(ANN, "INBOX", subscribed)
        await store.rename(ANN, "inbox", "Old")
        names = await subscriptions(store)
        assert ("INBOX" in names, "Old" in names) == (subscribed, subscribed)
        assert "INBOX/below" in names


async def test_a_rename_that_is_refused_leaves_subscriptions_alone(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        before = await subscriptions(store)
        for old, new in (("Trash", "Sent"), ("Trash", "Trash/below"), ("None", "Other")):
            with pytest.raises(StoreError):
                await store.rename(ANN, old, new)
        assert await subscriptions(store) == before


# --- a full mailbox --------------------------------------------------------------------------------------------


async def test_copying_to_trash_works_in_a_full_mailbox_up_to_a_bound(tmp_path: Path) -> None:
    """A client without MOVE deletes by COPY to Trash, STORE and EXPUNGE."""
    async with a_server(tmp_path, quota=lambda _: 100) as store:
        for _ in range(4):
            await deliver(store, prefix=b"", octets=b"x" * 25)
        box = await store.open(ANN, "INBOX")
        every = [Uid(uid) for uid in box.uids]
        refused = StoreError(Trouble.BROKEN)
        try:
            await box.copy(every[:1], "Archive")
        except StoreError as error:
            refused = error
        assert refused.trouble is Trouble.OVER_QUOTA and "Trash still work" in str(refused)
        assert len((await box.copy(every, "Trash")).copies) == 4, "all of it at once"
        with pytest.raises(StoreError, match="empty the Trash first"):
            await box.copy(every[:1], "Trash")
        await box.set_flags(every, Mode.ADD, ["\\Deleted"])
        assert len(await box.expunge()) == 4
        assert sum(info.octets for info in await store.list(ANN)) == 100
        box.close()


async def test_moving_works_above_a_limit_that_was_lowered(tmp_path: Path) -> None:
    limit = [1000]
    async with a_server(tmp_path, quota=lambda _: limit[0]) as store:
        for _ in range(4):
            await deliver(store, prefix=b"", octets=b"x" * 25)
        limit[0] = 10
        box = await store.open(ANN, "INBOX")
        every = [Uid(uid) for uid in box.uids]
        assert len((await box.move(every[:1], "Archive")).copies) == 1
        assert len((await box.copy(every[1:], "Trash")).copies) == 3
        box.close()
        await store.rename(ANN, "INBOX", "Old")
        assert sum(info.octets for info in await store.list(ANN)) == 175


@pytest.mark.parametrize("chosen", [(1, 2, 3, 4), (2, 3), (1, 3, 4), (4,)])
async def test_copies_are_in_the_order_of_the_originals_and_counted(tmp_path: Path, chosen: tuple[int, ...]) -> None:
    """With gaps between UIDs and without; into another mailbox and the same; of a message that is there twice."""
    async with a_server(tmp_path) as store:
        for number in range(4):
            await deliver(store, octets=b"Subject: %d\r\n\r\n" % number)
        box = await store.open(ANN, "INBOX")
        messages = {row.uid: row.message for row in await box.rows(Uid(1), Uid(99), Want.DATES)}
        uids = [Uid(uid) for uid in chosen]
        await box.copy(uids, "INBOX")
        for target in ("Archive", "Archive", "Trash"):
            copied = await box.copy([*uids, *[Uid(5 + place) for place in range(len(uids))]], target)
            assert copied.sources == [*uids, *range(5, 5 + len(uids))]
            other = await store.open(ANN, target)
            rows = [row for row in await other.rows(Uid(1), Uid(99), Want.DATES) if row.uid in copied.copies]
            assert [row.message for row in rows] == 2 * [messages[uid] for uid in uids]
            other.close()
        await store.database.read(check_refcount)
        box.close()


async def test_flags_of_a_range_are_those_of_its_rows_while_nothing_changes(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        for flags in ((), ("\\Seen", "bills"), ("\\Deleted",), ()):
            await deliver(store, flags=flags)
        box, other = await store.open(ANN, "INBOX"), await store.open(ANN, "INBOX")
        await other.remove([Uid(1)])
        as_of = (await box.changes(box.modseq)).modseq
        rows = await box.flag_rows(Uid(1), Uid(9))
        assert await box.flags_between(Uid(1), Uid(9), as_of) == [flags for _, flags, _ in rows]
        assert await box.flags_between(Uid(9), Uid(10), as_of) == []
        await other.set_flags([Uid(4)], Mode.ADD, ("\\Flagged",))
        assert await box.flags_between(Uid(1), Uid(9), as_of) is None
        for one in (box, other):
            one.close()
