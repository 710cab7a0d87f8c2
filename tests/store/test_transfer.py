"""Archives in and out: nothing lost, nothing doubled, wherever an import is broken off."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.mail.archive import ImportedMessage
from appliance.mail.errors import SetupError, StoreError, Trouble
from appliance.store.maildir import MaildirWriter, files, folders
from appliance.store.mbox import MboxWriter
from appliance.store.store import Store
from appliance.store.transfer import IMPORTED, ImportSession, export, import_into, messages_of
from appliance.store.values import Want

from .server import ANN, a_server, deliver

MESSAGES = [b"Subject: %d\r\n\r\nbody %d\r\nFrom the heart\r\n" % (n, n) * (n % 3 + 1) for n in range(20)]


def an_mbox(path: Path, messages: list[bytes]) -> Path:
    with path.open("wb") as file:
        writer = MboxWriter(file)
        for message in messages:
            writer.begin(1_000_000_000)
            writer.write(message)
            writer.end()
    return path


def a_maildir(path: Path, messages: list[bytes], mailbox: str = "INBOX", flags: tuple[str, ...] = ()) -> Path:
    writer = MaildirWriter(path)
    for number, message in enumerate(messages):
        writer.begin(mailbox, flags, 1_000_000_000 + number)
        for at in range(0, len(message), 7):
            writer.write(message[at : at + 7])
        writer.end()
    return path


async def octets_of(store: Store, mailbox: str = "INBOX") -> list[bytes]:
    box = await store.open(ANN, mailbox)
    messages = [await box.open_message(uid) for uid in box.uids]  # type: ignore[arg-type]
    box.close()
    return [await message.read(0, message.octets) for message in messages]


def read(path: Path, position: str = "") -> list[tuple[ImportedMessage, bytes]]:
    return [(message, b"".join(chunks)) for message, chunks in messages_of(path, position)]


async def each(octets: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(octets), 10):
        yield octets[at : at + 10]


@pytest.mark.parametrize("make", [an_mbox, a_maildir])
async def test_in_and_out_again(tmp_path: Path, make: object) -> None:
    source = make(tmp_path / "archive", MESSAGES)  # type: ignore[operator]
    async with a_server(tmp_path) as store:
        reported = [counts async for counts in import_into(store, ANN, source, "Old/Mail")]
        assert reported[-1] == (20, 0)
        assert await octets_of(store, "Old/Mail") == MESSAGES
        out = [(message, b"".join([chunk async for chunk in chunks])) async for message, chunks in export(store, ANN, "Old/Mail")]
        assert [octets for _, octets in out] == MESSAGES
        assert {message.mailbox for message, _ in out} == {"Old/Mail"}


@pytest.mark.parametrize("together", [1, 7])
@pytest.mark.parametrize("make", [an_mbox, a_maildir])
async def test_broken_off_and_begun_again(tmp_path: Path, make: object, together: int) -> None:
    source = make(tmp_path / "archive", MESSAGES)  # type: ignore[operator]
    for stop in (3, 1, 9, 100):
        async with a_server(tmp_path) as store:
            done = 0
            progress = import_into(store, ANN, source, "Old", together=together)
            async for _ in progress:
                done += 1
                if done == stop:
                    break
            await progress.aclose()  # type: ignore[attr-defined]
    async with a_server(tmp_path) as store:
        assert await octets_of(store, "Old") == MESSAGES
        assert [one async for one in import_into(store, ANN, source, "Old")] == []


async def test_position_and_message_are_one_commit(tmp_path: Path) -> None:
    async with a_server(tmp_path, quota=lambda _: 100) as store:
        session = await ImportSession.begin(store.database, store, ANN, "here")
        assert await session.take(ImportedMessage("INBOX", (), 5, "one"), each(b"A: 1\r\n\r\n"))
        with pytest.raises(StoreError) as refused:
            await session.take(ImportedMessage("INBOX", (), 5, "two"), each(b"x" * 200))
        assert refused.value.trouble is Trouble.OVER_QUOTA
        await session.aclose()
        assert (await ImportSession.begin(store.database, store, ANN, "here")).position == "one"
        assert (await ImportSession.begin(store.database, store, ANN, "elsewhere")).position == ""
        assert await octets_of(store) == [b"A: 1\r\n\r\n"]


async def test_what_fits_of_a_batch_is_taken_before_a_full_mailbox_is_reported(tmp_path: Path) -> None:
    source = a_maildir(tmp_path / "archive", [b"A: %d\r\n\r\n" % number + b"x" * 93 for number in range(9)])
    async with a_server(tmp_path, quota=lambda _: 350) as store:
        session = await ImportSession.begin(store.database, store, ANN, "here", together=100)
        for message, chunks in messages_of(source):
            assert await session.take(message, each(b"".join(chunks)))
        with pytest.raises(StoreError) as refused:
            await session.finish()
        assert refused.value.trouble is Trouble.OVER_QUOTA and session.stored == 3
        await session.aclose()
        assert len(await octets_of(store)) == 3
        again = await ImportSession.begin(store.database, store, ANN, "here")
        assert [message.position for message, _ in messages_of(source)].index(again.position) == 2


async def test_a_source_that_cannot_be_read_on_leaves_the_message_out(tmp_path: Path) -> None:
    async def torn() -> AsyncIterator[bytes]:
        yield b"A: 1\r\n\r\nhalf of"
        raise OSError(5, "Input/output error")

    async with a_server(tmp_path) as store:
        session = await ImportSession.begin(store.database, store, ANN, "here", together=10)
        assert await session.take(ImportedMessage("INBOX", (), 5, "1"), each(b"A: 1\r\n\r\n"))
        assert not await session.take(ImportedMessage("INBOX", (), 5, "2"), torn())
        assert await session.take(ImportedMessage("INBOX", (), 5, "3"), each(b"A: 3\r\n\r\n"))
        await session.finish()
        assert await octets_of(store) == [b"A: 1\r\n\r\n", b"A: 3\r\n\r\n"] and session.stored == 2


async def test_folders_without_a_message_become_mailboxes_and_all_are_subscribed(tmp_path: Path) -> None:
    root = a_maildir(tmp_path / "Mail", MESSAGES[:1], "Old")
    (root / ".Empty" / "cur").mkdir(parents=True)
    (root / ".Bad*Name" / "cur").mkdir(parents=True)
    async with a_server(tmp_path) as store:
        await store.subscribe(ANN, "Sent", False)
        assert [one async for one in import_into(store, ANN, root)][-1] == (1, 0)
        found = {info.name: info.subscribed for info in await store.list(ANN)}
        assert found["Old"] and found["Empty"] and not found["Sent"] and IMPORTED not in found


async def test_too_large_is_left_out_and_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.store.transfer.MESSAGE_OCTETS", 1000)
    source = an_mbox(tmp_path / "archive.mbox", [MESSAGES[0], b"A: b\r\n" * 1000, MESSAGES[1]])
    async with a_server(tmp_path) as store:
        reported = [counts async for counts in import_into(store, ANN, source, "Old", together=4)]
        assert reported == [(1, 0), (1, 1), (2, 1)]
        assert await octets_of(store, "Old") == MESSAGES[:2]


async def test_flags_dates_and_folders_of_a_maildir(tmp_path: Path) -> None:
    root = a_maildir(tmp_path / "Mail", MESSAGES[:1])
    a_maildir(root, MESSAGES[1:2], "Grüße/2020.old", ("\\Seen", "\\Flagged", "$Work", "$Forwarded"))
    a_maildir(root / "nested", MESSAGES[2:3])
    (root / "new" / "999.x").write_bytes(b"A: new\n\nlf\n")
    (root / "tmp" / "1.half").write_bytes(b"no")
    async with a_server(tmp_path) as store:
        assert [one async for one in import_into(store, ANN, root)][-1] == (4, 0)
        assert sorted(await octets_of(store)) == sorted([MESSAGES[0], b"A: new\r\n\r\nlf\r\n"])
        assert await octets_of(store, "nested") == [MESSAGES[2]]
        assert await octets_of(store, "Grüße/2020.old") == [MESSAGES[1]]
        [(message, _)] = [found async for found in export(store, ANN, "Grüße/2020.old")]
        assert set(message.flags) == {"\\Seen", "\\Flagged", "$Work", "$Forwarded"}
        assert message.internal_at == 1_000_000_000


def test_a_maildir_comes_back_as_it_was_written(tmp_path: Path) -> None:
    a_maildir(tmp_path, [b"a\r\r\n\rb\r\n\r\n", b"", b"no end", b"x\r"], "A", ("k1", "\\Deleted", "\\Recent"))
    assert [octets for _, octets in read(tmp_path)] == [b"a\r\r\n\rb\r\n\r\n", b"", b"no end", b"x\r"]
    assert {message.flags for message, _ in read(tmp_path)} == {("\\Deleted", "k1")}
    assert not list((tmp_path / ".A" / "tmp").iterdir())


def test_maildir_names_are_taken_in_order_and_go_on_after_a_position(tmp_path: Path) -> None:
    for part, name in (("cur", "3.c:2,S"), ("new", "2.b"), ("cur", "1.a:2,"), ("cur", ".hidden")):
        (tmp_path / part).mkdir(exist_ok=True)
        (tmp_path / part / name).write_bytes(name.encode())
    [folder] = folders(tmp_path)
    assert [path.name for path in files(folder)] == ["1.a:2,", "2.b", "3.c:2,S"]
    os.rename(tmp_path / "new" / "2.b", tmp_path / "cur" / "2.b:2,F")
    assert [octets for _, octets in read(tmp_path, "INBOX\n2.b")] == [b"3.c:2,S"]


def test_long_and_odd_folder_names(tmp_path: Path) -> None:
    writer = MaildirWriter(tmp_path)
    for name in ("a" * 900, "a" * 899 + "b", "& b/..c/~", "ünï/" * 30 + "x"):
        writer.begin(name, (), 5)
        writer.end()
    names = {folder.mailbox for folder in folders(tmp_path)}
    assert len(names) == 4
    assert "& b/..c/~" in names


def test_folders_of_mbox_files(tmp_path: Path) -> None:
    (tmp_path / "Local.sbd").mkdir()
    (tmp_path / "Apple.mbox").mkdir()
    an_mbox(tmp_path / "Inbox", MESSAGES[:2])
    an_mbox(tmp_path / "Local.sbd" / "Work.mbox", MESSAGES[2:4])
    an_mbox(tmp_path / "Apple.mbox" / "mbox", MESSAGES[4:5])
    (tmp_path / "Inbox.msf").write_bytes(b"// not mail")
    found = read(tmp_path)
    assert sorted((message.mailbox, octets) for message, octets in found) == sorted(
        [("Inbox", MESSAGES[0]), ("Inbox", MESSAGES[1]), ("Local/Work", MESSAGES[2]), ("Local/Work", MESSAGES[3]), ("Apple", MESSAGES[4])]
    )
    for done, (message, _) in enumerate(found, 1):
        assert [octets for _, octets in read(tmp_path, message.position)] == [octets for _, octets in found[done:]]


async def test_a_name_no_mailbox_can_have(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        session = await ImportSession.begin(store.database, store, ANN, "here")
        assert await session.take(ImportedMessage("a\x00b", (), 5, "1"), each(b"A: 1\r\n\r\n"))
        assert await octets_of(store, IMPORTED) == [b"A: 1\r\n\r\n"]


def test_sources_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "message.eml").write_bytes(b"Subject: x\n\n")
    for name, position in (("nothing", ""), ("message.eml", "")):
        with pytest.raises(SetupError):
            read(tmp_path / name, position)
    path = an_mbox(tmp_path / "a.mbox", MESSAGES[:2])
    with pytest.raises(SetupError, match="has changed"):
        read(path, "7")
    assert read(path, str(path.stat().st_size)) == []
    an_mbox(path, MESSAGES[:3])
    assert [octets for _, octets in read(path, read(path)[1][0].position)] == [MESSAGES[2]]


async def test_export_of_everything_and_of_nothing(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        await deliver(store, octets=b"A: 1\r\n\r\n" + b"x" * 500_000, flags=("\\Seen",))
        await deliver(store, mailbox="Sent")
        found = [(message, b"".join([chunk async for chunk in chunks])) async for message, chunks in export(store, ANN)]
        assert [(message.mailbox, message.flags) for message, _ in found] == [("INBOX", ("\\Seen",)), ("Sent", ())]
        assert found[0][1] == b"P: 1\r\nA: 1\r\n\r\n" + b"x" * 500_000
        with pytest.raises(SetupError):
            [one async for one in export(store, ANN, "Nowhere")]
        box = await store.open(ANN, "INBOX")
        assert (await box.rows(box.info.uid_next, box.info.uid_next, Want.FLAGS)) == []
        box.close()
